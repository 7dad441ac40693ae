"""The members of a stack: what each run trains with, and those that failed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.errors import DivergedError
from fashion_softmax.learning.losses import Loss

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """What one run of a stack trains with; nothing of it belongs to another run.

    Attributes:
        model: images (B, C, H, W) to logits (B, K).
        loss_fn: logits and labels to one loss per image.
        optimizer: over the model's parameters, which have no gradients yet.
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


class Failures:
    """The members of a stack that left it.

    Args:
        absent: members that were never there.

    Attributes:
        errors: index of a member to the first error it had.
    """

    def __init__(self, absent: Iterable[int] = ()) -> None:
        self.errors: dict[int, BaseException] = {index: LookupError("is not trained here") for index in absent}

    def attempt(self, index: int, action: Callable[..., T], *args: Any) -> T | None:
        """Do something on behalf of a member; if it raises, the member leaves and the others never notice.

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
            self.errors[index] = _as_divergence(error)
            return None


def _as_divergence(error: BaseException) -> BaseException:
    """Report a number that no float can hold as what it is: torch and Python raise instead of computing infinity."""
    if isinstance(error, OverflowError) or (isinstance(error, RuntimeError) and "overflow" in str(error)):
        divergence = DivergedError(f"training diverged: {error}")
        divergence.__cause__ = error
        return divergence
    return error
