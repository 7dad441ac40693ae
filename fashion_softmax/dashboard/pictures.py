"""Pictures of a run: arrays in, pictures out.

Colour-blind readers can tell the colours apart: red and blue through white, or light to dark blue. A character that
Pillow's own font lacks becomes a box. TensorBoard brings all pictures to one width by leaving out or repeating pixels:
letters are sharp in pictures of that width, which ten classes with short names fit into.
"""

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from fashion_softmax.dashboard.console import cut
from fashion_softmax.learning.predictions import Predictions

WIDTH = 350  # pixels; TensorBoard's
SIDES = 56, 84  # pixels of an image on a sheet, at least and at most; 28 x 28 becomes 56 x 56 or 84 x 84
GAP, LINE = 8, 16  # pixels between things, and of a line of text
FONT_SIZE = 11  # pixels
MAX_CAPTION, MAX_LABEL, MAX_TEMPLATES = 22, 18, 100  # letters, letters, images
MAX_CLASSES, CELL = 50, 26  # of a confusion matrix, and the pixels of a cell, at least
INK, GRID_LINE = (34, 34, 34), (220, 220, 220)

Sheet = tuple[Image.Image, ImageDraw.ImageDraw, int]
FONT = ImageFont.load_default(FONT_SIZE)  # Pillow's own
# Of ColorBrewer's RdBu and Blues, https://colorbrewer2.org: the colours of 0, of 0.5 and of 1.
DIVERGING = ("#2166AC", "#F7F7F7", "#B2182B")
SEQUENTIAL = ("white", "#6BAED6", "#08306B")


def draw_templates(weights: NDArray[Any], names: Sequence[str]) -> Image.Image:
    """Draw what softmax regression looks for: the weights of the first `MAX_TEMPLATES` classes as images.

    Args:
        weights: shape (K, H, W), K at least 1; red above 0, blue below, on one scale for all classes.
        names: of the K classes.
    """
    shown = np.nan_to_num(np.asarray(weights[:MAX_TEMPLATES], np.float32), posinf=0, neginf=0)
    limit = float(np.abs(shown).max()) or 1.0
    templates = _colour(shown / (2 * limit) + 0.5, DIVERGING)
    title = f"weights: red for the class, up to {limit:.2g}; blue against it, down to -{limit:.2g}"
    return draw_sheet(templates, [[name] for name in names[:MAX_TEMPLATES]], title)


def draw_sheet(pictures: Iterable[NDArray[np.uint8]], captions: Sequence[Sequence[str]], title: str) -> Image.Image:
    """Draw images in rows, each with lines of text below it.

    Args:
        pictures: N at least 1, all grey, shape (H, W), or all coloured, (H, W, 3).
        captions: N; lines are cut to `MAX_CAPTION` letters.
        title: above them.
    """
    texts = [[cut(line, MAX_CAPTION) for line in lines] for lines in captions]
    room = max(SIDES[0], *(math.ceil(FONT.getlength(line)) for lines in texts for line in lines))
    images = [_fit(Image.fromarray(np.ascontiguousarray(picture)), min(room, SIDES[1])) for picture in pictures]
    height = max(image.height for image in images)
    step_x, step_y = room + GAP, height + max(map(len, texts)) * LINE + GAP
    columns = min(len(images), max((WIDTH - GAP) // step_x, len(images) // 12))
    rows = math.ceil(len(images) / columns)
    sheet, draw, top = _make_sheet(images[0].mode, columns * step_x + GAP, rows * step_y, title)
    for index, (image, lines) in enumerate(zip(images, texts, strict=True)):
        place = GAP + index % columns * step_x, top + index // columns * step_y
        sheet.paste(image, place)
        draw.text((place[0], place[1] + height + 2), "\n".join(lines), fill="black")
    return sheet


def draw_confusion(counts: NDArray[np.integer[Any]], names: Sequence[str], title: str) -> Image.Image:
    """Draw a confusion matrix: the larger the share of a true class, the darker the cell.

    Args:
        counts: shape (K, K), images by true class (row) and predicted class (column).
        names: of the K classes.
        title: above it.

    Returns:
        The matrix of the first `MAX_CLASSES` classes.
    """
    counts = np.asarray(counts)[:MAX_CLASSES, :MAX_CLASSES]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    labels = [cut(name, MAX_LABEL) for name in names[: len(counts)]]
    cell = max(CELL, math.ceil(FONT.getlength(str(counts.max()))) + 2)
    side, margin = len(counts) * cell, math.ceil(max(map(FONT.getlength, labels))) + 10
    strip = Image.new("RGB", (margin, side), "white")
    for index, label in enumerate(labels):
        ImageDraw.Draw(strip).text((4, (index + 0.5) * cell), label, fill=INK, font=FONT, anchor="lm")
    left, title = GAP + margin, f"{title}; rows: true class, columns: predicted class"
    sheet, draw, top = _make_sheet("RGB", left + side + GAP, margin + side + GAP, title)
    top += margin
    sheet.paste(strip, (GAP, top))
    sheet.paste(strip.transpose(Image.Transpose.ROTATE_90), (left, top - margin))  # reads upwards
    cells = Image.fromarray(_colour(shares, SEQUENTIAL)).resize((side, side), Image.Resampling.NEAREST)
    sheet.paste(cells, (left, top))
    for edge in range(0, side + 1, cell):
        draw.line((left, top + edge, left + side, top + edge), GRID_LINE)
        draw.line((left + edge, top, left + edge, top + side), GRID_LINE)
    for row, column in np.argwhere(counts).tolist():
        place = left + (column + 0.5) * cell, top + (row + 0.5) * cell
        fill = "white" if shares[row, column] > 0.5 else INK
        draw.text(place, str(counts[row, column]), fill=fill, anchor="mm")
    return sheet


def draw_reliability(predictions: Predictions, scale: int = 1) -> Image.Image:
    """Draw for each bin of confidence how often the model is right and how sure it is, `scale` times `WIDTH` wide."""
    counts, confidences, accuracies, error = predictions.count_reliability()
    line, left, side = LINE * scale, 50 * scale, (WIDTH - 50 - 2 * GAP) * scale
    bar = side / len(counts)
    title = f"expected calibration error {100 * error:.1f} %: bars, how often it is right; lines, how sure it is"
    sheet, draw, top = _make_sheet("RGB", 0, side + 3 * line, title, scale)
    for tick in (0, 25, 50, 75, 100):
        place = side * tick / 100
        draw.line((left, top + side - place, left + side, top + side - place), GRID_LINE)
        draw.text((left - line / 3, top + side - place), f"{tick} %", INK, anchor="rm")
        draw.text((left + place, top + side + line / 3), f"{tick} %", INK, anchor="ma")
    draw.line((left, top + side, left + side, top), (150, 150, 150))
    shares = np.sqrt(counts / max(1, counts.max()))  # bins of few images are pale, but not invisible
    colours = _colour(0.25 + 0.5 * shares, SEQUENTIAL)
    for index in np.flatnonzero(counts).tolist():
        start, end = left + index * bar, left + (index + 1) * bar
        base, height = top + side, side * accuracies[index]
        draw.rectangle((start + 1, base - height, end - 1, base), fill=tuple(colours[index].tolist()))
        sure = base - side * confidences[index]
        draw.line((start + 1, sure, end - 1, sure), (178, 24, 43), width=3 * scale)
    draw.text((left, top + side + 1.5 * line), "confidence; the darker a bar, the more images", INK)
    return sheet


def draw_curves(rows: Sequence[Mapping[str, float]]) -> Image.Image:
    """Draw loss and accuracy over the epochs, of each split.

    Args:
        rows: metrics of each epoch, by tag, with `epoch`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, unit in zip(figure.subplots(1, 2), ("loss (mean per image)", "accuracy (fraction)"), strict=True):
        for split, style in {"train": "-", "val": "--", "test": "-."}.items():
            tag = f"{split}/{unit.partition(' ')[0]}"
            points = [(row["epoch"], row[tag]) for row in rows if tag in row]
            axes.plot(*np.reshape(points, (-1, 2)).T, style, label=split if points else None)
        axes.set(xlabel="epoch", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(content := io.BytesIO(), format="png", dpi=120)
    return Image.open(content)


def to_pixels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn images (N, C, H, W) into what is drawn: colours (N, H, W, 3), or else the mean of channels (N, H, W)."""
    if images.shape[1] == 3:
        return np.moveaxis(images, 1, -1)
    return images[:, 0] if images.shape[1] == 1 else images.mean(1).astype(np.uint8)


def to_png(image: Image.Image) -> bytes:
    """Encode a picture, fast rather than small."""
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=1)
    return content.getvalue()


def _make_sheet(mode: str, width: int, height: int, title: str, scale: int = 1) -> Sheet:
    """Make a white picture, at least as wide as TensorBoard shows it, below a title; also how high that is."""
    lines = textwrap.wrap(title, max(width // scale, WIDTH) // 6)  # a letter has 5 to 6 pixels
    top = (len(lines) * LINE + 2 * GAP) * scale
    sheet = Image.new(mode, (max(width, WIDTH * scale), top + height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.font = ImageFont.load_default(FONT_SIZE * scale)
    draw.text((GAP * scale, GAP * scale), "\n".join(lines), fill="black")
    return sheet, draw, top


def _colour(values: NDArray[Any], scale: tuple[str, str, str]) -> NDArray[np.uint8]:
    """Turn values from 0 to 1, of any shape, into colours, with an axis of 3 channels more."""
    first, middle, last = scale
    greys = Image.fromarray(np.rint(values * 254).astype(np.uint8).reshape(1, -1))
    colours = ImageOps.colorize(greys, first, last, middle, whitepoint=254, midpoint=127)
    return np.asarray(colours).reshape(*values.shape, 3)


def _fit(image: Image.Image, longest: int) -> Image.Image:
    """Bring the longer side of an image to so many pixels, or to less if every pixel can become a square then."""
    scale = longest / max(image.size)
    width, height = (max(1, round(side * (int(scale) or scale))) for side in image.size)
    return image.resize((width, height), Image.Resampling.NEAREST)
