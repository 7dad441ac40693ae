"""What the terminal shows of a run: a live bar, or a line per epoch where there is no terminal, then a table."""

from pathlib import Path

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from fashion_softmax.data import Batches
from fashion_softmax.runs.console import (
    REFRESH_PER_S,
    LiveDisplay,
    PollingProgress,
    count,
    make_console,
    shorten,
    tensorboard_command,
)
from fashion_softmax.stacking.training import EpochReport


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
        table = Table("split", title=f"after {count(self.num_epochs, 'epoch')}", title_justify="left")
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
