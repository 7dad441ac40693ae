"""A grid of runs: check every job, launch them, and list what became of each."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from fashion_softmax.console import shorten, tensorboard_command
from fashion_softmax.errors import ConfigError, FashionSoftmaxError, SweepError
from fashion_softmax.experiment import check

MAX_ROWS = 20  # of the table at the end; every job's result is in its folder


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
        The job results, batch by batch.

    Raises:
        ConfigError: a job cannot be run; no job was started, nothing created.
        SweepError: some jobs failed; all others were run.
    """
    jobs = [list(job) for batch in batches for job in batch]
    _check_jobs(config, jobs, loader)
    sweep_dir = Path(config.hydra.sweep.dir)
    sweep_dir.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, sweep_dir / "multirun.yaml")
    returns: list[Sequence[JobReturn]] = []
    for batch in batches:
        returns.append(launcher.launch(batch, initial_job_idx=sum(map(len, returns))))
    _report([job for batch_returns in returns for job in batch_returns], jobs, sweep_dir)
    return returns


def _check_jobs(config: DictConfig, jobs: Sequence[list[str]], loader: ConfigLoader) -> None:
    """Compose and check every job; the first problem of each distinct kind is reported with the job that has it."""
    problems: dict[str, list[str]] = {}
    for job in jobs:
        job_config = loader.load_sweep_config(config, job)
        try:
            check(OmegaConf.masked_copy(job_config, [str(key) for key in job_config if key != "hydra"]))
        except ConfigError as error:
            problems.setdefault(str(error), job)
    if problems:
        raise ConfigError.from_problems([f"{message} (job {' '.join(job)})" for message, job in problems.items()])


def _report(returns: Sequence[JobReturn], jobs: Sequence[list[str]], sweep_dir: Path) -> None:
    """Print the jobs' objectives, best first, then the failures with their reasons."""
    completed, failed = [], []
    for number, (result, job) in enumerate(zip(returns, jobs, strict=True)):
        label = " ".join(job)
        if result.status == JobStatus.COMPLETED:
            completed.append((result.return_value, number, label))
        else:
            failed.append((number, label, _error_of(result)))
    completed.sort(key=lambda row: (-row[0], row[1]))
    console = Console(highlight=False)
    table = Table("job", "overrides", title=f"{len(completed)} runs, best first", title_justify="left")
    table.add_column("objective", justify="right")
    for objective, number, label in completed[:MAX_ROWS]:
        table.add_row(str(number), label, f"{100 * objective:.2f} %")
    if completed:
        console.print(table)
    console.print(f"sweep folder  {shorten(sweep_dir)}", soft_wrap=True)
    console.print(f"TensorBoard   {tensorboard_command(sweep_dir)}", soft_wrap=True)
    if failed:
        reasons = "\n".join(f"  job {number} ({label}): {error}" for number, label, error in failed)
        raise SweepError(f"{len(failed)} of {len(jobs)} jobs failed, the others are complete:\n{reasons}")


def _error_of(result: JobReturn) -> str:
    # Asking a failed job for its value raises its error, and prints a line of Hydra's that we have no use for.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _ = result.return_value
        except FashionSoftmaxError as error:
            return str(error)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    raise AssertionError("a failed job has an error")
