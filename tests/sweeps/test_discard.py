"""Discarding inside a stack: who stays, that those who stay equal the whole grid, and what a kill leaves."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fashion_softmax as fs
from fashion_softmax.config.jobs import compose_with_hydra, expand_grid, make_composer, read_job
from fashion_softmax.errors import ConfigError, Interrupted
from fashion_softmax.runs.records import RunFolder, read_folder
from fashion_softmax.runs.run import Run, count_kept
from fashion_softmax.runs.training import train_folders
from fashion_softmax.sweeps.grid import resume, train_stack
from fashion_softmax.sweeps.planning import make_plan
from fashion_softmax.viewing.trained import load_trained

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
GRID = [
    *("dataset=synthetic", "dataset.val_size=0.5", "dataset.noise_std=1", "dataset.num_train=512"),
    *("loss=ce,mse", f"optimizer.lr={','.join(map(str, RATES))}", "trainer.num_epochs=5"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    fs.sweep(*GRID, f"hydra.sweep.dir={folder}")
    return read_all(folder)


def read_all(folder: Path) -> dict[str, RunFolder]:
    return {path.name: read_folder(path) for path in sorted(folder.glob("[0-9]*"))}


def find_best(whole: dict[str, RunFolder], names: Sequence[str], epoch: int, number: int) -> list[str]:
    return sorted(sorted(names), key=lambda name: -whole[name].rows[epoch - 1]["val/accuracy"])[:number]


def assert_equal(run: RunFolder, expected: RunFolder) -> None:
    """As a run of a stack of another size: within rounding, which is nothing at all on most machines."""
    assert len(run.rows) > 0
    for row, other in zip(run.rows, expected.rows, strict=False):
        assert row == pytest.approx(other, rel=1e-5)


def test_best_runs_stay_and_equal_the_whole_grid(whole: dict[str, RunFolder], tmp_path: Path) -> None:
    fs.sweep(*GRID, "sweep.discard=[[1,8],[3,0.125]]", f"hydra.sweep.dir={tmp_path}/sweep")
    runs = read_all(tmp_path / "sweep")
    first = find_best(whole, list(whole), 1, 8)
    last = find_best(whole, first, 3, 2)
    for name, run in runs.items():
        epochs = 5 if name in last else 3 if name in first else 1
        assert (run.state, len(run.rows)) == ("completed" if name in last else "discarded", epochs), name
        assert_equal(run, whole[name])
        assert load_trained(run.path).epoch == epochs
    assert all(runs[name].predictions is not None for name in last)
    (error,) = {str(run.error).partition(" after ")[2] for run in runs.values() if len(run.rows) == 1}
    assert error.startswith("1 epoch; the last one of the 8 kept has ")


def test_discarded_run_is_resumed_alone_and_not_with_its_sweep(whole: dict[str, RunFolder], tmp_path: Path) -> None:
    fs.sweep(*GRID, "sweep.discard=[[2,1]]", f"hydra.sweep.dir={tmp_path}/sweep")
    resume(tmp_path / "sweep", launch)
    runs = read_all(tmp_path / "sweep")
    assert sorted(run.state for run in runs.values()) == ["completed", *["discarded"] * 15]
    name = next(name for name, run in runs.items() if run.state == "discarded")
    assert train_folders([runs[name].path]) == {}
    run = read_folder(runs[name].path)
    assert run.state == "completed" and len(run.rows) == 5
    assert_equal(run, whole[name])


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.slow), "while"])
def test_kill_between_a_checkpoint_and_discarding_changes_nothing(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*GRID, "sweep.discard=[[1,8],[3,2]]"]
    fs.sweep(*options, f"hydra.sweep.dir={tmp_path}/expected")
    real, calls = Run.discard, []

    def die(run: Run, reason: str) -> None:
        calls.append(run)
        if len(calls) > (0 if moment == "before" else 11):  # 8 after the first epoch, 6 after the third
            raise Interrupted(2, "killed")
        real(run, reason)

    monkeypatch.setattr(Run, "discard", die)
    with pytest.raises(Interrupted):
        fs.sweep(*options, f"hydra.sweep.dir={tmp_path}/sweep")
    monkeypatch.undo()
    resume(tmp_path / "sweep", launch)
    expected, runs = read_all(tmp_path / "expected"), read_all(tmp_path / "sweep")
    for name, run in runs.items():
        assert (run.state, run.rows) == (expected[name].state, expected[name].rows), name
        if run.predictions is not None:
            np.testing.assert_array_equal(run.predictions.confidences, expected[name].predictions.confidences)  # type: ignore[union-attr]


def test_test_images_decide_on_purpose_only(tmp_path: Path) -> None:
    options = ["dataset=synthetic", "optimizer.lr=0.1,0.2", f"hydra.sweep.dir={tmp_path}/sweep", "trainer.num_epochs=2"]
    with pytest.raises(ConfigError, match=r"discard needs validation images; dataset\.val_size=0\.1 holds some out"):
        fs.sweep(*options, "sweep.discard=[[1,1]]")
    assert not (tmp_path / "sweep").exists()
    fs.sweep(*options, "sweep.discard=[[1,1]]", "sweep.discard_on=test")
    assert sorted(run.state for run in read_all(tmp_path / "sweep").values()) == ["completed", "discarded"]


def test_workers_do_not_change_what_stays(tmp_path: Path) -> None:
    compose = make_composer(lambda lines: read_job(compose_with_hydra(lines)))
    jobs = expand_grid([*GRID, "sweep.discard=[[1,8]]"])
    assert [len(stack) for stack in make_plan(jobs, compose, 4).stacks] == [16]
    assert count_kept([(1, 0.07), (1, 0.28)], 1, 5, 100) == 7  # and not 8, for 0.07 x 100 is a little more than 7
    with pytest.raises(ConfigError, match="nothing can leave a stack of one, and MLP is trained alone"):
        make_plan(expand_grid([*GRID, "sweep.discard=[[1,8]]", "model=mlp"]), compose)


@pytest.mark.parametrize("value", ["[[1,.nan]]", "[[1,1.5]]", "[[0,3]]", "[[1,0]]", "[1,2]", "[[1]]", "[[1.5,2]]"])
def test_what_cannot_be_meant_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.discard="):
        fs.sweep(*GRID, f"sweep.discard={value}", f"hydra.sweep.dir={tmp_path}/sweep")
    assert not (tmp_path / "sweep").exists()


def launch(sweep_dir: Path, stacks: Sequence[int]) -> None:
    for number in stacks:
        train_stack(SimpleNamespace(sweep_dir=sweep_dir, stack=number, num_workers=1, fails_fast=False))
