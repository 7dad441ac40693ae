"""The figure of `inspect_model.py`: what the weights of a model look for, and what they find in an image.

Evidence is how much each pixel adds to the lead of one class over others. Adding the same number to all logits does not
change softmax, so only differences of logits mean something. For softmax regression the sum is exact:
`o_k - o_j = sum_d (w_kd - w_jd) x_d + (b_k - b_j)`. Other models are not linear; for them a pixel's share is gradient
times value, which is exact for their linear part around the image.

References:
    Simonyan et al., Deep Inside Convolutional Networks (gradients as saliency), https://arxiv.org/abs/1312.6034
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from figures import PAGE_WIDTH, new_figure
from image_figures import draw_prediction
from numpy.typing import NDArray
from torch import Tensor, nn

from fashion_softmax.dashboard.console import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MAX_HEADING, MAX_NAME = 40, 14  # letters above evidence and templates
TEMPLATE_COLUMNS, MAX_TEMPLATES = 5, 50


def explain(model: nn.Module, image: Tensor, label: int, rival: int | None = None) -> tuple[Tensor, float]:
    """Explain the lead of one class by the pixels of an image.

    Args:
        model: images (B, C, H, W) to logits (B, K); it is put into evaluation mode.
        image: floats in [0, 1], shape (C, H, W).
        label: the class.
        rival: the class it leads over; None for the mean of all classes.

    Returns:
        The share of each pixel in the lead, summed over the channels, shape (H, W), and the lead of the class's logit.
        What no pixel explains is the bias, and in a model that is not linear also what its linear part misses.
    """
    leaf = image.clone().requires_grad_()
    with torch.enable_grad():
        logits = model.eval()(leaf[None])[0]
        lead = logits[label] - (logits.mean() if rival is None else logits[rival])
        (gradient,) = torch.autograd.grad(lead, leaf)
    return (gradient * image).sum(0), float(lead.detach())


def draw_inspection(
    title: str,
    pixels: NDArray[np.uint8],
    probabilities: NDArray[np.floating[Any]],
    names: Sequence[str],
    evidence: Mapping[str, NDArray[np.floating[Any]]],
    templates: NDArray[np.floating[Any]] | None,
) -> "Figure":
    """Draw the weights of each class as an image, and below what each pixel of one image says.

    Args:
        title: of what is said of the image.
        pixels: the image, bytes, see `pictures.to_pixels`.
        probabilities: of all classes, shape (K,).
        names: of the K classes.
        evidence: shares of the pixels, each of shape (H, W), by what they speak for and against.
        templates: shape (K, H, W), of softmax regression; None for other models, which have no such weights.
    """
    num_rows = 0 if templates is None else -(-min(len(templates), MAX_TEMPLATES) // TEMPLATE_COLUMNS)
    heights = [1.55 * num_rows + 0.9] * bool(num_rows) + [2.6, 2.8]
    figure = new_figure(PAGE_WIDTH, sum(heights))
    *above, middle, bottom = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if templates is not None:
        shown = templates[:MAX_TEMPLATES]
        some = f", the first {len(shown)} of {len(names)} classes" if len(shown) < len(names) else ""
        above[0].suptitle(f"What the model looks for{some}")
        panels = above[0].subplots(num_rows, TEMPLATE_COLUMNS, squeeze=False).flatten()
        _show_signed(above[0], panels, names, shown, "weight of a pixel: for the class (red) or against it (blue)")
    draw_prediction(middle, title, {"what the model saw": pixels}, probabilities, names)
    panels = bottom.subplots(1, len(evidence), squeeze=False)[0]
    label = "share of a pixel in the lead, in logits: for (red) or against (blue)"
    _show_signed(bottom, panels, list(evidence), np.stack(list(evidence.values())), label)
    return figure


def _show_signed(
    figure: "SubFigure", panels: "Sequence[Axes]", titles: Sequence[str], images: NDArray[np.floating[Any]], label: str
) -> None:
    """Show numbers, shape (N, H, W), red above 0 and blue below, on one scale for all."""
    limit = float(np.abs(images).max()) or 1.0
    letters, size = (MAX_HEADING, 10) if len(panels) <= 2 else (MAX_NAME, 9)
    for axes, title, values in zip(panels, titles, images, strict=False):
        drawn = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        lines = [cut(line, letters) for line in title.splitlines()]
        axes.set_title("\n".join(lines), fontsize=size, parse_math=False)
    for axes in panels:
        axes.set_axis_off()
    figure.colorbar(drawn, ax=list(panels), location="bottom", label=label, fraction=0.06, aspect=50)
