"""The members of a stack: what each run trains with, and how something is done on behalf of one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.learning.losses import Loss

# Does something on behalf of a member: index, action, its arguments; None if it was not done. See `Stack.attempt`.
Attempt = Callable[..., Any]


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
