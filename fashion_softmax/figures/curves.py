"""Curves of losses over one number, with their gradients by autograd, jumps included.

What the number is depends on the loss. A regression loss compares numbers: there it is the prediction `p`, and with the
target 0 the error `p - y` is `p` itself. Every other loss needs all classes: there it is the logit `o` of a class that
is not the true one, of two classes, the true one's logit being 0. Cross-entropy's likelihood `exp(-L)` is then the
probability of the true class, and its gradient the probability of the wrong one: `p - y` with `y = 0`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fashion_softmax.learning.losses import Loss, RegressionLoss

NUM_POINTS = 601
MIN_JUMP = 0.02  # of the gradient's range; what is less is drawn as a slope
NUM_BISECTIONS = 45  # brings a jump's place to the last digits of a float64
SAME_PLACE = 1e-9


@dataclass(frozen=True)
class Jump:
    """A place where a gradient jumps: its limits to both sides, and what autograd takes in between."""

    place: float
    left: float
    taken: float
    right: float


@dataclass(frozen=True)
class Curve:
    """A function of one number with its gradient, both by autograd in float64.

    Attributes:
        places: ascending, shape (N,).
        values: shape (N,).
        gradients: shape (N,); NaN where the gradient jumps, so that no line is drawn across.
        jumps: where it does.
    """

    places: Tensor
    values: Tensor
    gradients: Tensor
    jumps: list[Jump]


def trace(function: Callable[[Tensor], Tensor], low: float, high: float) -> Curve:
    """Compute a function with its gradient, and find where the gradient jumps.

    Args:
        function: element by element, shape (N,) to (N,).
        low: first place.
        high: last place.
    """
    places = torch.linspace(low, high, NUM_POINTS, dtype=torch.float64)
    gradients = _evaluate(function, places)[1]
    steps = gradients.diff().abs()
    suspects = steps > MIN_JUMP * (gradients.max() - gradients.min())
    found = [
        _find_jump(function, float(places[index]), float(places[index + 1]), float(steps[index]))
        for index in suspects.nonzero().flatten().tolist()
    ]
    jumps: list[Jump] = []
    for jump in found:
        if jump and not (jumps and jump.place - jumps[-1].place < SAME_PLACE):
            jumps.append(jump)
    for jump in jumps:
        apart = (places - jump.place).abs() > SAME_PLACE
        around = torch.tensor([jump.place - SAME_PLACE, jump.place, jump.place + SAME_PLACE], dtype=torch.float64)
        places = torch.cat([places[apart], around]).sort().values
    values, gradients = _evaluate(function, places)
    for jump in jumps:
        gradients[(places - jump.place).abs() < SAME_PLACE / 2] = torch.nan
    return Curve(places, values, gradients, jumps)


def at_target_zero(loss_fn: Loss) -> Callable[[Tensor], Tensor]:
    """Make the function that a loss is of one prediction whose target is 0, see the module."""
    return loss_fn.penalty if isinstance(loss_fn, RegressionLoss) else over_lead(loss_fn)


def over_lead(loss_fn: Loss) -> Callable[[Tensor], Tensor]:
    """Make the function that a loss is of a wrong class's lead `o_i - o_y`, of two classes, as a model is trained."""

    def function(lead: Tensor) -> Tensor:
        logits = torch.stack([torch.zeros_like(lead), lead], -1)
        return loss_fn(logits, torch.zeros(len(lead), dtype=torch.int64))

    return function


def _evaluate(function: Callable[[Tensor], Tensor], places: Tensor) -> tuple[Tensor, Tensor]:
    leaf = places.clone().requires_grad_()
    values = function(leaf)
    (gradients,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradients


def _find_jump(function: Callable[[Tensor], Tensor], low: float, high: float, step: float) -> Jump | None:
    """Close in on where the gradient changes most between two places; None where it only does so steeply."""
    left, right = low, high
    for _ in range(NUM_BISECTIONS):
        middle = (left + right) / 2
        gradients = _evaluate(function, torch.tensor([left, middle, right], dtype=torch.float64))[1]
        changes = gradients.diff().abs()
        left, right = (left, middle) if changes[0] >= changes[1] else (middle, right)
    place = round((left + right) / 2, 9)
    around = torch.tensor([place - SAME_PLACE, place, place + SAME_PLACE], dtype=torch.float64)
    before, taken, after = _evaluate(function, around)[1].tolist()
    return Jump(place, before, taken, after) if abs(after - before) > step / 2 else None
