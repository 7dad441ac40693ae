"""A grid of runs: every job is checked, then every folder written, then one Hydra job trains each stack.

What became of a run is read from its folder, never from what a launcher returns: most of them raise as a whole when one
worker dies.
"""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from fashion_softmax.config.explain import describe
from fashion_softmax.config.settings import name_folder
from fashion_softmax.dashboard.console import count, resume_command
from fashion_softmax.errors import Interrupted, SweepError, one_line
from fashion_softmax.runs.folder import SET_ASIDE, is_sweep, list_runs, read_sweep, set_aside_earlier, write_sweep
from fashion_softmax.runs.interruption import handle_signals, raise_interrupted
from fashion_softmax.runs.lock import claim
from fashion_softmax.runs.records import RunFolder, read_folder
from fashion_softmax.runs.training import train_folders
from fashion_softmax.sweeps.display import SweepDisplay, show_plan, show_result
from fashion_softmax.sweeps.engines import count_cores
from fashion_softmax.sweeps.forecast import show_forecast
from fashion_softmax.sweeps.planning import Compose, find_varied, identify, make_plan, write_plan

Launch = Callable[[Path, Sequence[int]], None]


def sweep(jobs: Sequence[list[str]], compose: Compose, sweep_dir: Path, launch: Launch, num_workers: int = 1) -> None:
    """Run a grid.

    Args:
        jobs: the overrides of each.
        compose: makes a job of its overrides.
        sweep_dir: absolute, where the runs' folders are written.
        launch: runs one Hydra job for each stack, of the sweep's folder and the stack's number in it.
        num_workers: processes that it trains stacks in at once.

    Raises:
        ConfigError: a job cannot be run; no job was started, nothing created.
        CheckpointError: another process writes into the folder.
        SweepError: some jobs failed; all others were run.
        Interrupted: by a signal; finished epochs are saved.
    """
    plan = make_plan(jobs, compose, num_workers)
    if plan.options.dry_run != "json":
        show_plan(plan.stacks, plan.facts)
    if plan.options.dry_run:
        paths = list_runs(sweep_dir) if is_sweep(sweep_dir) else []
        there = {identify(read_folder(path).overrides, varied := find_varied(jobs)) for path in paths}
        known = [name for name, job in zip(plan.names, jobs, strict=True) if there and identify(job, varied) in there]
        show_forecast(plan, known)
        return
    with claim(sweep_dir):
        earlier = [path.parent for path in sweep_dir.glob("*/.hydra") if not SET_ASIDE.fullmatch(path.parent.name)]
        set_aside_earlier(sweep_dir, earlier)
        folders = write_plan(sweep_dir, plan)
        report(sweep_dir, folders, train_all(sweep_dir, folders, launch))


def train_all(sweep_dir: Path, runs: Sequence[RunFolder], launch: Launch) -> str:
    """Train what is unfinished in a sweep's folder.

    Args:
        sweep_dir: absolute; the caller has claimed it.
        runs: of the sweep; what of them is unfinished is trained.
        launch: see `sweep`.

    Returns:
        What the launcher ended with, empty if with nothing.

    Raises:
        Interrupted: by a signal; finished epochs are saved.
    """
    wanted = {run.path.name: run for run in runs if not (run.is_finished or run.state == "discarded")}
    stacks = {number: names for number, names in enumerate(read_sweep(sweep_dir)) if wanted.keys() & set(names)}
    problem = ""
    try:
        shown = [[wanted[name] for name in names if name in wanted] for names in stacks.values()]
        with SweepDisplay(shown).progress, handle_signals(raise_interrupted):
            if stacks:
                launch(sweep_dir, list(stacks))
    except KeyboardInterrupt as error:
        number = error.signal_number if isinstance(error, Interrupted) else signal.SIGINT
        message = f"interrupted, finished epochs are saved; resume with: {resume_command(sweep_dir)}"
        raise Interrupted(number, message) from error
    except Exception as error:  # of a launcher, as a whole; the folders know more
        problem = f"; the launcher ended with {one_line(describe(error))}"
    return problem


def count_failed(sweep_dir: Path) -> int:
    """Count the runs of a sweep that failed so far."""
    return sum(read_folder(path).state in ("failed", "diverged") for path in list_runs(sweep_dir))


def train_stack(cfg: Any) -> None:
    """Train a stack: the task of each of the sweep's Hydra jobs, in this process or in another.

    Args:
        cfg: `sweep_dir`, the number of the `stack` in it, `num_workers` that share the cores of this machine, and
            `fails_fast`.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), count_cores() // cfg.num_workers)))
    sweep_dir = Path(cfg.sweep_dir)
    train_folders([sweep_dir / name for name in read_sweep(sweep_dir)[cfg.stack]], fails_fast=cfg.fails_fast)


def report(sweep_dir: Path, runs: Sequence[RunFolder], problem: str = "") -> None:
    """Show the ranking, and what became of the other runs.

    Raises:
        SweepError: lists the runs that did not get to their ends.
    """
    runs = [run.read_again() for run in runs]
    completed = [run for run in runs if run.is_finished]
    failed = [run for run in runs if run.state in ("failed", "diverged")]
    show_result(sweep_dir, completed)
    lines = []
    if failed:
        rest = ", the others are complete" if len(completed) == len(runs) - len(failed) > 0 else ""
        lines += [f"{len(failed)} of {len(runs)} jobs failed{rest}:"]
        lines += [f"  {run.path.name}: {run.error}" for run in failed]
    discarded = [run for run in runs if run.state == "discarded"]
    if discarded:
        epochs = sum(len(run.rows) for run in runs)
        print(f"discarded     {len(discarded)} of {len(runs)} runs ({epochs} epochs in all); resume=RUN completes one")
    num_unfinished = len(runs) - len(completed) - len(failed) - len(discarded)
    if num_unfinished or problem:
        num_running = sum(run.state == "running" for run in runs)
        still = f", {num_running} of them still in training" if num_running else ""
        unfinished = f"{count(num_unfinished, 'job')} not trained to the end{still}{problem}"
        lines += [f"{unfinished}; resume with: {resume_command(sweep_dir)}"]
    if lines:
        raise SweepError("\n".join(lines))


def resume(
    sweep_dir: Path,
    launch: Launch,
    jobs: Sequence[list[str]] = (),
    compose: Compose | None = None,
    num_workers: int = 1,
) -> None:
    """Complete the sweep in a folder, and train what its command has now and had not before.

    Args:
        sweep_dir: absolute.
        launch: see `sweep`.
        jobs: of the command; those that the folder has are not written anew.
        compose: see `sweep`.
        num_workers: see `sweep`.

    Raises:
        CheckpointError: the folder is no sweep's, or is written by another process.
        SweepError: some runs did not get to their ends.
    """
    with claim(sweep_dir):
        write_sweep(sweep_dir, read_sweep(sweep_dir))  # with the number of this process
        runs = [read_folder(path) for path in list_runs(sweep_dir)]
        if num_finished := sum(run.is_finished for run in runs):
            print(f"{num_finished} of {len(runs)} jobs were finished already")
        varied = find_varied(jobs) | find_varied(run.overrides for run in runs)
        known = {identify(run.overrides, varied) for run in runs} if jobs else set()
        if compose and (new := [job for job in jobs if identify(job, varied) not in known]):
            shared = set(jobs[0]).intersection(*jobs)
            names = [name_folder(f"{number:03d}", set(job) - shared) for number, job in enumerate(new, len(runs))]
            plan = make_plan(new, compose, num_workers, names)
            show_plan(plan.stacks, plan.facts)
            runs += write_plan(sweep_dir, plan)
        report(sweep_dir, runs, train_all(sweep_dir, runs, launch))
