"""A run that version 0.1 wrote: compared, resumed to what version 0.1 itself came to, and predicted with.

`tests/first_edition/run` is such a run of two epochs; `expected.jsonl` and `expected.pt` are what version 0.1
left when it resumed it with `trainer.num_epochs=4`.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch

from fashion_softmax.runs.checkpoint import load_checkpoint
from fashion_softmax.viewing.ranking import compare
from fashion_softmax.viewing.runs import read_run
from fashion_softmax.viewing.trained import load_trained
from tests.conftest import ROOT
from tests.test_cli import Train

OLD = ROOT / "tests" / "first_edition"


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD / "run", tmp_path / "run"))


def test_it_is_compared(old_run: Path) -> None:
    run = read_run(old_run)
    assert run.state == "completed" and run.hyperparameters["optimizer"] == "adam" and len(run.rows) == 2
    assert "optimizer=adam" in run.overrides and run.predictions is not None
    assert compare([run]).settings[0].mean == run.metrics["test/accuracy"]


def test_it_is_predicted_with(old_run: Path) -> None:
    trained = load_trained(old_run)
    test = trained.parts.dataset.test
    expected = read_run(old_run).predictions
    assert expected is not None
    assert (trained.predict(test.images, test.labels).classes == expected.classes).all()


def test_it_is_resumed_to_what_its_own_edition_came_to(old_run: Path, train: Train) -> None:
    result = train(f"resume={old_run}", "trainer.num_epochs=4")
    assert result.returncode == 0, result.stderr
    rows, expected_rows = (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (old_run / "metrics.jsonl", OLD / "expected.jsonl")
    )
    for row, expected_row in zip(rows, expected_rows, strict=True):  # another processor may round otherwise
        assert row == pytest.approx(expected_row, rel=1e-5)
    state, expected = load_checkpoint(old_run / "checkpoints" / "last.pt"), load_checkpoint(OLD / "expected.pt")
    for name, value in expected["model"].items():
        torch.testing.assert_close(state["model"][name], value)
    assert state["fingerprint"] == expected["fingerprint"]
