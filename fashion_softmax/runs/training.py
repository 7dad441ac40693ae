"""Training the runs of folders: the one way for a single run, the jobs of a sweep, and whatever is resumed.

What becomes of each run is written into its folder. Runs that fit together are trained as one stack. A stack is saved
as one step, so that after a kill all its runs stand at the end of the same epoch.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from fashion_softmax.dashboard.console import RunDisplay
from fashion_softmax.data import Batches
from fashion_softmax.files import write_together
from fashion_softmax.learning.models import seed_torch
from fashion_softmax.runs.interruption import remember_signals
from fashion_softmax.runs.lock import claim
from fashion_softmax.runs.recorder import Recorder, log_all, log_into
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.run import Run
from fashion_softmax.stacking import Stack, plan
from fashion_softmax.stacking.training import EpochReport, fit, predict

IN_FLIGHT = ("running", "killed", "interrupted")  # states of runs that were being trained when their process ended

Failures = dict[Path, BaseException]


def train_folders(folders: Sequence[Path], *, is_shown: bool = False, fails_fast: bool = False) -> Failures:
    """Train the runs in folders to their ends, each from where it stands.

    Args:
        folders: of the runs, in the order of their stack. Runs that have ended keep their places in it, so that the
            others compute the same, bit for bit, as if they had not.
        is_shown: whether the terminal shows progress and result, of a single run.
        fails_fast: whether all stop after the epoch in which the first has failed.

    Returns:
        The runs that did not get to their ends, each with the reason, which its folder says as well.

    Raises:
        Interrupted: by a signal; every run is saved as it was at the end of its last epoch.
    """
    allow_open_files()
    failures: Failures = {}
    runs: dict[Path, Run] = {}
    with contextlib.ExitStack() as held:
        for path in folders:
            try:
                held.enter_context(claim(path))
            except Exception as error:  # somebody else writes there, or nobody may
                failures[path] = error
                continue
            folder = read_folder(path)
            if not folder.is_finished and (folder.state != "discarded" or len(folders) == 1):
                try:
                    runs[path] = Run(folder)
                except (Exception, SystemExit) as error:
                    failures[path] = error
                    if folder.state != "completed":  # what was trained before stays complete
                        Recorder(path, folder.status.get("fingerprint")).fail(error)
        if len(folders) == 1:
            held.enter_context(log_all(folders[0]))
        _catch_up(list(runs.values()))
        for stack in plan({path: run.facts_now for path, run in runs.items()}, len(folders)):
            facts = runs[stack[0]].parts.facts
            company = stack if facts.alone else folders
            built = [run for path in company if (run := runs.get(path) or _keep_place(path))]
            places = [run for run in built if run.parts.facts.shared == facts.shared]
            trained = set(stack)
            absent = {run.path for run in places if run.path not in trained}
            _StackTraining(places, absent, len(company), failures, is_shown, fails_fast).run()
    return failures


def allow_open_files() -> None:
    """Raise this process's own limit of open files, 256 on macOS: a run has three, its lock, metrics and events."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 10_240)), hard))  # macOS allows no more


def _keep_place(path: Path) -> Run | None:
    """Build a run that is not trained now, for its place in the stack; None if it left, or building fails."""
    try:
        folder = read_folder(path)
        return None if folder.state == "discarded" else Run(folder, is_trained=False)
    except (Exception, SystemExit):
        return None


def _catch_up(runs: Sequence[Run]) -> None:
    """Bring runs that were trained together to one epoch, if a kill came while their checkpoints got their names."""
    in_flight = [run for run in runs if run.folder.state in IN_FLIGHT]
    for run in in_flight:
        epoch = max(other.epoch for other in in_flight if other.parts.facts.shared == run.parts.facts.shared)
        if run.epoch < epoch:
            run.catch_up(epoch)


@dataclasses.dataclass(eq=False)
class _StackTraining:
    """Trains runs as one; afterwards each has ended, with its result or its error.

    Args:
        places: all runs of the stack; data sets, devices, seeds and epochs, wanted and so far, of those to train agree.
        absent: those that only keep their places.
        size: runs that the stack had at first.
        failures: gets those that fail.
        is_shown, fails_fast: see `train_folders`.
    """

    places: Sequence[Run]
    absent: Collection[Path]
    size: int
    failures: Failures
    is_shown: bool
    fails_fast: bool

    def __post_init__(self) -> None:
        left = [index for index, run in enumerate(self.places) if run.path in self.absent]
        self.stack = Stack([run.parts.member for run in self.places], left)

    def run(self) -> None:
        """Train.

        Raises:
            Interrupted: by a signal.
        """
        # What a model draws while it trains (dropout) depends on its seed, not on what was built before.
        seed_torch(self.places[0].parts.seed, self.places[0].parts.device)
        for index in self.stack.active:
            self.stack.attempt(index, partial(self.places[index].begin, in_sweep=not self.is_shown))
        self._end_failed()
        if not self.stack.active:
            return
        self._discard()  # a kill may have come before this
        first = self.places[self.stack.active[0]]
        batches = first.parts.make_batches()
        batches.num_drawn = first.epoch * len(batches)
        display = RunDisplay(first.title, first.epoch, first.num_epochs, batches, is_shown=self.is_shown)
        with remember_signals() as raise_if_interrupted, display.progress:
            try:
                self._train(batches, display, raise_if_interrupted)
            except KeyboardInterrupt as error:
                self.stack.errors |= dict.fromkeys(self.stack.active, error)
                raise
            finally:
                self._end_failed()
            if not self.is_shown:  # more stacks may follow
                raise_if_interrupted()
        if self.is_shown and self.stack.active:
            display.show_result(first.progress.metrics, first.path, first.progress.seconds, first.advice)
            log_into(first.path, f"{first.parts.objective_name} {first.objective:.4f}")

    def _train(self, batches: Batches, display: RunDisplay, raise_if_interrupted: Callable[[], None]) -> None:
        """Train and record all epochs, and complete the runs that got there."""
        first = self.places[self.stack.active[0]]
        splits, num_epochs = first.parts.evaluation_splits(), first.num_epochs
        try:
            while self.stack.active and (first := self.places[self.stack.active[0]]).epoch < num_epochs:
                options = {"num_epochs": num_epochs, "first_epoch": first.epoch + 1}
                for reports in fit(self.stack, batches, splits, **options, after_step=raise_if_interrupted):
                    self._record(reports)
                    display.show(first.epoch, first.progress.metrics)
                    raise_if_interrupted()
                    if self.failures and self.fails_fast:
                        stop = KeyboardInterrupt("another run has failed, and sweep.fail_fast=true")
                        self.stack.errors |= dict.fromkeys(self.stack.active, stop)
                        return
                    if self._discard():  # the rest trains on, as a smaller stack
                        break
            if self.stack.active:
                predictions = predict(self.stack, first.parts.dataset.test.to(first.parts.device), first.parts.dtype)
                for index in self.stack.active:
                    self.stack.attempt(index, self.places[index].finish, predictions[index], len(self.places))
        except (Exception, SystemExit) as error:  # of what all share, such as memory or the data's workers
            raise_if_interrupted()  # Ctrl-C reaches the workers, too
            self.stack.errors |= dict.fromkeys(self.stack.active, error)

    def _record(self, reports: Mapping[int, EpochReport]) -> None:
        """Record an epoch of all runs, then save their checkpoints as one step."""
        attempt = self.stack.attempt
        contents = {index: attempt(index, self.places[index].record, report) for index, report in reports.items()}
        unwritten = write_together({path: part for files in contents.values() if files for path, part in files.items()})
        for index, files in contents.items():
            for error in (unwritten[path] for path in files or () if path in unwritten):
                self.stack.errors[index] = error
        for index in self.stack.active:
            attempt(index, self.places[index].keep_best)
        self._end_failed()

    def _discard(self) -> bool:
        """Let the worst runs leave the stack, if it is time; tells whether it is smaller now."""
        active = self.stack.active
        if not active or len(active) <= (num_kept := self.places[active[0]].count_kept(self.size)):
            return False
        ranked = sorted(active, key=lambda index: -self.places[index].discard_value)
        last = f"the last one of the {num_kept} kept has {100 * self.places[ranked[num_kept - 1]].discard_value:.2f} %"
        for index in (left := ranked[num_kept:]):
            self.stack.attempt(index, self.places[index].discard, last)
        self._end_failed()
        self.stack = self.stack.without(left)
        self.places = [run for index, run in enumerate(self.places) if index not in left]
        return True

    def _end_failed(self) -> None:
        """Record the errors of those that left the stack since the last call."""
        for index, error in self.stack.errors.items():
            run = self.places[index]
            if run.path not in self.absent and run.path not in self.failures:
                self.failures[run.path] = error
                run.recorder.fail(error)
