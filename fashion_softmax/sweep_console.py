"""What the terminal shows of a sweep: the plan, one live line while it trains, the best runs at the end."""

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from fashion_softmax.console import REFRESH_PER_S, PollingProgress, make_console, shorten, tensorboard_command
from fashion_softmax.data import Batches
from fashion_softmax.planning import PlannedStack, what_differs

MAX_ROWS = 20  # every job's result is in its folder
MAX_VALUES = 6  # of a key, before the rest is counted
ESTIMATE_AFTER_S = 3
MAX_TENSORBOARD_RUNS = 500  # above, it shows none until they are filtered


def show_plan(stacks: Sequence[PlannedStack]) -> None:
    """Say in a few lines what trains together and what keeps jobs apart.

    Args:
        stacks: as planned.
    """
    console = make_console()
    num_jobs = sum(len(stack.jobs) for stack in stacks)
    together = [stack for stack in stacks if stack.facts and not stack.facts.alone]
    parts = []
    if together:
        sizes = sorted({len(stack.jobs) for stack in together})
        size = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
        parts.append(f"{_count(len(together), 'stack')} of {size}, each trained as one")
    if len(stacks) > len(together):
        parts.append(f"{len(stacks) - len(together)} alone")
    console.print(f"{_count(num_jobs, 'job')}: {', '.join(parts)}", soft_wrap=True)
    if differing := what_differs(together):
        words = ", ".join(f"{name} ({_list(values)})" for name, values in differing.items())
        console.print(f"  kept apart by {words}", soft_wrap=True)
    reasons = {
        (stack.facts.shared["model"], stack.facts.alone) for stack in stacks if stack.facts and stack.facts.alone
    }
    for model, reason in sorted(reasons, key=str):
        console.print(f"  alone: {model}, since {reason}", soft_wrap=True)


def show_dry_run(stacks: Sequence[PlannedStack], jobs: Sequence[Sequence[str]]) -> None:
    """Show the plan and every job's overrides, stack by stack.

    Args:
        stacks: as planned.
        jobs: each job's overrides.
    """
    show_plan(stacks)
    table = Table()
    for name in ("stack", "job"):
        table.add_column(name, justify="right")
    table.add_column("overrides")
    for number, stack in enumerate(stacks, start=1):
        for job in sorted(stack.jobs):
            table.add_row(str(number), str(job), " ".join(jobs[job]), end_section=job == max(stack.jobs))
    console = make_console()
    console.print(table)
    console.print("a dry run: nothing was trained, nothing created")


class SweepDisplay:
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

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

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
        text = f"stack {self._num_started}/{self._num_stacks}, {_count(len(self._stack.jobs), 'run')}, epoch {epoch}"
        self._progress.update(self._task, description=text)

    def _count_epochs(self) -> float:
        batches = self._batches  # another thread may end the stack meanwhile
        return self._done + (len(self._stack.jobs) * batches.num_drawn / len(batches) if batches else 0)


def show_sweep(
    objectives: Mapping[int, float], jobs: Sequence[Sequence[str]], objective_names: set[str], sweep_dir: Path
) -> None:
    """Show the best runs of a sweep, averaged over seeds where they were swept, and where it lies.

    Args:
        objectives: number of every job that completed to its objective.
        jobs: each job's overrides.
        objective_names: what the jobs are judged by.
        sweep_dir: the sweep's folder.
    """
    console = make_console()
    shared = [each for each in jobs[0] if len(jobs) > 1 and all(each in job for job in jobs)]
    groups: dict[str, list[int]] = {}
    for number in objectives:
        words = [each for each in jobs[number] if each not in shared and not each.startswith("seed=")]
        groups.setdefault(" ".join(words), []).append(number)
    means = {label: statistics.fmean(objectives[each] for each in numbers) for label, numbers in groups.items()}
    ranking = sorted(groups, key=lambda label: (-means[label], groups[label]))
    has_seeds = any(len(numbers) > 1 for numbers in groups.values())
    title = _count(len(groups), "setting, mean ± deviation over seeds" if has_seeds else "run")
    if len(ranking) > 1:
        title += ", best first" + (f", the first {MAX_ROWS}" if len(ranking) > MAX_ROWS else "")
    table = Table(title=title, title_justify="left")
    table.add_column("jobs" if has_seeds else "job", justify="right")
    table.add_column("overrides")
    name = next(iter(objective_names)).replace("/", " ") if len(objective_names) == 1 else "objective"
    table.add_column(name, justify="right", no_wrap=True)
    for label in ranking[:MAX_ROWS]:
        numbers = groups[label]
        spread = f" ± {100 * statistics.stdev(objectives[each] for each in numbers):.2f}" if len(numbers) > 1 else ""
        table.add_row(_list(map(str, numbers)), label, f"{100 * means[label]:.2f}{spread} %")
    if ranking:
        console.print(table)
    if shared:
        console.print(f"all with {' '.join(shared)}", soft_wrap=True)
    if len(ranking) > 1 and objective_names == {"test/accuracy"}:
        console.print("ranked on the test images; to choose between runs, hold some out: dataset.val_size=10000")
    console.print(f"sweep folder  {shorten(sweep_dir)}", soft_wrap=True)
    console.print(f"TensorBoard   {tensorboard_command(sweep_dir)}", soft_wrap=True)
    if len(jobs) > MAX_TENSORBOARD_RUNS:
        console.print(f"              (shows no curves of more than {MAX_TENSORBOARD_RUNS} runs until you filter them)")


def _num_epochs(stack: PlannedStack) -> int:
    return len(stack.jobs) * int(stack.facts.shared["trainer.num_epochs"]) if stack.facts else 0


def _count(number: int, noun: str) -> str:
    word, comma, rest = noun.partition(",")
    return f"{number} {word}{'' if number == 1 else 's'}{comma}{rest}"


def _list(values: Iterable[str]) -> str:
    values = list(values)
    rest = f" and {len(values) - MAX_VALUES} more" if len(values) > MAX_VALUES else ""
    return ", ".join(values[:MAX_VALUES]) + rest
