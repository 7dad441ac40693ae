"""What the terminal shows of a run: a live bar, or a line per epoch where there is no terminal, then a table."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fashion_softmax.data import Batches
from fashion_softmax.training import EpochReport

REFRESH_PER_S = 5  # each redraw takes a few milliseconds from the training


class LiveDisplay:
    """Shows progress while something trains; a context manager. A subclass makes the progress bar."""

    _progress: Progress

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()


class RunDisplay(LiveDisplay):
    """Shows a run while it trains; a context manager.

    Args:
        title: what is trained, in a few words.
        num_epochs: of the run.
        batches: the training batches; asked at every redraw how many were drawn, so that the loop need not report.
        brief: a run among many: the bar disappears afterwards and no table follows.
    """

    def __init__(self, title: str, num_epochs: int, batches: Batches, *, brief: bool) -> None:
        self.console = make_console()
        self.num_epochs = num_epochs
        self.brief = brief
        self._progress = PollingProgress(
            lambda: batches.num_drawn,
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[summary]}", markup=False),
            console=self.console,
            refresh_per_second=REFRESH_PER_S,
            transient=brief,
            disable=not self.console.is_terminal,
        )
        self._task = self._progress.add_task(f"epoch 0/{num_epochs}", total=num_epochs * len(batches), summary="")
        if not brief:
            self.console.print(title)

    def show_epoch(self, report: EpochReport) -> None:
        """Show an epoch's loss and accuracies."""
        summary = f"loss {report.metrics['train/loss']:.4f}"
        for split in ("val", "test"):
            if f"{split}/accuracy" in report.metrics:
                summary += f", {split} accuracy {100 * report.metrics[f'{split}/accuracy']:.2f} %"
        self._progress.update(self._task, description=f"epoch {report.epoch}/{self.num_epochs}", summary=summary)
        if not self.console.is_terminal and not self.brief:
            self.console.print(f"epoch {report.epoch:>3}/{self.num_epochs}  {summary}")

    def show_result(self, metrics: dict[str, float], run_dir: Path, seconds: dict[str, float]) -> None:
        """Show the final measures, where the run lies, and how to look at its curves."""
        if self.brief:
            return
        table = Table("split", title=f"after {self.num_epochs} epochs", title_justify="left")
        for column in ("loss", "accuracy", "cross-entropy"):
            table.add_column(column, justify="right")
        for split in ("train", "val", "test"):
            if f"{split}/loss" in metrics:
                loss, accuracy, cross_entropy = (
                    metrics[f"{split}/{name}"] for name in ("loss", "accuracy", "cross_entropy")
                )
                table.add_row(split, f"{loss:.4f}", f"{100 * accuracy:.2f} %", f"{cross_entropy:.4f}")
        self.console.print(table)
        # soft_wrap: a path or a command is one line, however long, so that it can be copied.
        self.console.print(
            f"took         {seconds['total']:.1f} s, {seconds['training']:.1f} s of it training", soft_wrap=True
        )
        self.console.print(f"run folder   {shorten(run_dir)}", soft_wrap=True)
        self.console.print(f"TensorBoard  {tensorboard_command(run_dir)}", soft_wrap=True)


def make_console() -> Console:
    """Make a console that shows text as it is: brackets in a user's path or value are no markup."""
    return _PatientConsole(highlight=False, markup=False, emoji=False)


class _PatientConsole(Console):
    """A console that falls silent when nobody reads it any more (`python train.py | head`): the training goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the exit flushes what is left into it


class PollingProgress(Progress):
    """A progress bar that asks how far its task is, whenever it is drawn.

    Args:
        count_steps: tells how much of the task's total is done; called from another thread.
        *columns: of `rich.progress.Progress`.
        **options: likewise.
    """

    def __init__(self, count_steps: Callable[[], float], *columns: Any, **options: Any) -> None:
        self._count_steps = count_steps
        super().__init__(*columns, **options)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Ask, then draw."""
        for task in self.tasks:
            task.completed = self._count_steps()
        yield from super().get_renderables()


def tensorboard_command(folder: Path) -> str:
    """Word the command that opens TensorBoard on a folder, with the interpreter that runs now."""
    command = [shorten(Path(sys.executable)), "-m", "tensorboard.main", "--logdir", shorten(folder)]
    return shlex.join(command)


def resume_command(folder: Path, arguments: Iterable[str] = ()) -> str:
    """Word the command that goes on with an interrupted run or sweep.

    Args:
        folder: of the run or sweep.
        arguments: that have to be given once more.
    """
    program = ["python", sys.argv[0]] if sys.argv[0].endswith(".py") else [Path(sys.argv[0]).name]
    return shlex.join([*program, *arguments, f"resume={shorten(folder)}"])


def shorten(path: str | Path) -> str:
    """Name a path relative to the working folder where that is shorter."""
    absolute, relative = str(Path(path).absolute()), os.path.relpath(path)
    return min(absolute, relative, key=len)
