"""Pictures of a run: arrays in, pictures out.

Colour-blind readers can tell the colours apart, too: red and blue through white, or light to dark blue. Names that are
too long for their place are cut; a character that Pillow's own font lacks becomes a box.
"""

import functools
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fashion_softmax.dashboard.palettes import (
    GRID_LINE,
    INK,
    NUM_COLOURS,
    NUM_LEVELS,
    NUM_STRENGTHS,
    make_palette,
    make_text_palette,
    to_greys,
)

MIN_SIDE, MAX_SIDE = 84, 168  # pixels of an image on a sheet; 28 x 28 becomes 84 x 84
MAX_TEMPLATES = 100
MAX_COUNTS, MAX_NUMBERS, MAX_CLASSES = 20, 50, 200  # classes up to which a confusion matrix shows counts, numbers, all
GAP, LINE = 12, 18  # pixels between things, and of a line of text
SMALL, TEXT, TITLE = 11, 13, 16  # font sizes in pixels
BAR_WIDTH, BAR_HEIGHT = 120, 12  # of a colour scale
FAINT = 150  # of 255, the strength of text that stands back


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
    middle = NUM_COLOURS // 2
    templates = _fit((np.rint(shown * (middle / limit)) + middle).astype(np.uint8))
    frame, places = _template_frame(tuple(names[:MAX_TEMPLATES]), *templates.shape[1:])
    pixels = frame.copy()
    for template, (left, top) in zip(templates, places, strict=True):
        pixels[top : top + template.shape[0], left : left + template.shape[1]] = template
    scale = f"-{limit:.2g} against the class to {limit:.2g} for it"
    legend = Image.new("L", (pixels.shape[1] - BAR_WIDTH - 2 * GAP, LINE), 255)
    ImageDraw.Draw(legend).text((0, 0), scale, fill=INK, font=_font(TEXT))
    pixels[-GAP - LINE : -GAP, 2 * GAP + BAR_WIDTH :] = to_greys(np.asarray(legend))
    image = Image.fromarray(pixels)
    image.putpalette(make_palette())
    return image


def draw_confusion(counts: NDArray[np.integer[Any]], names: Sequence[str], title: str = "") -> Image.Image:
    """Draw a confusion matrix, darker where a larger share of a true class goes.

    Args:
        counts: shape (K, K), images by true class (row) and predicted class (column).
        names: of the K classes.
        title: above it; empty says what the numbers are.

    Returns:
        The matrix with counts, from `MAX_COUNTS` classes on with percentages of the true class, and of many classes
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
    text = Image.new("L", (width, top + side + GAP))
    draw = ImageDraw.Draw(text)
    draw.text((GAP, GAP), title, fill=255, font=_font(TITLE))
    draw.text((left + side / 2, GAP + LINE + 10), "predicted", fill=FAINT, font=_font(TEXT), anchor="ma")
    axis = _turned("true", _font(TEXT), FAINT)
    text.paste(axis, (GAP, top + (side - axis.height) // 2))
    centres = [index * cell + cell // 2 for index in range(num_classes)]
    for label, centre in zip(labels, centres, strict=False):
        draw.text((left - 6, top + centre), label, fill=255, font=font, anchor="rm")
        turned = _turned(label, font)
        text.paste(turned, (left + centre - turned.width // 2, top - 6 - turned.height))
    if labels:
        numbers = counts if has_counts else np.rint(100 * shares).astype(int)
        for row, column in zip(*numbers.nonzero(), strict=True):
            number = str(numbers[row, column])
            draw.text((left + centres[column], top + centres[row]), number, fill=255, font=font, anchor="mm")
    levels = np.zeros((text.height, width), np.uint8)
    matrix = levels[top : top + side, left : left + side]
    matrix[:] = np.rint(shares * (NUM_LEVELS - 1)).repeat(cell, 0).repeat(cell, 1)
    pixels = levels * NUM_STRENGTHS + (np.asarray(text) // (256 // NUM_STRENGTHS))
    for edge in range(0, side + 1, cell):
        pixels[top + edge, left : left + side + 1] = pixels[top : top + side + 1, left + edge] = GRID_LINE
    image = Image.fromarray(pixels)
    image.putpalette(make_text_palette())
    return image


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
    """Encode a picture, fast rather than small."""
    content = io.BytesIO()
    image.save(content, "png", compress_level=1)
    return content.getvalue()


@functools.lru_cache(maxsize=4)
def _template_frame(names: tuple[str, ...], height: int, width: int) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """Draw what is the same in every epoch, shape (rows, columns) of palette entries; and say where the templates go.

    Returns:
        The sheet, and left and top of each template.
    """
    columns = math.ceil(len(names) / max(1, round(math.sqrt(len(names) / 2.5))))
    rows = math.ceil(len(names) / columns)
    step_x, step_y = max(width, MIN_SIDE) + GAP, height + LINE + GAP
    sheet = Image.new("L", (max(columns * step_x + GAP, 440), GAP + rows * step_y + LINE + GAP), 255)
    draw = ImageDraw.Draw(sheet)
    places = [(GAP + i % columns * step_x, GAP + i // columns * step_y) for i in range(len(names))]
    for name, (left, top) in zip(names, places, strict=True):
        label = _cut(name, _font(TEXT), step_x - 4)
        draw.text((left, top + height + 2), label, fill=INK, font=_font(TEXT))
    pixels = to_greys(np.asarray(sheet))
    scale = np.linspace(0, NUM_COLOURS - 1, BAR_WIDTH).round()
    pixels[-GAP - LINE + 3 : -GAP - LINE + 3 + BAR_HEIGHT, GAP : GAP + BAR_WIDTH] = scale
    return pixels, places


def _fit(images: NDArray[Any], min_side: int = MIN_SIDE) -> NDArray[Any]:
    """Bring images (N, H, W, ...) to sides of `min_side` to `MAX_SIDE` pixels, as far as that goes without blurring."""
    height, width = images.shape[1:3]
    if (step := math.ceil(max(height, width) / MAX_SIDE)) > 1:
        return images[:, ::step, ::step]
    times = max(1, min(math.ceil(min_side / min(height, width)), MAX_SIDE // max(height, width)))
    return images.repeat(times, 1).repeat(times, 2)


@functools.cache
def _font(size: int) -> Any:
    """Load Pillow's own font; without FreeType it has a single size."""
    try:
        return ImageFont.load_default(size)
    except ImportError:
        return ImageFont.load_default()


def _cut(text: str, font: Any, width: float) -> str:
    """Shorten a text to so many pixels, and to one line."""
    line = " ".join(text[:200].split())
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "...") > width:
        line = line[:-1]
    return line.rstrip() + "..."


def _turned(text: str, font: Any, strength: int = 255) -> Image.Image:
    """Draw text that reads upwards."""
    image = Image.new("L", (math.ceil(font.getlength(text)) + 1, LINE))
    ImageDraw.Draw(image).text((0, LINE // 2), text, fill=strength, font=font, anchor="lm")
    return image.transpose(Image.Transpose.ROTATE_90)
