"""Real engines: Ray and Submitit train the same grid as one process does, and a worker's death costs nothing.

They are extras, `pip install 'fashion-softmax[ray,slurm]'`; with ENGINES=1 they have to be there.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import COMMAND_TIMEOUT_S, ROOT, TINY
from tests.sweeps.test_discard import read_all
from tests.sweeps.test_resume import assert_equal_sweeps, read_curves, wait_until
from tests.test_cli import Train

ENGINES = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local"],
    "ray": ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"],
}
GRID = ["-m", *TINY, "dataset.batch_size=4", "loss=ce,mse,huber", "optimizer.lr=0.1,0.2", "seed=0,1"]
NEEDED = {"joblib": "joblib", "submitit_local": "submitit", "ray": "ray"}

pytestmark = [
    pytest.mark.slow,  # Ray alone takes ten seconds to start
    pytest.mark.xdist_group("engines"),  # each wants all cores
    pytest.mark.skipif(
        "ENGINES" not in os.environ and not all(map(importlib.util.find_spec, NEEDED.values())),
        reason="pip install 'fashion-softmax[ray,slurm]' brings the engines",
    ),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grid as one process trains it."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    subprocess.run(command("trainer.num_epochs=40", f"hydra.sweep.dir={folder}"), check=True, timeout=COMMAND_TIMEOUT_S)
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "train.py"), *GRID, *arguments]


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_trains_what_one_process_does(engine: str, train: Train, tmp_path: Path, whole: Path) -> None:
    result = train(*GRID, "trainer.num_epochs=40", *ENGINES[engine], python=[])
    assert result.returncode == 0 and "12 jobs: 2 stacks of 6" in result.stdout, result.stderr
    assert "6 settings, 12 runs" in result.stdout
    assert_equal_sweeps(tmp_path / "sweep", whole)
    for run, expected in zip(read_all(tmp_path / "sweep").values(), read_all(whole).values(), strict=True):
        assert read_curves(run.path) == read_curves(expected.path)


@pytest.mark.parametrize(("engine", "other"), [("submitit_local", "ray"), ("ray", "joblib")])
def test_killed_worker_costs_nothing_and_another_engine_completes_the_sweep(
    engine: str, other: str, train: Train, tmp_path: Path, whole: Path
) -> None:
    sweep = tmp_path / "sweep"
    # Ray would start the stack again by itself, which is right, but not what is looked at here.
    once = ["+hydra.launcher.ray.remote.max_retries=0"] if engine == "ray" else []
    options = [*ENGINES[engine], *once, f"hydra.sweep.dir={sweep}"]
    with subprocess.Popen(command("trainer.num_epochs=40", *options), cwd=tmp_path, stderr=subprocess.PIPE) as process:
        wait_until(lambda: list(sweep.glob("[0-9]*_seed1")) and len(read_all(sweep)) == 12)
        name = next(name for name in read_all(sweep) if name.endswith("_seed1"))
        wait_until(lambda: len(read_all(sweep)[name].rows) >= 3)
        run = read_all(sweep)[name]
        assert run.state == "running" and run.status["pid"] != process.pid
        os.kill(run.status["pid"], signal.SIGKILL)
        _, errors = process.communicate(timeout=COMMAND_TIMEOUT_S)
    assert process.returncode == 6 and b"resume with: " in errors and b"Traceback" not in errors, errors.decode()
    states = {name: run.state for name, run in read_all(sweep).items()}
    assert {states[name] for name in states if name.endswith("_seed1")} <= {"killed"}
    result = train(f"resume={sweep}", *ENGINES[other], python=[])
    assert result.returncode == 0, result.stderr
    assert_equal_sweeps(sweep, whole)
