"""What the terminal shows of a sweep while it trains: one live line, or an estimate where there is no terminal."""

import time
from collections.abc import Mapping, Sequence

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from fashion_softmax.data import Batches
from fashion_softmax.runs.console import REFRESH_PER_S, LiveDisplay, PollingProgress, count, make_console
from fashion_softmax.sweeps.plan import PlannedStack

ESTIMATE_AFTER_S = 3


class SweepDisplay(LiveDisplay):
    """Shows a batch of jobs while it trains; a context manager.

    Args:
        stacks: as planned.
        labels: each job in words, such as `job 7 (loss=mse seed=1)`.
    """

    def __init__(self, stacks: Sequence[PlannedStack], labels: Sequence[str]) -> None:
        self.console = make_console()
        self._labels = labels
        self._num_stacks = len(stacks)
        self._num_started = 0
        self._stack = stacks[0]
        self._batches: Batches | None = None
        self._done = 0.0  # epochs of all runs of earlier stacks
        self._best = -1.0
        self._start = time.perf_counter()
        self._is_estimated = self.console.is_terminal  # there the line itself shows the time left
        self._progress = PollingProgress(
            self._count_epochs,
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[best]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            refresh_per_second=REFRESH_PER_S,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._total = sum(map(_num_epochs, stacks))
        self._task = self._progress.add_task("starting", total=self._total, best="")

    def start_stack(self, stack: PlannedStack, batches: Batches) -> None:
        """Show that a stack begins.

        Args:
            stack: one of the planned.
            batches: asked at every redraw how many were drawn.
        """
        self._num_started += 1
        self._stack, self._batches = stack, batches
        self._describe(0)

    def show_epoch(self, epoch: int, objectives: Mapping[int, float]) -> None:
        """Show how far the stack is and which run is the best of all so far.

        Args:
            epoch: counted from 1, the one that ended.
            objectives: position of each run still training to its objective.
        """
        self._describe(epoch)
        position = max(objectives, key=lambda each: objectives[each])
        if objectives[position] > self._best:
            self._best = objectives[position]
            self._progress.update(self._task, best=f"best {100 * self._best:.2f} %, {self._labels[position]}")
        elapsed = time.perf_counter() - self._start
        if not self._is_estimated and elapsed > ESTIMATE_AFTER_S:
            self._is_estimated = True
            self.console.print(f"about {elapsed * (self._total / self._count_epochs() - 1):.0f} s to go")

    def end_stack(self) -> None:
        """Show that the stack has ended."""
        self._done += _num_epochs(self._stack)
        self._batches = None
        if not self.console.is_terminal and self._num_stacks > 1:
            self.console.print(f"stack {self._num_started} of {self._num_stacks} done")

    def _describe(self, epoch: int) -> None:
        text = f"stack {self._num_started}/{self._num_stacks}, {count(len(self._stack.jobs), 'run')}, epoch {epoch}"
        self._progress.update(self._task, description=text)

    def _count_epochs(self) -> float:
        batches = self._batches  # another thread may end the stack meanwhile
        return self._done + (len(self._stack.jobs) * batches.num_drawn / len(batches) if batches else 0)


def _num_epochs(stack: PlannedStack) -> int:
    return len(stack.jobs) * int(stack.facts.shared["trainer.num_epochs"]) if stack.facts else 0
