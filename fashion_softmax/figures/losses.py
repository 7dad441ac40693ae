"""The lesson's figures of losses: value, gradient and likelihood over one number.

What the number is depends on the loss. A regression loss compares numbers: there it is the prediction `p`, and with the
target 0 the error `p - y` is `p` itself. Every other loss needs all classes: there it is the logit `o` of a class that
is not the true one, of two classes, the true one's logit being 0. Cross-entropy's likelihood `exp(-L)` is then the
probability of the true class, and its gradient the probability of the wrong one: `p - y` with `y = 0`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fashion_softmax.data.published import PUBLISHED
from fashion_softmax.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    RED,
    finish,
    line_style,
    new_figure,
)
from fashion_softmax.learning.losses import CrossEntropy, Huber, Loss, Margin, RegressionLoss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 3.0  # of the prediction, to both sides
LEAD_LIMIT = 6.0  # of a wrong class's lead, in logits
NUM_PLACES = 600_001  # so many that only a jump is steep between neighbours
STRIDE = 1000  # of the places that are drawn
MIN_JUMP = 0.02  # of the gradient's range; smaller ones are drawn as a slope
# Logits of an image that is a shirt, but looks more like a t-shirt to the model.
EXAMPLE_LOGITS = (2.0, -1.5, 1.0, 0.0, 0.8, -3.0, 1.6, -3.0, -0.5, -3.0)
EXAMPLE_LABEL = 6


@dataclass(frozen=True)
class Curve:
    """A loss over one number, with its gradient.

    Attributes:
        places: ascending, shape (N,).
        values: shape (N,).
        gradients: shape (N,); NaN where the gradient jumps, so that no line is drawn across.
        ends: places and gradients to both sides of jumps, shape (2, number of ends).
        taken: places of jumps and gradients there that are neither side's, shape (2, number of these).
    """

    places: Tensor
    values: Tensor
    gradients: Tensor
    ends: Tensor
    taken: Tensor


def trace(loss_fn: Loss, limit: float, *, as_trained: bool = False) -> Curve:
    """Compute a loss with its gradient in float64, and find where the gradient jumps.

    Args:
        loss_fn: the loss.
        limit: of the number, to both sides.
        as_trained: over a wrong class's lead `o_i - o_y`, of two classes, also for a regression loss.
    """
    places = torch.linspace(-limit, limit, NUM_PLACES, dtype=torch.float64).round(decimals=9)
    if isinstance(loss_fn, RegressionLoss) and not as_trained:
        values, gradients = loss_fn.penalty(places), loss_fn.penalty_gradient(places)
    else:
        logits = torch.stack([torch.zeros_like(places), places], -1)
        values, both = loss_fn.value_and_gradient(logits, torch.zeros(len(places), dtype=torch.int64))
        gradients = both[:, 1]
    min_jump = MIN_JUMP * (gradients.max() - gradients.min()) + 1e-9  # more than rounding
    jumps = (gradients.diff().abs() > min_jump).nonzero().flatten()
    sides = torch.bincount(torch.cat([jumps, jumps + 1]), minlength=NUM_PLACES)  # 2: between two jumps
    ends, taken = (torch.stack([places, gradients])[:, sides == number] for number in (1, 2))
    is_drawn = sides > 0
    is_drawn[::STRIDE] = True
    drawn = gradients.clone()
    drawn[jumps + 1] = torch.nan
    return Curve(places[is_drawn], values[is_drawn], drawn[is_drawn], ends, taken)


def draw_losses(losses: Mapping[str, Loss]) -> "Figure":
    """Draw each loss with its gradient and its likelihood, a panel each.

    Args:
        losses: at least one, by title. Where cross-entropy is one of them, two more panels show it over the probability
            of the true class, and its gradient `p - y` for one image.
    """
    entropy = next((title for title, loss_fn in losses.items() if isinstance(loss_fn, CrossEntropy)), None)
    names: list[Any] = [*losses, *([" probability"] if entropy else [])]
    rows = [names[index : index + 2] for index in range(0, len(names), 2)]
    if len(rows) > 1:
        rows[-1] *= 2 // len(rows[-1])  # alone in its row: as wide as two
    rows += [[" example"] * len(rows[0])] if entropy else []
    figure = new_figure(PAGE_WIDTH if len(rows[0]) == 2 else 4.5, 3.2 * len(rows) + 0.3)
    panels = figure.subplot_mosaic(rows)
    for title, loss_fn in losses.items():
        _draw_loss(panels[title], title, loss_fn)
    if entropy:
        _draw_over_probability(panels[" probability"], entropy, losses[entropy])
        _draw_example(panels[" example"], entropy, losses[entropy])
    figure.suptitle("Losses, their gradients and likelihoods")
    return figure


def compare_losses(losses: Mapping[str, Loss]) -> "Figure":
    """Draw all losses, by title, into the same axes: over the prediction, and below over the lead of a wrong class."""
    figure = new_figure(PAGE_WIDTH, 7.0)
    panels = figure.subplots(2, 2)
    others = [title.partition(",")[0] for title, loss_fn in losses.items() if not isinstance(loss_fn, RegressionLoss)]
    limit = max(map(_find_limit, losses.values()))
    rows = (
        (False, limit, "prediction, target 0", "over the prediction"),
        (True, max(LEAD_LIMIT, limit), "lead of a wrong class, $o_i - o_y$", "as trained, two classes"),
    )
    for (as_trained, limit, label, what), (values, gradients) in zip(rows, panels, strict=True):
        for index, (title, loss_fn) in enumerate(losses.items()):
            curve = trace(loss_fn, limit, as_trained=as_trained)
            values.plot(curve.places, curve.values, label=title, **line_style(index))
            _draw_gradient(gradients, curve, **line_style(index))
        for axes, name in ((values, "loss"), (gradients, "gradient")):
            axes.set_title(f"{name} {what}", fontsize=11)
            axes.set(xlabel=label, ylabel=name)
            finish(axes)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    note = f"\nupper row: for {', '.join(others)} the prediction is a wrong class's logit" if others else ""
    figure.suptitle(f"Losses in the same axes{note}", fontsize=11, parse_math=False)
    return figure


def _find_limit(loss_fn: Loss) -> float:
    """Find how far to draw, so that the part beyond delta is seen."""
    return max(LIMIT, 1.5 * loss_fn.delta) if isinstance(loss_fn, Huber | Margin) else LIMIT


def _draw_loss(axes: "Axes", title: str, loss_fn: Loss) -> None:
    curve = trace(loss_fn, _find_limit(loss_fn))
    if isinstance(loss_fn, RegressionLoss):
        axes.set(xlabel="prediction $p$, target 0: error $e = p$", ylabel=r"$L$, $dL/dp$, $e^{-L}$")
        if loss_fn.input == "probabilities":
            axes.axvspan(-1, 1, color="#F0F0F0", zorder=0)
            where = axes.get_xaxis_transform()
            axes.text(0, 0.98, "probabilities", color=GREY, fontsize=8, ha="center", va="top", transform=where)
    else:
        axes.set(xlabel="logit $o_i$ of the wrong class of two; $o_y = 0$", ylabel=r"$L$, $dL/do_i$, $e^{-L}$")
    axes.plot(curve.places, curve.values, color=BLUE, label="loss")
    _draw_gradient(axes, curve, color=RED, linestyle="--", label="gradient")
    axes.plot(curve.places, (-curve.values).exp(), color=GREEN, linestyle="-.", label="likelihood")
    _finish_panel(axes, f"{title}\n{loss_fn.formula}" if loss_fn.formula else title)


def _draw_gradient(axes: "Axes", curve: Curve, **style: Any) -> None:
    """Draw a gradient, with open ends where it jumps and a dot at the value that it takes in between."""
    axes.plot(curve.places, curve.gradients, **style)
    for dots, face in ((curve.ends, "white"), (curve.taken, style["color"])):
        axes.plot(*dots, marker="o", linestyle="", color=style["color"], markersize=4.5, markerfacecolor=face)


def _draw_over_probability(axes: "Axes", title: str, loss_fn: Loss) -> None:
    probabilities = torch.linspace(0.005, 0.995, 199, dtype=torch.float64)
    logits = torch.stack([probabilities.log(), (1 - probabilities).log()], -1)
    values = loss_fn(logits, torch.zeros(len(logits), dtype=torch.int64))
    axes.plot(probabilities, values, color=BLUE, label="loss")
    axes.plot(probabilities, (-values).exp(), color=GREEN, linestyle="-.", label="likelihood")
    axes.set(xlabel="probability $p_y$ of the true class", ylabel=r"$L$, $e^{-L}$")
    _finish_panel(axes, f"{title}\nover the true class's probability")
    axes.set_ylim(bottom=-0.1)


def _draw_example(axes: "Axes", title: str, loss_fn: Loss) -> None:
    """Draw softmax, label and their difference, which is the gradient, for one image."""
    names = PUBLISHED["fashion_mnist"].class_names
    logits = torch.tensor([EXAMPLE_LOGITS], dtype=torch.float64)
    _, gradients = loss_fn.value_and_gradient(logits, torch.tensor([EXAMPLE_LABEL]))
    probabilities, gradient = logits.softmax(-1)[0], gradients[0]
    bars = (
        ("softmax $p$", probabilities, BLUE, ""),
        ("label $y$", probabilities - gradient, ORANGE, "////"),
        ("gradient $p - y$", gradient, RED, "...."),
    )
    for index, (label, heights, color, hatch) in enumerate(bars):
        places = [place + 0.28 * (index - 1) for place in range(len(names))]
        axes.bar(places, heights.tolist(), 0.28, color=color, hatch=hatch, edgecolor="white", linewidth=0, label=label)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_ylabel("probability, gradient $dL/do_i$")
    _finish_panel(axes, f"{title}: the gradient for ten made-up logits of a {names[EXAMPLE_LABEL]}")


def _finish_panel(axes: "Axes", title: str) -> None:
    axes.set_title(title, fontsize=10, pad=20)
    # Between title and axes, where it covers nothing.
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=3, frameon=False, fontsize=9, columnspacing=1)
    finish(axes)
