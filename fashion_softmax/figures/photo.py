"""A user's own picture, turned into an image like those of a data set, by the steps of Fashion-MNIST's authors.

They trimmed the background, made the longer side fill the image, centred it, and inverted it: photos of clothing are
dark on white, the images light on black. Other data sets differ (MNIST leaves a margin), so background and margin are
measured on the data set's own images. A picture that has their size already is only inverted.

References:
    Xiao et al., Fashion-MNIST, section 2, https://arxiv.org/abs/1708.07747
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

from fashion_softmax.errors import DataError

MAX_SIDE = 1024  # pixels; larger pictures are made smaller
TOLERANCE = 26  # of 255: a smaller difference from the background belongs to it; backgrounds of photos are uneven
MIN_SHARE = 0.005  # of a row or column must stand out, so that a speck of dust does not count
NUM_STUDIED = 1000  # images of the data set
DARK, LIGHT = 64, 191  # of 255: a data set whose border is between them has no clear background

Bytes = NDArray[np.uint8]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Photo:
    """A picture of the user's.

    Attributes:
        picture: as people see it, colours, shape (height, width, 3), at most `MAX_SIDE` high and wide.
        image: as the model sees it, bytes, shape (C, H, W).
        steps: what was done to it, in words.
    """

    picture: Bytes
    image: Bytes
    steps: list[str]


@dataclass(frozen=True)
class Habits:
    """How a data set shows its things.

    Attributes:
        background: 0 where it is dark, 255 where it is light, None where the images have no clear one.
        extent: share of the image that the longer side of a thing takes, 0 to 1; the median of many images.
    """

    background: int | None
    extent: float


def study(images: Bytes) -> Habits:
    """Find out how a data set shows its things.

    Args:
        images: of the data set, shape (N, C, H, W); the first `NUM_STUDIED` are looked at.
    """
    greys = images[:NUM_STUDIED].mean(1, dtype=np.float32)[..., None]
    border = np.median([np.median(_border(grey)) for grey in greys])
    extents = []
    for grey in greys:
        left, top, right, bottom = _find_thing(grey, np.full_like(grey, border))
        extents.append(max((bottom - top) / grey.shape[0], (right - left) / grey.shape[1]))
    return Habits(0 if border < DARK else 255 if border > LIGHT else None, float(np.median(extents)))


def read_photo(path: Path, habits: Habits, image_shape: tuple[int, int, int]) -> Photo:
    """Read a picture and bring it into the form of a data set's images.

    Args:
        path: of a file that Pillow can read, of any size, colour or transparent.
        habits: of the data set.
        image_shape: (C, H, W), C 1 or 3.

    Raises:
        DataError: there is no such file, it is no picture or too large, or the model's images have no colours or greys.
    """
    channels, height, width = image_shape
    if channels not in (1, 3):
        raise DataError(f"{path}: the model's images have {channels} channels; a picture has 1 or 3")
    steps: list[str] = []
    picture = _fill_transparent(_open(path), steps)
    if channels == 1 and np.ptp(np.asarray(picture, np.float32), axis=-1).max() > TOLERANCE:
        steps.append("colours became greys")
    values = np.asarray(picture.convert("L" if channels == 1 else "RGB"), np.float32)
    values = values.reshape(*values.shape[:2], channels)
    if picture.size == (width, height):
        border = np.median(_border(values))
        if habits.background is not None and (border < DARK if habits.background else border > LIGHT):
            steps.append(_word_inversion(habits))
            values = 255 - values
        image = values.astype(np.uint8)
    else:
        ground = _find_ground(values, steps)
        left, top, right, bottom = _find_thing(values, ground)
        if (right - left, bottom - top) != picture.size:
            steps.append(f"background trimmed, {right - left} x {bottom - top} pixels are left")
        thing = _level(values[top:bottom, left:right], ground[top:bottom, left:right], habits, steps)
        empty = np.median(_border(values), 0) if habits.background is None else habits.background
        image = _place(thing.astype(np.uint8), empty, habits.extent, image_shape)
        steps.append(f"scaled to {width} x {height} pixels")
    if np.ptp(image) < TOLERANCE:
        steps.append("hardly anything is to be seen on it")
    return Photo(np.asarray(picture), np.ascontiguousarray(np.moveaxis(image, -1, 0)), steps or ["taken as it is"])


def _open(path: Path) -> Image.Image:
    """Read a file of any kind that Pillow knows, which may be damaged: upright, with colours and opacity of 8 bits."""
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as file,
        ):
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I"):  # 16 bits, which Pillow would clip
                picture = Image.fromarray((np.asarray(picture) / 257).clip(0, 255).astype(np.uint8))
            picture = picture.convert("RGBA")
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture that can be read; PNG, JPEG, WebP, GIF, BMP and TIFF can") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: is too large; make it smaller than {Image.MAX_IMAGE_PIXELS} pixels") from error
    except Exception as error:  # a damaged file can raise anything in Pillow's readers
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read: {reason}") from error
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return picture


def _fill_transparent(picture: Image.Image, steps: list[str]) -> Image.Image:
    """Fill what is transparent with white, or with black behind a light thing."""
    opacity = picture.getchannel("A")
    if opacity.getextrema()[0] == 255:
        return picture.convert("RGB")
    color = "black" if ImageStat.Stat(picture.convert("L"), opacity).mean[0] > 127 else "white"
    steps.append(f"transparent parts became {color}")
    return Image.alpha_composite(Image.new("RGBA", picture.size, color), picture).convert("RGB")


def _border(values: Values) -> Values:
    """Take the outermost pixels, (H, W, C) to (N, C)."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _find_ground(values: Values, steps: list[str]) -> Values:
    """Fit a plane to the border, so that light from one side is not taken for a thing; shape (H, W, C).

    Parts of a thing that reach the border differ from the background and are left out.
    """
    height, width = values.shape[:2]
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(rows), rows, columns], -1).astype(np.float32)
    border, border_terms = _border(values), _border(terms)
    background = np.median(border, 0)
    ground = np.broadcast_to(background, values.shape).astype(np.float32)
    is_ground = (np.abs(border - background) < 3 * TOLERANCE).all(-1)
    for _ in range(3):  # again without pixels that do not fit the plane before
        if is_ground.mean() > 0.5:
            ground = (terms @ np.linalg.lstsq(border_terms[is_ground], border[is_ground])[0]).clip(0, 255)
        is_ground = (np.abs(border - _border(ground)) < TOLERANCE).all(-1)
    if is_ground.mean() < 0.8:
        steps.append("the background is uneven, and may be taken for a thing")
    return ground


def _find_thing(values: Values, ground: Values) -> tuple[int, int, int, int]:
    """Find the box (left, top, right, bottom) around the thing; the whole picture when nothing stands out."""
    stands_out = (np.abs(values - ground) > TOLERANCE).any(-1)
    rows, columns = ((stands_out.mean(axis) > MIN_SHARE).nonzero()[0] for axis in (1, 0))
    if not len(rows) or not len(columns):
        return 0, 0, values.shape[1], values.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _level(values: Values, ground: Values, habits: Habits, steps: list[str]) -> Values:
    """Make the background as dark or light as in the data set, and the thing lighter or darker than it."""
    if habits.background is None:
        return values
    differences = (values - ground).mean(-1)
    stands_out = np.abs(differences) > TOLERANCE
    is_light = differences[stands_out].mean() > 0 if stands_out.any() else ground.mean() < 127
    if is_light == bool(habits.background):
        steps.append(_word_inversion(habits))
        values, ground = 255 - values, 255 - ground
    if habits.background:
        return (values * 255 / np.maximum(ground, 1)).clip(0, 255)
    return ((values - ground) * 255 / np.maximum(255 - ground, 1)).clip(0, 255)


def _word_inversion(habits: Habits) -> str:
    own, usual = ("light on dark", "dark on light") if habits.background else ("dark on light", "light on dark")
    return f"inverted: the picture is {own}, the data set's images are {usual}"


def _place(thing: Bytes, empty: Values | int, extent: float, shape: tuple[int, int, int]) -> Bytes:
    """Scale a thing as large as the data set's usually are, in the middle of an image, shape (H, W, C)."""
    channels, height, width = shape
    scale = extent * min(height / thing.shape[0], width / thing.shape[1])
    rows, columns = (max(1, round(scale * side)) for side in thing.shape[:2])
    top, left = (height - rows + 1) // 2, (width - columns + 1) // 2
    image = np.full((height, width, channels), empty, np.uint8)
    small = Image.fromarray(thing.squeeze(-1) if channels == 1 else thing).resize((columns, rows), Image.Resampling.BOX)
    image[top : top + rows, left : left + columns] = np.asarray(small).reshape(rows, columns, channels)
    return image
