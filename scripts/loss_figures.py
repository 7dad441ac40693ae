"""The lesson's figures of losses: value, gradient and likelihood over one number.

What the number is depends on the loss. A regression loss compares numbers: there it is the prediction `p`, and with the
target 0 the error `p - y` is `p` itself. Every other loss needs all classes: there it is the logit `o` of a class that
is not the true one, of two classes, the true one's logit being 0. Cross-entropy's likelihood `exp(-L)` is then the
probability of the true class, and its gradient the probability of the wrong one: `p - y` with `y = 0`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from figures import COLORS, PAGE_WIDTH, finish, line_style, new_figure
from torch import Tensor

from fashion_softmax.data.idx import PUBLISHED
from fashion_softmax.learning.losses import CrossEntropy, Loss, RegressionLoss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIMIT = 3.0  # of the prediction, to both sides; twice as much of a wrong class's lead
NUM_PLACES = 6001
MIN_JUMP = 0.1  # of the gradient's range between neighbours; what is smaller is a slope
# Logits of an image that is a shirt, but looks more like a t-shirt to the model.
EXAMPLE_LOGITS = (2.0, -1.5, 1.0, 0.0, 0.8, -3.0, 1.6, -3.0, -0.5, -3.0)
EXAMPLE_LABEL = 6


def trace(loss_fn: Loss, *, as_trained: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Compute a loss with its gradient in float64.

    Args:
        loss_fn: the loss; where it has a delta, the places reach beyond it.
        as_trained: over a wrong class's lead `o_i - o_y`, of two classes, also for a regression loss.

    Returns:
        The places, ascending, the values, and the gradients, each of shape (N,); a gradient is NaN where it jumps, so
        that no line is drawn across.
    """
    limit = max(LIMIT, 1.5 * getattr(loss_fn, "delta", 0)) * (2 if as_trained else 1)
    places = torch.linspace(-limit, limit, NUM_PLACES, dtype=torch.float64).round(decimals=9)
    if isinstance(loss_fn, RegressionLoss) and not as_trained:
        values, gradients = loss_fn.penalty(places), loss_fn.penalty_gradient(places)
    else:
        logits = torch.stack([torch.zeros_like(places), places], -1)
        values, both = loss_fn.value_and_gradient(logits, torch.zeros(NUM_PLACES, dtype=torch.int64))
        gradients = both[:, 1]
    min_jump = MIN_JUMP * (gradients.max() - gradients.min()) + 1e-9  # more than rounding
    jumps = gradients.diff().abs() > min_jump
    return places, values, torch.cat([gradients[:1], gradients[1:].masked_fill(jumps, torch.nan)])


def draw_losses(losses: Mapping[str, Loss]) -> "Figure":
    """Draw each loss, by title, with its gradient and its likelihood; and cross-entropy's gradient for one image."""
    entropy = next((loss_fn for loss_fn in losses.values() if isinstance(loss_fn, CrossEntropy)), None)
    num_panels = len(losses) + (entropy is not None)
    num_rows = -(-num_panels // 2)
    figure = new_figure(PAGE_WIDTH, 3.2 * num_rows + 0.3)
    panels = figure.subplots(num_rows, min(2, num_panels), squeeze=False).flatten()
    for axes, (title, loss_fn) in zip(panels, losses.items(), strict=False):
        _draw_loss(axes, f"{title}\n{loss_fn.formula}", loss_fn)
    if entropy:
        _draw_example(panels[len(losses)], entropy)
    for axes in panels[:num_panels]:
        finish(axes)
    for axes in panels[num_panels:]:
        axes.set_axis_off()
    figure.suptitle("Losses, their gradients and likelihoods")
    names = ("loss $L$", "gradient", "likelihood $e^{-L}$")
    figure.legend(panels[0].lines, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def compare_losses(losses: Mapping[str, Loss]) -> "Figure":
    """Draw all losses, by title, into the same axes: over the prediction, and below over the lead of a wrong class."""
    figure = new_figure(PAGE_WIDTH, 7.0)
    panels = figure.subplots(2, 2)
    others = [title.partition(",")[0] for title, loss_fn in losses.items() if not isinstance(loss_fn, RegressionLoss)]
    rows = (
        (False, "prediction, target 0", "over the prediction"),
        (True, "lead of a wrong class, $o_i - o_y$", "as trained, two classes"),
    )
    for row, (as_trained, label, what) in zip(panels, rows, strict=True):
        for index, loss_fn in enumerate(losses.values()):
            places, *curves = trace(loss_fn, as_trained=as_trained)
            for axes, name, curve in zip(row, ("loss", "gradient"), curves, strict=True):
                axes.plot(places, curve, **line_style(index))
                axes.set(xlabel=label, ylabel=name, title=f"{name} {what}")
                finish(axes)
    figure.legend(panels[0, 0].lines, list(losses), loc="outside lower center", ncols=3, frameon=False)
    note = f"\nupper row: for {', '.join(others)} the prediction is a wrong class's logit" if others else ""
    figure.suptitle(f"Losses in the same axes{note}", fontsize=11, parse_math=False)
    return figure


def _draw_loss(axes: "Axes", title: str, loss_fn: Loss) -> None:
    places, values, gradients = trace(loss_fn)
    curves = {"loss": values, "gradient": gradients, "likelihood": (-values).exp()}
    for index, (label, curve) in enumerate(curves.items()):
        axes.plot(places, curve, label=label, **line_style(index))
    if isinstance(loss_fn, RegressionLoss):
        axes.set(xlabel="prediction $p$, target 0: error $e = p$", ylabel=r"$L$, $dL/dp$, $e^{-L}$")
        if loss_fn.input == "probabilities":
            axes.axvspan(-1, 1, color="#F0F0F0", zorder=0)  # what the error of a probability can be
    else:
        axes.set(xlabel="logit $o_i$ of the wrong class; $o_y = 0$", ylabel=r"$L$, $dL/do_i$, $e^{-L}$")
    axes.set_title(title, fontsize=10)


def _draw_example(axes: "Axes", loss_fn: Loss) -> None:
    """Draw softmax, label and their difference, which is the gradient, for one image."""
    names = PUBLISHED["fashion_mnist"].class_names
    logits = torch.tensor([EXAMPLE_LOGITS], dtype=torch.float64)
    gradient = loss_fn.value_and_gradient(logits, torch.tensor([EXAMPLE_LABEL]))[1][0]
    p = logits.softmax(-1)[0]
    bars = {"softmax $p$": p, "label $y$": p - gradient, "$p - y$": gradient}
    for index, (label, heights) in enumerate(bars.items()):
        places = torch.arange(len(names)) + 0.28 * (index - 1)
        axes.bar(places.numpy(), heights.numpy(), 0.28, color=COLORS[index], label=label)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_ylabel("probability, gradient $dL/do_i$")
    title = f"gradient of cross-entropy for ten\nmade-up logits of a {names[EXAMPLE_LABEL]}"
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=9)
