"""Reading IDX files, the format MNIST is published in, plain or gzipped.

An IDX file is a magic number (two zero bytes, the type, the number of dimensions), one big-endian 32-bit size per
dimension, then the values. Images are unsigned bytes, (N, H, W) for grey pictures and four dimensions for colour.

References:
    LeCun et al., The MNIST database: file formats, http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fashion_softmax.errors import DataError

UNSIGNED_BYTE = 0x08
BAD_GZIP = (OSError, EOFError, zlib.error)  # what Python raises when it cannot unpack
# Role -> name of the published file. Colour images have idx4; some copies of MNIST have a dot for the second hyphen.
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def find_idx_files(folder: Path, suffix: str = "") -> dict[str, Path]:
    """Find the files of a data set by their published names.

    Args:
        folder: where to look; subfolders are not searched.
        suffix: `.gz` finds gzipped files only.

    Returns:
        Role (see `FILES`) to path, for the roles that are present; a plain file is preferred to a gzipped one.
    """
    endings = (suffix,) if suffix else ("", ".gz")
    found: dict[str, Path] = {}
    for role, name in FILES.items():
        pattern = f"{name.partition('-idx')[0]}[-.]idx[1-4]-ubyte"
        for path in (path for ending in endings for path in sorted(folder.glob(pattern + ending))):
            if path.is_file():
                found.setdefault(role, path)
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
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                content = np.frombuffer(bytearray(file.read()), np.uint8)
        else:  # mode "c" maps the file privately: writing to the array would not change the file
            content = np.memmap(path, np.uint8, mode="c")
    except (*BAD_GZIP, ValueError) as error:  # numpy raises the latter for an empty file
        raise DataError(f"{path}: cannot be read ({error})") from error
    magic = bytes(content[:4])
    if len(magic) < 4 or magic[:3] != bytes((0, 0, UNSIGNED_BYTE)) or not 1 <= magic[3] <= 4:
        raise DataError(f"{path}: is no IDX file of unsigned bytes (it begins with {magic!r})")
    start = 4 + 4 * magic[3]
    if len(content) < start:
        raise DataError(f"{path}: is truncated inside its header")
    shape = content[4:start].view(">u4").tolist()
    expected, found = math.prod(shape), len(content) - start
    if found != expected:
        what = "is truncated" if found < expected else "is too long"
        raise DataError(f"{path}: {what}: its header announces {_show(shape)} = {expected} bytes, found {found}")
    return content[start:].reshape(shape)


def _show(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
