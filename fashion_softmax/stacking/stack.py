"""A stack: R runs trained as one, each with its own loss, optimizer and scheduler, none able to disturb another.

A run that fails (its loss diverges, its optimizer raises) leaves the stack: it keeps its place in the shared storage,
so that the others' arithmetic stays the same bit for bit, but is not updated any more. `plan` sorts runs into stacks.

Shapes: `R` runs, `B` images, `K` classes.
"""

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.errors import DivergedError
from fashion_softmax.learning.losses import Loss
from fashion_softmax.stacking.losses import StackedLoss
from fashion_softmax.stacking.models import stack_models
from fashion_softmax.stacking.optimizers import StackedOptimizer

# On a CPU more runs than this gain nothing: the product is as fast as it gets, and its operands leave the cache.
MAX_STACK_SIZE = 256
# Of all runs of a stack: with gradients, an optimizer's two moments and a copy to save, 20 bytes each in float32.
MAX_STACKED_PARAMETERS = 2**24
T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """What one run of a stack trains with; nothing of it belongs to another run.

    Attributes:
        model: images (B, C, H, W) to logits (B, K).
        loss_fn: logits and labels to one loss per image.
        optimizer: over the model's parameters.
        scheduler: of the optimizer's learning rate, stepped once an epoch.
    """

    model: nn.Module
    loss_fn: Loss
    optimizer: Optimizer
    scheduler: LRScheduler

    @property
    def lr(self) -> float:
        """The learning rate now."""
        return float(self.optimizer.param_groups[0]["lr"])


class Stack:
    """R runs trained as one.

    Args:
        members: at least one, their models of equal architecture. Members with equal losses should be neighbours:
            their losses are then computed in one call.
        absent: members that only keep their places, so that the others compute what they would in their company.

    Attributes:
        members: as given.
        errors: index of each member that left to the first error it had.
        model: all models as one.
        loss_fn: all losses as one.
        optimizer: all optimizers as one.
    """

    def __init__(self, members: Sequence[Member], absent: Collection[int] = ()) -> None:
        self.members = list(members)
        self.errors: dict[int, BaseException] = {index: LookupError("is not trained here") for index in absent}
        self.optimizer = StackedOptimizer([member.optimizer for member in members], self.attempt, self.errors)
        self.model = stack_models([member.model for member in members])
        self.optimizer.parameters = self.model.parameters
        self.loss_fn = StackedLoss([member.loss_fn for member in members], self.attempt)

    @property
    def active(self) -> list[int]:
        """The members still training."""
        return [index for index in range(len(self.members)) if index not in self.errors]

    def attempt(self, index: int, action: Callable[..., T], *args: Any) -> T | None:
        """Do something on behalf of a member; if it raises, the member leaves and the others are not disturbed.

        Args:
            index: of the member; one that left already is not asked again.
            action: what to do.
            *args: of the action.

        Returns:
            What the action returns, None if it was not done.
        """
        if index in self.errors:
            return None
        try:
            return action(*args)
        except (Exception, SystemExit) as error:
            self.errors[index] = error
            # Torch and Python raise for what overflows, instead of computing infinity.
            if isinstance(error, OverflowError) or (isinstance(error, RuntimeError) and "overflow" in str(error)):
                self.errors[index] = DivergedError(f"training diverged: {error}")
                self.errors[index].__cause__ = error
            return None

    def without(self, indices: Collection[int]) -> "Stack":
        """Make a smaller stack, of all other members as they are; this one must not be used any more."""
        kept = [index for index in range(len(self.members)) if index not in indices]
        smaller = Stack([self.members[index] for index in kept])
        smaller.errors |= {place: self.errors[index] for place, index in enumerate(kept) if index in self.errors}
        return smaller

    def require_finite(self, name: str, values: Sequence[float], when: str) -> None:
        """Let the members leave whose value is NaN or infinite.

        Args:
            name: of the value, for the message of the `DivergedError`.
            values: one for each member.
            when: in words.
        """
        for index, value in enumerate(values):
            if not math.isfinite(value):
                cause = f"{name} is {value} {when} (lr {self.members[index].lr:g}); a smaller optimizer.lr may help"
                self.errors.setdefault(index, DivergedError(f"training diverged: {cause}"))


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


def plan(runs: Mapping[T, Facts], max_stack_size: int | None = None, num_workers: int = 1) -> list[list[T]]:
    """Sort runs into stacks.

    Args:
        runs: name of each run, such as its number, to its facts.
        max_stack_size: runs in a stack at most, at least 1; None for what is fast and fits into memory.
        num_workers: processes that train stacks at once; there is one for each of them, where there are enough runs.

    Returns:
        The stacks, in the order of their first runs; in each, runs with equal losses are neighbours. What is too large
        is split into equal parts.
    """
    place = {name: index for index, name in enumerate(runs)}
    stacks: list[list[T]] = []
    groups: dict[object, list[T]] = {}
    for name, facts in runs.items():
        groups.setdefault(name if facts.alone else frozenset(facts.shared.items()), []).append(name)
    for group in groups.values():
        num_busy = min(len(group), -(-num_workers // len(groups)))
        in_memory = max(1, MAX_STACKED_PARAMETERS // max(1, runs[group[0]].num_parameters))
        num_stacks = max(num_busy, -(-len(group) // (max_stack_size or min(MAX_STACK_SIZE, in_memory))))
        group.sort(key=lambda name: (runs[name].loss, place[name]))
        bounds = [len(group) * index // num_stacks for index in range(num_stacks + 1)]
        stacks += [group[start:end] for start, end in itertools.pairwise(bounds)]
    return sorted(stacks, key=lambda stack: min(map(place.__getitem__, stack)))
