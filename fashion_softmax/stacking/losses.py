"""R losses as one.

Shapes: `R` runs, `B` images, `K` classes.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fashion_softmax.learning.losses import Loss

# Does something on behalf of a member: index, action, its arguments; None if it was not done. See `Stack.attempt`.
Attempt = Callable[..., Any]
Function = Callable[[Loss, Tensor], tuple[Tensor, Tensor]]  # logits (B, K) to losses (B,) and their gradient (B, K)


class StackedLoss:
    """R losses as one: neighbours with equal losses are computed in one call.

    Args:
        losses: one for each member.
        attempt: calls a member's loss, which may raise.
    """

    def __init__(self, losses: Sequence[Loss], attempt: Attempt) -> None:
        self._losses = list(losses)
        self._attempt = attempt
        keys = [_key(loss, index) for index, loss in enumerate(losses)]
        self._groups = [list(group) for _, group in itertools.groupby(range(len(losses)), keys.__getitem__)]

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute every member's losses, (R, B, K) and (B,) to (R, B); NaN for a member that left."""
        return self._compute(lambda loss, scores: (loss(scores, labels), scores), logits)[0]

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute every member's losses (R, B), and with respect to the logits the gradient of each, (R, B, K)."""
        return self._compute(lambda loss, scores: loss.value_and_gradient(scores, labels), logits)

    def _compute(self, function: Function, logits: Tensor) -> tuple[Tensor, Tensor]:
        parts: list[tuple[Tensor, Tensor]] = []
        for group in self._groups:
            first, loss = group[0], self._losses[group[0]]
            if len(group) > 1:  # of ours, which raise for no logits
                parts.append(function(loss, logits[first : first + len(group)]))
                continue
            # A single run's loss sees (B, K), so that it is computed the same alone and in any company.
            scores = logits[first]
            found = self._attempt(first, _compute_checked, function, loss, scores)
            losses, gradient = found or (torch.full_like(scores[:, 0], math.nan), torch.zeros_like(scores))
            parts.append((losses.unsqueeze(0), gradient.unsqueeze(0)))
        if len(parts) == 1:
            return parts[0]
        all_losses, gradients = zip(*parts, strict=True)
        return torch.cat(all_losses), torch.cat([gradient.mT for gradient in gradients]).mT


def _compute_checked(function: Function, loss: Loss, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Compute a loss that may be the user's; of a wrong shape it would disturb the other members."""
    losses, gradient = (part.detach() for part in function(loss, scores))
    if losses.shape != scores.shape[:-1] or gradient.shape != scores.shape:
        raise ValueError(
            f"the loss gives shape {tuple(losses.shape)}, its gradient {tuple(gradient.shape)} for logits of shape "
            f"{tuple(scores.shape)}; expected one loss per image"
        )
    return losses.to(scores), gradient.to(scores)


def _key(loss: Loss, index: int) -> tuple[object, ...]:
    """Equal for losses that can be computed in one call: ours, which take leading axes and remember nothing."""
    if type(loss).__module__ != Loss.__module__:
        return (index,)
    return (type(loss), *vars(loss).items())
