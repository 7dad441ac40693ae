"""Decoding pictures, in processes of their own: this file is also what they run, so it must not import torch.

A process reads lines, each a JSON list: the number of a picture, and the paths of this and of those that follow. It
writes their images into the file of the cache, each at its place, and answers each line with one, see `Answer`. It ends
when nobody writes to it any more.
"""

import errno
import hashlib
import json
import os
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

PASSING = (errno.EMFILE, errno.ENFILE, errno.EIO, errno.EINTR)  # errors that say nothing of the picture
MAX_SIDE = 1024  # pixels of an image
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # others would be handed to other programs
MAX_PIXELS = 2**26  # 200 MB while they are decoded

if TYPE_CHECKING:
    from io import FileIO

    from PIL import Image

# JSON: why each picture cannot be read, null if it can, or [height, width] if it has another size than the first; the
# SHA-256 of the images; whether one has a colour. Or the number of the error because of which none was written.
Answer = tuple[list[str | list[int] | None], str, bool]


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
        Bytes, shape (C, H, W), in any order in memory; or the reason why the picture cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"has {image.width * image.height} pixels, at most {MAX_PIXELS} are read")
            if not recipe.size and max(image.size) > MAX_SIDE:
                raise ValueError(f"has {image.width} x {image.height} pixels; make it smaller with dataset.resize=32")
            return _convert(image, recipe)
    except Exception as error:  # whatever a broken file makes Pillow raise
        if isinstance(error, MemoryError) or getattr(error, "errno", None) in PASSING:
            raise
        is_unknown = type(error).__name__ == "UnidentifiedImageError"
        reason = "is no picture" if is_unknown else getattr(error, "strerror", None) or str(error) or repr(error)
        return " ".join(reason.split())[:200]


def _convert(image: "Image.Image", recipe: Recipe) -> NDArray[np.uint8]:
    from PIL import ExifTags, Image, ImageOps

    if recipe.size:
        height, width = recipe.size
        image.draft(None, (2 * max(recipe.size),) * 2)  # of a large JPEG only what is needed is decoded
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode[0] == "I" and (pixels := np.asarray(image)).max() < 2**16:
        image = Image.fromarray((pixels >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("has 32 bits a pixel; save it with 8")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, recipe.background), image)
    if image.mode != (mode := "L" if recipe.mode == "grey" else "RGB"):
        image = image.convert(mode)
    if recipe.size and image.size != (width, height):
        if recipe.fit == "pad":
            if min(image.size) * max(recipe.size) < max(image.size):
                raise ValueError(f"has {image.width} x {image.height} pixels, too narrow to be padded")
            image = ImageOps.pad(image, (width, height), color=recipe.background)
        elif recipe.fit == "crop":
            image = ImageOps.fit(image, (width, height))
        else:
            image = image.resize((width, height))
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def main() -> None:
    """Answer until the input ends."""
    warnings.simplefilter("ignore")  # such as of unusual EXIF data
    recipe, shape, path = Recipe(**json.loads(sys.argv[1])), tuple(json.loads(sys.argv[2])), sys.argv[3]
    try:
        with open(path, "r+b", buffering=0) as file:  # noqa: PTH123  # pathlib takes time to import
            for line in sys.stdin:
                start, *paths = json.loads(line)
                try:
                    print(json.dumps(_write_images(file, start, paths, recipe, shape)), flush=True)
                except OSError as error:
                    print(error.errno, flush=True)
    except BrokenPipeError:  # nobody reads any more
        os._exit(0)


def _write_images(file: "FileIO", start: int, paths: list[str], recipe: Recipe, shape: tuple[int, ...]) -> Answer:
    images = np.zeros((len(paths), *shape), np.uint8)
    problems: list[str | list[int] | None] = []
    for index, path in enumerate(paths):
        image = decode(path, recipe)
        problems.append(image if isinstance(image, str) else None if image.shape == shape else [*image.shape[1:]])
        if problems[-1] is None:
            images[index] = image
    file.seek(start * images[0].size)
    written = file.write(images.data)
    if written != images.size:
        raise OSError(errno.ENOSPC, "")
    has_colour = not all(np.array_equal(images[:, 0], other) for other in images.swapaxes(0, 1)[1:])
    return problems, hashlib.sha256(images.data).hexdigest(), has_colour


if __name__ == "__main__":
    main()
