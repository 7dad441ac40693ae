"""Reading IDX files, the format MNIST is published in, plain or gzipped.

An IDX file is a magic number (two zero bytes, the type, the number of dimensions), one big-endian 32-bit size per
dimension, then the values. Images are unsigned bytes, (N, H, W) for grey pictures and four dimensions for colour.

References:
    LeCun et al., The MNIST database: file formats, http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from torch import Tensor

from fashion_softmax.errors import DataError

UNSIGNED_BYTE = 0x08

# Role of each file -> how its name begins. The rest of the name is `-idx3-ubyte`, with or without `.gz`; some copies
# of MNIST have a dot for the second hyphen.
ROLES = {
    "train_images": "train-images",
    "train_labels": "train-labels",
    "test_images": "t10k-images",
    "test_labels": "t10k-labels",
}


def find_idx_files(folder: Path, suffix: str = "") -> dict[str, Path]:
    """Find the files of a data set by their published names.

    Args:
        folder: where to look; subfolders are not searched.
        suffix: `.gz` finds gzipped files only.

    Returns:
        Role (see `ROLES`) to path, for the roles that are present; a plain file is preferred to a gzipped one.
    """
    if not folder.is_dir():
        return {}
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    found = {}
    for role, stem in ROLES.items():
        if matches := [name for name in names if re.fullmatch(rf"{stem}[-.]idx\d-ubyte{suffix or '(.gz)?'}", name)]:
            found[role] = folder / min(matches, key=lambda name: name.endswith(".gz"))
    return found


def read_images(path: Path) -> Tensor:
    """Read images; a plain file is mapped into memory, and only the parts that are used are loaded.

    Args:
        path: an IDX file of unsigned bytes, (N, H, W), (N, C, H, W) or (N, H, W, C) with C of 1, 3 or 4.

    Returns:
        Images, uint8, shape (N, C, H, W).

    Raises:
        DataError: the file is truncated, is no such IDX file, or has no images.
    """
    values = _read(path)
    if values.ndim == 3:
        values = values[:, None]
    elif values.ndim == 4 and values.shape[1] not in (1, 3, 4) and values.shape[3] in (1, 3, 4):
        values = values.transpose(0, 3, 1, 2).copy()
    if values.ndim != 4 or values.size == 0:
        raise DataError(
            f"{path}: has no images (its shape is {_show(values.shape)}, expected N x H x W or N x C x H x W)"
        )
    return torch.from_numpy(values)


def read_labels(path: Path) -> Tensor:
    """Read class labels.

    Args:
        path: an IDX file of unsigned bytes with one dimension.

    Returns:
        Labels, int64, shape (N,).

    Raises:
        DataError: the file is truncated or is no such IDX file.
    """
    values = _read(path)
    if values.ndim != 1:
        raise DataError(f"{path}: has no labels (its shape is {_show(values.shape)}, expected one dimension)")
    return torch.from_numpy(values.astype(np.int64))


def _read(path: Path) -> np.ndarray:
    is_packed = path.suffix == ".gz"
    try:
        with cast(IO[bytes], gzip.open(path) if is_packed else path.open("rb")) as file:
            shape = _read_header(file, path)
            offset, expected = file.tell(), math.prod(shape)
            # One byte more than the header announces shows that a file is too long.
            content = bytearray(file.read(expected + 1)) if is_packed else None
        found = path.stat().st_size - offset if content is None else len(content)
        if found != expected:
            what = "is truncated" if found < expected else "is too long"
            raise DataError(f"{path}: {what}: its header announces {_show(shape)} = {expected} bytes, found {found}")
        if expected == 0:
            return np.empty(shape, np.uint8)
        if content is not None:
            return np.frombuffer(content, np.uint8).reshape(shape)
        # Mode "c" maps the file privately: writing to the array would not change the file.
        return np.memmap(path, np.uint8, mode="c", offset=offset, shape=shape)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _read_header(file: IO[bytes], path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != bytes((0, 0, UNSIGNED_BYTE)) or not 1 <= magic[3] <= 4:
        raise DataError(f"{path}: is no IDX file of unsigned bytes (it begins with {magic!r})")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path}: is truncated inside its header")
    return struct.unpack(f">{magic[3]}I", sizes)


def _show(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
