"""Resuming runs and sweeps through the real command: cases D3, D4, D6, D8, D9, E4, F1, F2, G1 and G3."""

import contextlib
import itertools
import json
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fashion_softmax.config.explain import translate
from fashion_softmax.errors import CheckpointError, ConfigError, DivergedError
from fashion_softmax.runs.checkpoint import load_checkpoint
from fashion_softmax.runs.folder import write_sweep
from fashion_softmax.runs.training import train_folders
from fashion_softmax.sweeps.resume import prepare
from tests import forking
from tests.conftest import COMMAND_TIMEOUT_S, ROOT, TINY, write_planned
from tests.test_cli import Train, read_json
from tests.test_faults_saving import assert_same_weights, find_litter, read_rows

# Long enough to be interrupted in its middle: small batches, many epochs.
NUM_EPOCHS = 16
LONG = [*TINY[:3], "dataset.batch_size=4", f"trainer.num_epochs={NUM_EPOCHS}"]


def start(folder: Path, *arguments: str) -> forking.Process:
    """Start the command in a folder, without waiting for its end."""
    return forking.Process([str(ROOT / "train.py"), *arguments], folder, os.environ, COMMAND_TIMEOUT_S)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + COMMAND_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def count_rows(run: Path) -> int:
    return len(read_rows(run)) if (run / "metrics.jsonl").exists() else 0


def read_curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = [tag for tag in accumulator.Tags()["scalars"] if not tag.startswith("time/")]
    return {tag: [(p.step, p.value) for p in accumulator.Scalars(tag)] for tag in tags}


def assert_equal_runs(run: Path, other: Path) -> None:
    """Assert that two runs left the same: weights, curves, learning rates, best epoch."""
    assert read_rows(run) == read_rows(other)
    assert read_curves(run) == read_curves(other)
    assert_same_weights(run, other)
    results = [read_json(folder / "result.json") for folder in (run, other)]
    assert [results[0][key] for key in ("metrics", "best", "objective")] == [
        results[1][key] for key in ("metrics", "best", "objective")
    ]
    assert not find_litter(run)


def resume(run: Path, *overrides: str) -> dict[Path, BaseException]:
    """Do what `resume=` does, in this process."""
    return train_folders([run]) if prepare([f"resume={run}", *overrides]) else {}


@pytest.mark.parametrize(
    "settings",
    [
        ["scheduler=cosine", "scheduler.num_epochs=6"],
        ["optimizer=adam", "scheduler=step", "scheduler.step_size=2", "dataset.val_size=64"],
        ["model=mlp", "model.hidden_sizes=[16]", "model.dropout=0.3", "optimizer=momentum", "scheduler=exponential"],
    ],
    ids=["sgd cosine", "adam step", "mlp dropout momentum"],
)
def test_d3_three_epochs_and_three_more_equal_six(tmp_path: Path, settings: list[str]) -> None:
    command = [*TINY[:3], "dataset.batch_size=32", *settings]
    whole = write_planned(tmp_path / "whole", *command, "trainer.num_epochs=6")
    run = write_planned(tmp_path / "run", *command, "trainer.num_epochs=3")
    assert not train_folders([whole]) and not train_folders([run]) and not resume(run, "trainer.num_epochs=6")
    assert_equal_runs(run, whole)


def test_d4_finished_run_has_nothing_to_do_until_more_epochs_are_asked_for(train: Train, run: Path) -> None:
    for num_epochs in (2, 4):
        assert not resume(run, f"trainer.num_epochs={num_epochs}")
        assert read_json(run / "result.json")["num_epochs"] == num_epochs == count_rows(run)
    strange = run.rename(run.with_name("\x1b[31mred"))
    result = train(f"resume={strange}")
    assert result.returncode == 0 and "\x1b" not in result.stdout
    assert "nothing to do" in result.stdout and "its 4 epochs" in result.stdout


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer.lr=0.5", "optimizer.lr is 0.1 there, not 0.5"),
        ("optimizer=adam", "optimizer is sgd there, not adam"),
        ("model=mlp loss=huber", "loss is ce there, not huber; model is softmax_regression there, not mlp"),
        ("dataset.batch_size=7 seed=3", "dataset.batch_size is 256 there, not 7; seed is 0 there, not 3"),
    ],
)
def test_d6_other_settings_are_refused_with_the_difference(run: Path, override: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(words)):
        resume(run, "trainer.num_epochs=2", *override.split())
    assert count_rows(run) == 1


def test_d6_refusal_is_one_line(train: Train, run: Path) -> None:
    result = train(f"resume={run}", "trainer.num_epochs=2", "optimizer.lr=0.5")
    assert result.returncode == 4 and result.stderr.count("\n") == 1, result.stderr


def test_resume_with_fewer_epochs_than_trained_is_refused(run: Path) -> None:
    assert not resume(run, "trainer.num_epochs=3")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match=r"has trained 3 epochs; trainer\.num_epochs=2"):
        resume(run, "trainer.num_epochs=2")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_metrics_that_were_lost_are_refused(run: Path) -> None:
    assert not resume(run, "trainer.num_epochs=3")
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(rows[:2]))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: is damaged: 2 epochs can be read"):
        resume(run, "trainer.num_epochs=5")


def test_options_of_hydra_do_not_go_with_resume(train: Train, run: Path) -> None:
    result = train(f"resume={run}", "--cfg", "job")
    assert result.returncode == 2 and "--cfg does not go with resume=" in result.stderr


def test_resume_without_the_checkpoint_is_refused(run: Path) -> None:
    (run / "checkpoints" / "last.pt").unlink()
    before = (run / ".hydra" / "config.yaml").read_bytes()
    with pytest.raises(CheckpointError, match=r"last\.pt: is missing"):
        resume(run, "trainer.num_epochs=2")
    assert (run / ".hydra" / "config.yaml").read_bytes() == before and count_rows(run) == 1


@pytest.mark.slow
def test_longer_schedule_applies_from_the_first_new_epoch(train: Train, tmp_path: Path) -> None:
    assert train(*TINY[:3], "trainer.num_epochs=2", "scheduler=cosine").returncode == 0
    assert not resume(tmp_path / "run", "trainer.num_epochs=4")
    rates = [json.loads(row)["lr"] for row in read_rows(tmp_path / "run")]
    assert rates == pytest.approx([0.1, 0.05, 0.05, 0.1 * (1 - 2**-0.5) / 2])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("status.json", {"state": "running", "host": platform.node(), "pid": 10**30}),
        ("status.json", {"state": "completed", "fingerprint": 7}),
        ("result.json", {"objective": 0.5, "num_epochs": "9"}),
        ("result.json", [1]),
        ("metrics.jsonl", {"epoch": 1, "images_seen": 10**30}),
    ],
)
def test_absurd_records_are_no_bug_of_ours(run: Path, name: str, content: object) -> None:
    (run / name).write_text(json.dumps(content) + "\n", encoding="utf-8")
    try:
        failures = resume(run, "trainer.num_epochs=2")
    except CheckpointError:
        failures = {}
    assert all(isinstance(error, CheckpointError) for error in failures.values())


def test_d6_checkpoint_of_another_configuration_is_refused(run: Path) -> None:
    path = run / ".hydra" / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("lr: 0.1", "lr: 0.2"), encoding="utf-8")
    with pytest.raises(CheckpointError, match="another configuration"):
        resume(run, "trainer.num_epochs=2")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("trainer.num_epoch=3", "trainer.num_epoch is unknown"),
        ("seed=1,2", "seed=1,2: expected one plain value"),
        ("trainer.num_epochs=x", "trainer.num_epochs='x' has the wrong type"),
    ],
)
def test_resume_refuses_what_it_cannot_read(run: Path, override: str, words: str) -> None:
    with pytest.raises(Exception) as caught:  # of OmegaConf or of ours
        resume(run, override)
    known = translate(caught.value)
    assert isinstance(known, ConfigError) and words in str(known)


@pytest.mark.parametrize(("name", "message"), [("missing", "resume=missing: "), (".", ".: is no run folder")])
def test_resume_of_a_folder_that_is_no_run_says_so(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        prepare([f"resume={name}"])
    assert not list(tmp_path.iterdir())


def test_sweep_without_stacks_is_resumed_run_by_run(tmp_path: Path) -> None:
    (tmp_path / "000_huber" / ".hydra").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="cannot be resumed as a whole; each of its runs can be: "):
        prepare([f"resume={tmp_path}"])


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_d8_signal_during_a_step_saves_and_the_run_is_resumed_exactly(
    train: Train, tmp_path: Path, number: int, code: int
) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    process = start(tmp_path, *LONG, f"hydra.run.dir={run}")
    wait_until(lambda: count_rows(run) >= 3)
    os.kill(process.pid, number)
    result = process.wait()
    assert result.returncode == code and "Traceback" not in result.stderr, result.stderr
    assert "its last finished epoch is saved; resume with: python" in result.stderr and "resume=run" in result.stderr
    assert read_json(run / "status.json")["state"] == "interrupted"
    assert load_checkpoint(run / "checkpoints" / "last.pt")["epoch"] >= 3
    assert train(f"resume={run}").returncode == 0
    assert train(*LONG, f"hydra.run.dir={whole}").returncode == 0
    assert_equal_runs(run, whole)


@pytest.mark.slow
def test_d8_second_signal_ends_at_once_and_loses_nothing_saved(train: Train, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(tmp_path, *LONG, f"hydra.run.dir={run}")
    wait_until(lambda: count_rows(run) >= 3)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait().returncode in (130, 143)
    assert load_checkpoint(run / "checkpoints" / "last.pt")["epoch"] >= 2
    assert train(f"resume={run}").returncode == 0
    assert count_rows(run) == NUM_EPOCHS and not find_litter(run)


def train_undisturbed(folder: Path, *arguments: str) -> Path:
    result = forking.run([str(ROOT / "train.py"), *arguments], folder.parent, os.environ, COMMAND_TIMEOUT_S)
    assert result.returncode == 0, result.stderr
    return folder


def kill_and_resume(run: Path, command: Sequence[str], resume: Sequence[str], rng: random.Random, times: int) -> None:
    """Kill a command at random moments after it has its folder, resuming it each time; the last time is let finish.

    It has nothing to import, so that hardly a moment is one at which it does nothing yet.
    """
    for index in range(times):
        arguments = command if index == 0 else resume
        process = start(run.parent, *arguments)
        wait_until(lambda: (run / "status.json").exists() or (run / "sweep.json").exists())
        time.sleep(rng.uniform(0, 1.5))
        process.kill()
        process.wait()
    train_undisturbed(run, *resume)


@pytest.mark.slow
def test_d9_kills_at_random_moments_change_nothing(train: Train, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    command = [*LONG, "trainer.num_epochs=60", "optimizer=momentum"]
    seed = random.randrange(10**6)
    print("seed of the kills:", seed)
    kill_and_resume(run, [*command, f"hydra.run.dir={run}"], [f"resume={run}"], random.Random(seed), times=7)
    assert train(*command, f"hydra.run.dir={whole}").returncode == 0
    assert_equal_runs(run, whole)


SWEEP = ["-m", *LONG, "loss=ce,mse", "seed=0,1"]


def find_jobs(sweep: Path) -> list[Path]:
    return sorted(path for path in sweep.iterdir() if (path / ".hydra").is_dir())


def assert_equal_sweeps(sweep: Path, other: Path) -> None:
    assert [job.name for job in find_jobs(sweep)] == [job.name for job in find_jobs(other)]
    for job, expected in zip(find_jobs(sweep), find_jobs(other), strict=True):
        assert_equal_runs(job, expected)


@pytest.fixture(scope="module")
def whole_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep when nothing interrupts it."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    return train_undisturbed(folder, *SWEEP, f"hydra.sweep.dir={folder}")


@pytest.mark.parametrize(
    ("number", "spelling"),
    [
        pytest.param(signal.SIGKILL, "same command", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "folder alone", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "same command", marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, "folder alone", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_e4_interrupted_sweep_is_resumed_and_equals_the_uninterrupted_one(
    train: Train, tmp_path: Path, whole_sweep: Path, number: int, spelling: str
) -> None:
    sweep = tmp_path / "sweep"
    folder = f"hydra.sweep.dir={sweep}"
    process = start(tmp_path, *SWEEP, folder)
    # In the second of two stacks, one for each seed.
    wait_until(lambda: len(list(sweep.glob("*_seed1/metrics.jsonl"))) == 2)
    wait_until(lambda: all(count_rows(job) >= 2 for job in sweep.glob("*_seed1")))
    os.kill(process.pid, number)
    result = process.wait()
    if number == signal.SIGINT:
        assert result.returncode == 130 and "resume with: python" in result.stderr, result.stderr
        assert "resume=sweep" in result.stderr
    finished = {job: (job / "result.json").stat().st_mtime_ns for job in sweep.glob("*_seed0")}
    assert len(finished) == 2
    again = [*SWEEP, folder, f"resume={sweep}"] if spelling == "same command" else [f"resume={sweep}"]
    result = train(*again)
    assert result.returncode == 0, result.stderr
    assert "2 of 4 jobs were finished already" in result.stdout
    assert {job: (job / "result.json").stat().st_mtime_ns for job in finished} == finished, "finished jobs ran again"
    assert_equal_sweeps(sweep, whole_sweep)


@pytest.mark.slow
def test_e4_sweep_killed_again_and_again_ends_the_same(train: Train, tmp_path: Path) -> None:
    sweep, whole = tmp_path / "sweep", tmp_path / "whole"
    command = [*SWEEP, "trainer.num_epochs=12"]
    seed = random.randrange(10**6)
    print("seed of the kills:", seed)
    kill_and_resume(sweep, [*command, f"hydra.sweep.dir={sweep}"], [f"resume={sweep}"], random.Random(seed), times=5)
    assert train(*command, f"hydra.sweep.dir={whole}").returncode == 0
    assert_equal_sweeps(sweep, whole)


def train_stack(folder: Path, jobs: Sequence[str], num_epochs: int) -> list[Path]:
    """Train a stack; the folders of its runs."""
    command = [*TINY[:3], "dataset.batch_size=32", f"trainer.num_epochs={num_epochs}"]
    runs = [write_planned(folder / str(number), *command, *job.split()) for number, job in enumerate(jobs)]
    train_folders(runs)
    return runs


def ask_for(runs: Sequence[Path], num_epochs: int) -> None:
    for run in runs:
        assert prepare([f"resume={run}", f"trainer.num_epochs={num_epochs}"])


@pytest.mark.slow
@pytest.mark.parametrize("num_renamed", [1, 3])
def test_h3_kill_between_the_checkpoints_of_a_stack_changes_nothing(tmp_path: Path, num_renamed: int) -> None:
    jobs = ["loss=ce", "loss=ce optimizer=adam", "loss=mse", "loss=mse optimizer=adam"]
    whole, earlier, runs = (train_stack(tmp_path / str(n), jobs, num_epochs=n) for n in (6, 2, 3))
    for index, run in enumerate(runs):
        status = read_json(run / "status.json") | {"state": "running", "pid": 2**22 + 1}
        (run / "status.json").write_text(json.dumps(status), encoding="utf-8")
        (run / "result.json").unlink()
        if index >= num_renamed:  # its new checkpoint is on the disk, but the kill came before it got its name
            last = run / "checkpoints" / "last.pt"
            last.rename(last.with_name(".last.pt.123.tmp"))
            shutil.copy(earlier[index] / "checkpoints" / "last.pt", last)
    ask_for(runs, 6)
    assert not train_folders(runs)
    for run, expected in zip(runs, whole, strict=True):
        assert_equal_runs(run, expected)


@pytest.mark.slow
def test_runs_that_ended_keep_their_places_in_a_stack(tmp_path: Path) -> None:
    jobs = [f"optimizer.lr={lr}" for lr in ("0.1", "0.2", "1e38", "0.3")]
    whole, runs = (train_stack(tmp_path / str(n), jobs, num_epochs=n) for n in (6, 3))
    ask_for(runs, 6)
    (error,) = train_folders(runs).values()
    assert isinstance(error, DivergedError)
    for index in (0, 1, 3):
        assert_equal_runs(runs[index], whole[index])


@pytest.mark.slow
def test_h2_one_command_of_many_gets_a_folder(tmp_path: Path) -> None:
    results = [
        process.wait() for process in [start(tmp_path, *LONG, f"hydra.run.dir={tmp_path}/run") for _ in range(3)]
    ]
    assert sorted(result.returncode for result in results) == [0, 4, 4]
    for errors in (result.stderr for result in results if result.returncode):
        assert errors.count("\n") == 1 and "is writing there; choose another folder" in errors, errors
    assert count_rows(tmp_path / "run") == NUM_EPOCHS and not list(tmp_path.glob("run/earlier-*"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_h1_signal_while_something_is_imported_ends_the_command(tmp_path: Path, number: int, code: int) -> None:
    for moment in (0.3, 0.6, 1.0, 1.5, 2.0):
        command = [sys.executable, str(ROOT / "train.py"), *LONG, f"hydra.run.dir={tmp_path}/{moment}"]
        with subprocess.Popen([*command, "trainer.num_epochs=4000"], stderr=subprocess.PIPE, text=True) as process:
            time.sleep(moment)
            process.send_signal(number)
            _, errors = process.communicate(timeout=COMMAND_TIMEOUT_S)
        assert process.returncode == code and "Traceback" not in errors and "interrupted" in errors, errors


@pytest.mark.slow
def test_e4_sweep_finished_or_foreign_to_the_command_is_left_alone(train: Train, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    command = ["-m", *TINY, "seed=0,1"]
    assert train(*command).returncode == 0
    result = train(*command, f"resume={sweep}")
    assert result.returncode == 0 and "2 of 2 jobs were finished already" in result.stdout
    result = train(*command, "optimizer.lr=0.3", f"resume={sweep}")
    assert result.returncode == 4 and "optimizer.lr is 0.1 there, not 0.3" in result.stderr, result.stderr
    result = train(*command, f"resume={tmp_path}/missing")
    assert result.returncode == 4 and "there is no such folder" in result.stderr
    assert [read_json(job / "status.json")["state"] for job in find_jobs(sweep)] == ["completed"] * 2


def test_e4_latest_is_the_newest_sweep_or_run(train: Train, tmp_path: Path, run: Path) -> None:
    result = train("resume=latest", f"hydra.run.dir={tmp_path}/none")
    assert result.returncode == 4 and "there is nothing to resume" in result.stderr
    result = train("resume=latest", f"hydra.run.dir={run}", "trainer.num_epochs=2")
    assert result.returncode == 0 and count_rows(run) == 2, result.stderr


@pytest.mark.usefixtures("installed")
def test_latest_may_have_a_name_of_its_own(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = tmp_path / "outputs"
    for name, written in (("runs/a", 1e9), ("study", 3e9), ("runs/b", 2e9)):
        shutil.copytree(run, outputs / name)
        os.utime(outputs / name, (written, written))
    more = "trainer.num_epochs=9"
    assert prepare(["resume=latest", more]) == (outputs / "study", [])
    shutil.copytree(run, outputs / "sweep" / "000")
    write_sweep(outputs / "sweep", [["000"]])
    os.utime(outputs / "sweep", (4e9, 4e9))
    folder, _ = prepare(["resume=latest", more]) or (None, None)
    assert folder == outputs / "sweep"


@pytest.mark.slow
def test_failed_job_is_tried_again_when_the_sweep_is_resumed(train: Train, tmp_path: Path) -> None:
    command = ["-m", *TINY, "seed=0,1"]
    assert train(*command).returncode == 0
    job = tmp_path / "sweep" / "001_seed1"
    status = read_json(job / "status.json")
    (job / "status.json").write_text(json.dumps({**status, "state": "failed"}), encoding="utf-8")
    (job / "result.json").unlink()
    result = train(*command, f"resume={tmp_path}/sweep")
    assert result.returncode == 0 and "1 of 2 jobs were finished already" in result.stdout, result.stderr
    assert read_json(job / "status.json")["state"] == "completed" and (job / "result.json").exists()


@pytest.mark.slow
def test_f1_cut_records_do_not_stop_a_run_from_being_resumed(train: Train, tmp_path: Path) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert train(*TINY, "trainer.num_epochs=4", f"hydra.run.dir={whole}").returncode == 0
    assert train(*TINY, "trainer.num_epochs=3").returncode == 0
    (events,) = run.glob("events.out.tfevents.*")
    content, rows = events.read_bytes(), (run / "metrics.jsonl").read_bytes()
    for cut in (1, 100):
        copy = tmp_path / f"cut{cut}"
        shutil.copytree(run, copy)
        (copy / events.name).write_bytes(content[:-cut])
        (copy / "metrics.jsonl").write_bytes(rows + b'{"epoch": 4, "ste')
        result = train(f"resume={copy}", "trainer.num_epochs=4")
        assert result.returncode == 0, result.stderr
        assert read_rows(copy) == read_rows(whole)
        assert read_curves(copy)["test/loss"][-1] == read_curves(whole)["test/loss"][-1]


@pytest.mark.slow
def test_f2_log_folder_that_vanishes_ends_with_one_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(tmp_path, *LONG, "trainer.num_epochs=4000", f"hydra.run.dir={run}")
    wait_until(lambda: count_rows(run) >= 2)
    (run / "checkpoints").rename(tmp_path / "gone")
    (run / "checkpoints").write_text("in the way", encoding="utf-8")
    result = process.wait()
    assert result.returncode == 7 and result.stderr.count("ERROR: ") == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert load_checkpoint(tmp_path / "gone" / "last.pt")["epoch"] >= 1


@pytest.mark.slow
def test_tensorboard_shows_one_unbroken_curve_of_a_resumed_run(tmp_path: Path) -> None:
    command = [*LONG, "trainer.log_every=4"]  # TensorBoard draws a sample of more than 1000 points
    run, whole = tmp_path / "run", tmp_path / "whole"
    kill_and_resume(run, [*command, f"hydra.run.dir={run}"], [f"resume={run}"], random.Random(1), times=3)
    train_undisturbed(whole, *command, f"hydra.run.dir={whole}")
    num_points = {"train/step_loss": NUM_EPOCHS * 16, "test/accuracy": NUM_EPOCHS, "lr": NUM_EPOCHS}
    with contextlib.ExitStack() as boards:
        ports = [start_board(boards, tmp_path, f"--load_fast={load_fast}") for load_fast in ("true", "false")]
        for port in ports:
            curves = fetch_curves(port, list(num_points), ["run", "whole"])
            assert {tag: len(points) for tag, points in curves["whole"].items()} == num_points
            assert curves["run"] == curves["whole"]


def start_board(boards: contextlib.ExitStack, folder: Path, option: str) -> int:
    """Start TensorBoard until the boards are left; returns its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), f"--port={port}", option]
    process = boards.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    boards.callback(process.terminate)
    return port


def fetch_curves(port: int, tags: Sequence[str], runs: Sequence[str]) -> dict[str, dict[str, list[list[float]]]]:
    """Ask TensorBoard for the steps and values of curves, by run and tag, once they have stopped growing."""
    curves: dict[str, dict[str, list[list[float]]]] = {}
    deadline = time.monotonic() + COMMAND_TIMEOUT_S
    while time.monotonic() < deadline:
        time.sleep(1)
        found: dict[str, dict[str, list[list[float]]]] = {run: {} for run in runs}
        try:
            for run, tag in itertools.product(runs, tags):
                query = urllib.parse.urlencode({"tag": tag, "run": run})
                address = f"http://127.0.0.1:{port}/data/plugin/scalars/scalars?{query}"
                with urllib.request.urlopen(address, timeout=10) as answer:
                    found[run][tag] = [[step, value] for _, step, value in json.load(answer)]
        except OSError:
            continue
        if found == curves:
            return curves
        curves = found
    raise AssertionError(f"the curves at port {port} do not settle")
