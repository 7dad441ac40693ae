"""A grid of runs: every job is checked, then every folder written, then one Hydra job trains each stack.

What became of a run is read from its folder, never from what a launcher returns: most of them raise as a whole when one
worker dies.
"""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.explain import describe, translate
from fashion_softmax.config.jobs import Job
from fashion_softmax.config.schema import PlainConfig, SweepConfig, resolve
from fashion_softmax.config.settings import flatten, name_folder
from fashion_softmax.dashboard.console import count, resume_command
from fashion_softmax.errors import ConfigError, FashionSoftmaxError, Interrupted, SweepError
from fashion_softmax.runs.folder import SET_ASIDE, list_runs, read_sweep, set_aside_earlier, write_folder, write_sweep
from fashion_softmax.runs.interruption import handle_signals, raise_interrupted
from fashion_softmax.runs.lock import claim
from fashion_softmax.runs.records import RunFolder, read_folder
from fashion_softmax.runs.training import train_folders
from fashion_softmax.stacking import Facts, plan
from fashion_softmax.sweeps.display import SweepDisplay, show_jobs, show_plan, show_result

Launch = Callable[[Path, Sequence[int]], None]


def sweep(
    jobs: Sequence[list[str]],
    compose: Callable[[list[str]], Job],
    sweep_dir: Path,
    launch: Launch,
) -> None:
    """Run a grid.

    Args:
        jobs: the overrides of each.
        compose: makes a job of its overrides.
        sweep_dir: absolute, where the runs' folders are written.
        launch: runs one Hydra job for each stack, of the sweep's folder and the stack's number in it.

    Raises:
        ConfigError: a job cannot be run; no job was started, nothing created.
        CheckpointError: another process writes into the folder.
        SweepError: some jobs failed; all others were run.
        Interrupted: by a signal; finished epochs are saved.
    """
    checked = _check_jobs(jobs, compose)
    facts = {number: facts for number, (_, facts) in enumerate(checked) if facts}
    options, *others = (SweepConfig(**resolve(job.config)["sweep"]) for job, _ in checked)
    if any(other != options for other in others):
        raise ConfigError("sweep.*: holds for all jobs of a sweep; give one value")
    stacks = plan(facts, options.max_stack_size)
    # What cannot be planned fails when it is trained, in its own folder.
    stacks += [[number] for number in range(len(jobs)) if number not in facts]
    shared = set(jobs[0]).intersection(*jobs)
    names = [name_folder(f"{number:03d}", set(job) - shared) for number, job in enumerate(jobs)]
    named_stacks = [[names[number] for number in stack] for stack in stacks]
    show_plan(stacks, facts)
    if options.dry_run:
        show_jobs(named_stacks)
        return
    with claim(sweep_dir):
        earlier = [path.parent for path in sweep_dir.glob("*/.hydra") if not SET_ASIDE.fullmatch(path.parent.name)]
        set_aside_earlier(sweep_dir, earlier)
        folders = [
            write_folder(sweep_dir / name, job.config, job.overrides, job.choices)
            for name, (job, _) in zip(names, checked, strict=True)
        ]
        write_sweep(sweep_dir, named_stacks)
        _train(sweep_dir, folders, launch)


def _train(sweep_dir: Path, runs: Sequence[RunFolder], launch: Launch) -> None:
    """Train what is unfinished in a sweep's folder, and show what became of all its runs.

    Args:
        sweep_dir: absolute; the caller has claimed it.
        runs: all of the sweep, by number.
        launch: see `sweep`.

    Raises:
        SweepError: some runs did not get to their ends.
        Interrupted: by a signal; finished epochs are saved.
    """
    folders = {run.path.name: run for run in runs}
    finished = {name for name, run in folders.items() if run.is_finished}
    stacks = {number: names for number, names in enumerate(read_sweep(sweep_dir)) if not finished.issuperset(names)}
    if finished:
        print(f"{len(finished)} of {len(folders)} jobs were finished already")
    problem = ""
    try:
        wanted = [[folders[name] for name in names if name not in finished] for names in stacks.values()]
        with SweepDisplay(wanted).progress, handle_signals(raise_interrupted):
            if stacks:
                launch(sweep_dir, list(stacks))
    except KeyboardInterrupt as error:
        number = error.signal_number if isinstance(error, Interrupted) else signal.SIGINT
        message = f"interrupted, finished epochs are saved; resume with: {resume_command(sweep_dir)}"
        raise Interrupted(number, message) from error
    except Exception as error:  # of a launcher, as a whole; the folders know more
        problem = f"; the launcher ended with {describe(error)}"
    _report(sweep_dir, [run.read_again() for run in runs], problem)


def train_stack(cfg: Any) -> None:
    """Train a stack: the task of each of the sweep's Hydra jobs, in this process or in another.

    Args:
        cfg: `sweep_dir`, and the number of the `stack` in it.
    """
    sweep_dir = Path(cfg.sweep_dir)
    train_folders([sweep_dir / name for name in read_sweep(sweep_dir)[cfg.stack]])


def _check_jobs(jobs: Sequence[list[str]], compose: Callable[[list[str]], Job]) -> list[tuple[Job, Facts | None]]:
    """Compose and check every job; the first problem of each distinct kind is reported with the job that has it."""
    problems: dict[str, list[str]] = {}
    checked: list[tuple[Job, Facts | None]] = []
    for overrides in jobs:
        try:
            job = compose(overrides)
            for key, value in flatten(job.config):  # Hydra would fill it in for each of its jobs, which are stacks
                if isinstance(value, str) and "${hydra" in value.replace(" ", ""):
                    remedy = "a job of Hydra trains many runs; write the value out"
                    raise ConfigError(f"{key}={value} cannot be used with -m: {remedy}")
            checked.append((job, find_facts(job.config)))
        except Exception as error:
            known = translate(error)
            if not isinstance(known, ConfigError):
                raise
            problems.setdefault(str(known), overrides)
    if problems:
        raise ConfigError.from_problems([f"{message} (job {' '.join(job)})" for message, job in problems.items()])
    return checked


def find_facts(config: PlainConfig) -> Facts | None:
    """Build a run once; None when a component of the user's fails in a way that only running it can show.

    Args:
        config: of the run, interpolations unresolved.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it.
    """
    resolved = resolve(config)
    try:
        return build_parts(resolved, is_trained=False).facts
    except FashionSoftmaxError:
        raise
    except (Exception, SystemExit):
        return None


def _report(sweep_dir: Path, runs: Sequence[RunFolder], problem: str) -> None:
    """Show the ranking.

    Raises:
        SweepError: lists the runs that did not get to their ends.
    """
    completed = [run for run in runs if run.is_finished]
    failed = [run for run in runs if run.state in ("failed", "diverged")]
    show_result(sweep_dir, completed)
    lines = []
    if failed:
        rest = ", the others are complete" if len(completed) == len(runs) - len(failed) > 0 else ""
        lines += [f"{len(failed)} of {len(runs)} jobs failed{rest}:"]
        lines += [f"  {run.path.name}: {run.error}" for run in failed]
    num_unfinished = len(runs) - len(completed) - len(failed)
    if num_unfinished or problem:
        unfinished = f"{count(num_unfinished, 'job')} not trained to the end{problem}"
        lines += [f"{unfinished}; resume with: {resume_command(sweep_dir)}"]
    if lines:
        raise SweepError("\n".join(lines))


def resume(sweep_dir: Path, launch: Launch) -> None:
    """Complete the sweep in a folder.

    Args:
        sweep_dir: absolute.
        launch: see `sweep`.

    Raises:
        CheckpointError: the folder is no sweep's, or is written by another process.
        SweepError: some runs did not get to their ends.
    """
    with claim(sweep_dir):
        write_sweep(sweep_dir, read_sweep(sweep_dir))  # with the number of this process
        _train(sweep_dir, [read_folder(path) for path in list_runs(sweep_dir)], launch)
