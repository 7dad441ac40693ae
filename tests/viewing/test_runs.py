"""Reading runs that are unfinished, damaged or from other people."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fashion_softmax.errors import CheckpointError
from fashion_softmax.runs.records import read_folder
from fashion_softmax.viewing.ranking import compare
from fashion_softmax.viewing.runs import read_runs
from tests.viewing.conftest import RecordRun


def test_runs_are_found_below_folders_once(record_run: RecordRun, tmp_path: Path) -> None:
    for name in ("runs/a", "sweeps/s/000_x", "sweeps/s/001_y", "sweeps/s/earlier-1/000_z"):
        record_run(name)
    (tmp_path / "sweeps" / "s" / "multirun.yaml").write_text("{}", encoding="utf-8")
    names = [run.name for run in read_runs([tmp_path, tmp_path / "runs"])]
    assert names == ["runs/a", "sweeps/s/000_x", "sweeps/s/001_y"]  # not the one that was set aside
    assert [run.name for run in read_runs([tmp_path / "sweeps" / "s" / "earlier-1"])] == ["000_z"]


def test_facts_are_those_of_the_records(record_run: RecordRun) -> None:
    run = read_folder(record_run("a", 160, loss="huber", lr=0.5, seed=3))
    assert (run.state, len(run.rows), run.seed) == ("completed", 2, 3)
    assert run.metrics["test/accuracy"] == 0.8 and run.best == {"epoch": 1, "objective": 0.8}
    assert run.seconds == {"total": 2.0, "training": 1.5}
    expected = {"dataset": "mnist", "loss": "huber", "optimizer": "sgd", "dataset.val_size": 0, "loss.delta": 0.5}
    assert run.hyperparameters == {**expected, "optimizer.lr": 0.5, "seed": 3, "trainer.num_epochs": 2}
    assert run.predictions is not None and run.predictions.is_correct.mean() == 0.8


def test_missing_or_empty_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        read_runs([tmp_path / "nowhere"])
    with pytest.raises(CheckpointError, match="holds no run"):
        read_runs([tmp_path])


def test_an_unfinished_run_counts_as_far_as_it_came(record_run: RecordRun) -> None:
    folder = record_run("a", 160, state="running")
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"epoch": 3, "step": 3, "ima')  # the process was killed here
    run = read_folder(folder)
    assert len(run.rows) == 2 and run.metrics["test/accuracy"] == 0.8 and run.best["epoch"] == 1
    assert run.state != "completed" and run.predictions is None


def test_a_run_whose_process_is_gone_was_killed(record_run: RecordRun) -> None:
    import platform

    folder = record_run("a", state="running")
    status = {"state": "running", "host": platform.node(), "pid": 2**22 + 1, "process_start": 1}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    assert read_folder(folder).state == "killed"
    status |= {"host": "elsewhere"}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    assert read_folder(folder).state == "running"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".hydra/config.yaml", "a: &a [x, x]\nb: &b [*a, *a]\n"),
        (".hydra/config.yaml", "[" * 500_000),
        (".hydra/config.yaml", "a: 0x" + "f" * 5000),
        ("result.json", '{"state": "completed", "metrics": {"test/accuracy": 1' + "0" * 400 + "}}"),
        (".hydra/config.yaml", "a: " + "{a: " * 50 + "1" + "}" * 50),
        ("status.json", "[]"),
        ("result.json", '{"state": "completed", "metrics": [1], "best": "x", "seconds": {"total": "y"}}'),
        ("metrics.jsonl", '{"epoch": 1, "images_seen": 1, "test/accuracy": "high"}\n'),
        ("predictions.npz", "no arrays"),
    ],
)
def test_damaged_records_are_read_as_far_as_they_go(record_run: RecordRun, name: str, content: str) -> None:
    folder = record_run("a")
    (folder / name).write_text(content, encoding="utf-8")
    run = read_folder(folder)
    assert run.predictions is None or len(run.predictions.labels) == 200
    comparison = compare([run])
    assert comparison.runs + comparison.unfinished == [run]


def test_pipes_in_a_folder_are_not_read(record_run: RecordRun) -> None:
    folder = record_run("a")
    for name in ("status.json", "metrics.jsonl", "predictions.npz", ".hydra/config.yaml"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    run = read_folder(folder)
    assert run.rows == [] and run.config == {} and run.predictions is None


def test_made_up_predictions_are_none(record_run: RecordRun) -> None:
    folder = record_run("a")
    ones = {"labels": np.ones(3, np.uint8), "confidences": np.ones(3, np.float32)}
    contents = [io.BytesIO() for _ in range(3)]
    np.savez(contents[0], classes=np.uint8(1), **ones)
    np.savez(contents[1], classes=np.array([{}], dtype=object), **ones)  # a pickle
    with zipfile.ZipFile(contents[2], "w") as archive:
        for name in ("labels", "classes", "confidences"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((((")
    for content in contents:
        (folder / "predictions.npz").write_bytes(content.getvalue())
        assert read_folder(folder).predictions is None


def test_links_of_a_foreign_folder_are_not_followed(record_run: RecordRun, tmp_path: Path) -> None:
    folder = record_run("a")
    secret = tmp_path / "secret.yaml"
    secret.write_text("optimizer:\n  password: hunter2\n", encoding="utf-8")
    (folder / ".hydra" / "config.yaml").unlink()
    (folder / ".hydra" / "config.yaml").symlink_to(secret)
    assert "hunter2" not in str(read_folder(folder))


def test_linked_folders_are_searched_once(record_run: RecordRun, tmp_path: Path) -> None:
    record_run("elsewhere/a")
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "sweeps").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "circle").symlink_to(tmp_path)
    assert [run.path.name for run in read_runs([tmp_path / "outputs"])] == ["a"]
