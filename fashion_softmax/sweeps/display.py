"""What the terminal shows of a sweep: the plan, one live line while it trains, the best runs.

Progress is read from the runs' folders, since the stacks may train in other processes and on other machines.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.progress import TextColumn
from rich.table import Column

from fashion_softmax.dashboard.console import (
    PollingProgress,
    compare_command,
    count,
    cut,
    make_console,
    shorten,
    tensorboard_command,
)
from fashion_softmax.runs.records import RunFolder, read_rows
from fashion_softmax.stacking import Facts
from fashion_softmax.viewing.leaderboard import show_leaderboard
from fashion_softmax.viewing.ranking import compare

LOOK_EVERY_S = 1.0
LINE_WITHOUT_TEXTS = 28  # letters: a bar, the time that is left, a percentage
MAX_ROWS = 20  # of the ranking
MAX_VALUES = 6  # of what keeps jobs apart, before the rest is counted
MAX_TENSORBOARD_RUNS = 500  # above, it shows none until they are filtered


class SweepDisplay:
    """Shows how far a sweep is.

    Args:
        stacks: the unfinished runs' folders as they are before, those that are trained as one together.

    Attributes:
        progress: the line; a context manager.
    """

    def __init__(self, stacks: Sequence[Sequence[RunFolder]]) -> None:
        self._stacks = stacks
        self._epochs = [0] * len(stacks)  # finished ones of each stack
        self._best = -1.0
        self._next_look = 0.0
        self.progress = PollingProgress(
            make_console(),
            self._count_epochs,
            TextColumn("{task.percentage:>3.0f} %", table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[best]}", markup=False),
            transient=True,
        )
        total = sum(folder.num_epochs_wanted for stack in stacks for folder in stack)
        self._task = self.progress.add_task("starting", total=total, best="")

    def _count_epochs(self) -> float:
        """Look into the folders, at most once a second, and tell how many epochs of all runs are done."""
        if (now := time.perf_counter()) >= self._next_look:
            for index, stack in enumerate(self._stacks):
                epochs = max(len(read_rows(folder.path)) for folder in stack)
                if epochs != self._epochs[index]:
                    self._epochs[index] = epochs
                    self._look_at(index, stack)
            self._next_look = now + max(LOOK_EVERY_S, 50 * (time.perf_counter() - now))
        return sum(len(stack) * epochs for stack, epochs in zip(self._stacks, self._epochs, strict=True))

    def _look_at(self, index: int, stack: Sequence[RunFolder]) -> None:
        text = f"stack {index + 1}/{len(self._stacks)}, epoch {self._epochs[index]}/{stack[0].num_epochs_wanted}"
        self.progress.update(self._task, description=text)
        for folder in stack:
            row = (read_rows(folder.path) or [{}])[-1]
            objective = row.get("val/accuracy", row.get("test/accuracy"))
            if isinstance(objective, float) and objective > self._best:
                self._best = objective
                room = self.progress.console.width - len(text) - LINE_WITHOUT_TEXTS
                self.progress.update(self._task, best=cut(f"best {100 * objective:.2f} %, {folder.path.name}", room))


def show_plan(stacks: Sequence[Sequence[int]], facts: Mapping[int, Facts]) -> None:
    """Say in a few lines what trains together and what keeps jobs apart.

    Args:
        stacks: numbers of the jobs that are trained as one.
        facts: of each job; none of those that will fail.
    """
    console = make_console()
    together = [stack for stack in stacks if stack[0] in facts and not facts[stack[0]].alone]
    parts = []
    if together:
        sizes = sorted({len(stack) for stack in together})
        size = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
        parts.append(f"{count(len(together), 'stack')} of {size}, each trained as one")
    if len(stacks) > len(together):
        parts.append(f"{len(stacks) - len(together)} alone")
    console.print(f"{count(sum(map(len, stacks)), 'job')}: {', '.join(parts)}")
    all_shared = [facts[stack[0]].shared for stack in together]
    differing = []
    for name in dict.fromkeys(name for shared in all_shared for name in shared):
        values = list(dict.fromkeys(shared.get(name, "-") for shared in all_shared))
        rest = f" and {len(values) - MAX_VALUES} more" if len(values) > MAX_VALUES else ""
        differing += [f"{name} ({', '.join(values[:MAX_VALUES])}{rest})"] if len(values) > 1 else []
    if differing:
        console.print(f"  kept apart by {', '.join(differing)}")
    for model, reason in sorted({(each.shared["model"], each.alone) for each in facts.values() if each.alone}):
        console.print(f"  alone: {model}, since {reason}")


def show_result(sweep_dir: Path, completed: Sequence[RunFolder]) -> None:
    """Show the best runs of a sweep, averaged over seeds where they were swept, and where it lies.

    Args:
        sweep_dir: its folder.
        completed: its runs that were trained to their ends.
    """
    console = make_console()
    if completed:
        show_leaderboard(console, compare(completed, is_tested=False), MAX_ROWS)
    # soft_wrap: a path or a command is one line, however long, so that it can be copied.
    console.print(f"sweep folder  {shorten(sweep_dir)}", soft_wrap=True)
    if command := compare_command(sweep_dir):
        console.print(f"compare       {command}", soft_wrap=True)
    console.print(f"TensorBoard   {tensorboard_command(sweep_dir)}", soft_wrap=True)
    if len(completed) > MAX_TENSORBOARD_RUNS:
        console.print(f"              (of more than {MAX_TENSORBOARD_RUNS} runs it shows none until you filter them)")
