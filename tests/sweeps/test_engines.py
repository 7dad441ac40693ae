"""Engines: how many processes train at once, what is split for them, what is refused before anything is written."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.errors import MissingConfigException

from fashion_softmax.config.explain import translate
from fashion_softmax.errors import CheckpointError, MachineError
from fashion_softmax.runs.lock import claim
from fashion_softmax.stacking import plan
from fashion_softmax.sweeps import engines
from fashion_softmax.sweeps.engines import count_workers
from fashion_softmax.sweeps.grid import train_stack
from tests.stacking.test_planning import find_facts

RAY = {"init": {"address": None}, "remote": {}}


@pytest.mark.parametrize(
    ("launcher", "options", "expected"),
    [
        ("BasicLauncher", {}, 1),
        ("JoblibLauncher", {"n_jobs": -1}, 8),
        ("JoblibLauncher", {"n_jobs": -3}, 6),
        ("JoblibLauncher", {"n_jobs": -99}, 1),
        ("JoblibLauncher", {"n_jobs": 3}, 3),
        ("LocalLauncher", {"cpus_per_task": None}, 8),
        ("LocalLauncher", {"cpus_per_task": 3}, 2),
        ("LocalLauncher", {"cpus_per_task": 99}, 1),
        ("RayLauncher", {"ray": RAY}, 8),
        ("RayLauncher", {"ray": {"init": {"num_cpus": 6}, "remote": {"num_cpus": 2}}}, 3),
        ("RayLauncher", {"ray": {"init": {}, "remote": {"num_cpus": 0.5}}}, 16),
        ("SomebodysLauncher", {}, 1),
    ],
)
def test_workers_are_counted(
    launcher: str, options: dict[str, Any], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "count_cores", lambda: 8)
    assert count_workers({"_target_": f"hydra_plugins.x.{launcher}", **options}) == expected


@pytest.mark.slow
def test_every_worker_has_something_to_do() -> None:
    facts = find_facts(*[f"optimizer.lr={lr}" for lr in range(1, 11)])
    assert [len(stack) for stack in plan(facts, None, 3)] == [3, 3, 4]
    assert [len(stack) for stack in plan(facts, 2, 3)] == [2] * 5
    assert [len(stack) for stack in plan(facts, None, 99)] == [1] * 10
    two_seeds = find_facts(*[f"optimizer.lr={lr} seed={seed}" for seed in (0, 1) for lr in range(1, 5)])
    assert [len(stack) for stack in plan(two_seeds, None, 2)] == [4, 4]
    assert [len(stack) for stack in plan(two_seeds, None, 3)] == [2, 2, 2, 2]


def test_threads_are_shared_among_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    before, found = torch.get_num_threads(), []
    monkeypatch.setattr("fashion_softmax.sweeps.grid.read_sweep", lambda _: [[]])
    monkeypatch.setattr(
        "fashion_softmax.sweeps.grid.train_folders", lambda _, **__: found.append(torch.get_num_threads())
    )
    monkeypatch.setattr("fashion_softmax.sweeps.grid.count_cores", lambda: 8)
    try:
        for num_workers in (1, 4, 99):
            torch.set_num_threads(4)
            train_stack(
                type("Config", (), {"sweep_dir": "x", "stack": 0, "num_workers": num_workers, "fails_fast": False})
            )
    finally:
        torch.set_num_threads(before)
    assert found == [4, 2, 1]


def test_engine_that_is_not_there_is_refused_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MachineError, match="submitit_slurm: there is no sbatch here"):
        count_workers({"_target_": "x.SlurmLauncher"})


def test_address_without_a_ray_cluster_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(MachineError, match=rf"ray.init.address={address}: .*refused"):
        count_workers({"_target_": "x.RayLauncher", "ray": {"init": {"address": address}, "remote": {}}})


@pytest.mark.parametrize(("engine", "extra"), [("ray", "ray"), ("joblib", "joblib"), ("submitit_slurm", "slurm")])
def test_engine_that_is_not_installed_is_named_with_the_command_that_brings_it(engine: str, extra: str) -> None:
    error = MissingConfigException("", f"hydra/launcher/{engine}", ["basic"])
    expected = f"hydra/launcher={engine} is not installed; pip install 'fashion-softmax[{extra}]' brings it"
    assert str(translate(error)) == expected


@pytest.mark.parametrize(
    ("host", "remedy"),
    [("node7", r"process 1 of the machine node7 .* gone, delete .*/\.lock"), (None, "process 1 is writing")],
)
def test_folder_of_a_machine_that_is_gone_can_be_taken_over_on_purpose(
    tmp_path: Path, host: str | None, remedy: str
) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"state": "running", "host": host, "pid": 1}), encoding="utf-8")
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True)"
    code += "; sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdin and holder.stdout.readline() == "held\n"
        with pytest.raises(CheckpointError, match=remedy), claim(tmp_path):
            pass
        (tmp_path / ".lock").unlink()  # as the message says
        with claim(tmp_path):
            pass
        holder.stdin.close()
