"""Resizing whole splits once, on bytes, and keeping the result on the disk."""

import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fashion_softmax.errors import MachineError
from fashion_softmax.files import locked, write_atomically

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**25  # resize about 32 MB of result at a time


def target_size(height: int, width: int, resize: int | Sequence[int]) -> tuple[int, int]:
    """Compute the size after resizing, by the rule of `torchvision.transforms.Resize`.

    Args:
        height: of the images, in pixels.
        width: of the images, in pixels.
        resize: one number, the length of the shorter side (the ratio is kept), or [height, width].

    Returns:
        New (height, width).
    """
    if not isinstance(resize, int):
        new_height, new_width = resize
        return int(new_height), int(new_width)
    if height <= width:
        return resize, int(resize * width / height)
    return int(resize * height / width), resize


def resize_images(images: Tensor, size: tuple[int, int], cache_path: Path | None = None) -> Tensor:
    """Resize bilinearly with antialiasing, at most 1/255 away from Pillow's resize at any pixel.

    Args:
        images: uint8, shape (N, C, H, W).
        size: new (height, width) in pixels.
        cache_path: file of the result; read (mapped into memory) when it exists with the right size, else written.
            Its name has to change with the images. None, or a folder that cannot be written: kept in memory.

    Returns:
        Resized images, uint8, shape (N, C, height, width).

    Raises:
        MachineError: the disk has no room for the cache.
    """
    shape = (*images.shape[:2], *size)
    if size == tuple(images.shape[2:]):
        return images
    if cache_path is not None:
        try:
            if not _has_size(cache_path, math.prod(shape)):
                cache_path.parent.mkdir(parents=True, exist_ok=True)
                with locked(cache_path.parent):
                    if not _has_size(cache_path, math.prod(shape)):  # else another process was quicker
                        _require_space(cache_path.parent, math.prod(shape))
                        log.info("resizing %d images to %d x %d into %s", len(images), *size, cache_path)
                        write_atomically(cache_path, (part.tobytes() for part in _resized(images, size)))
            return torch.from_numpy(np.memmap(cache_path, np.uint8, mode="c", shape=shape))
        except OSError as error:
            log.warning("cannot keep the resized images in %s (%s); resizing in memory", cache_path, error)
    return torch.cat([torch.from_numpy(part) for part in _resized(images, size)])


def _has_size(path: Path, num_bytes: int) -> bool:
    return path.exists() and path.stat().st_size == num_bytes


def _require_space(folder: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise MachineError(
            f"{folder}: the resized images need {num_bytes / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; "
            "choose a smaller dataset.resize"
        )


def _resized(images: Tensor, size: tuple[int, int]) -> Iterator[np.ndarray]:
    chunk = max(1, CHUNK_BYTES // (images.shape[1] * size[0] * size[1]))
    for part in images.split(chunk):
        yield F.interpolate(part, size=size, mode="bilinear", antialias=True).contiguous().numpy()
