"""The terminal: a console that shows text as it is, live progress, and the commands that are printed for copying."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import Progress

from fashion_softmax.config.names import printable

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
    """Word the command that opens TensorBoard on a sweep or beside a run, with the interpreter that runs now.

    Without a port it takes the first free one from 6006 on; it asks nobody for a password, so that only this machine
    may reach it.

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
    script = Path(__file__).parents[2] / "scripts" / "compare_runs.py"
    return shlex.join(["python", shorten(script), shorten(folder)]) if script.exists() else None


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
    return printable(min(absolute, relative, key=len))


def count(number: int, noun: str) -> str:
    """Word a number of things, with an s unless it is one; `noun` may go on after a comma."""
    word, comma, rest = noun.partition(",")
    return f"{number} {word}{'' if number == 1 else 's'}{comma}{rest}"
