"""Grids of images under their names, and a user's own picture beside what the model says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.dashboard.pictures import to_pixels
from fashion_softmax.figures.style import BLUE, DPI, FIRST_ASIAN, GREY, finish, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONT_SIZE = 9.0  # points
LETTER = 0.6 * FONT_SIZE / 72  # inches, the width of a letter, generously
LINE = 1.3 * FONT_SIZE / 72  # inches
MIN_CELL, MAX_CELL = 0.9, 1.5  # inches; between them an image takes what the longest line above it needs
MAX_WIDTH = 48.0  # inches; a wider grid has fewer pixels per inch
GAP = 0.1  # of a cell, between images
TITLE_HEIGHT = 0.4  # inches
MAX_BARS = 20
MAX_TITLE = 60  # letters
MAX_LETTERS = 200  # of a name
MIN_CONTRAST = 26  # of 255; less is hardly seen
MISTAKE = "#B2182B"  # a dark red


@dataclass(frozen=True)
class Caption:
    """What stands above an image.

    Attributes:
        names: a line each; shortened where they are too long.
        ending: of the last line, never shortened, such as a probability.
        is_mistake: written in red, with a frame around the image.
    """

    names: tuple[str, ...]
    ending: str = ""
    is_mistake: bool = False

    def fit(self, num_letters: int) -> list[str]:
        """Shorten each line to a number of letters."""
        *others, last = self.names
        return [*(cut(name, num_letters) for name in others), cut(last, num_letters - len(self.ending)) + self.ending]


def draw_grid(images: NDArray[np.uint8], captions: Sequence[Caption], columns: int, title: str) -> "Figure":
    """Draw images in rows, each under its caption.

    Args:
        images: shape (N, C, H, W), N at least 1.
        captions: N.
        columns: images in a row, at least 1.
        title: of the figure.
    """
    pixels = to_pixels(images)
    columns = min(columns, len(pixels))
    longest = max(count_letters(line) for caption in captions for line in caption.fit(MAX_LETTERS))
    cell = min(max(MIN_CELL, (longest + 1) * LETTER), MAX_CELL)
    text_height = max(len(caption.names) for caption in captions) * LINE
    side = cell * (1 - GAP)  # of an image
    image_height = side * pixels.shape[1] / pixels.shape[2]
    row_height = text_height + image_height + 1.6 * GAP * cell
    width, height = columns * cell, -(-len(pixels) // columns) * row_height
    figure, axes = _make_sheet(width, height, title)
    for index, (picture, caption) in enumerate(zip(pixels, captions, strict=True)):
        left, top = (index % columns + GAP / 2) * cell, index // columns * row_height
        style: dict[str, Any] = {"color": MISTAKE} if caption.is_mistake else {}
        for number, line in enumerate(caption.fit(round(cell / LETTER) - 1), start=1):
            position = left + side / 2, top + number * LINE
            axes.text(*position, line, fontsize=FONT_SIZE, ha="center", parse_math=False, **style)
        top += text_height + GAP * cell / 2
        right, bottom = left + side, top + image_height
        show_image(axes, picture, extent=(left, right, bottom, top), aspect="auto")
        if caption.is_mistake:
            corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
            axes.plot(*corners, linewidth=2.5, solid_joinstyle="miter", **style)
    axes.set(xlim=(0, width), ylim=(height, 0))
    return figure


def _make_sheet(width: float, height: float, title: str) -> "tuple[Figure, Axes]":
    """Make a figure with a title, and axes below it that are measured in inches from their upper left corner."""
    whole_width, whole_height = max(width, len(title) * 1.4 * LETTER), height + TITLE_HEIGHT
    figure = new_figure(whole_width, whole_height, dpi=DPI * min(1, MAX_WIDTH / whole_width))
    figure.set_layout_engine("none")  # the places are known
    figure.text(0.5, 1 - 0.12 / whole_height, title, ha="center", va="top", fontsize=12, parse_math=False)
    axes = figure.add_axes(((1 - width / whole_width) / 2, 0, width / whole_width, height / whole_height))
    axes.set_axis_off()
    return figure, axes


def draw_own_picture(
    picture: NDArray[np.uint8],
    image: NDArray[np.uint8],
    probabilities: NDArray[np.floating[Any]],
    names: Sequence[str],
) -> "Figure":
    """Draw a user's picture, what the model saw of it, and the probability of each class.

    Args:
        picture: as the user has it, shape (height, width, 3).
        image: as the model saw it, shape (C, H, W).
        probabilities: shape (K,); the `MAX_BARS` largest are drawn.
        names: of the K classes.
    """
    seen = "what the model saw" if np.ptp(image) > MIN_CONTRAST else "what the model saw: hardly anything"
    figure = new_figure(6.5, max(4.2, 2.4 + 0.24 * min(len(names), MAX_BARS)))
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.4))
    for row, (title, pixels) in enumerate((("your picture", picture), (seen, to_pixels(image[None])[0]))):
        axes = figure.add_subplot(grid[row, 0])
        show_image(axes, pixels)
        axes.set_title(title, fontsize=10)
        axes.set(xticks=[], yticks=[])
    draw_probabilities(figure.add_subplot(grid[:, 1]), probabilities, names)
    best = int(probabilities.argmax())
    figure.suptitle(f"{cut(names[best], MAX_TITLE - 8)}: {100 * probabilities[best]:.0f} %", parse_math=False)
    return figure


def draw_probabilities(axes: "Axes", probabilities: NDArray[np.floating[Any]], names: Sequence[str]) -> None:
    """Draw a bar with its percentage for each of the `MAX_BARS` most probable classes, the first in another colour.

    Args:
        axes: drawn into.
        probabilities: shape (K,).
        names: of the K classes.
    """
    order = np.argsort(-probabilities, kind="stable")[:MAX_BARS]
    some = f" (first {len(order)} of {len(names)})" if len(order) < len(names) else ""
    probabilities, names = probabilities[order], [names[index] for index in order]
    axes.barh(range(len(names)), probabilities, color=[BLUE, *["#9CC3DC"] * (len(names) - 1)], height=0.7)
    for place, probability in enumerate(probabilities.tolist()):
        axes.text(probability + 0.02, place, f"{100 * probability:.1f} %", va="center", fontsize=9, color=GREY)
    axes.set_yticks(range(len(names)), [cut(name, 18) for name in names], parse_math=False)
    axes.set(xlim=(0, 1.22), ylim=(len(names) - 0.4, -0.6), xticks=(0, 0.25, 0.5, 0.75, 1))
    axes.set_xlabel("probability")
    axes.set_title(f"what the model says{some}", fontsize=10)
    axes.set_axisbelow(True)
    finish(axes)
    axes.grid(visible=False, axis="y")


def show_image(axes: "Axes", pixels: NDArray[np.uint8], **options: Any) -> None:
    """Show bytes as they are: 0 is black and 255 white, and every pixel a square."""
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", **options)


def cut(text: str, num_letters: int) -> str:
    """Shorten a text to so many letters of average width, and to one line."""
    line = " ".join(text[:MAX_LETTERS].split())
    if count_letters(line) <= num_letters:
        return line
    while line and count_letters(line) >= num_letters:
        line = line[:-1]
    return f"{line.rstrip()}\u2026"


def count_letters(text: str) -> int:
    """Measure a text in letters of average width; Asian characters count twice."""
    return len(text) + sum(letter >= FIRST_ASIAN for letter in text)
