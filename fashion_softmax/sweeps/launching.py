"""Training a batch of a sweep's jobs in stacks, every job inside Hydra's own `run_job` from its start to its end."""

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.quick_configs import quick_configs
from fashion_softmax.config.reporting import job_errors
from fashion_softmax.config.resumable import fingerprint
from fashion_softmax.errors import CheckpointError, ConfigError, FashionSoftmaxError, Interrupted
from fashion_softmax.runs.experiment import train
from fashion_softmax.runs.progress import find_objective, find_progress
from fashion_softmax.runs.run import Run
from fashion_softmax.sweeps.display import SweepDisplay
from fashion_softmax.sweeps.plan import Facts, PlannedStack, plan
from fashion_softmax.sweeps.preparation import Preparation
from fashion_softmax.sweeps.tables import find_shared, label, show_plan

FRAMES_PER_JOB = 10  # of nesting; Python allows a thousand in all
Job = Sequence[str]


def launch(preparation: Preparation, jobs: Sequence[Job], first_number: int, context: HydraContext) -> list[JobReturn]:
    """Run a batch of jobs.

    Args:
        preparation: of the sweep.
        jobs: the overrides of each.
        first_number: of the first job of the batch in the sweep.
        context: Hydra's.

    Returns:
        The job results, in the order of the jobs.

    Raises:
        ConfigError: a dry run was asked for, which only the grid sweeper can do.
    """
    hydra, sweep = preparation.master.hydra, preparation.master.sweep
    if sweep.dry_run:
        raise ConfigError("sweep.dry_run=true needs hydra/sweeper=grid: other sweepers wait for results")
    setup_globals()
    configure_log(hydra.hydra_logging, hydra.verbose)
    Path(str(hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    facts = {position: _facts(preparation, job) for position, job in enumerate(jobs)}
    returns: dict[int, JobReturn] = {}
    if sweep.resume:
        returns, facts = find_earlier(preparation, jobs, first_number, facts)
        print(f"{len(returns)} of {len(jobs)} jobs were finished already")
    stacks = plan(facts, sweep.max_stack_size)
    if not stacks:
        return [returns[position] for position in range(len(jobs))]
    show_plan(stacks)
    shared = find_shared(jobs) if len(jobs) > 1 else []
    labels = [label(first_number + position, job, shared) for position, job in enumerate(jobs)]
    try:
        with SweepDisplay(stacks, labels) as display:
            for stack in stacks:
                with quick_configs():
                    _StackLaunch(preparation, stack, jobs, first_number, context, display, returns).run()
                configure_log(hydra.hydra_logging, hydra.verbose)
    except Interrupted as error:
        message = f"interrupted, what was trained is saved; each run goes on with resume={hydra.sweep.dir}/..."
        raise Interrupted(error.signal_number, message) from error
    return [returns[position] for position in range(len(jobs))]


def find_earlier(
    preparation: Preparation, jobs: Sequence[Job], first_number: int, facts: dict[int, Facts | None]
) -> tuple[dict[int, JobReturn], dict[int, Facts | None]]:
    """Find out how far the jobs of a sweep are that was interrupted.

    Returns:
        The results of those that have finished, and the facts of the others; only jobs that are equally far can be
        trained together.
    """
    finished: dict[int, JobReturn] = {}
    remaining: dict[int, Facts | None] = {}
    for position, job in enumerate(jobs):
        folder, cfg = preparation.place(job, first_number + position)
        known = facts[position]
        try:
            objective = find_objective(folder, cfg)
            saved = find_progress(folder, fingerprint(cfg)) if objective is None else None
        except CheckpointError:  # raised again when the job is started, and fails it
            remaining[position] = None
            continue
        if objective is not None:
            finished[position] = JobReturn(status=JobStatus.COMPLETED, overrides=list(job))
            finished[position].return_value = objective
        elif known is not None:
            steps = str(saved["step"]) if saved else "0"
            remaining[position] = dataclasses.replace(known, shared={**known.shared, "steps so far": steps})
        else:
            remaining[position] = None
    return finished, remaining


def _facts(preparation: Preparation, job: Job) -> Facts | None:
    try:
        return preparation.check(job)
    except FashionSoftmaxError:  # a search may ask for what cannot be run: that job fails, in its own folder
        return None


class _StackLaunch:
    """Nests the jobs of a stack: each is started by Hydra inside the one before, the innermost trains them all.

    In this way every job has its folder, its log and its callbacks before training, and its result after it.
    """

    def __init__(
        self,
        preparation: Preparation,
        stack: PlannedStack,
        jobs: Sequence[Job],
        first_number: int,
        context: HydraContext,
        display: SweepDisplay,
        returns: dict[int, JobReturn],
    ) -> None:
        self.preparation = preparation
        self.stack = stack
        self.jobs = jobs
        self.first_number = first_number
        self.context = context
        self.display = display
        self.returns = returns
        self.runs: dict[int, Run] = {}
        self.is_trained = False

    def run(self) -> None:
        """Run all jobs of the stack; their results are in `returns` afterwards."""
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + FRAMES_PER_JOB * len(self.stack.jobs))
        try:
            self._enter(0)
        finally:
            sys.setrecursionlimit(limit)

    def _enter(self, depth: int) -> None:
        if depth == len(self.stack.jobs):
            self._train()
            return
        position = self.stack.jobs[depth]
        try:
            self.returns[position] = run_job(
                task_function=lambda cfg: self._run_task(depth, cfg),
                config=self.preparation.compose(self.jobs[position], self.first_number + position),
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=self.context,
            )
        except (Exception, SystemExit) as error:  # Hydra could not make its folder, or a callback failed
            self.returns[position] = JobReturn(status=JobStatus.FAILED, overrides=list(self.jobs[position]))
            self.returns[position].return_value = error
            if not self.is_trained:
                self._enter(depth + 1)

    def _run_task(self, depth: int, cfg: DictConfig) -> float:
        position = self.stack.jobs[depth]
        hydra: Any = HydraConfig.get()
        failure: BaseException | None = None
        try:
            overrides = cast(list[str], OmegaConf.to_container(hydra.overrides.task, resolve=False))
            parts = self.preparation.take_parts(self.jobs[position])
            folder = Path(hydra.runtime.output_dir)
            self.runs[position] = Run(
                cfg, folder, overrides=overrides, parts=parts, resume=cfg.sweep.resume, in_sweep=True
            )
        except (Exception, SystemExit) as error:
            failure = error
        with self.runs.get(position, nullcontext()):
            self._enter(depth + 1)
        configure_log(hydra.job_logging, hydra.verbose)  # the jobs started after this one set it to theirs
        with job_errors(in_sweep=True):
            if failure:
                raise failure
            return self.runs[position].result()

    def _train(self) -> None:
        self.is_trained = True
        positions, runs = list(self.runs), list(self.runs.values())
        if not runs:
            return
        try:
            batches = runs[0].parts.make_batches()
            self.display.start_stack(self.stack, batches)
            for reports in train(runs, batches):
                epoch = next(iter(reports.values())).epoch
                self.display.show_epoch(epoch, {positions[index]: runs[index].objective for index in reports})
            self.display.end_stack()
        except (Exception, SystemExit) as error:
            # Every run of the stack has to know; those that ended keep their result.
            for run in runs:
                run.end(error, len(runs))
