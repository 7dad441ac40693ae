"""What the terminal shows of a sweep while it trains: one live line, or a few lines of text where there is no terminal.

Progress is read from the runs' folders, since the stacks may train in other processes and on other machines.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from fashion_softmax.dashboard.console import PollingProgress, count, make_console
from fashion_softmax.runs.folder import RunFolder, read_rows

ESTIMATE_AFTER_S = 3.0
LOOK_EVERY_S = 1.0


class SweepDisplay:
    """Shows how far a sweep is; a context manager.

    Args:
        stacks: the unfinished runs' folders as they are before, those that are trained as one together.
        labels: of each run by the name of its folder, such as `job 7 (loss=mse seed=1)`.
    """

    def __init__(self, stacks: Sequence[Sequence[RunFolder]], labels: Mapping[str, str]) -> None:
        self.console = make_console()
        self._stacks = stacks
        self._labels = labels
        self._epochs = [0] * len(stacks)  # finished ones of each stack
        self._best, self._best_label = -1.0, ""
        self._start, self._next_look = time.perf_counter(), 0.0
        self._is_estimated = False
        self._progress = PollingProgress(
            self._count_epochs,
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[best]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._total = sum(folder.num_epochs_wanted for stack in stacks for folder in stack)
        self._task = self._progress.add_task("starting", total=self._total, best="")
        self._first = self._count_epochs()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write_lines, daemon=True)

    def __enter__(self) -> Self:
        self._progress.start()
        if not self.console.is_terminal:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._progress.stop()

    def _count_epochs(self) -> float:
        """Look into the folders, at most once a second, and tell how many epochs of all runs are done."""
        if (now := time.perf_counter()) >= self._next_look:
            for index, stack in enumerate(self._stacks):
                epochs = len(read_rows(stack[0].path))
                if epochs != self._epochs[index]:
                    self._epochs[index] = epochs
                    self._look_at(index, stack)
            self._next_look = now + max(LOOK_EVERY_S, 50 * (time.perf_counter() - now))
        return sum(len(stack) * epochs for stack, epochs in zip(self._stacks, self._epochs, strict=True))

    def _look_at(self, index: int, stack: Sequence[RunFolder]) -> None:
        for folder in stack:
            row = (read_rows(folder.path) or [{}])[-1]
            objective = row.get("val/accuracy", row.get("test/accuracy"))
            if isinstance(objective, float) and objective > self._best:
                self._best, self._best_label = objective, self._labels[folder.path.name]
        text = f"stack {index + 1}/{len(self._stacks)}, {count(len(stack), 'run')}, epoch {self._epochs[index]}"
        best = f"best {100 * self._best:.2f} %, {self._best_label}" if self._best_label else ""
        self._progress.update(self._task, description=text, best=best)

    def _write_lines(self) -> None:
        """Write an estimate and each stack's end, where there is no terminal for a line that changes."""
        num_ended = 0
        while not self._ended.wait(LOOK_EVERY_S):
            done, elapsed = self._count_epochs(), time.perf_counter() - self._start
            if not self._is_estimated and elapsed > ESTIMATE_AFTER_S and done > self._first:
                self._is_estimated = True
                seconds = elapsed * (self._total - done) / (done - self._first)
                self.console.print(f"about {seconds:.0f} s to go")
            ended = sum(
                epochs >= stack[0].num_epochs_wanted for stack, epochs in zip(self._stacks, self._epochs, strict=True)
            )
            if num_ended < ended < len(self._stacks):
                num_ended = ended
                self.console.print(f"{ended} of {count(len(self._stacks), 'stack')} done")
