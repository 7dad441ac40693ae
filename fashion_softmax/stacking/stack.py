"""A stack: R runs trained as one, each with its own loss, optimizer and scheduler, none able to disturb another.

A run that fails (its loss diverges, its optimizer raises) leaves the stack: it keeps its place in the shared storage,
so that the others' arithmetic stays the same bit for bit, but is not updated any more.

Shapes: `R` runs, `B` images, `K` classes.
"""

import math
from collections.abc import Collection, Sequence

from fashion_softmax.errors import DivergedError
from fashion_softmax.stacking.losses import StackedLoss
from fashion_softmax.stacking.members import Failures, Member
from fashion_softmax.stacking.models import stack_models
from fashion_softmax.stacking.optimizers import StackedOptimizer


class Stack:
    """R runs trained as one.

    Args:
        members: at least one, their models of equal architecture. Members with equal losses should be neighbours:
            their losses are then computed in one call.
        absent: members that only keep their places, so that the others compute what they would in their company.

    Attributes:
        members: as given.
        failures: the members that left.
        model: all models as one.
        loss_fn: all losses as one.
        optimizer: all optimizers as one.
    """

    def __init__(self, members: Sequence[Member], absent: Collection[int] = ()) -> None:
        self.members = list(members)
        self.failures = Failures(absent)
        self.optimizer = StackedOptimizer([member.optimizer for member in members], self.failures)
        self.model = stack_models([member.model for member in members])
        self.optimizer.parameters = self.model.parameters
        self.loss_fn = StackedLoss([member.loss_fn for member in members], self.failures)

    def __len__(self) -> int:
        """R."""
        return len(self.members)

    @property
    def active(self) -> list[int]:
        """The members still training."""
        return [index for index in range(len(self)) if index not in self.failures.errors]

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
                self.failures.errors.setdefault(index, DivergedError(f"training diverged: {cause}"))
