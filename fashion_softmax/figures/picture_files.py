"""Reading pictures from files of any kind that Pillow knows; they may be damaged, or come from other people."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fashion_softmax.errors import DataError

MAX_SIDE = 1024  # pixels; larger pictures are made smaller
WIDE_MODES = "IF"  # how Pillow's names of modes with more than 8 bits begin


def read_picture(path: Path, steps: list[str]) -> Image.Image:
    """Read a picture as people see it: upright, in colours of 8 bits, transparent parts filled.

    Args:
        path: of the file.
        steps: gets what was done to the picture, in words.

    Returns:
        RGB, at most `MAX_SIDE` pixels high and wide.

    Raises:
        DataError: there is no such file, it is no picture, damaged or too large.
    """
    picture = _open(path)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return _lay_on_ground(picture, steps)


def _open(path: Path) -> Image.Image:
    try:
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as file,
        ):
            file.draft("RGB", (MAX_SIDE, MAX_SIDE))
            picture = ImageOps.exif_transpose(file).convert(None if file.mode[0] in WIDE_MODES else "RGBA")
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture that can be read; PNG, JPEG, WebP, GIF, BMP and TIFF can") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: is too large; make it smaller than {Image.MAX_IMAGE_PIXELS} pixels") from error
    except Exception as error:  # a damaged file can raise anything in Pillow's readers
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read: {reason}") from error
    return _narrow(picture) if picture.mode[0] in WIDE_MODES else picture


def _narrow(picture: Image.Image) -> Image.Image:
    """Bring numbers of more than 8 bits to 0 to 255; Pillow would clip them."""
    wide = np.asarray(picture, np.float64)
    finite = wide[np.isfinite(wide)]
    black, largest = min(0.0, finite.min(initial=0)), finite.max(initial=0)
    white = next((limit for limit in (1, 2**8 - 1, 2**16 - 1) if largest <= limit), largest)
    wide = np.nan_to_num(wide, nan=black, posinf=white, neginf=black).clip(black, white)
    return Image.fromarray((255 * ((wide - black) / (white - black))).astype(np.uint8)).convert("RGBA")


def _lay_on_ground(picture: Image.Image, steps: list[str]) -> Image.Image:
    """Fill what is transparent with white, or with black behind a light thing."""
    opacity = np.asarray(picture.getchannel("A"), np.float64) / 255
    if opacity.min() == 1:
        return picture.convert("RGB")
    greys = np.asarray(picture.convert("L"), np.float64)
    is_light = opacity.sum() > 0 and float((greys * opacity).sum() / opacity.sum()) > 127
    color = "black" if is_light else "white"
    steps.append(f"transparent parts became {color}")
    below = Image.new("RGBA", picture.size, color)
    return Image.alpha_composite(below, picture).convert("RGB")
