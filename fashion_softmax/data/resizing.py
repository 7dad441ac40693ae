"""Holding out validation images, and resizing whole splits once, as bytes; the result is kept on the disk."""

import dataclasses
import hashlib
import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fashion_softmax.data.dataset import Dataset, Split, split_validation
from fashion_softmax.errors import MachineError
from fashion_softmax.files import locked, write_atomically

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**25  # resize about 32 MB of result at a time


def hold_out_and_resize(
    dataset: Dataset, val_size: int, resize: int | Sequence[int] | None, files: Sequence[Path] = ()
) -> Dataset:
    """Cut the validation images from the training images, then resize all splits.

    Args:
        dataset: with training and test images.
        val_size: see `split_validation`.
        resize: pixels, see `target_size`; None keeps the size.
        files: that the data set was read from; resized images are kept in a folder `cache` beside them. Without any,
            in memory.

    Raises:
        ValueError: `val_size` is out of range.
    """
    train, val = split_validation(dataset.train, val_size)
    if resize is None:
        return dataclasses.replace(dataset, train=train, val=val)
    size = target_size(*dataset.image_shape[1:], resize)
    # The name of a cached file changes with everything its content depends on.
    state = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    suffix = f"{size[0]}x{size[1]}_{hashlib.sha256(repr((state, val_size)).encode()).hexdigest()[:12]}.bin"

    def resized(name: str, split: Split) -> Split:
        cache_path = files[0].parent / "cache" / f"{name}_{suffix}" if files else None
        return Split(resize_images(split.images, size, cache_path), split.labels)

    val = resized("val", val) if val else None
    return dataclasses.replace(dataset, train=resized("train", train), val=val, test=resized("test", dataset.test))


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
    """Resize bilinearly with antialiasing; every pixel is within 1/255 of Pillow's resize.

    Args:
        images: uint8, shape (N, C, H, W).
        size: new (height, width) in pixels.
        cache_path: file of the result; read (mapped into memory) when it exists, else written.
            Its name has to change with the images. None, or a folder that cannot be written: kept in memory.

    Returns:
        Resized images, uint8, shape (N, C, height, width).

    Raises:
        MachineError: the disk has no room for the file.
    """
    if size == tuple(images.shape[2:]):
        return images
    if cache_path is not None:
        try:
            if not cache_path.exists():
                _write(cache_path, images, size)
            return torch.from_numpy(np.memmap(cache_path, np.uint8, mode="c", shape=(*images.shape[:2], *size)))
        except (OSError, ValueError) as error:  # numpy raises the latter for a file that was cut
            log.warning("cannot keep the resized images in %s (%s); resizing in memory", cache_path, error)
    return torch.cat([torch.from_numpy(part) for part in _resized(images, size)])


def _write(path: Path, images: Tensor, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        if path.exists():  # another process was quicker
            return
        needed, free = math.prod((*images.shape[:2], *size)), shutil.disk_usage(path.parent).free
        if free < needed:
            sizes = f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free"
            raise MachineError(f"{path.parent}: the resized images need {sizes}; choose a smaller dataset.resize")
        log.info("resizing %d images to %d x %d into %s", len(images), *size, path)
        write_atomically(path, (part.tobytes() for part in _resized(images, size)))


def _resized(images: Tensor, size: tuple[int, int]) -> Iterator[np.ndarray]:
    chunk = max(1, CHUNK_BYTES // (images.shape[1] * size[0] * size[1]))
    for part in images.split(chunk):
        yield F.interpolate(part, size=size, mode="bilinear", antialias=True).contiguous().numpy()
