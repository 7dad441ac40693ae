"""The lesson's figures of losses: value, gradient and likelihood over one prediction whose target is 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fashion_softmax.data.published import PUBLISHED
from fashion_softmax.figures.curves import SAME_PLACE, Curve, at_target_zero, over_lead, trace
from fashion_softmax.figures.style import (
    BLUE,
    COLORS,
    GREEN,
    GREY,
    ORANGE,
    PAGE_WIDTH,
    RED,
    finish,
    label_above,
    new_figure,
)
from fashion_softmax.learning.losses import CrossEntropy, Huber, Loss, Margin, RegressionLoss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 3.0  # of the prediction, to both sides
LEAD_LIMIT = 6.0  # of a wrong class's lead, in logits
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 3)))
# Logits of an image that is a shirt, but looks more like a t-shirt to the model.
EXAMPLE_LOGITS = (2.0, -1.5, 1.0, 0.0, 0.8, -3.0, 1.6, -3.0, -0.5, -3.0)
EXAMPLE_LABEL = 6


@dataclass(frozen=True)
class NamedLoss:
    """A loss with what the figure calls it.

    Attributes:
        name: of its configuration, such as `huber`.
        settings: those worth a mention, such as `delta=0.5`; may be empty.
        loss_fn: the loss itself.
    """

    name: str
    settings: str
    loss_fn: Loss

    @property
    def title(self) -> str:
        """Its name and settings."""
        return f"{self.name}, {self.settings}" if self.settings else self.name


def draw_losses(losses: Sequence[NamedLoss]) -> "Figure":
    """Draw each loss with its gradient and its likelihood, a panel each.

    Args:
        losses: at least one. Where cross-entropy is one of them, two more panels show it over the probability of the
            true class, and its gradient `p - y` for one image.
    """
    entropy = next((loss for loss in losses if isinstance(loss.loss_fn, CrossEntropy)), None)
    num_panels = len(losses) + (entropy is not None)
    columns = min(2, num_panels)
    num_rows = -(-num_panels // columns)
    figure = new_figure(PAGE_WIDTH if columns == 2 else 4.5, 3.2 * (num_rows + (entropy is not None)) + 0.3)
    grid = figure.add_gridspec(num_rows + (entropy is not None), columns)
    places = [grid[index // columns, index % columns] for index in range(num_panels)]
    if num_panels % columns:
        places[-1] = grid[num_rows - 1, :]  # alone in its row
    for loss, place in zip(losses, places, strict=False):
        _draw_loss(figure.add_subplot(place), loss)
    if entropy:
        _draw_over_probability(figure.add_subplot(places[-1]), entropy)
        _draw_example(figure.add_subplot(grid[-1, :]), entropy)
    figure.suptitle("Losses, their gradients and likelihoods")
    return figure


def compare_losses(losses: Sequence[NamedLoss]) -> "Figure":
    """Draw all losses into the same axes: above over the prediction, below over the lead of a wrong class."""
    figure = new_figure(PAGE_WIDTH, 7.0)
    panels = figure.subplots(2, 2)
    others = [loss.name for loss in losses if not isinstance(loss.loss_fn, RegressionLoss)]
    limit = max(map(_find_limit, losses))
    label = "logit of a wrong class" if len(others) == len(losses) else "prediction, target 0"
    rows = (
        (at_target_zero, limit, label, "over the prediction"),
        (over_lead, max(LEAD_LIMIT, limit), "lead of a wrong class, $o_i - o_y$", "as trained, two classes"),
    )
    for (make_function, limit, label, what), (values, gradients) in zip(rows, panels, strict=True):
        for index, loss in enumerate(losses):
            curve = trace(make_function(loss.loss_fn), -limit, limit)
            style = {"color": COLORS[index % len(COLORS)], "linestyle": STYLES[index % len(STYLES)], "linewidth": 1.8}
            values.plot(curve.places, curve.values, label=loss.title, **style)
            _draw_gradient(gradients, curve, **style)
        for axes, name in ((values, "loss"), (gradients, "gradient")):
            axes.set_title(f"{name} {what}", fontsize=11)
            axes.set(xlabel=label, ylabel=name)
            finish(axes)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    is_mixed = 0 < len(others) < len(losses)
    note = f"\nupper row: for {', '.join(others)} the prediction is a wrong class's logit" if is_mixed else ""
    figure.suptitle(f"Losses in the same axes{note}", fontsize=11, parse_math=False)
    return figure


def _find_limit(loss: NamedLoss) -> float:
    """Find how far to draw, so that the part beyond delta is seen."""
    return max(LIMIT, 1.5 * loss.loss_fn.delta) if isinstance(loss.loss_fn, Huber | Margin) else LIMIT


def _draw_loss(axes: "Axes", loss: NamedLoss) -> None:
    limit, loss_fn = _find_limit(loss), loss.loss_fn
    curve = trace(at_target_zero(loss_fn), -limit, limit)
    if isinstance(loss_fn, RegressionLoss):
        axes.set(xlabel="prediction $p$, target 0: error $e = p$", ylabel=r"$L$, $dL/dp$, $e^{-L}$")
        if loss_fn.input == "probabilities":
            axes.axvspan(-1, 1, color="#F0F0F0", zorder=0)
            where = axes.get_xaxis_transform()
            axes.text(0, 0.98, "probabilities", color=GREY, fontsize=8, ha="center", va="top", transform=where)
    else:
        axes.set(xlabel="logit $o_i$ of the wrong class of two; $o_y = 0$", ylabel=r"$L$, $dL/do_i$, $e^{-L}$")
    axes.plot(curve.places, curve.values, color=BLUE, linewidth=1.8, label="loss")
    _draw_gradient(axes, curve, color=RED, linestyle="--", linewidth=1.8, label="gradient")
    _finish_panel(axes, curve, f"{loss.title}\n{loss_fn.formula}" if loss_fn.formula else loss.title)


def _draw_over_probability(axes: "Axes", loss: NamedLoss) -> None:
    def function(probability: Tensor) -> Tensor:
        logits = torch.stack([probability.log(), (1 - probability).log()], -1)
        return loss.loss_fn(logits, torch.zeros(len(probability), dtype=torch.int64))

    curve = trace(function, 0.005, 0.995)
    axes.plot(curve.places, curve.values, color=BLUE, linewidth=1.8, label="loss")
    axes.set(xlabel="probability $p_y$ of the true class", ylabel=r"$L$, $e^{-L}$")
    _finish_panel(axes, curve, f"{loss.title}\nover the true class's probability")
    axes.set_ylim(bottom=-0.1)


def _finish_panel(axes: "Axes", curve: Curve, title: str) -> None:
    axes.plot(curve.places, (-curve.values).exp(), color=GREEN, linestyle="-.", linewidth=1.8, label="likelihood")
    axes.set_title(title, fontsize=10, pad=20)
    label_above(axes, columns=3)
    finish(axes)


def _draw_gradient(axes: "Axes", curve: Curve, **style: Any) -> None:
    """Draw a gradient, with open ends where it jumps and a dot at the value that autograd takes there."""
    axes.plot(curve.places, curve.gradients, **style)
    dots = {"marker": "o", "linestyle": "", "color": style["color"], "markersize": 4.5}
    for jump in curve.jumps:
        ends = {limit for limit in (jump.left, jump.right) if abs(limit - jump.taken) > SAME_PLACE}
        axes.plot([jump.place] * len(ends), list(ends), **dots, markerfacecolor="white")
        axes.plot([jump.place], [jump.taken], **dots)


def _draw_example(axes: "Axes", loss: NamedLoss) -> None:
    """Draw softmax, label and their difference, which is the gradient, for one image."""
    names = PUBLISHED["fashion_mnist"].class_names
    logits = torch.tensor([EXAMPLE_LOGITS], dtype=torch.float64)
    _, gradients = loss.loss_fn.value_and_gradient(logits, torch.tensor([EXAMPLE_LABEL]))
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
    title = f"{loss.title}: the gradient for ten made-up logits of a {names[EXAMPLE_LABEL]}"
    axes.set_title(title, fontsize=10, pad=20)
    axes.set_ylabel("probability, gradient $dL/do_i$")
    label_above(axes, columns=3)
    finish(axes)
