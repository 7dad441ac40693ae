"""Pictures of a run: arrays in, pictures out.

Colour-blind readers can tell the colours apart: red and blue through white, or light to dark blue. Names that are too
long for their place are cut; a character that Pillow's own font lacks becomes a box.
"""

import functools
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

MIN_SIDE, MAX_SIDE = 84, 168  # pixels of an image on a sheet; 28 x 28 becomes 84 x 84
MAX_TEMPLATES = 100
MAX_COUNTS, MAX_NUMBERS, MAX_CLASSES = 20, 50, 200  # classes up to which a confusion matrix shows counts, numbers, all
GAP, LINE = 12, 18  # pixels between things, and of a line of text
SMALL, TEXT, TITLE = 11, 13, 16  # font sizes in pixels
BAR_WIDTH, BAR_HEIGHT = 120, 12  # of a colour scale
INK, FAINT, GRID_LINE = (34, 34, 34), (125, 125, 125), (220, 220, 220)
# ColorBrewer's RdBu and Blues, https://colorbrewer2.org
DIVERGING = ((5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31))
SEQUENTIAL = ((255, 255, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107))

_font = functools.cache(ImageFont.load_default)  # Pillow's own, by size


def draw_templates(weights: NDArray[Any], names: Sequence[str]) -> Image.Image:
    """Draw what softmax regression looks for: the weights of each class as an image.

    Args:
        weights: shape (K, H, W), K at least 1; red above 0, blue below, on one scale for all classes.
        names: of the K classes.

    Returns:
        A grid of the first `MAX_TEMPLATES` classes with their names, and the scale below.
    """
    shown = np.nan_to_num(np.asarray(weights[:MAX_TEMPLATES], np.float32), posinf=0, neginf=0)
    limit = float(np.abs(shown).max()) or 1.0
    templates = _fit(_colour(shown / (2 * limit) + 0.5, DIVERGING))
    count, height, width = templates.shape[:3]
    columns = math.ceil(count / max(1, round(math.sqrt(count / 2.5))))
    step_x, step_y = max(width, MIN_SIDE) + GAP, height + LINE + GAP
    bottom = GAP + math.ceil(count / columns) * step_y
    sheet = Image.new("RGB", (max(columns * step_x + GAP, 440), bottom + LINE + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (template, name) in enumerate(zip(templates, names, strict=False)):
        left, top = GAP + index % columns * step_x, GAP + index // columns * step_y
        sheet.paste(Image.fromarray(template), (left, top))
        draw.text((left, top + height + 2), _cut(name, _font(TEXT), step_x - 4), fill=INK, font=_font(TEXT))
    bar = _colour(np.linspace(0, 1, BAR_WIDTH)[None].repeat(BAR_HEIGHT, 0), DIVERGING)
    sheet.paste(Image.fromarray(bar), (GAP, bottom + 3))
    scale = f"-{limit:.2g} against the class to {limit:.2g} for it"
    draw.text((2 * GAP + BAR_WIDTH, bottom), scale, fill=INK, font=_font(TEXT))
    return sheet


def draw_confusion(counts: NDArray[np.integer[Any]], names: Sequence[str], title: str = "") -> Image.Image:
    """Draw a confusion matrix: the larger the share of a true class, the darker the cell.

    Args:
        counts: shape (K, K), images by true class (row) and predicted class (column).
        names: of the K classes.
        title: above it; empty says what the numbers are.

    Returns:
        The matrix with counts, above `MAX_COUNTS` classes with percentages of the true class, and above `MAX_NUMBERS`
        without numbers; at most `MAX_CLASSES` classes.
    """
    counts = np.asarray(counts)[:MAX_CLASSES, :MAX_CLASSES]
    num_classes = len(counts)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    has_counts = num_classes <= MAX_COUNTS
    cell = 46 if has_counts else 26 if num_classes <= MAX_NUMBERS else 8
    font = _font(TEXT if has_counts else SMALL)
    labels = [_cut(name, font, 130) for name in names[:num_classes]] if num_classes <= MAX_NUMBERS else []
    margin = math.ceil(max(map(font.getlength, labels), default=0)) + GAP
    title = title or ("images" if has_counts else "percent of each true class")
    left, top, side = LINE + GAP + margin, 2 * LINE + 2 * GAP + margin, num_classes * cell
    width = max(left + side + GAP, math.ceil(_font(TITLE).getlength(title)) + 2 * GAP)
    sheet = Image.new("RGB", (width, top + side + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, fill=INK, font=_font(TITLE))
    draw.text((left + side / 2, GAP + LINE + 10), "predicted", fill=FAINT, font=_font(TEXT), anchor="ma")
    axis = _turned("true", _font(TEXT), FAINT)
    sheet.paste(axis, (GAP, top + (side - axis.height) // 2))
    sheet.paste(Image.fromarray(_colour(shares, SEQUENTIAL).repeat(cell, 0).repeat(cell, 1)), (left, top))
    for edge in range(0, side + 1, cell):
        draw.line((left, top + edge, left + side, top + edge), GRID_LINE)
        draw.line((left + edge, top, left + edge, top + side), GRID_LINE)
    for index, label in enumerate(labels):
        centre = index * cell + cell // 2
        draw.text((left - 6, top + centre), label, fill=INK, font=font, anchor="rm")
        turned = _turned(label, font, INK)
        sheet.paste(turned, (left + centre - turned.width // 2, top - 6 - turned.height))
    numbers = counts if has_counts else np.rint(100 * shares).astype(int)
    for row, column in zip(*numbers.nonzero(), strict=True) if labels else ():
        place = (left + column * cell + cell // 2, top + row * cell + cell // 2)
        fill = "white" if shares[row, column] > 0.5 else INK
        draw.text(place, str(numbers[row, column]), fill=fill, font=font, anchor="mm")
    return sheet


def draw_mistakes(
    images: NDArray[np.uint8],
    true_names: Sequence[str],
    predicted_names: Sequence[str],
    confidences: Sequence[float],
    title: str = "",
) -> Image.Image:
    """Draw misclassified images, each with what it is and what the model says.

    Args:
        images: shape (N, C, H, W), N at least 0, of a sheet's size; two channels or more than three show their mean.
        true_names: N.
        predicted_names: N.
        confidences: N probabilities, of the predicted classes.
        title: above them.
    """
    pictures = _fit(to_pixels(images), 112)
    height, width = pictures.shape[1:3]
    columns = max(3, min(6, len(pictures)))
    step_x, step_y = max(width, 146) + GAP, height + 2 * LINE + GAP
    rows = math.ceil(len(pictures) / columns)
    width_of_title = math.ceil(_font(TITLE).getlength(title)) + 2 * GAP
    size = (max(columns * step_x + GAP, width_of_title), GAP + LINE + GAP + rows * step_y)
    sheet = Image.new("RGB" if pictures.ndim == 4 else "L", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, GAP), title, fill="black", font=_font(TITLE))
    font = _font(TEXT)
    for index, picture in enumerate(pictures):
        left, top = GAP + index % columns * step_x, 2 * GAP + LINE + index // columns * step_y
        sheet.paste(Image.fromarray(picture), (left, top))
        percent = f" {100 * confidences[index]:.0f} %"
        said = _cut(predicted_names[index], font, step_x - 4 - font.getlength(f"seen as {percent}"))
        known = _cut(true_names[index], font, step_x - 4 - font.getlength("true "))
        draw.text((left, top + height + 2), f"true {known}", fill="black", font=font)
        draw.text((left, top + height + LINE), f"seen as {said}{percent}", fill="dimgrey", font=font)
    return sheet


def to_pixels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn images (N, C, H, W) into what is drawn: colours (N, H, W, 3), or else the mean of channels (N, H, W)."""
    if images.shape[1] == 3:
        return np.moveaxis(images, 1, -1)
    return images[:, 0] if images.shape[1] == 1 else images.mean(1).astype(np.uint8)


def to_png(image: Image.Image) -> bytes:
    """Encode a grey or coloured picture, fast rather than small: Pillow would try five filters on every row.

    References:
        https://www.w3.org/TR/png-3/
    """
    pixels = np.asarray(image)
    rows = np.zeros((image.height, pixels[0].size + 1), np.uint8)  # a row begins with its filter; 0 is none
    rows[:, 1:] = pixels.reshape(image.height, -1)
    header = struct.pack(">2I5B", image.width, image.height, 8, 2 if image.mode == "RGB" else 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.data, 1)), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


@functools.cache
def _scale(anchors: tuple[Colour, ...]) -> NDArray[np.uint8]:
    """Blend colours into a scale of 255 steps, shape (255, 3); the middle one is the middle colour."""
    places = np.linspace(0, len(anchors) - 1, 255)
    channels = [np.interp(places, range(len(anchors)), channel) for channel in zip(*anchors, strict=True)]
    return np.stack(channels, 1).round().astype(np.uint8)


def _colour(values: NDArray[Any], anchors: tuple[Colour, ...]) -> NDArray[np.uint8]:
    """Turn values from 0 to 1, of any shape, into colours, with an axis of 3 channels more."""
    colours: NDArray[np.uint8] = _scale(anchors)[np.rint(values * 254).astype(np.uint8)]
    return colours


def _fit(images: NDArray[Any], min_side: int = MIN_SIDE) -> NDArray[Any]:
    """Bring images (N, H, W, ...) to sides of `min_side` to `MAX_SIDE` pixels, as far as that goes without blurring."""
    height, width = images.shape[1:3]
    if (step := math.ceil(max(height, width) / MAX_SIDE)) > 1:
        return images[:, ::step, ::step]
    times = max(1, min(math.ceil(min_side / min(height, width)), MAX_SIDE // max(height, width)))
    return images.repeat(times, 1).repeat(times, 2)


def _cut(text: str, font: Any, width: float) -> str:
    """Shorten a text to so many pixels, and to one line."""
    line = " ".join(text[:200].split())
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "...") > width:
        line = line[:-1]
    return line.rstrip() + "..."


def _turned(text: str, font: Any, fill: Colour) -> Image.Image:
    """Draw text that reads upwards."""
    image = Image.new("RGB", (math.ceil(font.getlength(text)) + 1, LINE), "white")
    ImageDraw.Draw(image).text((0, LINE // 2), text, fill=fill, font=font, anchor="lm")
    return image.transpose(Image.Transpose.ROTATE_90)
