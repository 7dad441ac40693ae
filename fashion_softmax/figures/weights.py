"""What a model looks for, and what it found in one image: weights as images, and the evidence of each pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.figures.images import MAX_TITLE, cut, draw_probabilities, show_image
from fashion_softmax.figures.style import PAGE_WIDTH, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

TEMPLATE_COLUMNS = 5
MAX_TEMPLATES = 50
MAX_HEADING = 40  # letters


@dataclass(frozen=True)
class Explanation:
    """One image and what is said of it.

    Attributes:
        pixels: the image, bytes, see `pictures.to_pixels`.
        title: of the figure.
        probabilities: of all classes, shape (K,).
        evidence: shares of the pixels, each of shape (H, W), by what they speak for and against.
    """

    pixels: NDArray[np.uint8]
    title: str
    probabilities: NDArray[np.floating[Any]]
    evidence: dict[str, NDArray[np.floating[Any]]]


def draw_inspection(
    templates: NDArray[np.floating[Any]] | None, names: Sequence[str], explanation: Explanation
) -> "Figure":
    """Draw the weights of each class as an image, and below what each pixel of one image says.

    Args:
        templates: shape (K, H, W), of softmax regression; None for other models, which have no such weights.
        names: of the K classes.
        explanation: of the image.
    """
    num_rows = 0 if templates is None else -(-min(len(templates), MAX_TEMPLATES) // TEMPLATE_COLUMNS)
    heights = [1.45 * num_rows + 0.9] * bool(num_rows) + [5.4]
    figure = new_figure(PAGE_WIDTH, sum(heights))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    if templates is not None:
        _draw_templates(parts[0], templates[:MAX_TEMPLATES], names)
    _draw_explanation(parts[-1], names, explanation)
    return figure


def _draw_templates(figure: "SubFigure", templates: NDArray[np.floating[Any]], names: Sequence[str]) -> None:
    num_rows = -(-len(templates) // TEMPLATE_COLUMNS)
    grid = figure.add_gridspec(num_rows + 1, 2 * TEMPLATE_COLUMNS, height_ratios=[1] * num_rows + [0.06])
    indent = max(0, TEMPLATE_COLUMNS - len(templates))  # in halves of a column: a few are drawn in the middle
    limit = float(np.abs(templates).max()) or 1.0
    for index, (template, name) in enumerate(zip(templates, names, strict=False)):
        left = indent + 2 * (index % TEMPLATE_COLUMNS)
        axes = figure.add_subplot(grid[index // TEMPLATE_COLUMNS, left : left + 2])
        drawn = _show_signed(axes, template, limit)
        axes.set_axis_off()
        axes.set_title(cut(name, 14), fontsize=9, parse_math=False)
    _draw_scale(figure.add_subplot(grid[-1, :]), drawn, "weight of a pixel: for the class (red) or against it (blue)")
    some = f", the first {len(templates)} of {len(names)} classes" if len(templates) < len(names) else ""
    figure.suptitle(f"What the model looks for{some}")


def _draw_explanation(figure: "SubFigure", names: Sequence[str], explanation: Explanation) -> None:
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.1), squeeze=False)[:, 0]
    image, bars = top.subplots(1, 2, width_ratios=(1, 1.3))
    show_image(image, explanation.pixels)
    image.set(xticks=[], yticks=[])
    image.set_title("what the model saw", fontsize=10)
    draw_probabilities(bars, explanation.probabilities, names)
    grid = bottom.add_gridspec(2, len(explanation.evidence), height_ratios=[1, 0.06])
    panels = [bottom.add_subplot(grid[0, column]) for column in range(len(explanation.evidence))]
    limit = max(float(np.abs(shares).max()) for shares in explanation.evidence.values()) or 1.0
    for axes, (title, shares) in zip(panels, explanation.evidence.items(), strict=True):
        drawn = _show_signed(axes, shares, limit)
        axes.set(xticks=[], yticks=[])
        axes.set_title("\n".join(cut(line, MAX_HEADING) for line in title.splitlines()), fontsize=10, parse_math=False)
    label = "share of a pixel in the lead, in logits: for (red) or against (blue)"
    _draw_scale(bottom.add_subplot(grid[1, :]), drawn, label)
    figure.suptitle(cut(explanation.title, MAX_TITLE), parse_math=False)


def _show_signed(axes: "Axes", values: NDArray[np.floating[Any]], limit: float) -> "AxesImage":
    return axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")


def _draw_scale(axes: "Axes", drawn: "AxesImage", label: str) -> None:
    axes.figure.colorbar(drawn, cax=axes, orientation="horizontal")
    axes.set_xlabel(label, fontsize=9)
    axes.tick_params(labelsize=8)
