"""A user's own picture, turned into an image like those of a data set, by the steps of Fashion-MNIST's authors.

They trimmed the background, made the longer side fill the image, centred it, and inverted it: photos of clothing are
dark on white, the images light on black. Other data sets differ (MNIST leaves a margin), so background and margin are
measured on the data set's own images. A picture that has their size already is only inverted.

References:
    Xiao et al., Fashion-MNIST, section 2, https://arxiv.org/abs/1708.07747
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fashion_softmax.errors import DataError
from fashion_softmax.figures.picture_files import read_picture

TOLERANCE = 26  # of 255: a smaller difference from the background belongs to it; backgrounds of photos are uneven
MIN_SHARE = 0.005  # of a row or column must stand out, so that a speck of dust does not count
MAX_PER_PIXEL = 40  # pixels of a picture for one of the image, to both sides
NUM_STUDIED = 1000  # images of the data set
DARK, LIGHT = 64, 191  # of 255: a data set whose border is between them has no clear background

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Photo:
    """A picture of the user's.

    Attributes:
        picture: as it is, colours, shape (height, width, 3), see `read_picture`.
        image: as the model sees it, bytes, shape (C, H, W).
        steps: what was done to it, in words.
    """

    picture: NDArray[np.uint8]
    image: NDArray[np.uint8]
    steps: list[str]


@dataclass(frozen=True)
class Habits:
    """How a data set shows its things.

    Attributes:
        background: brightness of the border, 0 to 255; the median of many images.
        extent: share of the image that the longer side of a thing takes, 0 to 1; the median of many images.
    """

    background: float
    extent: float

    @property
    def is_even(self) -> bool:
        """Whether its images have a background, dark or light."""
        return not DARK <= self.background <= LIGHT


def study(images: NDArray[np.uint8]) -> Habits:
    """Find out how a data set shows its things.

    Args:
        images: of the data set, shape (N, C, H, W); the first `NUM_STUDIED` are looked at.
    """
    greys = images[:NUM_STUDIED].mean(1, dtype=np.float32)
    background = float(np.median([np.median(_border(grey[..., None]), 0) for grey in greys]))
    extents = []
    for grey in greys:
        left, top, right, bottom = _find_thing(grey[..., None], np.full(1, background, np.float32))
        extents.append(max((bottom - top) / grey.shape[0], (right - left) / grey.shape[1]))
    return Habits(background, float(np.median(extents)))


def read_photo(path: Path, habits: Habits, image_shape: tuple[int, int, int]) -> Photo:
    """Read a picture and bring it into the form of a data set's images.

    Args:
        path: of a file that Pillow can read, of any size, colour or transparent.
        habits: of the data set.
        image_shape: (C, H, W), C 1 or 3.

    Raises:
        DataError: there is no such file, it is no picture or too large, or the model's images have no colours or greys.
    """
    if image_shape[0] not in (1, 3):
        raise DataError(f"{path}: the model's images have {image_shape[0]} channels; a picture has 1 or 3")
    steps: list[str] = []
    picture = read_picture(path, steps)
    values = np.asarray(picture, np.float32)
    if image_shape[0] == 1:
        if np.ptp(values, axis=-1).max() > TOLERANCE:
            steps.append("colours became greys")
        values = np.asarray(picture.convert("L"), np.float32)[..., None]
    background = np.median(_border(values), 0)
    if values.shape[:2] == image_shape[1:]:
        image = _invert_if_whole(values, background, habits, steps)
    else:
        ground = _find_ground(values, background, steps)
        left, top, right, bottom = _find_thing(values, ground)
        if (right - left, bottom - top) != picture.size:
            steps.append(f"background trimmed, {right - left} x {bottom - top} pixels are left")
        thing, ground = values[top:bottom, left:right], ground[top:bottom, left:right]
        leveled = _level(thing, ground, habits, steps) if habits.is_even else thing
        image = _place(leveled, habits, image_shape, background)
        steps.append(f"scaled to {image_shape[2]} x {image_shape[1]} pixels")
    if np.ptp(image) < TOLERANCE:
        steps.append("hardly anything is to be seen on it")
    seen = np.rint(np.moveaxis(image, -1, 0)).astype(np.uint8)
    return Photo(np.asarray(picture), np.ascontiguousarray(seen), steps or ["taken as it is"])


def _border(values: Values) -> Values:
    """Take the outermost pixels, (H, W, C) to (N, C)."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _find_ground(values: Values, background: Values, steps: list[str]) -> Values:
    """Fit a plane to the border, so that light from one side is not taken for a thing; shape (H, W, C).

    Parts of a thing that reach the border differ from the background and are left out.
    """
    height, width = values.shape[:2]
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(rows), rows, columns], -1).astype(np.float32)
    border, border_terms = _border(values), _border(terms)
    ground = np.broadcast_to(background, values.shape).astype(np.float32)
    is_ground = (np.abs(border - background) < 3 * TOLERANCE).all(-1)
    for _ in range(3):  # again without pixels that do not fit the plane before
        if is_ground.mean() > 0.5:
            ground = (terms @ np.linalg.lstsq(border_terms[is_ground], border[is_ground])[0]).clip(0, 255)
        is_ground = (np.abs(border - _border(ground)) < TOLERANCE).all(-1)
    if is_ground.mean() < 0.8:
        steps.append("the background is uneven, and may be taken for a thing")
    return ground


def _find_thing(values: Values, background: Values) -> tuple[int, int, int, int]:
    """Find the box (left, top, right, bottom) around the thing; the whole picture when nothing stands out."""
    stands_out = (np.abs(values - background) > TOLERANCE).any(-1)
    rows, columns = ((stands_out.mean(axis) > MIN_SHARE).nonzero()[0] for axis in (1, 0))
    if not len(rows) or not len(columns):
        return 0, 0, values.shape[1], values.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _invert_if_whole(values: Values, background: Values, habits: Habits, steps: list[str]) -> Values:
    """Invert a picture that has the size of the images already, if its background asks for it."""
    is_dark, is_light = background.mean() < DARK, background.mean() > LIGHT
    if habits.is_even and (is_light if habits.background < DARK else is_dark):
        steps.append(_word_inversion(habits))
        return 255 - values
    return values


def _level(values: Values, ground: Values, habits: Habits, steps: list[str]) -> Values:
    """Make the background as dark or light as in the data set, and the thing lighter or darker than it."""
    wants_light = habits.background < DARK
    differences = (values - ground).mean(-1)
    stands_out = np.abs(differences) > TOLERANCE
    is_light = differences[stands_out].mean() > 0 if stands_out.any() else ground.mean() < 127
    if is_light != wants_light:
        steps.append(_word_inversion(habits))
        values, ground = 255 - values, 255 - ground
    if wants_light:
        return ((values - ground) * 255 / np.maximum(255 - ground, 1)).clip(0, 255)
    return (values * 255 / np.maximum(ground, 1)).clip(0, 255)


def _word_inversion(habits: Habits) -> str:
    own, usual = ("dark on light", "light on dark")[:: 1 if habits.background < DARK else -1]
    return f"inverted: the picture is {own}, the data set's images are {usual}"


def _place(thing: Values, habits: Habits, image_shape: tuple[int, int, int], background: Values) -> Values:
    """Scale a thing as large as the data set's usually are, in the middle of an image, shape (H, W, C)."""
    channels, height, width = image_shape
    per_pixel = max(thing.shape[0] / height, thing.shape[1] / width) / habits.extent  # pixels of the picture
    if (step := int(per_pixel / MAX_PER_PIXEL)) > 1:  # or the canvas of a small thing would be huge
        thing, per_pixel = thing[::step, ::step], per_pixel / step
    size = max(thing.shape[0], round(height * per_pixel)), max(thing.shape[1], round(width * per_pixel))
    empty = (0 if habits.background < DARK else 255) if habits.is_even else background
    canvas = np.full((*size, channels), empty, np.float32)
    spaces = [whole - part for whole, part in zip(size, thing.shape, strict=False)]
    # In the data set things begin at whole pixels: with an odd number of free pixels, half a pixel off the middle.
    shifts = [round(space / per_pixel) % 2 * per_pixel / 2 for space in spaces]
    top, left = (min(space, round(space / 2 + shift)) for space, shift in zip(spaces, shifts, strict=True))
    canvas[top : top + thing.shape[0], left : left + thing.shape[1]] = thing
    layers = [
        Image.fromarray(layer).resize((width, height), Image.Resampling.BOX) for layer in np.moveaxis(canvas, -1, 0)
    ]
    return np.stack([np.asarray(layer) for layer in layers], -1)
