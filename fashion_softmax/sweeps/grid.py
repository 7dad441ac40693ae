"""A grid of runs: check every job, launch them, and list what became of each."""

import contextlib
import io
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.quick_configs import quick_configs
from fashion_softmax.config.reporting import describe
from fashion_softmax.config.trust import is_plain_override, refuse_links_out
from fashion_softmax.errors import ConfigError, Interrupted, SweepError
from fashion_softmax.files import write_atomically
from fashion_softmax.runs.console import resume_command
from fashion_softmax.runs.folder import check_sweep_can_go_on, set_aside_earlier_sweep
from fashion_softmax.runs.progress import check_jobs_are_the_same
from fashion_softmax.sweeps.plan import plan
from fashion_softmax.sweeps.preparation import Preparation
from fashion_softmax.sweeps.tables import find_shared, label, show_dry_run, show_sweep


def sweep(
    config: DictConfig, batches: Sequence[Sequence[Sequence[str]]], loader: ConfigLoader, launcher: Launcher
) -> list[Sequence[JobReturn]]:
    """Run a grid.

    Args:
        config: the sweep's master configuration, with Hydra's part.
        batches: of jobs; a job is its list of overrides.
        loader: composes a job's configuration.
        launcher: runs a batch of jobs.

    Returns:
        The job results, batch by batch; none for a dry run.

    Raises:
        ConfigError: a job cannot be run; no job was started, nothing created.
        SweepError: some jobs failed; all others were run.
    """
    jobs = [list(job) for batch in batches for job in batch]
    if not jobs:
        raise ConfigError("the sweep has no jobs: one of its keys has no values")
    subdir = OmegaConf.to_container(config.hydra.sweep)["subdir"]  # type: ignore[call-overload, index]
    if len(jobs) > 1 and "${" not in str(subdir):
        raise ConfigError(
            f"hydra.sweep.subdir={subdir} sends all {len(jobs)} jobs into one folder; add '${{hydra.job.num}}' to it"
        )
    shared = _name_jobs_by_what_differs(config, jobs)
    preparation = Preparation(config, loader)
    _check_jobs(preparation, jobs)
    if config.sweep.dry_run:
        by_number = {number: preparation.check(job) for number, job in enumerate(jobs)}
        show_dry_run(plan(by_number, config.sweep.max_stack_size), jobs, shared)
        return []
    sweep_dir = Path(config.hydra.sweep.dir)
    if config.sweep.resume:
        check_sweep_can_go_on(sweep_dir)
        refuse_links_out(sweep_dir)
        check_jobs_are_the_same(preparation.place(job, number) for number, job in enumerate(jobs))
    else:
        set_aside_earlier_sweep(sweep_dir)
        sweep_dir.mkdir(parents=True, exist_ok=True)
    write_atomically(sweep_dir / "multirun.yaml", OmegaConf.to_yaml(config).encode())
    if hasattr(launcher, "preparation"):  # ours, which then need not compose and check the jobs once more
        launcher.preparation = preparation
    returns: list[Sequence[JobReturn]] = []
    try:
        for batch in batches:
            returns.append(launcher.launch(batch, initial_job_idx=sum(map(len, returns))))
    except KeyboardInterrupt as error:
        number = error.signal_number if isinstance(error, Interrupted) else signal.SIGINT
        command = resume_command(sweep_dir, _arguments_to_repeat())
        raise Interrupted(number, f"interrupted, what was trained is saved; go on with: {command}") from error
    names = {facts.objective_name for job in jobs if (facts := preparation.check(job))}
    _report([job for batch_returns in returns for job in batch_returns], jobs, shared, names, sweep_dir)
    return returns


def _arguments_to_repeat() -> list[str]:
    """List the command's arguments if the sweep's folder cannot give the command back, see `is_plain_override`."""
    own = ("hydra.sweep.dir=", "sweep.resume=", "resume=")
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith(own)]
    plain = all(argument in ("-m", "--multirun") or is_plain_override(argument) for argument in arguments)
    return [] if plain else arguments


def _name_jobs_by_what_differs(config: DictConfig, jobs: Sequence[list[str]]) -> list[str]:
    """Keep the overrides that all jobs share out of the names of their folders, and return them."""
    shared = find_shared(jobs)
    keys = ",".join(f"'{override.partition('=')[0].lstrip('+~')}'" for override in shared)
    config.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{keys}]")
    return shared


def _check_jobs(preparation: Preparation, jobs: Sequence[list[str]]) -> None:
    """Compose and check every job; the first problem of each distinct kind is reported with the job that has it."""
    problems: dict[str, list[str]] = {}
    with quick_configs():
        for job in jobs:
            try:
                preparation.check(job)
            except ConfigError as error:
                problems.setdefault(str(error), job)
    if problems:
        raise ConfigError.from_problems([f"{message} (job {' '.join(job)})" for message, job in problems.items()])


def _report(
    returns: Sequence[JobReturn],
    jobs: Sequence[list[str]],
    shared: Sequence[str],
    objective_names: set[str],
    sweep_dir: Path,
) -> None:
    objectives, failures = {}, []
    for number, (result, job) in enumerate(zip(returns, jobs, strict=True)):
        if result.status == JobStatus.COMPLETED:
            objectives[number] = float(result.return_value)
        else:
            failures.append(f"  {label(number, job, shared)}: {_error_of(result)}")
    show_sweep(objectives, jobs, shared, objective_names, sweep_dir)
    if failures:
        rest = ", the others are complete" if objectives else ""
        message = f"{len(failures)} of {len(jobs)} jobs failed{rest}:"
        raise SweepError("\n".join([message, *failures]))


def _error_of(result: JobReturn) -> str:
    # Asking a failed job for its value raises its error, and prints a line of Hydra's that we have no use for.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _ = result.return_value
        except Exception as error:
            return describe(error)
    raise AssertionError("a failed job has an error")
