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
MIN_JUMP = 0.02  # of the gradient's range; smaller ones are drawn as a slope
NUM_BISECTIONS = 45  # find a jump's place to the last digits of a float64
DECIMALS = 9  # of all places, so that equal ones are exactly equal
SAME_PLACE = 10.0**-DECIMALS

Function = Callable[[Tensor], Tensor]  # element by element, shape (N,) to (N,)


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


def trace(function: Function, low: float, high: float) -> Curve:
    """Compute a function with its gradient, and find where the gradient jumps.

    Args:
        function: of one number.
        low: first place.
        high: last place.
    """
    places = torch.linspace(low, high, NUM_POINTS, dtype=torch.float64).round(decimals=DECIMALS)
    gradients = _evaluate(function, places)[1]
    steps = gradients.diff().abs()
    jumps: dict[float, Jump] = {}  # by place: a jump at a point of the grid is found from both sides
    for index in (steps > MIN_JUMP * (gradients.max() - gradients.min())).nonzero().flatten().tolist():
        place = _find_steepest(function, places[index], places[index + 1])
        around = _around(place)
        before, taken, after = _evaluate(function, around)[1].tolist()
        if abs(after - before) > steps[index] / 2:  # else it is only steep
            jumps[place] = Jump(place, before, taken, after)
            places = torch.cat([places, around])
    places = places.unique()
    values, gradients = _evaluate(function, places)
    gradients[torch.isin(places, torch.tensor(list(jumps), dtype=torch.float64))] = torch.nan
    return Curve(places, values, gradients, list(jumps.values()))


def at_target_zero(loss_fn: Loss) -> Function:
    """Make the function that a loss is of one prediction whose target is 0, see the module."""
    return loss_fn.penalty if isinstance(loss_fn, RegressionLoss) else over_lead(loss_fn)


def over_lead(loss_fn: Loss) -> Function:
    """Make the function that a loss is of a wrong class's lead `o_i - o_y`, of two classes, as a model is trained."""

    def function(lead: Tensor) -> Tensor:
        logits = torch.stack([torch.zeros_like(lead), lead], -1)
        return loss_fn(logits, torch.zeros(len(lead), dtype=torch.int64))

    return function


def _evaluate(function: Function, places: Tensor) -> tuple[Tensor, Tensor]:
    leaf = places.clone().requires_grad_()
    values = function(leaf)
    (gradients,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradients


def _around(place: float) -> Tensor:
    return torch.tensor([place - SAME_PLACE, place, place + SAME_PLACE], dtype=torch.float64)


def _find_steepest(function: Function, left: Tensor, right: Tensor) -> float:
    """Find by bisection where the gradient changes most between two places."""
    for _ in range(NUM_BISECTIONS):
        middle = (left + right) / 2
        first, second = _evaluate(function, torch.stack([left, middle, right]))[1].diff().abs()
        left, right = (left, middle) if first >= second else (middle, right)
    return round(float(left + right) / 2, DECIMALS)
