"""R losses as one.

Shapes: `R` runs, `B` images, `K` classes.
"""

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fashion_softmax.learning.losses import Loss
from fashion_softmax.stacking.members import Failures


class StackedLoss:
    """R losses as one: neighbours with equal losses are computed in one call.

    Args:
        losses: one for each member.
        failures: where a member goes whose loss raises.
    """

    def __init__(self, losses: Sequence[Loss], failures: Failures) -> None:
        self._losses = list(losses)
        self._failures = failures
        self._groups: list[range] = []

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute every member's losses, (R, B, K) and (B,) to (R, B); NaN for a member that left."""
        return self._compute(lambda loss, scores: (loss(scores, labels), scores), logits, labels)[0]

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute every member's losses with their gradients with respect to the logits.

        Args:
            logits: shape (R, B, K).
            labels: shape (B,).

        Returns:
            The losses (R, B) and the gradient of each image's loss, (R, B, K).
        """
        return self._compute(lambda loss, scores: loss.value_and_gradient(scores, labels), logits, labels)

    def _compute(
        self, function: Callable[[Loss, Tensor], tuple[Tensor, Tensor]], logits: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        if not self._groups:
            self._groups = _group_equal(self._losses, logits[:, :4], labels[:4])
        parts: list[tuple[Tensor, Tensor]] = []
        for group in self._groups:
            if len(group) > 1:
                try:
                    parts.append(function(self._losses[group[0]], logits[group.start : group.stop]))
                    continue
                except (Exception, SystemExit):
                    pass  # asked one by one, the member that is the cause answers for it
            for index in group:
                # A single run's loss sees (B, K), so that it is computed the same alone and in any company.
                scores = logits[index]
                found = self._failures.attempt(index, function, self._losses[index], scores)
                losses, gradient = found or (torch.full_like(scores[:, 0], math.nan), torch.zeros_like(scores))
                parts.append((losses.unsqueeze(0), gradient.unsqueeze(0)))
        if len(parts) == 1:
            return parts[0]
        all_losses, gradients = zip(*parts, strict=True)
        return torch.cat(all_losses), torch.cat([gradient.mT for gradient in gradients]).mT


def _group_equal(losses: Sequence[Loss], logits: Tensor, labels: Tensor) -> list[range]:
    """Find the neighbours whose losses can be computed in one call, trying it on a few logits (R, B, K)."""
    groups: list[range] = []
    for index, loss in enumerate(losses):
        group = groups[-1] if groups else range(0)
        if group and _are_equal(losses[group[0]], loss) and (len(group) > 1 or _takes_runs(loss, logits, labels)):
            groups[-1] = range(group.start, index + 1)
        else:
            groups.append(range(index, index + 1))
    return groups


def _are_equal(loss: Loss, other: Loss) -> bool:
    settings = [list(vars(each).items()) for each in (loss, other)]
    plain = all(isinstance(value, bool | int | float | str | type(None)) for _, value in settings[0])
    return type(loss) is type(other) and plain and settings[0] == settings[1]


def _takes_runs(loss: Loss, logits: Tensor, labels: Tensor) -> bool:
    """Try whether a loss treats leading axes as further runs, as it promises, and remembers nothing of a call."""
    trial = copy.deepcopy(loss)
    try:
        together = trial.value_and_gradient(logits[:2].clone(), labels)
        alone = [trial.value_and_gradient(scores.clone(), labels) for scores in logits[:2]]
    except (Exception, SystemExit):
        return False
    expected = [torch.stack(parts) for parts in zip(*alone, strict=True)]
    return _are_equal(loss, trial) and all(map(torch.allclose, together, expected))
