"""`scripts/predict.py` and `scripts/inspect_model.py`: what they show is what the run's model says."""

import importlib
import io
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chosen_run import find_run
from PIL import Image

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.errors import CheckpointError
from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.runs.checkpoint import _seal
from fashion_softmax.runs.folder import write_folder
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.training import train_folders
from fashion_softmax.viewing.trained import load_trained
from tests.conftest import TINY, write_idx_folder
from tests.scripts.conftest import RunScript


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a script gives to the functions that draw."""
    images, inspection = map(importlib.import_module, ("image_figures", "inspection_figures"))
    given: list[Any] = []
    for module, name in ((images, "draw_grid"), (images, "draw_prediction"), (inspection, "draw_inspection")):
        draw = getattr(module, name)

        def keep(*arguments: Any, draw: Any = draw) -> object:
            given.extend(arguments)
            return draw(*arguments)

        monkeypatch.setattr(module, name, keep)
    return given


def logits_of(run: Path, images: torch.Tensor) -> torch.Tensor:
    """Compute a run's logits from its checkpoint alone."""
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)["model"]
    return images.flatten(1).float() / 255 @ state["weight"].T + state["bias"]


def test_grid_shows_what_the_model_says(script: RunScript, drawn: list[Any], run: Path, tmp_path: Path) -> None:
    outcome = script("predict", run, "--rows", 2, "--columns", 5, "--start", 3)
    assert outcome.code == 0, outcome.err
    test = build_parts(resolve(compose(TINY))).dataset.test
    probabilities = logits_of(run, test.images[3:13]).softmax(-1)
    images, captions, columns, _, mistakes = drawn
    np.testing.assert_array_equal(images, test.images[3:13])
    assert columns == 5
    for index, (caption, label, row) in enumerate(
        zip(captions, test.labels[3:13].tolist(), probabilities, strict=True)
    ):
        best = int(row.argmax())
        assert caption == (f"true: {label}", f"{best} ({100 * float(row[best]):.0f} %)")
        assert (index in mistakes) == (best != label)
    right = 10 - len(mistakes)
    assert f"run, 1 epoch\n{right} of 10 predictions are right" in outcome.out
    assert (tmp_path / "outputs" / "figures" / "predictions.png").exists()


def test_mistakes_are_those_of_the_recorded_predictions(
    script: RunScript, drawn: list[Any], run: Path, tmp_path: Path
) -> None:
    recorded = read_folder(run).predictions
    assert recorded is not None
    wrong = (~recorded.is_correct).nonzero()[0]
    outcome = script("predict", "--wrong", run, "--rows", 1, "--columns", 4)
    images, captions, _, _, mistakes = drawn
    assert len(captions) == len(mistakes) == min(4, len(wrong))
    most_confident = sorted(wrong, key=lambda index: -recorded.confidences[index])[:4]
    np.testing.assert_array_equal(images, build_parts(resolve(compose(TINY))).dataset.test.images[most_confident])
    assert f"{len(wrong)} of 64 test images are wrong" in outcome.out
    rows = re.findall(r"^│ (\d+)\s+│\s+(\d+) │\s+([\d.]+) % │ (\S+) ", outcome.out, re.MULTILINE)
    assert len(rows) == 10
    for name, total, right, other in rows:
        of_class = recorded.labels == int(name)
        assert int(total) == of_class.sum()
        said = np.bincount(recorded.classes[of_class], minlength=10)
        said[int(name)] = 0
        assert other == (f"{said.argmax()}," if said.any() else "-")
        assert float(right) == pytest.approx(100 * recorded.is_correct[of_class].mean(), abs=0.051)
    assert (tmp_path / "outputs" / "figures" / "mistakes.png").exists()


def test_run_without_mistakes_has_none_to_show(
    script: RunScript, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fashion_softmax.learning.predictions import Predictions

    monkeypatch.setattr(Predictions, "is_correct", property(lambda self: np.ones(len(self.labels), bool)))
    outcome = script("predict", run, "--wrong")
    assert outcome.code == 0 and "0 of 64 test images are wrong" in outcome.out and not outcome.err


def test_own_picture_gets_the_prediction_of_its_image(
    script: RunScript, drawn: list[Any], run: Path, tmp_path: Path
) -> None:
    image = build_parts(resolve(compose(TINY))).dataset.test.images[5]
    Image.fromarray(image[0].numpy()).save(tmp_path / "own.png")
    outcome = script("predict", run, "own.png")
    assert outcome.code == 0, outcome.err
    expected = logits_of(run, image[None]).softmax(-1)[0]
    _, title, images, probabilities, names = drawn
    np.testing.assert_array_equal(images["what the model saw"], image[0])
    assert title == f"{names[int(expected.argmax())]}: {100 * float(expected.max()):.0f} %"
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    printed = re.findall(r"^(\d) +([\d.]+) % ", outcome.out, re.MULTILINE)
    assert [name for name, _ in printed] == [names[index] for index in expected.argsort(descending=True)]
    assert float(printed[0][1]) == pytest.approx(100 * float(expected.max()), abs=0.051)
    assert "own.png: taken as it is" in outcome.out
    assert (tmp_path / "outputs" / "figures" / "picture.png").exists()


@pytest.mark.slow
def test_inspection_adds_up_to_the_lead(script: RunScript, drawn: list[Any], run: Path, tmp_path: Path) -> None:
    outcome = script("inspect_model", run, "--image", 7)
    assert outcome.code == 0, outcome.err
    _, _, _, names, evidence, templates = drawn[:6]
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)["model"]
    np.testing.assert_array_equal(templates, state["weight"].reshape(10, 28, 28))
    test = build_parts(resolve(compose(TINY))).dataset.test
    logits = logits_of(run, test.images[7:8])[0]
    best, second = logits.topk(2).indices.tolist()
    rival = second if best == int(test.labels[7]) else int(test.labels[7])
    (over_all, for_all), (over_rival, for_rival) = evidence.items()
    assert over_all.startswith(
        f"{names[best]} over the mean of all\nlead {float(logits[best] - logits.mean()):+.2f} = "
    )
    assert over_rival.startswith(f"{names[best]} over {names[rival]}\n")
    bias = state["bias"]
    assert for_all.sum() == pytest.approx(float(logits[best] - logits.mean() - bias[best] + bias.mean()), abs=1e-4)
    lead = logits[best] - logits[rival] - bias[best] + bias[rival]
    assert for_rival.sum() == pytest.approx(float(lead), abs=1e-4)
    assert (tmp_path / "outputs" / "figures" / "inspection.png").exists()


@pytest.mark.slow
def test_mistake_is_accounted_for_against_the_true_class(script: RunScript, run: Path) -> None:
    rewrite_checkpoint(run, lambda state: state["model"]["bias"].copy_(torch.tensor([9.0, 8.0, *[0.0] * 8])))
    test = build_parts(resolve(compose(TINY))).dataset.test
    logits = logits_of(run, test.images)
    wrong = (logits.topk(2).indices != test.labels[:, None]).all(-1)
    index = int(wrong.nonzero()[0])
    printed = script("inspect_model", run, "--image", index).out
    assert f"  {int(logits[index].argmax())} over {int(test.labels[index])}: lead" in printed


def test_options_that_mean_nothing_for_a_picture_are_refused(script: RunScript, run: Path, tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "own.png")
    for name, option in (("predict", ["--wrong"]), ("predict", ["--start", 1]), ("inspect_model", ["--image", 3])):
        outcome = script(name, run, "own.png", *option)
        assert outcome.code == 2 and f"{option[0]} means nothing for a picture" in outcome.err


def test_calibration_agrees_with_the_recorded_predictions(script: RunScript, run: Path, tmp_path: Path) -> None:
    outcome = script("predict", run, "--calibration")
    assert outcome.code == 0, outcome.err
    recorded = read_folder(run).predictions
    assert recorded is not None
    error = recorded.count_reliability()[-1]
    assert f"expected calibration error: {100 * error:.2f} %" in outcome.out
    with Image.open(tmp_path / "outputs" / "figures" / "calibration.png") as picture:
        assert min(picture.size) > 300
    wrong = script("predict", run, "--calibration", "--output", "calibration.svg")
    assert wrong.code == 2 and "name a file that ends in .png" in wrong.err


def test_picture_can_be_taken_as_it_is(script: RunScript, drawn: list[Any], run: Path, tmp_path: Path) -> None:
    _, height, width = build_parts(resolve(compose(TINY))).dataset.image_shape
    pixels = np.zeros((10 * height, 10 * width), np.uint8)
    pixels[:20, :20] = 200  # in a corner, light on dark: trimming would move it
    Image.fromarray(pixels).save(tmp_path / "corner.png")
    outcome = script("predict", run, tmp_path / "corner.png", "--as-is")
    assert outcome.code == 0 and f"taken as it is, scaled to {width} x {height} pixels" in outcome.out
    seen = drawn[2]["what the model saw"]
    assert (seen[:2, :2] == 200).all() and seen.sum() == 4 * 200
    refused = script("predict", run, "--as-is")
    assert refused.code == 2 and "name one after the run" in refused.err


def test_run_on_pictures_reads_others_in_its_own_way_only(script: RunScript, tmp_path: Path) -> None:
    for index in range(20):
        path = tmp_path / "p" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 10 * index).save(path)
    data = ["dataset=folder", f"dataset.root={tmp_path}/p", f"dataset.cache_dir={tmp_path}/cache"]
    folder = write_folder(tmp_path / "run", compose([*data, "trainer.num_epochs=1"]), [], {}).path
    assert not train_folders([folder])
    assert "read as the pictures that the run was trained on" in script("predict", folder, path).out
    refused = script("predict", folder, path, "--as-is")
    assert refused.code == 2 and refused.err.startswith("ERROR: --as-is: the run reads pictures as it read those")


def test_best_run_best_epoch_and_a_picture_alone_are_found_below_outputs(
    script: RunScript, run: Path, tmp_path: Path
) -> None:
    for name, objective in (("good", 0.9), ("bad", 0.1)):
        folder = Path(shutil.copytree(run, tmp_path / "outputs" / "runs" / name))
        result = (folder / "result.json").read_text(encoding="utf-8")
        result = re.sub(r'"objective": [\d.]+', f'"objective": {objective}', result)
        (folder / "result.json").write_text(result, encoding="utf-8")
        os.utime(folder / "checkpoints" / "last.pt", (1e9 if name == "good" else 2e9,) * 2)
    Image.new("L", (28, 28)).save(tmp_path / "own.png")
    assert script("predict", "own.png").out.startswith("outputs/runs/bad, ")
    assert script("predict", "own.png", "--best").out.startswith("outputs/runs/good, ")
    (tmp_path / "outputs" / "runs" / "good" / "checkpoints" / "best.pt").unlink()
    outcome = script("predict", "--best", "--checkpoint", "best")
    assert outcome.code == 4 and "best.pt is missing" in outcome.err


@pytest.mark.slow
def test_names_in_a_foreign_run_do_not_reach_the_terminal_raw(script: RunScript, tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "data", shape=(8, 8))
    names = "dataset.class_names=['\x1b[31mred','a\nb','c']"
    cfg = compose(["dataset=idx", f"dataset.root={folder}", names, "trainer.num_epochs=1"])
    run_dir = tmp_path / "run"
    write_folder(run_dir, cfg, [], {})
    assert not train_folders([run_dir])
    samples = ("show_samples", "dataset=idx", f"dataset.root={folder}", names)
    for command in (("predict", run_dir, "--wrong"), ("inspect_model", run_dir, "--image=0"), samples):
        outcome = script(*command)
        assert outcome.code == 0, outcome.err
        assert "\x1b" not in outcome.out and "a\nb" not in outcome.out


def test_folder_of_runs_gives_the_latest_or_the_best(run: Path, tmp_path: Path) -> None:
    runs = tmp_path / "outputs" / "runs"
    facts = {"a": (0.2, 0, 0.8), "b": (0.2, 1, 0.82), "lucky": (0.3, 0, 0.9), "d": (0.3, 1, 0.6), "last": (0.1, 0, 0.1)}
    for name, (lr, seed, accuracy) in facts.items():
        folder = Path(shutil.copytree(run, runs / name))
        for file, pattern, line in (
            ("result.json", r'"test/accuracy": [\d.]+', f'"test/accuracy": {accuracy}'),
            (".hydra/config.yaml", r"(?m)^  lr: .*", f"  lr: {lr}"),
            (".hydra/config.yaml", r"(?m)^seed: .*", f"seed: {seed}"),
        ):
            text, number = re.subn(pattern, line, (folder / file).read_text(encoding="utf-8"))
            assert number == 1
            (folder / file).write_text(text, encoding="utf-8")
        os.utime(folder / "checkpoints" / "last.pt", (2e9 if name == "last" else 1e9,) * 2)
    assert find_run(runs / "a") == runs / "a"
    assert find_run(runs.parent) == (runs / "last").resolve()
    # As the table ranks: settings by the mean of their seeds, so that one lucky run does not count.
    assert find_run(runs.parent, best=True) == (runs / "b").resolve()
    config = (runs / "b" / ".hydra" / "config.yaml").read_text(encoding="utf-8")
    (runs / "b" / "run.json").unlink()  # which says that the option was `synthetic`
    (runs / "b" / ".hydra" / "config.yaml").write_text(config.replace("make_synthetic", "load_idx"), encoding="utf-8")
    assert find_run(runs.parent, best=True) == (runs / "a").resolve()  # runs on other data do not count
    for path in runs.glob("*/*.json"):
        path.write_text(path.read_text(encoding="utf-8").replace('"completed"', '"interrupted"'), encoding="utf-8")
    with pytest.raises(CheckpointError, match="none of its runs on synthetic is complete"):
        find_run(runs.parent, best=True)


@pytest.mark.slow
def test_no_folder_means_outputs(script: RunScript, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "outputs" / "runs" / "a")
    outcome = script("inspect_model")
    assert outcome.code == 0 and outcome.out.startswith("outputs/runs/a, 1 epoch\n")


def test_run_of_another_machine_is_loaded_on_this_one(run: Path) -> None:
    config = run / ".hydra" / "config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace("device: auto", "device: cuda:7"), encoding="utf-8")
    model = load_trained(run).parts.member.model
    assert isinstance(model, SoftmaxRegression) and model.weight.device.type == "cpu"


def spoil_config(run: Path) -> None:
    (run / ".hydra" / "config.yaml").write_text("model: {_target_: os.system, command: ls}\n", encoding="utf-8")


def spoil_checkpoint(run: Path) -> None:
    path = run / "checkpoints" / "last.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite_checkpoint(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what a checkpoint says, and seal it again."""
    path = run / "checkpoints" / "last.pt"
    state = torch.load(path, weights_only=True)
    change(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(_seal(buffer.getvalue()))


def spoil_weights(run: Path) -> None:
    rewrite_checkpoint(run, lambda state: state["model"]["weight"].fill_(torch.nan))


def exchange_checkpoint(run: Path) -> None:
    rewrite_checkpoint(run, lambda state: state.update(fingerprint="0" * 64))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "run: there is no such folder"),
        (lambda run: shutil.rmtree(run / ".hydra"), "is no run folder"),
        (lambda run: shutil.rmtree(run / "checkpoints"), "has no checkpoint yet (last.pt is missing)"),
        (spoil_checkpoint, "last.pt: is truncated, damaged, or no checkpoint"),
        (spoil_weights, "last.pt: its weights are not finite"),
        (exchange_checkpoint, "last.pt: belongs to a run with another configuration"),
        (spoil_config, "model._target_=os.system is refused"),
    ],
)
def test_folder_that_cannot_be_used_exits_with_4(spoil: Any, message: str, script: RunScript, run: Path) -> None:
    spoil(run)
    outcome = script("predict", run)
    assert outcome.code == 4 and outcome.err.startswith("ERROR: ") and message in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["none.png"], "none.png", 3),
        (["text.png"], "text.png: cannot be read as a picture", 3),
        (["text.png", "text.png"], "one run and one picture are expected", 2),
        (["--start", "64"], "--start 64: there are 64 of them, 0 to 63", 2),
        (["--columns", "x"], "x is no whole number from 1 to 100", 2),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, code: int, script: RunScript, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    outcome = script("predict", run, *arguments)
    assert outcome.code == code and message in outcome.err and "Traceback" not in outcome.err
    assert not (tmp_path / "outputs").exists()


def test_image_that_is_not_there_is_refused(script: RunScript, run: Path) -> None:
    outcome = script("inspect_model", run, "--image", 64)
    assert outcome.code == 2 and "--image 64: there are test images 0 to 63" in outcome.err


def test_window_needs_a_display(script: RunScript, run: Path) -> None:
    from matplotlib import pyplot

    pyplot.switch_backend("agg")  # what matplotlib falls back on where there is no display
    outcome = script("predict", run, "--output", "a.png", "--show")
    assert outcome.code == 7 and "saved a.png" in outcome.err and "--show: no window can be opened here" in outcome.err
