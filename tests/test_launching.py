"""Grids through the real command: a job in a stack leaves what it leaves alone, and no job can hurt another.

A letter and a number in a test's name group the cases: C training, E sweeps.
"""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from tests.conftest import ROOT, TINY

Train = Callable[..., subprocess.CompletedProcess[str]]

SMALL = ["dataset=synthetic", "dataset.num_train=256", "dataset.num_test=64", "dataset.batch_size=64"]

ODD_LOSSES = '''
import sys
import torch
from fashion_softmax.learning.losses import CrossEntropy

class Odd(CrossEntropy):
    """Fails as it is told to, at its tenth gradient or when it is made."""
    def __init__(self, mode: str = "sound", note: str = "") -> None:
        super().__init__()
        self.mode, self.note, self.calls = mode, note, 0
        if mode == "exit when made":
            sys.exit(4)
        if mode == "raise when made":
            raise KeyError("made of nothing")

    def value_and_gradient(self, logits, labels):
        self.calls += 1
        losses, gradient = super().value_and_gradient(logits, labels)
        if self.calls >= 10:
            if self.mode == "raise":
                raise ZeroDivisionError("my loss is at fault")
            if self.mode == "exit":
                sys.exit("enough")
            if self.mode == "diverge":
                losses = losses * float("nan")
        return losses, gradient
'''


@pytest.fixture
def odd(tmp_path: Path) -> list[str]:
    """A loss of the user's own that can fail in several ways; the arguments that choose it."""
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "odd.yaml").write_text("_target_: odd_losses.Odd\nmode: sound\nnote: ''\n")
    (tmp_path / "odd_losses.py").write_text(ODD_LOSSES, encoding="utf-8")
    return ["--config-dir", str(tmp_path / "conf"), f"hydra.sweep.dir={tmp_path}/sweep", "loss=odd"]


def read_json(path: Path) -> dict[str, object]:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def read_rows(job: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (job / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def find_jobs(sweep: Path) -> list[Path]:
    return sorted(path for path in sweep.iterdir() if path.is_dir() and not path.name.startswith("earlier"))


def find_states(sweep: Path) -> list[object]:
    return [read_json(job / "status.json")["state"] for job in find_jobs(sweep)]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-5)])
def test_c5_job_in_a_stack_leaves_what_it_leaves_alone(
    train: Train, tmp_path: Path, dtype: str, tolerance: float
) -> None:
    grid = [
        *("loss=ce,mse,huber,margin", "optimizer=sgd,adam", "optimizer.lr=0.01,0.03", "scheduler=cosine"),
        *(f"dtype={dtype}", "trainer.num_epochs=3", "trainer.log_every=2"),
    ]
    for name, launcher in (("stacked", []), ("alone", ["hydra/launcher=basic"])):
        result = train("-m", *SMALL, *grid, *launcher, f"hydra.sweep.dir={tmp_path}/{name}")
        assert result.returncode == 0, result.stderr
    stacked, alone = find_jobs(tmp_path / "stacked"), find_jobs(tmp_path / "alone")
    assert [job.name for job in stacked] == [job.name for job in alone] and len(stacked) == 16
    objectives = []
    for job, other in zip(stacked, alone, strict=True):
        names = [
            sorted(path.relative_to(folder).as_posix().partition("tfevents")[0] for path in folder.rglob("*"))
            for folder in (job, other)
        ]
        assert names[0] == names[1]
        for row, other_row in zip(read_rows(job), read_rows(other), strict=True):
            assert row == pytest.approx(other_row, rel=tolerance, abs=tolerance)
        facts, other_facts = read_json(job / "result.json"), read_json(other / "result.json")
        assert facts.pop("stack_size") == 16 and other_facts.pop("stack_size") == 1
        assert facts.keys() == other_facts.keys() and facts["overrides"] == other_facts["overrides"]
        assert read_json(job / "status.json")["fingerprint"] == read_json(other / "status.json")["fingerprint"]
        objectives.append((facts["objective"], other_facts["objective"]))
        for name in ("last.pt", "best.pt"):
            state, other_state = (
                torch.load(folder / "checkpoints" / name, weights_only=True) for folder in (job, other)
            )
            assert (
                state["model"].keys() == other_state["model"].keys() and state["scheduler"] == other_state["scheduler"]
            )
            for key, weights in state["model"].items():
                assert weights.dtype == getattr(torch, dtype)
                torch.testing.assert_close(weights, other_state["model"][key], rtol=0, atol=tolerance)
                # A view into the stack would save the weights of the whole stack.
                assert weights.untyped_storage().nbytes() == weights.numel() * weights.element_size()
        assert (job / ".hydra" / "config.yaml").read_text() == (other / ".hydra" / "config.yaml").read_text()
        assert (job / ".hydra" / "overrides.yaml").read_text() == (other / ".hydra" / "overrides.yaml").read_text()
        settings, other_settings = (
            yaml.safe_load((folder / ".hydra" / "hydra.yaml").read_text())["hydra"] for folder in (job, other)
        )
        for key in ("launcher", "sweep", "overrides"):
            settings.pop(key), other_settings.pop(key)
        settings["runtime"].pop("output_dir"), other_settings["runtime"].pop("output_dir")
        settings["runtime"]["choices"].pop("hydra/launcher"), other_settings["runtime"]["choices"].pop("hydra/launcher")
        assert settings == other_settings
        assert (
            "test/accuracy" in (job / "train.log").read_text() and "after 3 epochs" in (job / "train.log").read_text()
        )
    ranking = sorted(range(16), key=lambda index: objectives[index][0])  # type: ignore[arg-type, return-value]
    assert [objectives[index][1] for index in ranking] == sorted(other for _, other in objectives)  # type: ignore[type-var]


def test_plan_and_ranking_are_shown(train: Train, tmp_path: Path) -> None:
    result = train("-m", *TINY, "loss=ce,mse", "optimizer.lr=0.1,0.3", "seed=0,1,2")
    assert result.returncode == 0, result.stderr
    assert "12 jobs: 3 stacks of 4, each trained as one" in result.stdout
    assert "kept apart by seed (0, 1, 2)" in result.stdout
    assert "4 settings, mean ± deviation over seeds, best first" in result.stdout
    mean = sum(float(read_json(job / "result.json")["objective"]) for job in find_jobs(tmp_path / "sweep")[:3]) / 3  # type: ignore[arg-type]
    assert f"{100 * mean:.2f} ± " in result.stdout and "0, 1, 2" in result.stdout
    assert "ranked on the test images" in result.stdout and "--logdir sweep" in result.stdout
    assert "all with dataset=synthetic" in result.stdout


def test_dry_run_shows_everything_and_creates_nothing(train: Train, tmp_path: Path) -> None:
    result = train("-m", *TINY, "loss=ce,mse", "dataset.batch_size=32,64", "sweep.dry_run=true")
    assert result.returncode == 0, result.stderr
    assert "4 jobs: 2 stacks of 2, each trained as one" in result.stdout
    assert "kept apart by dataset.batch_size (32, 64)" in result.stdout
    assert all(f"loss={loss} dataset.batch_size={size}" in result.stdout for loss in ("ce", "mse") for size in (32, 64))
    assert "nothing was trained, nothing created" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_dry_run_of_a_single_run_only_checks(train: Train, tmp_path: Path) -> None:
    result = train(*TINY, "sweep.dry_run=true")
    assert result.returncode == 0 and "nothing was trained, nothing created" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_model_that_trains_alone_is_named_with_the_reason(train: Train, tmp_path: Path) -> None:
    shape = "dataset.image_shape=[1,12,12]"
    result = train("-m", *TINY, shape, "model=lenet", "seed=0,1")
    assert result.returncode == 0, result.stderr
    assert "2 jobs: 2 alone" in result.stdout
    assert "alone: LeNet with " in result.stdout and "convolutions gain nothing from stacking on a CPU" in result.stdout
    assert [read_json(job / "result.json")["stack_size"] for job in find_jobs(tmp_path / "sweep")] == [1, 1]


def test_stacks_are_split_at_the_size_asked_for(train: Train, tmp_path: Path) -> None:
    assert train("-m", *TINY, "optimizer.lr=0.1,0.2,0.3,0.4,0.5", "sweep.max_stack_size=2").returncode == 0
    sizes = [read_json(job / "result.json")["stack_size"] for job in find_jobs(tmp_path / "sweep")]
    assert sorted(sizes) == [1, 2, 2, 2, 2]  # type: ignore[type-var]


@pytest.mark.slow
def test_stack_may_be_larger_than_pythons_recursion_limit(train: Train, tmp_path: Path) -> None:
    rates = ",".join(f"{0.001 * (1 + index):.3f}" for index in range(300))
    result = train("-m", *TINY, "dataset.num_train=64", f"optimizer.lr={rates}", "sweep.max_stack_size=1000")
    assert result.returncode == 0, result.stderr
    assert "300 jobs: 1 stack of 300, each trained as one" in result.stdout
    assert find_states(tmp_path / "sweep") == ["completed"] * 300


@pytest.mark.parametrize("batches", [[], ["hydra.sweeper.max_batch_size=2"]], ids=["e1", "e2"])
@pytest.mark.parametrize("launcher", ["stacked", "basic"])
def test_e1_e2_failed_jobs_are_listed_with_reasons_and_the_others_kept(
    train: Train, tmp_path: Path, odd: list[str], batches: list[str], launcher: str
) -> None:
    modes = "loss.mode=sound,raise,diverge,exit,'exit when made','raise when made'"
    result = train(
        *("-m", *odd, *SMALL, "trainer.num_epochs=4", modes, "optimizer.lr=0.1,0.2", *batches),
        *(f"hydra/launcher={launcher}",),
        PYTHONPATH=str(tmp_path),
    )
    assert result.returncode == 6, result.stderr
    assert "10 of 12 jobs failed, the others are complete" in result.stderr
    reasons = ["ZeroDivisionError: my loss is at fault", "training diverged: the loss is nan", "sys.exit('enough')"]
    for reason in [*reasons, "sys.exit(4)", "KeyError: 'made of nothing'"]:
        assert result.stderr.count(reason) >= 2, reason
    jobs = find_jobs(tmp_path / "sweep")
    assert len(jobs) == 12
    for job in jobs:
        log = (job / "train.log").read_text(encoding="utf-8")
        if "_sound_" in job.name or "modesound" in job.name:
            assert read_json(job / "status.json")["state"] == "completed" and (job / "result.json").exists()
            assert "Traceback" not in log
        else:
            assert not (job / "result.json").exists() and "Traceback" in log
    for job in (job for job in jobs if "moderaise_" in job.name or "modediverge_" in job.name):
        # The last good epochs of a failed job stay: two of four steps each, then the tenth gradient.
        assert len(read_rows(job)) == 2 and (job / "checkpoints" / "last.pt").exists()
        state = read_json(job / "status.json")["state"]
        assert state == ("diverged" if "diverge" in job.name else "failed")


def test_c6_others_are_untouched_bit_for_bit(train: Train, tmp_path: Path, odd: list[str]) -> None:
    for mode in ("sound", "diverge"):
        arguments = [argument for argument in odd if "sweep.dir" not in argument and argument != "loss=odd"]
        result = train(
            *("-m", *arguments, *SMALL, "loss=ce,odd,mse,huber", "optimizer.lr=0.1,0.2", "trainer.num_epochs=4"),
            *(f"++loss.mode={mode}", f"hydra.sweep.dir={tmp_path}/{mode}"),
            PYTHONPATH=str(tmp_path),
        )
        assert result.returncode == 2  # only Odd has a mode
    grid = ["optimizer.lr=0.1,0.2,1e30", "loss=mse", "loss.input=logits", "trainer.num_epochs=4"]
    assert train("-m", *SMALL, *grid, f"hydra.sweep.dir={tmp_path}/a").returncode == 6
    grid[0] = "optimizer.lr=0.1,0.2,1e-3"
    assert train("-m", *SMALL, *grid, f"hydra.sweep.dir={tmp_path}/b").returncode in (0, 6)
    for index in (0, 1):
        job, other = find_jobs(tmp_path / "a")[index], find_jobs(tmp_path / "b")[index]
        assert (job / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()


def test_e6_any_value_makes_a_folder_inside_the_sweep(train: Train, tmp_path: Path, odd: list[str]) -> None:
    notes = ["x" * 300, "../../up", "a/b", "图像分类", "=,=", "x" * 299 + "y"]
    quoted = ",".join("'" + note + "'" for note in notes)
    result = train("-m", *odd, *TINY, f"loss.note={quoted}", PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    jobs = find_jobs(tmp_path / "sweep")
    assert len(jobs) == 6 and all(len(job.name.encode()) <= 255 for job in jobs)
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == {"conf", "odd_losses.py", "sweep"}
    assert [yaml.safe_load((job / ".hydra" / "config.yaml").read_text())["loss"]["note"] for job in jobs] == notes


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "train.py"), "-m", *SMALL, f"hydra.sweep.dir={tmp_path}/sweep", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def has_rows(sweep: Path, num_jobs: int) -> bool:
    return len([path for path in sweep.glob("*/metrics.jsonl") if path.stat().st_size]) == num_jobs


def test_job_folders_fill_while_the_stack_trains_and_survive_a_kill(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    process = start(tmp_path, "optimizer.lr=0.1,0.2,0.3", "seed=0,1", "trainer.num_epochs=40")
    with process:
        # The first stack has ended, the second has saved something.
        wait_until(lambda: len(list(sweep.glob("*/checkpoints/last.pt"))) == 6, process)
        process.kill()
    states = find_states(sweep)
    assert states.count("completed") == 3 and states.count("running") == 3
    for job in find_jobs(sweep):
        assert (job / ".hydra" / "config.yaml").exists() and list(job.glob("events.out.tfevents.*"))
        assert torch.load(job / "checkpoints" / "last.pt", weights_only=True)["epoch"] >= 1
        if (job / "result.json").exists():
            assert read_json(job / "result.json")["num_epochs"] == 40 and len(read_rows(job)) == 40


def test_ctrl_c_is_noted_by_every_job_of_the_stack(tmp_path: Path) -> None:
    process = start(tmp_path, "optimizer.lr=0.1,0.2,0.3", "trainer.num_epochs=100000")
    with process:
        wait_until(lambda: has_rows(tmp_path / "sweep", 3), process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr is not None and "Traceback" not in process.stderr.read()
    assert find_states(tmp_path / "sweep") == ["interrupted"] * 3


def test_job_whose_folder_cannot_be_made_fails_alone(train: Train, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "1").write_text("in the way", encoding="utf-8")
    result = train("-m", *TINY, "optimizer.lr=0.1,0.2,0.3", "hydra.sweep.subdir=${hydra.job.num}")
    assert result.returncode == 6, result.stderr
    assert "1 of 3 jobs failed" in result.stderr and "job 1 (" in result.stderr and "exists" in result.stderr.lower()
    assert [read_json(tmp_path / "sweep" / name / "status.json")["state"] for name in "02"] == ["completed"] * 2


def test_optuna_runs_its_trials_in_stacks(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs the extra `search`")
    search = [
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=12", "hydra.sweeper.n_jobs=6"),
        *("hydra.sweeper.direction=maximize", "hydra.sweeper.sampler.seed=0"),
        *("optimizer.lr=tag(log,interval(0.01,1))", "loss=choice(ce,mse)", "trainer.num_epochs=2"),
    ]
    process = start(tmp_path, *search)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.count("6 jobs: 1 stack of 6, each trained as one") == 2
    jobs = find_jobs(tmp_path / "sweep")
    assert [read_json(job / "result.json")["stack_size"] for job in jobs] == [6] * 12
    found = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text(encoding="utf-8"))
    best = max(float(read_json(job / "result.json")["objective"]) for job in jobs)  # type: ignore[arg-type]
    assert math.isclose(found["best_value"], best)
    assert "alembic" not in errors and "alembic" not in output


def test_trial_that_cannot_be_run_fails_alone(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs the extra `search`")
    search = [
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=3", "hydra.sweeper.sampler.seed=1"),
        *("hydra.sweeper.max_failure_rate=1.0", "optimizer.lr=interval(-1,1)", "trainer.num_epochs=1"),
    ]
    process = start(tmp_path, *search)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert len(find_jobs(tmp_path / "sweep")) == 6 > len(list((tmp_path / "sweep").glob("*/result.json"))) > 0


def test_one_folder_for_all_jobs_is_refused(train: Train, tmp_path: Path) -> None:
    result = train("-m", *TINY, "seed=0,1", "hydra.sweep.subdir=x")
    assert result.returncode == 2 and "hydra.sweep.subdir=x sends all 2 jobs into one folder" in result.stderr
    assert not (tmp_path / "sweep").exists()


def test_working_folder_and_environment_belong_to_one_job(train: Train, tmp_path: Path) -> None:
    for number, setting in enumerate(("hydra.job.chdir=true", "+hydra.job.env_set.FOO=3")):
        # Relative: a folder must not end up inside the one of the job before.
        result = train("-m", *TINY, "seed=0,0", setting, f"hydra.sweep.dir=sweep{number}")
        assert result.returncode == 0, result.stderr
        assert "hold for one job at a time" in result.stdout
        assert find_states(tmp_path / f"sweep{number}") == ["completed"] * 2


FRAIL_MODELS = '''
import shutil, sys
from fashion_softmax.learning.models import SoftmaxRegression

class Exits(SoftmaxRegression):
    """Ends the process as soon as it is trained, if it may."""
    def forward(self, images):
        if self.training and len(images) > 4:
            sys.exit(3)
        return super().forward(images)
'''


def test_e3_model_that_calls_exit_fails_its_own_job(train: Train, tmp_path: Path) -> None:
    (tmp_path / "frail.py").write_text(FRAIL_MODELS, encoding="utf-8")
    models = "model._target_=frail.Exits,fashion_softmax.learning.models.SoftmaxRegression"
    result = train("-m", *TINY, models, "seed=0,1", PYTHONPATH=str(tmp_path))
    assert result.returncode == 6 and "2 of 4 jobs failed" in result.stderr, result.stderr
    assert result.stderr.count("the job called sys.exit(3)") == 2
    assert find_states(tmp_path / "sweep") == ["failed", "failed", "completed", "completed"]


def test_job_whose_records_cannot_be_written_fails_alone(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    process = start(tmp_path, "optimizer.lr=0.1,0.2,0.3", "trainer.num_epochs=60")
    with process:
        wait_until(lambda: has_rows(sweep, 3), process)
        find_jobs(sweep)[1].rename(tmp_path / "gone")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 6 and "1 of 3 jobs failed" in errors, errors
    assert [read_json(job / "status.json")["state"] for job in find_jobs(sweep) if (job / "result.json").exists()] == [
        "completed"
    ] * 2


def test_other_sweepers_cannot_be_run_dry(tmp_path: Path) -> None:
    process = start(tmp_path, "hydra/sweeper=basic", "seed=0,1", "sweep.dry_run=true")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and "sweep.dry_run=true needs hydra/sweeper=grid" in errors
