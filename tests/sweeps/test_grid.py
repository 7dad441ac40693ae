"""Sweeps through the real command: engines of other people, repeated jobs, other sweepers, the run trained alone."""

from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.sweeps.test_resume import assert_equal_runs, find_jobs
from tests.test_cli import Train, read_json

GRID = [*TINY, "trainer.num_epochs=2", "loss=ce,mse,huber", "optimizer=sgd,adam", "optimizer.lr=0.1,0.2", "seed=0,1"]


@pytest.mark.slow  # loky starts two interpreters
def test_joblib_trains_stacks_with_equal_results(train: Train, tmp_path: Path) -> None:
    basic, joblib = tmp_path / "basic", tmp_path / "joblib"
    assert train("-m", *GRID, f"hydra.sweep.dir={basic}").returncode == 0
    engine = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", f"hydra.sweep.dir={joblib}"]
    result = train("-m", *GRID, *engine, python=[])
    assert result.returncode == 0 and "24 jobs: 2 stacks of 12" in result.stdout, result.stderr
    assert len(find_jobs(joblib)) == 24
    for run, expected in zip(find_jobs(joblib), find_jobs(basic), strict=True):
        assert_equal_runs(run, expected)


@pytest.mark.slow
def test_folders_are_planned_before_anything_trains(train: Train, tmp_path: Path) -> None:
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "dead_engine.py").write_text(
        "from hydra._internal.core_plugins.basic_launcher import BasicLauncher\n"
        "class Dead(BasicLauncher):\n"
        "    def launch(self, job_overrides, initial_job_idx): raise OSError('worker died')\n",
        encoding="utf-8",
    )
    engine = "hydra.launcher._target_=hydra_plugins.dead_engine.Dead"
    result = train("-m", *TINY, "seed=0,1", engine, python=[], PYTHONPATH=str(tmp_path))
    assert result.returncode == 6 and "2 jobs not trained to the end" in result.stderr, result.stderr
    assert "worker died" in result.stderr and "resume with: python" in result.stderr
    assert [read_json(run / "status.json")["state"] for run in find_jobs(tmp_path / "sweep")] == ["planned"] * 2
    result = train(f"resume={tmp_path}/sweep")
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_run_of_a_stack_of_one_equals_the_run_alone(train: Train, tmp_path: Path) -> None:
    assert train(*TINY, "loss=huber", "optimizer=adam").returncode == 0
    assert train("-m", *TINY, "loss=huber", "optimizer=adam", "seed=0,1").returncode == 0
    run, alone = tmp_path / "sweep" / "000_seed0", tmp_path / "run"
    assert (run / "metrics.jsonl").read_bytes() == (alone / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_repeated_jobs_do_not_count_as_seeds(train: Train) -> None:
    result = train("-m", *TINY, "optimizer.lr=0.1,0.1,0.1,0.2")
    assert result.returncode == 0 and "±" not in result.stdout, result.stdout
    assert "2 runs left out, repeated later with the same settings and seed" in result.stdout


@pytest.mark.slow
def test_sweeper_of_other_people_runs_job_by_job(train: Train, tmp_path: Path) -> None:
    for _ in range(2):  # again into the same folders
        result = train("-m", *TINY, "loss=ce,mse", "hydra/sweeper=basic")
        assert result.returncode == 0, result.stderr
    runs = find_jobs(tmp_path / "sweep")
    assert len(runs) == 2 and all(read_json(run / "result.json")["stack_size"] == 1 for run in runs)
    assert all(read_json(run / "earlier-1" / "result.json")["stack_size"] == 1 for run in runs)


def test_changing_into_the_run_folder_leaves_paths_where_the_user_stands(train: Train, idx_folder: Path) -> None:
    result = train("dataset=idx", f"dataset.root={idx_folder.name}", "trainer.num_epochs=1", "hydra.job.chdir=true")
    assert result.returncode == 0 and "run folder   run\n" in result.stdout, result.stdout + result.stderr


@pytest.mark.slow
def test_component_that_exits_is_no_success(train: Train, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import sys\nfrom fashion_softmax.learning.losses import CrossEntropy\n"
        "class Quits(CrossEntropy):\n"
        "    def value_and_gradient(self, logits, labels):\n"
        "        return super().value_and_gradient(logits, labels) if len(labels) == 2 else sys.exit(0)\n",
        encoding="utf-8",
    )
    result = train(*TINY, "loss._target_=mine.Quits", PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and "the run ended with SystemExit(0)" in result.stderr, result.stderr
    assert read_json(tmp_path / "run" / "status.json")["state"] == "failed"
