"""A run that version 0.1 wrote: compared, and refused where only that version can go on.

`tests/first_edition/run` is such a run of two epochs.
"""

import shutil
from pathlib import Path

import pytest

from fashion_softmax.errors import CheckpointError
from fashion_softmax.runs.records import read_folder
from fashion_softmax.viewing.ranking import compare
from fashion_softmax.viewing.trained import load_trained
from tests.conftest import ROOT
from tests.test_cli import Train


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "tests" / "first_edition" / "run", tmp_path / "run"))


def test_it_is_compared(old_run: Path) -> None:
    run = read_folder(old_run)
    assert run.state == "completed" and run.hyperparameters["optimizer"] == "Adam" and len(run.rows) == 2
    assert run.predictions is not None
    assert compare([run]).settings[0].mean == run.metrics["test/accuracy"]


def test_it_is_not_predicted_with(old_run: Path) -> None:
    with pytest.raises(CheckpointError, match="was written by version 0"):
        load_trained(old_run)


def test_it_is_not_resumed(old_run: Path, train: Train) -> None:
    before = {path: path.stat().st_mtime_ns for path in old_run.rglob("*") if path.is_file()}
    result = train(f"resume={old_run}", "trainer.num_epochs=4")
    assert result.returncode == 4 and "was written by version 0.1" in result.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
