"""Decoding pictures, in processes of their own: this file is also what they run, so it must not import torch.

A process reads lines, each a JSON list of paths, and answers each with a pickled list: an array of bytes, or the reason
why there is none. It ends when nobody writes to it any more.
"""

import json
import os
import pickle
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

MAX_SIDE = 1024  # pixels of an image
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # others would be handed to other programs
MAX_PIXELS = 2**26  # 200 MB while they are decoded

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Recipe:
    """How pictures become images of one shape, see `load_folder`; a size is (height, width), None keeps that of all."""

    size: tuple[int, int] | None
    fit: str
    mode: str | None
    background: str


def decode(path: str, recipe: Recipe) -> NDArray[np.uint8] | str:
    """Decode a picture as a recipe says, in colours unless it says grey.

    Returns:
        Bytes, shape (C, H, W); or the reason why the picture cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"has {image.width * image.height} pixels, at most {MAX_PIXELS} are read")
            if not recipe.size and max(image.size) > MAX_SIDE:
                raise ValueError(f"has {image.height} x {image.width} pixels; make it smaller with dataset.resize=32")
            return _convert(image, recipe)
    except MemoryError:  # the picture may be fine
        raise
    except Exception as error:  # whatever a broken file makes Pillow raise
        is_unknown = type(error).__name__ == "UnidentifiedImageError"
        reason = "is no picture" if is_unknown else getattr(error, "strerror", None) or str(error) or repr(error)
        return " ".join(reason.split())[:200]


def _convert(image: "Image.Image", recipe: Recipe) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    if recipe.size:
        height, width = recipe.size
        image.draft(None, (2 * max(recipe.size),) * 2)  # of a large JPEG only what is needed is decoded
    image = ImageOps.exif_transpose(image)
    if image.mode[0] == "I" and (pixels := np.asarray(image)).max() < 2**16:
        image = Image.fromarray((pixels >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("has 32 bits a pixel; save it with 8")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, recipe.background), image)
    image = image.convert("L" if recipe.mode == "grey" else "RGB")
    if recipe.size and image.size != (width, height):
        if recipe.fit == "pad":
            if min(image.size) * max(recipe.size) < max(image.size):
                raise ValueError(f"has {image.height} x {image.width} pixels, too narrow to be padded")
            image = ImageOps.pad(image, (width, height), color=recipe.background)
        elif recipe.fit == "crop":
            image = ImageOps.fit(image, (width, height))
        else:
            image = image.resize((width, height))
    pixels = np.array(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def main() -> None:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")  # such as of unusual EXIF data
    recipe = Recipe(**json.loads(sys.argv[1]))
    try:
        for line in sys.stdin:
            pickle.dump([decode(path, recipe) for path in json.loads(line)], sys.stdout.buffer)
            sys.stdout.flush()
    except BrokenPipeError:  # nobody reads any more
        os._exit(0)


if __name__ == "__main__":
    main()
