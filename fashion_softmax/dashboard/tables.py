"""What the terminal shows of a sweep before and after it trains: the plan, the best runs."""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from fashion_softmax.dashboard.console import compare_command, count, make_console, shorten, tensorboard_command
from fashion_softmax.stacking import Facts

MAX_ROWS = 20  # every job's result is in its folder
MAX_VALUES = 6  # of a key, before the rest is counted
MAX_TENSORBOARD_RUNS = 500  # above, it shows none until they are filtered


def show_plan(stacks: Sequence[Sequence[int]], facts: Mapping[int, Facts]) -> None:
    """Say in a few lines what trains together and what keeps jobs apart.

    Args:
        stacks: numbers of the jobs that are trained as one.
        facts: of each job; none of those that will fail.
    """
    console = make_console()
    num_jobs = sum(map(len, stacks))
    together = [stack for stack in stacks if stack[0] in facts and not facts[stack[0]].alone]
    parts = []
    if together:
        sizes = sorted({len(stack) for stack in together})
        size = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
        parts.append(f"{count(len(together), 'stack')} of {size}, each trained as one")
    if len(stacks) > len(together):
        parts.append(f"{len(stacks) - len(together)} alone")
    console.print(f"{count(num_jobs, 'job')}: {', '.join(parts)}", soft_wrap=True)
    if differing := _find_differing([facts[stack[0]].shared for stack in together]):
        words = ", ".join(f"{name} ({_list(values)})" for name, values in differing.items())
        console.print(f"  kept apart by {words}", soft_wrap=True)
    for model, reason in sorted({(each.shared["model"], each.alone) for each in facts.values() if each.alone}):
        console.print(f"  alone: {model}, since {reason}", soft_wrap=True)


def show_dry_run(
    stacks: Sequence[Sequence[int]], facts: Mapping[int, Facts], jobs: Sequence[Sequence[str]], shared: Sequence[str]
) -> None:
    """Show the plan and every job's overrides, stack by stack.

    Args:
        stacks: see `show_plan`.
        facts: see `show_plan`.
        jobs: each job's overrides.
        shared: the overrides that all of them have.
    """
    show_plan(stacks, facts)
    table = Table()
    for name in ("stack", "job"):
        table.add_column(name, justify="right")
    table.add_column("overrides")
    for number, stack in enumerate(stacks, start=1):
        for job in sorted(stack):
            table.add_row(str(number), str(job), _what_differs(jobs[job], shared), end_section=job == max(stack))
    console = make_console()
    console.print(table)
    if shared and len(jobs) > 1:
        console.print(f"all with {' '.join(shared)}", soft_wrap=True)
    console.print("a dry run: nothing was trained, nothing created")


def show_sweep(
    objectives: Mapping[int, float],
    jobs: Sequence[Sequence[str]],
    shared: Sequence[str],
    objective_names: set[str],
    sweep_dir: Path,
) -> None:
    """Show the best runs of a sweep, averaged over seeds where they were swept, and where it lies.

    Args:
        objectives: number of every job that completed to its objective.
        jobs: each job's overrides.
        shared: the overrides that all of them have.
        objective_names: what the jobs are judged by.
        sweep_dir: the sweep's folder.
    """
    console = make_console()
    groups: dict[str, list[int]] = {}
    distinct = {tuple(sorted(jobs[number])): number for number in sorted(objectives, reverse=True)}
    for number in sorted(distinct.values()):
        words = _what_differs([each for each in jobs[number] if not each.startswith("seed=")], shared)
        groups.setdefault(words, []).append(number)
    means = {label: statistics.fmean(objectives[each] for each in numbers) for label, numbers in groups.items()}
    ranking = sorted(groups, key=lambda label: (-means[label], groups[label]))
    has_seeds = any(len(numbers) > 1 for numbers in groups.values())
    title = count(len(groups), "setting, mean ± deviation over seeds" if has_seeds else "run")
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
    if num_repeated := len(objectives) - len(distinct):
        console.print(f"{count(num_repeated, 'job')} not counted: the same as another one, seed included")
    if shared and len(jobs) > 1:
        settings = [override for override in shared if not override.startswith("sweep.")]
        console.print(f"all with {' '.join(settings)}", soft_wrap=True) if settings else None
    if len(ranking) > 1 and objective_names == {"test/accuracy"}:
        console.print(
            "ranked on the test images; to choose between runs, hold some out: dataset.val_size=10000", soft_wrap=True
        )
    console.print(f"sweep folder  {shorten(sweep_dir)}", soft_wrap=True)
    if command := compare_command(sweep_dir):
        console.print(f"compare       {command}", soft_wrap=True)
    console.print(f"TensorBoard   {tensorboard_command(sweep_dir)}", soft_wrap=True)
    if len(jobs) > MAX_TENSORBOARD_RUNS:
        best = "|".join(f"{number:03d}_" for label in ranking[:MAX_VALUES] for number in groups[label])
        console.print(f"              (of more than {MAX_TENSORBOARD_RUNS} runs it shows none until you filter them,")
        console.print(f"              such as the best by ^({best}))", soft_wrap=True)


def find_shared(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Find the overrides that all jobs have, in the order of the first."""
    common = set(jobs[0]).intersection(*jobs[1:])
    return [override for override in jobs[0] if override in common]


def label(number: int, job: Sequence[str], shared: Collection[str]) -> str:
    """Name a job in messages, such as `job 7 (loss=mse seed=1)`.

    Args:
        number: of the job in the sweep.
        job: its overrides.
        shared: the overrides that all jobs have, left out.
    """
    return f"job {number} ({_what_differs(job, shared)})"


def _find_differing(facts: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """List the values found for every fact that has several."""
    names = dict.fromkeys(name for shared in facts for name in shared)
    values = {name: list(dict.fromkeys(shared.get(name, "-") for shared in facts)) for name in names}
    return {name: found for name, found in values.items() if len(found) > 1}


def _what_differs(job: Sequence[str], shared: Collection[str]) -> str:
    return " ".join(each for each in job if each not in shared)


def _list(values: Iterable[str]) -> str:
    values = list(values)
    rest = f" and {len(values) - MAX_VALUES} more" if len(values) > MAX_VALUES else ""
    return ", ".join(values[:MAX_VALUES]) + rest
