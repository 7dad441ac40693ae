"""A run, a grid, resuming and errors through the real command; `.ci/run` does it on both generations of Hydra."""

import os
from pathlib import Path

import hydra
import pytest

from tests.conftest import TINY
from tests.test_cli import Train, read_json

WARNINGS_ARE_ERRORS = ["-W", "error"]


def test_generation_is_the_one_that_was_asked_for() -> None:
    assert hydra.__version__.startswith(os.environ.get("HYDRA_GENERATION", hydra.__version__))


@pytest.mark.slow  # five interpreters; `.ci/run` does it on both generations
def test_run_grid_and_resume(train: Train, tmp_path: Path) -> None:
    result = train(*TINY, "loss=huber", "loss.delta=0.2", python=WARNINGS_ARE_ERRORS)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    result = train("-m", *TINY, "loss=ce,mse", "optimizer=sgd,adam", "seed=0,1", python=WARNINGS_ARE_ERRORS)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert "8 jobs: 2 stacks of 4, each trained as one" in result.stdout
    for folder in ("run", "sweep"):
        result = train(f"resume={tmp_path}/{folder}", "trainer.num_epochs=2", python=WARNINGS_ARE_ERRORS)
        assert result.returncode == 0 and result.stderr == "", result.stderr
    runs = [tmp_path / "run", *sorted((tmp_path / "sweep").glob("[0-9]*"))]
    assert [read_json(run / "result.json")["num_epochs"] for run in runs] == [2] * 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["optimizer.lrr=0.1"], "optimizer.lrr is unknown; did you mean optimizer.lr?"),
        (["-m", "loss=ce,null"], "the option of a group must be a name"),
        (["loss=ce,mse"], "loss=ce,mse has several values: add -m"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(train: Train, tmp_path: Path, arguments: list[str], words: str) -> None:
    result = train(*arguments, python=WARNINGS_ARE_ERRORS)
    assert result.returncode == 2 and result.stderr.count("\n") == 1, result.stderr
    assert words in result.stderr and not list(tmp_path.iterdir()), result.stderr
