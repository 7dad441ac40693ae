"""Images under their names, beside what the model says of them, and what its weights find in them.

Evidence is how much each pixel adds to the lead of one class over others. Adding the same number to all logits does not
change softmax, so only differences of logits mean something. For softmax regression the sum is exact:
`o_k - o_j = sum_d (w_kd - w_jd) x_d + (b_k - b_j)`. Other models are not linear; for them a pixel's share is gradient
times value, which is exact for their linear part around the image.

References:
    Simonyan et al., Deep Inside Convolutional Networks (gradients as saliency), https://arxiv.org/abs/1312.6034
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fashion_softmax.dashboard.pictures import cut, to_pixels
from fashion_softmax.figures.style import BLUE, DPI, GREY, PAGE_WIDTH, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

LETTERS, CELL = 16, 1.25  # of a line above an image, and inches that they take
LINE, GAP = 0.16, 0.14  # inches: a line's height, and the space around an image
MAX_WIDTH = 48.0  # inches; a wider grid has fewer pixels per inch
MAX_BARS = 20
MAX_TITLE, MAX_HEADING, MAX_NAME = 60, 40, 14  # letters, also of what stands above evidence and templates
MISTAKE = "#B2182B"  # a dark red
TEMPLATE_COLUMNS, MAX_TEMPLATES = 5, 50


def draw_grid(
    images: NDArray[np.uint8],
    captions: Sequence[Sequence[str]],
    columns: int,
    title: str,
    mistakes: Collection[int] = (),
) -> "Figure":
    """Draw images in rows, each under its lines of text.

    Args:
        images: shape (N, C, H, W), N at least 1.
        captions: N; lines are cut to `LETTERS` letters.
        columns: images in a row, at least 1.
        title: of the figure.
        mistakes: indices of images that get a red frame and red lines.
    """
    pixels = to_pixels(images)
    columns, num_lines = min(columns, len(pixels)), max(map(len, captions))
    side = CELL - GAP  # of an image
    row_height = num_lines * LINE + side * pixels.shape[1] / pixels.shape[2] + GAP
    width, height = columns * CELL, -(-len(pixels) // columns) * row_height
    # One pair of axes, measured in inches from its upper left corner: thousands of axes would take minutes.
    whole_width, whole_height = max(width, 0.11 * len(title)), height + 2.5 * LINE
    figure = new_figure(whole_width, whole_height, dpi=DPI * min(1, MAX_WIDTH / whole_width))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, height / whole_height), aspect="equal", xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    axes.set_title(title, parse_math=False)
    for index, (picture, lines) in enumerate(zip(pixels, captions, strict=True)):
        left, top = index % columns * CELL + GAP / 2, index // columns * row_height
        color = MISTAKE if index in mistakes else "black"
        for number, line in enumerate(lines, start=1):
            place = left + side / 2, top + number * LINE
            axes.text(*place, cut(line, LETTERS), fontsize=9, ha="center", parse_math=False, color=color)
        top, right, bottom = top + num_lines * LINE + GAP / 3, left + side, top + row_height - 2 * GAP / 3
        show_image(axes, picture, extent=(left, right, bottom, top))
        if index in mistakes:
            axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=color, linewidth=2.5)
    axes.set(xlim=(0, width), ylim=(height, 0))
    return figure


def draw_prediction(
    figure: "Figure | SubFigure",
    title: str,
    images: Mapping[str, NDArray[np.uint8]],
    probabilities: NDArray[np.floating[Any]],
    names: Sequence[str],
) -> None:
    """Draw images below each other, and beside them a bar for each of the `MAX_BARS` most probable classes.

    Args:
        figure: drawn into.
        title: above all.
        images: by their titles, bytes, each of shape (H, W) or (H, W, 3).
        probabilities: shape (K,).
        names: of the K classes.
    """
    figure.suptitle(cut(title, MAX_TITLE), parse_math=False)
    panels = figure.subplot_mosaic([[name, ""] for name in images], width_ratios=(1, 1.4))
    for name, pixels in images.items():
        show_image(panels[name], pixels)
        panels[name].set_title(name, fontsize=10)
        panels[name].set(xticks=[], yticks=[])
    axes, order = panels[""], np.argsort(-probabilities, kind="stable")[:MAX_BARS]
    some = f" (first {len(order)} of {len(names)})" if len(order) < len(names) else ""
    bars = axes.barh(range(len(order)), probabilities[order], color=[BLUE, *["#9CC3DC"] * (len(order) - 1)], height=0.7)
    axes.bar_label(bars, [f"{100 * value:.1f} %" for value in probabilities[order]], padding=4, fontsize=9, color=GREY)
    axes.set_yticks(range(len(order)), [cut(names[index], 18) for index in order], parse_math=False)
    axes.set(xlim=(0, 1.22), ylim=(len(order) - 0.4, -0.6), xticks=(0, 0.25, 0.5, 0.75, 1), xlabel="probability")
    axes.set_title(f"what the model says{some}", fontsize=10)
    axes.set_axisbelow(True)
    finish(axes)
    axes.grid(visible=False, axis="y")


def show_image(axes: "Axes", pixels: NDArray[np.uint8], **options: Any) -> None:
    """Show bytes as they are: 0 is black and 255 white, and every pixel a square."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", **options)


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
