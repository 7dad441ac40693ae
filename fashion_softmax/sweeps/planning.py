"""What a sweep is about to train: its jobs, checked, in stacks, and the folders of its runs."""

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.checking import check_values
from fashion_softmax.config.explain import translate
from fashion_softmax.config.jobs import Job, read_value
from fashion_softmax.config.schema import PlainConfig, SweepConfig, resolve
from fashion_softmax.config.settings import CHANGEABLE, flatten, is_neutral, name_folder
from fashion_softmax.errors import ConfigError, FashionSoftmaxError
from fashion_softmax.runs.folder import is_sweep, read_sweep, write_folder, write_sweep
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.stacking import Facts, plan

T = TypeVar("T")
Compose = Callable[[list[str]], Job]


@dataclass(frozen=True)
class Plan:
    """Jobs that can be trained.

    Attributes:
        jobs: in order.
        names: of their folders.
        stacks: places in `jobs` of those that are trained as one.
        facts: of each job; none of those that will fail.
        options: of the sweep.
    """

    jobs: list[Job]
    names: list[str]
    stacks: list[list[int]]
    facts: Mapping[int, Facts]
    options: SweepConfig

    @property
    def named_stacks(self) -> list[list[str]]:
        """The stacks, of folders' names."""
        return [[self.names[place] for place in stack] for stack in self.stacks]


def make_plan(jobs: Sequence[list[str]], compose: Compose, num_workers: int = 1, names: Sequence[str] = ()) -> Plan:
    """Check jobs and sort them into stacks.

    Args:
        jobs: the overrides of each.
        compose: makes a job of its overrides.
        num_workers: processes that train stacks at once.
        names: of their folders, if they have some.

    Raises:
        ConfigError: a job cannot be run.
    """
    composed = _for_each(jobs, lambda place: _check(compose(jobs[place])))  # before the data, which may take minutes
    found = _for_each(jobs, lambda place: find_facts(composed[place].config))
    facts = {place: facts for place, facts in enumerate(found) if facts}
    options, *others = (SweepConfig(**resolve(job.config)["sweep"]) for job in composed)
    if any(other != options for other in others):
        raise ConfigError("sweep.*: holds for all jobs of a sweep; give one value")
    # A stack's rungs count its own runs: more workers must not keep more of them.
    stacks = plan(facts, options.max_stack_size, 1 if options.discard else num_workers)
    # What cannot be planned fails when it is trained, in its own folder.
    stacks += [[place] for place in range(len(jobs)) if place not in facts]
    shared = set(jobs[0]).intersection(*jobs)
    own_names = [name_folder(f"{place:03d}", set(job) - shared) for place, job in enumerate(jobs)]
    return Plan(composed, list(names) or own_names, stacks, facts, options)


def write_plan(sweep_dir: Path, planned: Plan) -> list[RunFolder]:
    """Write the folders of runs, beside those that the sweep has already."""
    folders = [
        write_folder(sweep_dir / name, job.config, job.overrides, job.choices)
        for name, job in zip(planned.names, planned.jobs, strict=True)
    ]
    write_sweep(sweep_dir, [*(read_sweep(sweep_dir) if is_sweep(sweep_dir) else []), *planned.named_stacks])
    return folders


def find_varied(jobs: Iterable[Iterable[str]]) -> set[str]:
    """Find the keys that have more than one value among jobs."""
    settings = {setting for job in jobs for setting in _last_lines(job).items()}
    return {key for key, number in Counter(key for key, _ in settings).items() if number > 1}


def identify(overrides: Iterable[str], varied: Container[str] = ()) -> frozenset[object]:
    """Make what is equal for the same job: its overrides, but of those that a resumed run may change the `varied`."""
    lines = _last_lines(overrides).items()
    own = (line for key, line in lines if key in varied or not (is_neutral(key) or key in CHANGEABLE))
    return frozenset(read_value(line) or line for line in own)


def _last_lines(overrides: Iterable[str]) -> dict[str, str]:
    return {line.partition("=")[0]: line for line in overrides}


def _check(job: Job) -> Job:
    for key, value in flatten(job.config):  # Hydra would fill it in for each of its jobs, which are stacks
        if isinstance(value, str) and "${hydra" in value.replace(" ", ""):
            remedy = "a job of Hydra trains many runs; write the value out"
            raise ConfigError(f"{key}={value} cannot be used with -m: {remedy}")
    check_values(resolve(job.config))
    return job


def _for_each(jobs: Sequence[list[str]], check: Callable[[int], T]) -> list[T]:
    """Check the job at each place; the first problem of each distinct kind is reported with the job that has it."""
    problems: dict[str, list[str]] = {}
    found = []
    for place, overrides in enumerate(jobs):
        try:
            found.append(check(place))
        except Exception as error:
            known = translate(error)
            if not isinstance(known, ConfigError):
                raise
            problems.setdefault(str(known), overrides)
    if problems:
        raise ConfigError.from_problems([f"{message} (job {' '.join(job)})" for message, job in problems.items()])
    return found


def find_facts(config: PlainConfig) -> Facts | None:
    """Build a run once; None when a component of the user's fails in a way that only running it can show.

    Args:
        config: of the run, interpolations unresolved.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it.
    """
    resolved = resolve(config)
    try:
        parts = build_parts(resolved, is_trained=False)
        rungs = resolved["sweep"]["discard"]
        if any(epoch < 1 or not 0 < limit < math.inf or (limit > 1 and limit % 1) for epoch, limit in rungs):
            allowed = "pairs of an epoch, at least 1, and how many runs stay: a whole number, or a fraction below 1"
            raise ConfigError(f"sweep.discard={rungs}: expected {allowed}")
        if rungs and parts.facts.alone:
            model = type(parts.member.model).__name__
            raise ConfigError(f"sweep.discard: nothing can leave a stack of one, and {model} is trained alone")
        if rungs and resolved["sweep"]["discard_on"] == "val" and not parts.dataset.val:
            remedy = "dataset.val_size=0.1 holds some out; sweep.discard_on=test lets test images decide"
            raise ConfigError(f"sweep.discard needs validation images; {remedy}")
        return parts.facts
    except FashionSoftmaxError:
        raise
    except (Exception, SystemExit):
        return None
