"""The terminal: a console that shows text as it is, the commands that are printed for copying, a run's progress."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from fashion_softmax.config.settings import printable
from fashion_softmax.files import START_DIR

ROOT = Path(__file__).parents[2]  # of a checkout

if TYPE_CHECKING:  # training imports torch, which looking at runs does not need
    from fashion_softmax.data import Batches

REFRESH_PER_S = 5  # each redraw takes a few milliseconds from the training


def make_console() -> Console:
    """Make a console that shows text as it is: brackets in a user's path or value are no markup."""
    return _PatientConsole(highlight=False, markup=False, emoji=False)


class _PatientConsole(Console):
    """A console that falls silent when nobody reads it any more (`python train.py | head`): the training continues."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the exit flushes what is left into it


class PollingProgress(Progress):
    """A progress bar that asks how far its task is, whenever it is drawn; in a terminal or a notebook with ipywidgets.

    Args:
        console: to draw on.
        count_steps: tells how much of the task's total is done; called from another thread.
        *columns: of `rich.progress.Progress`, after the bar and the time that is left.
        **options: likewise.
    """

    def __init__(self, console: Console, count_steps: Callable[[], float], *columns: Any, **options: Any) -> None:
        self._count_steps = count_steps
        can_redraw = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
        options |= {"refresh_per_second": REFRESH_PER_S, "disable": console.quiet or not can_redraw}
        width = 24 if console.width > 100 else 12
        bar = BarColumn(width, table_column=Column(min_width=width))  # or a long text would take its place
        left = TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=Column(min_width=5))
        super().__init__(bar, left, *columns, console=console, speed_estimate_period=600, **options)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Ask, then draw."""
        for task in self.tasks:
            self.update(task.id, completed=self._count_steps())
        yield from super().get_renderables()


class RunDisplay:
    """Shows a run while it trains, a live bar or, where there is no terminal, a line per epoch.

    Args:
        title: what is trained, in a few words.
        epoch: finished epochs.
        num_epochs: of the run.
        batches: the training batches; asked at every redraw how many were drawn, so that the loop need not report.
        is_shown: whether anything is shown at all.

    Attributes:
        progress: the bar; a context manager.
    """

    def __init__(self, title: str, epoch: int, num_epochs: int, batches: "Batches", *, is_shown: bool) -> None:
        self.console = make_console()
        self.console.quiet = not is_shown
        self.progress = PollingProgress(
            self.console,
            lambda: batches.num_drawn,
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[summary]}", markup=False),
        )
        self._epoch, self._num_epochs = epoch, num_epochs
        total = num_epochs * len(batches)
        self._task = self.progress.add_task(f"epoch {epoch}/{num_epochs}", total=total, summary="")
        self.console.print(title)

    def show(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Show the loss and the accuracies of an epoch, once."""
        if epoch == self._epoch:
            return
        self._epoch = epoch
        summary = f"loss {word_number(metrics['train/loss'])}"
        for split in ("val", "test"):
            if f"{split}/accuracy" in metrics:
                summary += f", {split} accuracy {100 * metrics[f'{split}/accuracy']:.2f} %"
        self.progress.update(self._task, description=f"epoch {epoch}/{self._num_epochs}", summary=summary)
        if not self.console.is_terminal:
            self.console.print(f"epoch {epoch:>3}/{self._num_epochs}  {summary}")

    def show_result(
        self, metrics: Mapping[str, float], run_dir: Path, seconds: Mapping[str, float], advice: str | None
    ) -> None:
        """Show the final measures, where the run lies, how to look at its curves, and what to try if it failed."""
        table = Table("split", title=f"after {count(self._num_epochs, 'epoch')}", title_justify="left")
        for column in ("loss", "accuracy", "cross-entropy"):
            table.add_column(column, justify="right")
        for split in ("train", "val", "test"):
            if f"{split}/loss" in metrics:
                loss, accuracy, cross_entropy = (
                    metrics[f"{split}/{name}"] for name in ("loss", "accuracy", "cross_entropy")
                )
                numbers = word_number(loss), f"{100 * accuracy:.2f} %", word_number(cross_entropy)
                table.add_row(split, *numbers)
        self.console.print(table)
        # soft_wrap: a path or a command is one line, however long, so that it can be copied.
        self.console.print(
            f"took         {seconds['total']:.1f} s, {seconds['training']:.1f} s of it training", soft_wrap=True
        )
        self.console.print(f"run folder   {shorten(run_dir)}", soft_wrap=True)
        self.console.print(f"TensorBoard  {tensorboard_command(run_dir)}", soft_wrap=True)
        if advice:
            self.console.print(advice)


def tensorboard_command(folder: Path) -> str:
    """Word the command that opens TensorBoard on a sweep or beside a run, with the interpreter that runs now.

    It takes the first free port from 6006 on. It has no password, so that only this machine may reach it.

    Args:
        folder: of a sweep, or of a single run: below `outputs` all runs are shown, since alone a run has no name there.
    """
    if folder.parent.name == "runs" and folder.parent.parent.name == "outputs":
        folder = folder.parent.parent
    command = [shorten(Path(sys.executable)), "-m", "tensorboard.main"]
    command += ["--logdir", shorten(folder), "--host", "127.0.0.1"]
    return shlex.join(command)


def compare_command(folder: Path) -> str | None:
    """Word the command that compares the runs in a folder; None where only the package is installed."""
    script = ROOT / "scripts" / "compare_runs.py"
    return shlex.join(["python", shorten(script), shorten(folder)]) if script.exists() else None


def resume_command(folder: Path) -> str:
    """Word the command that resumes a run or a sweep."""
    script = ROOT / "train.py"
    program = ["python", shorten(script)] if script.exists() else ["fashion-softmax"]
    return shlex.join([*program, f"resume={shorten(folder)}"])


def shorten(path: str | Path) -> str:
    """Name a path relative to the folder that the user stands in, where that is shorter."""
    absolute = str(Path(path).absolute())
    return printable(min(absolute, os.path.relpath(absolute, START_DIR), key=len))


def count(number: int, noun: str) -> str:
    """Word a number of things, with an s unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def word_number(value: float) -> str:
    """Word a loss: four decimals, or a few digits of a huge one."""
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3g}"


def cut(text: str, num_letters: int) -> str:
    """Shorten a text to one line of so many letters; Asian characters count twice."""
    line = Text(" ".join(text[:200].split()))
    line.truncate(num_letters, overflow="ellipsis")
    return line.plain
