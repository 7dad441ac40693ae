"""Search: the space, what a kill leaves, failures, and that it finds what it should."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from fashion_softmax.config.jobs import compose_with_hydra, make_composer, read_job
from fashion_softmax.errors import CheckpointError, ConfigError, Interrupted, SweepError
from fashion_softmax.runs.run import Run
from fashion_softmax.sweeps.resume import prepare
from fashion_softmax.sweeps.search import read_options, search
from fashion_softmax.sweeps.space import SearchOptions, list_corners, make_space, word_job
from tests.conftest import TINY
from tests.sweeps.test_discard import launch, read_all
from tests.test_cli import Train

SPACE = [
    *TINY,
    "dataset.val_size=0.25",
    "loss=ce,mse",
    "optimizer.lr=tag(log,interval(0.01,1))",
    "trainer.num_epochs=3",
]


def run_search(folder: Path, *more: str, lines: list[str] = SPACE, **options: Any) -> None:
    chosen = {"num_trials": 8, "trials_at_once": 4, "sampler": "tpe", "seed": 0} | options
    compose = make_composer(lambda each: read_job(compose_with_hydra(each)))
    search([*lines, *more], compose, folder, launch, SearchOptions(**chosen))


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("optimizer.lr=interval(0.01,1)", "optimizer.lr", FloatDistribution(0.01, 1)),
        ("optimizer.lr=tag(log, interval(0.01,1))", "optimizer.lr", FloatDistribution(0.01, 1, log=True)),
        ("seed=int(interval(1,8))", "seed", IntDistribution(1, 8)),
        ("seed=tag(log,int(interval(1,100)))", "seed", IntDistribution(1, 100, log=True)),
        ("seed=range(1,10)", "seed", IntDistribution(1, 9)),  # Hydra's excludes its stop
        ("seed=range(0,10,3)", "seed", IntDistribution(0, 9, step=3)),
        ("optimizer.lr=range(0.1,0.5,0.1)", "optimizer.lr", FloatDistribution(0.1, 0.4, step=0.1)),
        ("loss=ce,mse", "loss", CategoricalDistribution(["ce", "mse"])),
        ("loss=choice(ce,mse)", "loss", CategoricalDistribution(["ce", "mse"])),
        ("dataset.resize=8,null", "dataset.resize", CategoricalDistribution(["8", "null"])),
        ("model.hidden_sizes=[8],[8,8]", "model.hidden_sizes", CategoricalDistribution(["[8]", "[8,8]"])),
    ],
)
def test_space_is_read_from_hydras_syntax(line: str, key: str, expected: BaseDistribution) -> None:
    fixed, space = make_space(["trainer.num_epochs=2", line])
    assert fixed == ["trainer.num_epochs=2"] and list(space) == [key]
    found = space[key]
    if isinstance(expected, FloatDistribution) and expected.step:
        assert isinstance(found, FloatDistribution) and found.high == pytest.approx(expected.high)
    else:
        assert found == expected


def test_corners_have_each_option_and_each_end() -> None:
    fixed, space = make_space(["loss=ce,mse,l1", "optimizer.lr=interval(0.01,1)", "seed=7"])
    corners = list_corners(fixed, space)
    assert corners == [
        ["seed=7", "loss=ce", "optimizer.lr=0.01"],
        ["seed=7", "loss=mse", "optimizer.lr=1.0"],
        ["seed=7", "loss=l1", "optimizer.lr=0.01"],
    ]
    assert word_job([], {"optimizer.lr": 1e-7 / 3}) == ["optimizer.lr=3.33333e-08"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["seed=1"], "there is nothing to search; give a key several values"),
        (["loss=ce,cee"], r"loss=cee is no option"),
        (["optimizer.lrr=interval(0,1)"], "optimizer.lrr is unknown"),
        (["optimizer.lr=interval(-1,1)"], "optimizer.lr=-1.0 is out of range"),
        (["optimizer.lr=tag(log,interval(0,1))"], "optimizer.lr: cannot be searched from 0.0 to 1.0"),
        (["optimizer.lr=interval(1,0.5)"], "optimizer.lr: cannot be searched from 1.0 to 0.5"),
    ],
)
def test_space_without_a_job_is_refused_before_anything_is_written(
    lines: list[str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=words):
        run_search(tmp_path / "search", lines=[*TINY, *lines])
    assert not (tmp_path / "search").exists()


@pytest.mark.parametrize(
    "option", [{"sampler": "grid"}, {"num_trials": 0}, {"trials_at_once": -1}, {"seed": -1}, {"seed": 2**32}]
)
def test_options_out_of_range_are_refused(option: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected numbers of at least 1, a sampler of tpe, random, a seed"):
        run_search(tmp_path / "search", **option)


@pytest.mark.slow
def test_killed_search_continues_its_trials_from_their_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_search(tmp_path / "whole")
    real = Run.keep_best

    def die(run: Run) -> None:
        if run.path.name.startswith("005") and run.epoch == 2:
            raise Interrupted(signal.SIGTERM, "killed")
        real(run)

    monkeypatch.setattr(Run, "keep_best", die)
    with pytest.raises(Interrupted, match="finished epochs are saved; resume with"):
        run_search(tmp_path / "killed")
    monkeypatch.undo()
    assert {run.state for run in read_all(tmp_path / "killed").values()} == {"completed", "interrupted"}
    before = {name: run.rows for name, run in read_all(tmp_path / "killed").items()}
    run_search(tmp_path / "killed")  # the same once more
    whole, killed = read_all(tmp_path / "whole"), read_all(tmp_path / "killed")
    assert list(killed) == list(whole) and len(whole) == 8
    for name, run in killed.items():
        assert run.state == "completed" and run.rows == whole[name].rows
        assert run.rows[: len(before.get(name, []))] == before.get(name, [])
    assert "8 of 8 trials, best" in capsys.readouterr().out
    run_search(tmp_path / "killed", num_trials=10)  # more trials
    assert len(read_all(tmp_path / "killed")) == 10
    assert read_options(tmp_path / "killed") == (SPACE, SearchOptions(10, 4, "tpe", 0))
    with pytest.raises(ConfigError, match=r"search\.log: is the journal of another search"):
        run_search(tmp_path / "killed", "seed=3")


@pytest.mark.parametrize("content", [b"\x00" * 50, b'{"op_code": 99}\n', b"[1]\n{}\n", b""])
def test_damaged_journal_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "search.log").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"search\.log: is (damaged|no journal of a search of ours)"):
        read_options(tmp_path)


def test_failures_are_told_and_do_not_end_a_search(tmp_path: Path) -> None:
    lines = [*TINY, "optimizer.lr=choice(0.1,1e39)"]
    with pytest.raises(SweepError, match=r"of 8 jobs failed"):
        run_search(tmp_path / "search", lines=lines, sampler="random")
    states = [run.state for run in read_all(tmp_path / "search").values()]
    assert len(states) == 8 and set(states) == {"completed", "diverged"}
    study = optuna.load_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "search" / "search.log"))),
    )
    assert sorted(trial.state.name for trial in study.trials) == sorted(
        {"completed": "COMPLETE", "diverged": "FAIL"}[state] for state in states
    )
    assert [int(name.partition("_")[0]) for name in read_all(tmp_path / "search")] == list(range(8))


def test_trials_that_cannot_be_run_are_told_and_do_not_end_a_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [*TINY, "dataset.num_train=16,64", "dataset.val_size=8,32", "seed=int(interval(0,100))"]
    with pytest.raises(SweepError, match=r"trials? could not be run"):
        run_search(tmp_path / "search", lines=lines, sampler="random", num_trials=12)
    refused = [line for line in capsys.readouterr().out.splitlines() if "cannot be run: dataset.val_size=32" in line]
    assert 0 < len(refused) < 12 and len(read_all(tmp_path / "search")) == 12 - len(refused)


def test_batches_train_only_their_own_runs(tmp_path: Path) -> None:
    launched: list[list[int]] = []

    def launch_and_note(sweep_dir: Path, stacks: Sequence[int]) -> None:
        launched.append(list(stacks))
        launch(sweep_dir, stacks)

    compose = make_composer(lambda each: read_job(compose_with_hydra(each)))
    options = SearchOptions(num_trials=6, trials_at_once=2, sampler="random", seed=0)
    with pytest.raises(SweepError, match="6 of 6 jobs failed"):
        search([*TINY, "optimizer.lr=interval(1e38,2e38)"], compose, tmp_path / "search", launch_and_note, options)
    assert launched == [[0], [1], [2]]


def test_trial_that_was_half_asked_is_given_up(tmp_path: Path) -> None:
    run_search(tmp_path / "search", num_trials=4)
    path = tmp_path / "search" / "search.log"
    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(path))))
    study.ask().suggest_float("optimizer.lr", 0.01, 1, log=True)  # a kill comes before the loss is asked
    path.with_name("search.log.lock").symlink_to("gone")  # and leaves this
    run_search(tmp_path / "search")
    assert len(read_all(tmp_path / "search")) == 7
    trials = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(path)))).trials
    assert [trial.state.name for trial in trials].count("FAIL") == 1 and len(trials) == 8


def test_search_keeps_its_rules_and_settings(tmp_path: Path) -> None:
    lines = [*SPACE, "sweep.discard=[[1,2]]"]
    run_search(tmp_path / "search", lines=[*lines, "sweep.fail_fast=false"], num_trials=4)
    assert read_options(tmp_path / "search")[0] == lines
    assert sorted(run.state for run in read_all(tmp_path / "search").values()) == ["completed"] * 2 + ["discarded"] * 2
    with pytest.raises(CheckpointError, match="is a search, which keeps its settings; give only resume=FOLDER"):
        prepare([f"resume={tmp_path}/search", "trainer.num_epochs=9"])


@pytest.mark.slow
def test_journal_of_other_people_is_not_executed(train: Train, tmp_path: Path) -> None:
    run_search(tmp_path / "search", num_trials=4)
    path, victim = tmp_path / "search" / "search.log", tmp_path / "victim"
    study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(path))))
    study.set_user_attr("options", {"num_trials": 8, "trials_at_once": 4, "sampler": "tpe", "seed": 0})
    own = read_options(tmp_path / "search")[0]
    for attack in (["loss._target_=os.mkdir", f"+loss.path={victim}"], ["+hydra.x=1"], ["+dataset.x=${oc.env:HOME}"]):
        study.set_user_attr("lines", [line for line in own if not line.startswith("loss=")] + attack)
        result = train(f"resume={tmp_path}/search")
        assert result.returncode == 4 and result.stderr.count("\n") == 1, result.stderr
        assert not victim.exists() and len(read_all(tmp_path / "search")) == 4


@pytest.mark.slow
def test_grid_is_no_search_and_can_still_be_resumed(train: Train, tmp_path: Path) -> None:
    assert train("-m", *TINY, "seed=0,1").returncode == 0
    result = train(f"resume={tmp_path}/sweep", "hydra/sweeper=search")
    assert result.returncode == 4 and "is no search; leave out hydra/sweeper=search" in result.stderr
    assert train(f"resume={tmp_path}/sweep").returncode == 0


@pytest.mark.slow
def test_command_searches_and_resumes(train: Train, tmp_path: Path) -> None:
    options = ["hydra/sweeper=search", "hydra.sweeper.num_trials=6", "hydra.sweeper.trials_at_once=3", *SPACE]
    result = train("-m", *options)
    assert result.returncode == 0 and "6 of 6 trials, best" in result.stdout, result.stderr
    assert "importance    " in result.stdout and "sweep folder" in result.stdout
    journal = [json.loads(line) for line in (tmp_path / "sweep" / "search.log").read_text("utf-8").splitlines()]
    assert journal
    result = train(f"resume={tmp_path}/sweep")
    assert result.returncode == 0 and "6 settings, 6 runs" in result.stdout, result.stderr
