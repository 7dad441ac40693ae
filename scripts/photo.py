"""A user's own picture, turned into an image like those of a data set, by the steps of Fashion-MNIST's authors.

They trimmed the background, made the longer side fill the image, centred it, and inverted it: photos of clothing are
dark on white, the images light on black. Other data sets differ (MNIST leaves a margin), so background and margin are
measured on the data set's own images. In a data set of colours nothing is inverted or stretched; a picture
of their size is taken as it is.

References:
    Xiao et al., Fashion-MNIST, section 2, https://arxiv.org/abs/1708.07747
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fashion_softmax.errors import DataError

if TYPE_CHECKING:
    from fashion_softmax.viewing.trained import TrainedRun

MAX_SIDE = 1024  # pixels; larger pictures are made smaller
TOLERANCE = 26  # of 255: a smaller difference from the background belongs to it; backgrounds of photos are uneven
MIN_SHARE = 0.005  # of a row or column must stand out, so that a speck of dust does not count
NUM_STUDIED = 1000  # images of the data set

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


def read_photo(path: Path, images: Bytes, *, as_it_is: bool = False) -> Photo:
    """Read a picture and bring it into the form of a data set's images.

    Args:
        path: of a file that Pillow can read, of any size, colour or transparent.
        images: of the data set, shape (N, C, H, W), C 1 or 3; the first `NUM_STUDIED` are looked at.
        as_it_is: only scale it, stretched if its shape differs; nothing is trimmed, inverted or centred.

    Raises:
        DataError: there is no such file, it is no picture or too large, or the model's images have no colours or greys.
    """
    channels, height, width = images.shape[1:]
    if channels not in (1, 3):
        raise DataError(f"{path}: the model's images have {channels} channels; a picture has 1 or 3")
    picture = _open(path)
    image, steps = picture.convert("L" if channels == 1 else "RGB"), []
    if channels == 1 and np.ptp(np.asarray(picture), axis=-1).max() > TOLERANCE:
        steps.append("colours became greys")
    if picture.size == (width, height):  # such as one of the data set's own
        steps.append("taken as it is")
    elif as_it_is:
        image = image.resize((width, height), Image.Resampling.BOX)
        steps.append(f"taken as it is, scaled to {width} x {height} pixels")
    else:
        image = _bring_into_form(image, images[:NUM_STUDIED].mean(1, dtype=np.float32), steps)
    pixels = np.asarray(image).reshape(height, width, channels)
    return Photo(np.asarray(picture), np.moveaxis(pixels, -1, 0).copy(), steps)


def read_like_folder(path: Path, run: "TrainedRun") -> Photo:
    """Read a picture as `dataset=folder` reads those that a run was trained on.

    Raises:
        DataError: there is no such file, or it is no picture.
    """
    image = run.read_picture(path).numpy()
    return Photo(np.asarray(_open(path)), image, ["read as the pictures that the run was trained on"])


def _bring_into_form(image: Image.Image, studied: Values, steps: list[str]) -> Image.Image:
    """Trim, invert, stretch, scale and centre a picture, as images (N, H, W) are; add to the steps what was done."""
    height, width = studied.shape[1:]
    values, box = np.asarray(image, np.float32), _find_thing(np.asarray(image.convert("L"), np.float32))
    ground = np.median(_border(values), 0)
    thing = image.crop(box)
    if thing.size != image.size:
        steps.append(f"background trimmed, {thing.width} x {thing.height} pixels are left")
    if image.mode == "L":
        lead = np.asarray(thing, np.float32) - ground
        ground = 255 * (np.median([_border(each) for each in studied]) > 127)
        if (lead.mean() < 0) != bool(ground):
            own, usual = ("light on dark", "dark on light") if ground else ("dark on light", "light on dark")
            steps.append(f"inverted: the picture is {own}, the data set's images are {usual}")
        lead *= np.sign(lead.mean())
        lead *= 255 / max(np.percentile(lead, 99), TOLERANCE)  # a speck of dust may be lighter than the thing
        thing = Image.fromarray(np.abs(ground - lead.clip(0, 255)).astype(np.uint8))
    scale = _measure_extent(studied) * min(width / thing.width, height / thing.height)
    columns, rows = (max(1, round(scale * side)) for side in thing.size)
    whole = Image.new(thing.mode, (width, height), tuple(np.atleast_1d(ground).astype(int).tolist()))
    thing = thing.resize((columns, rows), Image.Resampling.BOX)
    whole.paste(thing, ((width - columns + 1) // 2, (height - rows + 1) // 2))
    steps.append(f"scaled to {width} x {height} pixels")
    if np.ptp(np.asarray(whole)) < TOLERANCE:
        steps.append("hardly anything is to be seen on it")
    return whole


def _open(path: Path) -> Image.Image:
    """Read a file of any kind that Pillow knows, which may be damaged: upright, in colours, transparent parts white."""
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as file,
        ):
            picture = ImageOps.exif_transpose(file).convert("RGBA")
    except Exception as error:  # a damaged file can raise anything in Pillow's readers
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read as a picture: {reason}") from error
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def _border(values: Values) -> Values:
    """Take the outermost pixels, (H, W, ...) to (N, ...)."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _find_thing(grey: Values) -> tuple[int, int, int, int]:
    """Find the box (left, top, right, bottom) around the thing; the whole picture when nothing stands out."""
    stands_out = np.abs(grey - np.median(_border(grey))) > TOLERANCE
    rows, columns = ((stands_out.mean(axis) > MIN_SHARE).nonzero()[0] for axis in (1, 0))
    if not len(rows) or not len(columns):
        return 0, 0, grey.shape[1], grey.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _measure_extent(studied: Values) -> float:
    """Measure the share of an image that the longer side of a thing takes, 0 to 1; the median of greys (N, H, W)."""
    boxes = np.array([_find_thing(grey) for grey in studied])
    return float(np.median(((boxes[:, 2:] - boxes[:, :2]) / studied.shape[:0:-1]).max(1)))
