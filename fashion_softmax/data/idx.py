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

from fashion_softmax.data.dataset import Split
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


def find_idx_files(folder: Path) -> dict[str, Path]:
    """Find the files of a data set by their published names.

    Args:
        folder: where to look; subfolders are not searched.

    Returns:
        Role (see `FILES`) to path, for the roles that are present; a plain file is preferred to a gzipped one.
    """
    found: dict[str, Path] = {}
    for role, name in FILES.items():
        pattern = f"{name.partition('-idx')[0]}[-.]idx[1-4]-ubyte"
        for path in (*sorted(folder.glob(pattern)), *sorted(folder.glob(f"{pattern}.gz"))):
            if path.is_file():
                found.setdefault(role, path)
    return found


def read_split(images_path: Path, labels_path: Path) -> Split:
    """Read images with their labels; plain files are mapped into memory, and only the parts that are used are loaded.

    Args:
        images_path: an IDX file of unsigned bytes, (N, H, W), (N, C, H, W) or (N, H, W, C) with C of 1, 3 or 4.
        labels_path: an IDX file of unsigned bytes, (N,).

    Raises:
        DataError: a file is truncated or is no such IDX file, or there are no images, or not a label for each.
    """
    images, labels = _read(images_path), _read(labels_path)
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3, 4) and images.shape[3] in (1, 3, 4):
        images = images.transpose(0, 3, 1, 2).copy()
    if images.ndim != 4 or images.size == 0:
        expected = "expected N x H x W or N x C x H x W"
        raise DataError(f"{images_path}: has no images (its shape is {_show(images.shape)}, {expected})")
    if labels.ndim != 1:
        raise DataError(f"{labels_path}: has no labels (its shape is {_show(labels.shape)}, expected one dimension)")
    if len(images) != len(labels):
        raise DataError(f"{labels_path}: has {len(labels)} labels for {len(images)} images in {images_path.name}")
    return Split(torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64)))


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
