"""Images under their names, and beside what a model says of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from figures import BLUE, DPI, GREY, finish, new_figure
from numpy.typing import NDArray

from fashion_softmax.dashboard.console import cut
from fashion_softmax.dashboard.pictures import to_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

LETTERS, CELL = 18, 1.25  # of a line above an image, and inches that they take
LINE, GAP = 0.16, 0.14  # inches: a line's height, and the space around an image
MAX_WIDTH = 48.0  # inches; a wider grid has fewer pixels per inch
MAX_BARS = 20
MAX_TITLE = 60  # letters
MISTAKE = "#B2182B"  # a dark red


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
            axes.text(*place, cut(line, LETTERS), fontsize=8.5, ha="center", parse_math=False, color=color)
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
