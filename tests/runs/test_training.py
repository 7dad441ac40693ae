"""Folders that are trained in one call: what fits together is trained as one, whatever else is among them."""

import os
import signal
from pathlib import Path

import pytest

from fashion_softmax.errors import Interrupted
from fashion_softmax.runs import training
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.training import train_folders
from tests.conftest import TINY, write_planned

MLP = "model=mlp model.hidden_sizes=[4]"
JOBS = ["loss=ce", MLP, "loss=mse optimizer.weight_decay=0.1", "dataset.batch_size=64", f"{MLP} loss=mse", "seed=1"]


def write(folder: Path, job: str) -> Path:
    return write_planned(folder, *TINY, *job.split())


def test_runs_of_all_kinds_are_trained_as_if_they_were_alone(tmp_path: Path) -> None:
    together = [write(tmp_path / f"together{index}", job) for index, job in enumerate(JOBS)]
    assert train_folders(together) == {}
    for index, job in enumerate(JOBS):
        alone = write(tmp_path / f"alone{index}", job)
        assert train_folders([alone]) == {}
        run, expected = read_folder(together[index]), read_folder(alone)
        assert run.metrics == pytest.approx(expected.metrics, rel=1e-5), job
    assert [read_folder(path).stack_size for path in together] == [2, 1, 2, 1, 1, 1]
    assert train_folders(together) == {}  # nothing is left to do


def test_signal_while_a_stack_is_completed_stops_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [write(tmp_path / f"run{seed}", f"seed={seed}") for seed in (0, 1)]
    predict = training.predict

    def interrupt(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return predict(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "predict", interrupt)
    with pytest.raises(Interrupted):
        train_folders(runs)
    assert [read_folder(path).state for path in runs] == ["completed", "planned"]


def test_signal_that_spoils_something_shared_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write(tmp_path / "run", "seed=0")

    def die(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)  # as it reaches the data's workers, too
        raise RuntimeError("DataLoader worker exited unexpectedly")

    monkeypatch.setattr(training, "predict", die)
    with pytest.raises(Interrupted):
        train_folders([run])
    assert read_folder(run).state == "interrupted"
    monkeypatch.undo()
    assert train_folders([run]) == {}
    assert read_folder(run).is_finished
