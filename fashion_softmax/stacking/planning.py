"""What trains together: runs are sorted into stacks by what they must share."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

# On a CPU more runs than this gain nothing: the product is as fast as it gets, and its operands leave the cache.
MAX_STACK_SIZE = 256
# Of all runs of a stack: with gradients, an optimizer's two moments and a copy to save, 20 bytes each in float32.
MAX_STACKED_PARAMETERS = 2**24
T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """What planning needs to know of a run.

    Attributes:
        shared: name to value of everything that the runs of a stack must have in common.
        loss: the loss in words; members with equal losses become neighbours.
        alone: why the run cannot be trained together with others, None if it can.
        num_parameters: of the model.
    """

    shared: Mapping[str, str]
    loss: str
    alone: str | None
    num_parameters: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for runs that can be trained together."""
        return tuple(self.shared.items())


def plan(runs: Mapping[T, Facts], max_stack_size: int | None = None) -> list[list[T]]:
    """Sort runs into stacks.

    Args:
        runs: name of each run, such as its number, to its facts.
        max_stack_size: runs in a stack at most, at least 1; None for what is fast and fits into memory.

    Returns:
        The stacks, in the order of their first runs; in each, runs with equal losses are neighbours. What is too large
        is split into equal parts.
    """
    place = {name: index for index, name in enumerate(runs)}
    stacks: list[list[T]] = []
    groups: dict[tuple[object, ...], list[T]] = {}
    for name, facts in runs.items():
        groups.setdefault((name,) if facts.alone else facts.key, []).append(name)
    for group in groups.values():
        in_memory = max(1, MAX_STACKED_PARAMETERS // max(1, runs[group[0]].num_parameters))
        num_stacks = -(-len(group) // (max_stack_size or min(MAX_STACK_SIZE, in_memory)))
        group.sort(key=lambda name: (runs[name].loss, place[name]))
        bounds = [len(group) * index // num_stacks for index in range(num_stacks + 1)]
        stacks += [group[start:end] for start, end in itertools.pairwise(bounds)]
    return sorted(stacks, key=lambda stack: min(map(place.__getitem__, stack)))
