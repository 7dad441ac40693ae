"""Reading runs that are unfinished, damaged or somebody else's."""

import json
import os
from pathlib import Path

import pytest

from fashion_softmax.comparing.runs import read_run, read_runs
from fashion_softmax.errors import CheckpointError
from tests.comparing.conftest import RecordRun


def test_runs_are_found_below_folders_once(record_run: RecordRun, tmp_path: Path) -> None:
    for name in ("runs/a", "sweeps/s/000_x", "sweeps/s/001_y", "sweeps/s/earlier-1/000_z"):
        record_run(name)
    (tmp_path / "sweeps" / "s" / "multirun.yaml").write_text("{}", encoding="utf-8")
    names = [run.name for run in read_runs([tmp_path, tmp_path / "runs"])]
    assert names == ["runs/a", "sweeps/s/000_x", "sweeps/s/001_y"]  # not the one that was set aside
    assert [run.name for run in read_runs([tmp_path / "sweeps" / "s" / "earlier-1"])] == ["000_z"]


def test_facts_are_those_of_the_records(record_run: RecordRun) -> None:
    run = read_run(record_run("a", 160, loss="huber", lr=0.5, seed=3))
    assert (run.state, run.num_epochs, run.seed, run.trial_name) == ("completed", 2, 3, "huber lr=0.5")
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
    run = read_run(folder)
    assert run.num_epochs == 2 and run.metrics["test/accuracy"] == 0.8 and run.best["epoch"] == 1
    assert not run.is_complete and run.predictions is None


def test_a_run_whose_process_is_gone_was_killed(record_run: RecordRun) -> None:
    import platform

    folder = record_run("a", state="running")
    status = {"state": "running", "host": platform.node(), "pid": 2**22 + 1, "process_start": 1}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    assert read_run(folder).state == "killed"
    status |= {"host": "elsewhere"}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    assert read_run(folder).state == "running"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".hydra/config.yaml", "a: &a [x, x]\nb: &b [*a, *a]\n"),
        (".hydra/config.yaml", "- no\n- mapping\n"),
        (".hydra/config.yaml", "a: [unclosed\n"),
        (".hydra/config.yaml", "a: " + "{a: " * 50 + "1" + "}" * 50),
        (".hydra/hydra.yaml", "    choices:\n      loss: [huber]\n"),
        (".hydra/overrides.yaml", "{}"),
        ("status.json", "[]"),
        ("result.json", '{"state": "completed", "metrics": [1], "best": "x", "seconds": {"total": "y"}}'),
        ("result.json", '{"metrics": {"test/accuracy": NaN}}'),
        ("metrics.jsonl", '{"epoch": 1}\n'),
        ("metrics.jsonl", '{"epoch": 1, "images_seen": 1, "test/accuracy": "high"}\n'),
        ("predictions.npz", "no arrays"),
    ],
)
def test_damaged_records_are_read_as_far_as_they_go(record_run: RecordRun, name: str, content: str) -> None:
    folder = record_run("a")
    (folder / name).write_text(content, encoding="utf-8")
    run = read_run(folder)
    assert run.trial_name is not None and isinstance(run.predictions, object)


@pytest.mark.parametrize("name", ["status.json", "metrics.jsonl", "predictions.npz", ".hydra/config.yaml"])
def test_a_pipe_in_a_folder_is_not_read(record_run: RecordRun, name: str) -> None:
    folder = record_run("a")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    _ = read_run(folder).predictions
