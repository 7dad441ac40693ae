"""The page's content: its numbers, its pictures, and what other people may write into their runs."""

import base64
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.viewing.ranking import compare
from fashion_softmax.viewing.report import make_report
from fashion_softmax.viewing.runs import read_runs
from tests.conftest import write_idx, write_idx_folder
from tests.viewing.conftest import LABELS, RecordRun, write

TOY = {"_target_": "fashion_softmax.data.make_synthetic", "num_train": 16, "num_test": len(LABELS)}
MARKUP = "</script><script>alert(1)</script><!-- &amp; \" '"
HOSTILE = f"{MARKUP} \u2028\u2029 \ud800"


def read_data(page: str) -> dict[str, Any]:
    """Read the page's data as a browser finds it: up to the first end of a script element."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script', page, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def make_data(*folders: Path, metric: str | None = None) -> dict[str, Any]:
    return read_data(make_report(compare(read_runs(folders), metric)))


def decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_numbers_are_those_of_the_records(record_run: RecordRun, tmp_path: Path) -> None:
    for loss, num_correct in (("ce", 150), ("huber", 160)):
        for seed in (0, 1):
            record_run(f"{loss}{seed}", num_correct + 2 * seed, loss=loss, seed=seed)
    data = make_data(tmp_path)
    assert [setting["hyperparameters"] for setting in data["settings"]] == [{"loss": "huber"}, {"loss": "ce"}]
    for setting in data["settings"]:
        results = [json.loads((tmp_path / run["name"] / "result.json").read_text()) for run in setting["runs"]]
        assert [run["metrics"] for run in setting["runs"]] == [result["metrics"] for result in results]
        assert setting["mean"] == sum(result["metrics"]["test/accuracy"] for result in results) / 2
    assert data["shared"]["optimizer.lr"] == 0.1 and data["metric"] == "test/accuracy"
    assert data["curves"][0]["epochs"] == [1, 2]
    assert data["curves"][0]["values"]["test/accuracy"] == {"mean": [0.805] * 2, "low": [0.8] * 2, "high": [0.81] * 2}


def test_confusions_and_who_sees_what(record_run: RecordRun, tmp_path: Path) -> None:
    record_run("best", 180, loss="huber", first_wrong=0, dataset=TOY)  # wrong on the first 20
    record_run("other", 170, loss="ce", first_wrong=10, dataset=TOY)  # wrong on 10 to 39
    data = make_data(tmp_path)
    best, sees = data["best"], data["sees"]
    assert (best["run"], best["num_images"], best["num_wrong"]) == ("best", 200, 20)
    assert np.diag(best["counts"]).tolist() == [18] * 10 and best["counts"][3][4] == 2 and best["counts"][3][5] == 0
    confidences = [mistake["confidence"] for mistake in best["mistakes"]]
    assert len(confidences) == 20 and confidences == sorted(confidences, reverse=True)
    assert [(mistake["true"], mistake["taken_for"]) for mistake in best["mistakes"][:2]] == [(9, 0), (8, 9)]
    assert sees["key"] == "loss" and (sees["num_all_right"], sees["num_none_right"]) == (160, 10)
    assert [(group["value"], group["num_alone"]) for group in sees["groups"]] == [("huber", 20), ("ce", 10)]
    image = sees["groups"][0]["images"][0]  # the one it is surest of is number 39
    assert (image["true"], image["taken_for"]) == (9, 0) and len(sees["groups"][0]["images"]) == 8
    assert len(data["pictures"]) == 20 + 8 and data["without_pictures"] == ""  # the other's are among the mistakes
    assert decode(data["pictures"][str(data["best"]["mistakes"][0]["index"])]).shape == (28, 28)


@pytest.mark.parametrize(("shape", "expected"), [((3, 6, 8), (6, 8, 3)), ((120, 180), (64, 96))])
def test_pictures_of_a_folder_of_ones_own(
    record_run: RecordRun, tmp_path: Path, shape: Sequence[int], expected: tuple[int, ...]
) -> None:
    folder = write_idx_folder(tmp_path / "data", shape, num_classes=10, sizes=(10, len(LABELS)))
    names = [f"kind {label}" for label in range(10)]
    node = {"_target_": "fashion_softmax.data.load_idx", "root": str(folder), "resize": 4, "class_names": names}
    record_run("run", 190, dataset=node)
    data = make_data(tmp_path / "run")
    assert data["class_names"] == names and len(data["pictures"]) == 10
    assert decode(data["pictures"][str(data["best"]["mistakes"][0]["index"])]).shape == expected
    write_idx(folder / "t10k-labels-idx1-ubyte", LABELS[::-1])
    assert "other test labels" in make_data(tmp_path / "run")["without_pictures"]
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"no labels")
    reason = make_data(tmp_path / "run")["without_pictures"]
    assert "data/t10k-labels-idx1-ubyte: is no IDX file" in reason and str(tmp_path) not in reason


def test_data_that_is_missing_is_not_fetched(record_run: RecordRun, tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    node = {"_target_": "fashion_softmax.data.load_published", "name": "fashion_mnist", "root": str(root)}
    record_run("run", dataset=node)
    data = make_data(tmp_path)
    assert data["without_pictures"] == "the run's data set cannot be shown: fashion_mnist is not on this machine"
    assert data["pictures"] == {} and not root.exists() and data["class_names"][9] == "ankle boot"


def test_names_are_those_of_the_run_where_classes_have_others_now(record_run: RecordRun, tmp_path: Path) -> None:
    result = record_run("run", dataset=TOY) / "result.json"
    names = [f"class {number}" for number in range(10)]
    result.write_text(json.dumps(json.loads(result.read_bytes()) | {"class_names": names}), encoding="utf-8")
    data = make_data(tmp_path)
    assert data["class_names"] == names and data["pictures"] == {}
    assert "its classes have other names on this machine" in data["without_pictures"]


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"_target_": "os.system"}, "is refused"),
        (TOY | {"noise_std": "${oc.env:HOME}"}, "is refused"),
        (TOY | {"num_train": 10**7}, "too large"),
        (TOY | {"image_shape": "wide"}, "cannot be shown"),
        (TOY | {"num_test": 199}, "other test labels"),
        (TOY | {"noise_std": "${nothing}"}, "Interpolation key 'nothing' not found"),
        ({"_target_": "torch.nn.Linear", "in_features": 10**5, "out_features": 10**5}, "its data set is not one of"),
        (None, "is not one of"),
    ],
)
def test_configuration_from_other_people(record_run: RecordRun, tmp_path: Path, node: Any, words: str) -> None:
    record_run("run", dataset=node)
    data = make_data(tmp_path)
    assert words in data["without_pictures"] and data["pictures"] == {}


def test_toy_images_are_drawn_with_the_runs_own_seed(record_run: RecordRun, tmp_path: Path) -> None:
    pictures = [
        make_data(record_run(name, seed=3, dataset=TOY | {"data_seed": seed}))["pictures"]
        for name, seed in (("a", "${seed}"), ("b", 3), ("c", 0))
    ]
    assert pictures[0] == pictures[1] != pictures[2]


def test_hostile_texts_stay_texts(record_run: RecordRun, tmp_path: Path) -> None:
    record_run("good", loss=MARKUP)
    record_run("better", 170)
    harmless = make_report(compare(read_runs([tmp_path])))
    failed = record_run("bad", state="failed", **{HOSTILE.replace(".", ""): HOSTILE})
    write(failed / "status.json", {"state": "failed", "error": HOSTILE})
    page = make_report(compare(read_runs([tmp_path])))
    assert page.lower().count("<script") == harmless.lower().count("<script") == 2
    assert page.lower().count("</script") == 2 and "alert" in page and str(tmp_path) not in page
    assert "\u2028" not in page and page.encode()
    data = read_data(page)
    texts = [data["unfinished"][0]["error"], data["settings"][1]["hyperparameters"]["loss"]]
    assert all(text.startswith(MARKUP) for text in texts)


def test_runs_without_predictions_or_curves(record_run: RecordRun, tmp_path: Path) -> None:
    for name, lr in (("a", 0.1), ("b", 0.2)):
        folder = record_run(name, lr=lr)
        (folder / "predictions.npz").unlink()
        (folder / "metrics.jsonl").unlink()
    data = make_data(tmp_path)
    assert data["best"] is None and data["sees"] is None and data["without_pictures"] == ""
    assert data["curves"] == [{"epochs": [], "values": {}}] * 2


def test_made_up_numbers(record_run: RecordRun, tmp_path: Path) -> None:
    folder = record_run("run", dataset=TOY)
    huge = np.full(3, 2**63, np.uint64)
    confidences = np.array([np.nan, np.inf, -1], np.float32)
    (folder / "predictions.npz").write_bytes(Predictions(huge, huge - np.uint64(1), confidences).to_bytes())
    row = '{"epoch": 1, "images_seen": 1, "test/accuracy": NaN, "train/loss": Infinity, "lr": 1e999, "x": "/"}\n'
    (folder / "metrics.jsonl").write_text(row)
    data = make_data(tmp_path)
    assert data["best"]["counts"] is None and data["curves"][0]["values"] == {}
    assert data["best"]["mistakes"][0]["confidence"] is None
