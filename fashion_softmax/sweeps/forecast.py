"""What a sweep will take, and which of its jobs do the same: a dry run trains a few steps of each kind of stack."""

import contextlib
import dataclasses
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from rich.table import Table

from fashion_softmax.config.building import Parts, build_parts
from fashion_softmax.config.schema import resolve
from fashion_softmax.config.settings import fingerprint
from fashion_softmax.dashboard.console import count, make_console
from fashion_softmax.runs.run import count_kept
from fashion_softmax.stacking import Stack
from fashion_softmax.stacking.training import fit
from fashion_softmax.sweeps.planning import Plan

MEASURED_S, MAX_STEPS = 0.5, 50  # of each kind of stack: as many steps as fit, at least three
EVALUATION = 0.5  # of the time of a training step: a forward pass, no backward one
RUN_S = 0.005  # to write a run's folder
MAX_SHOWN = 5  # groups of jobs that do the same


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a sweep will take.

    Attributes:
        seconds: in one process of this machine, nothing else running; runs that cannot be stacked or fail are guessed.
        num_bytes: on the disk.
        num_epochs: passes over the training images, of all runs together.
        same: names of jobs with equal settings, or with equal weights after the measured steps; a group each.
        num_steps: that were measured.
    """

    seconds: float
    num_bytes: int
    num_epochs: int
    same: list[list[str]]
    num_steps: int


class _EnoughError(Exception):
    """Enough steps were measured."""


def forecast(plan: Plan) -> Forecast:
    """Train a few steps of the largest stack of each kind, and derive what the whole sweep takes.

    Args:
        plan: of at least one job.

    Returns:
        What it takes; kinds are stacks that differ in more than the seed.
    """
    configs = [resolve(job.config) for job in plan.jobs]
    kinds = defaultdict(list)
    for stack in plan.stacks:
        facts = plan.facts.get(stack[0])
        shared = {key: value for key, value in facts.shared.items() if key != "seed"} if facts else {}
        kinds[json.dumps([shared, facts and facts.alone])].append(stack)
    seconds, num_bytes, num_epochs, num_steps = 0.0, 0, 0, 0
    groups = defaultdict(set)
    for place, config in enumerate(configs):
        groups[fingerprint(config)].add(plan.names[place])
    for kind, stacks in kinds.items():
        largest = max(stacks, key=len)
        if largest[0] not in plan.facts:
            continue  # a component of the user's that fails
        parts = [build_parts(configs[place]) for place in largest]
        epoch_s, num_steps, weights = _measure(parts)
        for place, digest in zip(largest, weights, strict=True):
            # What begins to differ later is not the same: schedules, and what is drawn for each epoch.
            others = [configs[place][key] for key in ("scheduler", "trainer", "dataset", "seed")]
            groups[f"{digest} {kind} {others}"].add(plan.names[place])
        for stack in stacks:
            epochs = _count_epochs(len(stack), configs[stack[0]])
            seconds += epoch_s * epochs / len(largest) + RUN_S * len(stack)
            num_epochs += epochs
            num_bytes += sum(_count_bytes(configs[place], parts[0]) for place in stack)
    found = sorted({tuple(sorted(group)) for group in groups.values() if len(group) > 1})
    same = [list(group) for group in found if not any(set(group) < set(other) for other in found)]
    return Forecast(seconds, num_bytes, num_epochs, same, num_steps)


def _measure(parts: Sequence[Parts]) -> tuple[float, int, list[str]]:
    """Train a few steps; returns seconds of an epoch with its evaluation, steps, and digests of the weights."""
    stack, batches, times = Stack([each.member for each in parts]), parts[0].make_batches(), [time.perf_counter()]

    def after_step() -> None:
        times.append(time.perf_counter())
        if len(times) > MAX_STEPS or (len(times) > 3 and times[-1] - times[1] > MEASURED_S):
            raise _EnoughError

    with contextlib.suppress(_EnoughError):
        next(fit(stack, batches, {}, num_epochs=1, after_step=after_step), None)
    warm = times[1:] if len(times) > 2 else times  # the first step also pays for what torch starts
    step_s = (warm[-1] - warm[0]) / max(1, len(warm) - 1)
    num_evaluated = sum(len(split) for split in parts[0].evaluation_splits().values())
    num_steps = len(batches) + EVALUATION * num_evaluated / parts[0].dataset.batch_size
    models = [each.member.model for each in parts]
    values = [[parameter.detach().cpu().numpy().tobytes() for parameter in model.parameters()] for model in models]
    digests = [hashlib.sha256(b"".join(value)).hexdigest() for value in values]
    return step_s * num_steps, len(times) - 1, digests


def _count_epochs(size: int, config: dict[str, Any]) -> int:
    """Count the epochs of all runs of a stack, some of them discarded on the way."""
    num_epochs: int = config["trainer"]["num_epochs"]
    rungs: list[tuple[int, float]] = config["sweep"]["discard"]
    start, num_kept, total = 0, size, 0
    for epoch in sorted({epoch for epoch, _ in rungs if epoch < num_epochs}):
        total += num_kept * (epoch - start)
        start, num_kept = epoch, min(num_kept, count_kept(rungs, epoch, num_epochs, size))
    return total + num_kept * (num_epochs - start)


def _count_bytes(config: dict[str, Any], parts: Parts) -> int:
    """Count a run's bytes on the disk: small files of a block each, two checkpoints, predictions, curves."""
    optimizer = config["optimizer"]
    moments = 2 * ("betas" in optimizer) + ("alpha" in optimizer) + bool(optimizer.get("momentum"))
    checkpoint = 8_000 + 4 * parts.facts.num_parameters * (1 + moments)
    image = 6.1 + 2 * parts.dataset.num_classes  # predictions of one
    return int(48_000 + 2 * checkpoint + image * len(parts.dataset.test) + 1_400 * config["trainer"]["num_epochs"])


def show_forecast(plan: Plan, known: Collection[str]) -> None:
    """Show a dry run: the jobs, stack by stack, and what they take; in words or, if asked for, as one JSON object.

    Args:
        plan: of the sweep.
        known: names of jobs that the folder has already.
    """
    found = forecast(plan)
    if plan.options.dry_run == "json":
        stack_of = {place: number for number, stack in enumerate(plan.stacks) for place in stack}
        jobs = [
            {
                "name": name,
                "overrides": [line for line in job.overrides if not line.startswith("sweep.")],
                "stack": stack_of[place],
                "is_there": name in known,
            }
            for place, (name, job) in enumerate(zip(plan.names, plan.jobs, strict=True))
        ]
        print(json.dumps(dataclasses.asdict(found) | {"jobs": jobs}, ensure_ascii=False))
        return
    table = Table("stack", "job")
    for number, names in enumerate(plan.named_stacks, start=1):
        for name in sorted(names):
            table.add_row(str(number), name, end_section=name == max(names))
    console = make_console()
    console.print(table)
    size = f"{found.num_bytes / 1e9:.1f} GB" if found.num_bytes > 1e9 else f"{found.num_bytes / 1e6:.0f} MB"
    console.print(f"takes about {_word_seconds(found.seconds)} here in one process, {found.num_epochs} epochs in all,")
    console.print(f"and about {size} on the disk")
    if found.same:
        console.print(f"do the same (equal settings, or equal weights after {found.num_steps} steps):")
        for group in found.same[:MAX_SHOWN]:
            console.print(f"  {', '.join(group)}", markup=False, soft_wrap=True)
        if len(found.same) > MAX_SHOWN:
            console.print(f"  and {count(len(found.same) - MAX_SHOWN, 'more group')}")
    if known:
        console.print(f"{len(known)} of the jobs are in this folder already; resume=FOLDER trains only the others")
    console.print("a dry run: nothing was trained, nothing created")


def _word_seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
