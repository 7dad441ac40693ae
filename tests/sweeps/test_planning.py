"""Dry runs that say what a sweep takes, sweeps that grow, sweeps that stop at the first failure."""

import json
from pathlib import Path

import pytest

from fashion_softmax.config.jobs import compose_with_hydra, expand_grid, make_composer, read_job
from fashion_softmax.errors import ConfigError
from fashion_softmax.sweeps.forecast import Forecast, forecast
from fashion_softmax.sweeps.planning import find_varied, identify, make_plan
from tests.conftest import TINY
from tests.sweeps.test_discard import read_all
from tests.sweeps.test_resume import assert_equal_runs
from tests.test_cli import Train

NOISY = ["dataset=synthetic", "dataset.noise_std=1"]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fashion_softmax.sweeps.forecast.MEASURED_S", 0.05)


def foresee(*lines: str) -> Forecast:
    compose = make_composer(lambda each: read_job(compose_with_hydra(each)))
    return forecast(make_plan(expand_grid([*NOISY, *lines]), compose))


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        (["loss=huber", "loss.delta=0.5,1,2"], [["001_delta1", "002_delta2"]]),  # of probabilities none is off by more
        (["loss=huber", "loss.input=logits", "loss.delta=0.01,0.02"], []),
        (["optimizer.lr=0.1,1e-1,0.2"], [["000_lr0.1", "001_lr0.1"]]),
        (["loss=ce,mse", "seed=0,1"], []),
        (["optimizer=sgd,momentum", "optimizer.lr=0.1"], []),
        (["model=mlp", "model.hidden_sizes=[8],[16]"], []),  # trained alone, each
        (["scheduler=constant,cosine"], []),  # they begin to differ after the first epoch
        (["optimizer=momentum", "optimizer.momentum=0,0.9", "optimizer.nesterov=false"], []),
    ],
)
def test_jobs_that_do_the_same_are_found(lines: list[str], same: list[list[str]]) -> None:
    assert foresee(*lines).same == same


def test_epochs_and_disk_are_counted() -> None:
    grid = ["loss=ce,mse", "optimizer.lr=range(1,9)", "trainer.num_epochs=5"]
    whole = foresee(*grid)
    fewer = foresee(*grid, "dataset.val_size=0.5", "sweep.discard=[[1,4],[3,0.125]]")
    assert (whole.num_epochs, fewer.num_epochs) == (80, 16 + 2 * 4 + 2 * 2)
    assert 0 < fewer.seconds < whole.seconds < 100
    assert foresee("optimizer=adam", "seed=0,1").num_bytes > foresee("seed=0,1").num_bytes


def test_mistakes_of_all_jobs_are_told_before_the_data_are_looked_for(tmp_path: Path) -> None:
    data = ["dataset=mnist", f"dataset.root={tmp_path}/data", "dataset.mirror=http://127.0.0.1:9/"]  # nobody is there
    jobs = [[*data, "loss=ce"], [*data, "loss=cee"], [*data, "optimizer.lr=-1"]]
    with pytest.raises(ConfigError, match=r"(?s)loss=cee is no option.*optimizer.lr=-1 is out of range"):
        make_plan(jobs, make_composer(lambda each: read_job(compose_with_hydra(each))))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_disk_of_a_run_is_what_was_foretold(train: Train, tmp_path: Path) -> None:
    result = train("-m", *TINY, "seed=0,1", "sweep.dry_run=json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert [job["name"] for job in found["jobs"]] == ["000_seed0", "001_seed1"]
    assert [job["overrides"][-1] for job in found["jobs"]] == ["seed=0", "seed=1"]
    assert [job["stack"] for job in found["jobs"]] == [0, 1] and not (tmp_path / "sweep").exists()
    assert train("-m", *TINY, "seed=0,1").returncode == 0
    used = sum(path.lstat().st_blocks * 512 for path in (tmp_path / "sweep").rglob("*"))
    assert 0.3 < used / found["num_bytes"] <= 1.1


def test_equal_jobs_have_one_identity() -> None:
    assert identify(["optimizer.lr=1e-1", "seed=1"]) == identify(["seed=1", "optimizer.lr=0.1", "device=cpu"])
    assert identify(["optimizer.lr=0.1", "trainer.num_epochs=3"]) == identify(["optimizer.lr=0.1", "sweep.discard=[]"])
    assert identify(["loss=ce"]) != identify(["loss=mse"])
    jobs = [["trainer.num_epochs=1", "seed=1"], ["trainer.num_epochs=3", "seed=1"]]
    assert find_varied(jobs) == {"trainer.num_epochs"}  # such a key keeps jobs apart
    assert len({identify(job, find_varied(jobs)) for job in jobs}) == 2
    assert identify(["seed=1"]) != identify(["seed=2"])


@pytest.mark.slow
def test_sweep_grows_by_what_is_new(train: Train, tmp_path: Path) -> None:
    sweep, grid = tmp_path / "sweep", ["-m", *TINY, "loss=ce,mse"]
    assert train(*grid, "optimizer.lr=0.1,0.2").returncode == 0
    before = {name: run.path.joinpath("result.json").stat().st_mtime_ns for name, run in read_all(sweep).items()}
    more = [*grid, "optimizer.lr=0.1,0.15,0.2", f"hydra.sweep.dir={sweep}"]
    result = train(*more, "sweep.dry_run=true")
    assert "4 of the jobs are in this folder already; resume=FOLDER trains only the others" in result.stdout
    result = train(*more, f"resume={sweep}", "sweep.dry_run=true")
    assert "2 jobs to be trained, 2 of them new" in result.stdout
    result = train(*more, f"resume={sweep}")
    assert result.returncode == 0 and "4 of 4 jobs were finished already" in result.stdout, result.stderr
    assert "2 jobs: 1 stack of 2" in result.stdout and "6 settings, 6 runs" in result.stdout
    runs = read_all(sweep)
    names = ["000_ce_lr0.1", "001_ce_lr0.2", "002_mse_lr0.1", "003_mse_lr0.2", "004_ce_lr0.15", "005_mse_lr0.15"]
    assert list(runs) == names and {run.state for run in runs.values()} == {"completed"}
    assert {name: runs[name].path.joinpath("result.json").stat().st_mtime_ns for name in before} == before
    for run in runs.values():
        assert run.config["sweep"]["resume"] is False
    assert train(*grid, "optimizer.lr=0.15,0.25", f"hydra.sweep.dir={tmp_path}/whole").returncode == 0
    assert_equal_runs(sweep / "004_ce_lr0.15", tmp_path / "whole" / "000_ce_lr0.15")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("optimizer.lr=0.2,0.3,0.4", "1 of its jobs are not of this command, such as 000_lr0.1; give all its values"),
        ("optimizer.lr=0.2,0.3", "optimizer.lr is 0.1 there, not 0.2"),
        ("optimizer.lr=0.1,0.2,-1", "optimizer.lr=-1 is out of range"),
        ("optimizer.lr=0.1,0.2,0.3 trainer.num_epochs=9", "cannot get other settings together with new jobs"),
    ],
)
def test_what_contradicts_a_sweep_is_refused(train: Train, tmp_path: Path, line: str, words: str) -> None:
    assert train("-m", *TINY, "optimizer.lr=0.1,0.2").returncode == 0
    result = train("-m", *TINY, *line.split(), f"resume={tmp_path}/sweep")
    assert result.returncode == (2 if "range" in words else 4) and words in result.stderr, result.stderr
    runs = read_all(tmp_path / "sweep")
    assert list(runs) == ["000_lr0.1", "001_lr0.2"]
    assert {run.config["trainer"]["num_epochs"] for run in runs.values()} == {1}


@pytest.mark.slow
def test_sweeps_own_command_resumes_it_whatever_it_sweeps(train: Train, tmp_path: Path) -> None:
    grid = ["-m", *TINY[:-1], "trainer.num_epochs=1,3", "loss=ce,mse", "dataset.val_size=0.25"]
    grid += ["sweep.discard=[[1,1]]", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert train(*grid).returncode == 0
    before = {name: (run.state, run.config, run.rows) for name, run in read_all(tmp_path / "sweep").items()}
    for again in ([*grid, f"resume={tmp_path}/sweep"], [f"resume={tmp_path}/sweep", "sweep.fail_fast=true"]):
        result = train(*again)
        assert result.returncode == 0, result.stderr
        runs = read_all(tmp_path / "sweep")
        assert {name: (run.state, run.config, run.rows) for name, run in runs.items()} == before
    assert sorted(len(rows) for _, _, rows in before.values()) == [1, 1, 1, 3]


@pytest.mark.slow
def test_first_failure_stops_a_sweep_if_wanted(train: Train, tmp_path: Path) -> None:
    grid = ["-m", *TINY, "trainer.num_epochs=4", "optimizer.lr=0.1,1e38", "seed=0,1"]
    result = train(*grid, "sweep.fail_fast=true")
    assert result.returncode == 6 and "1 of 4 jobs failed" in result.stderr, result.stderr
    assert "3 jobs not trained to the end" in result.stderr and "resume with" in result.stderr
    states = {name: run.state for name, run in read_all(tmp_path / "sweep").items()}
    assert states == {
        "000_lr0.1_seed0": "interrupted",
        "001_lr0.1_seed1": "planned",
        "002_lr1e+38_seed0": "diverged",
        "003_lr1e+38_seed1": "planned",
    }
    result = train(f"resume={tmp_path}/sweep")
    assert result.returncode == 6 and "2 of 4 jobs failed, the others are complete" in result.stderr, result.stderr
