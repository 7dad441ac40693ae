"""IDX files, the format MNIST is published in, plain or gzipped: what is published in it, finding and reading them.

An IDX file is a magic number (two zero bytes, the type, the number of dimensions), one big-endian 32-bit size per
dimension, then the values. Images are unsigned bytes, (N, H, W) for grey pictures and four dimensions for colour.

References:
    LeCun et al., The MNIST database: file formats, http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import zlib
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Published:
    """A published data set.

    Attributes:
        mirrors: URLs of folders with the four gzipped files, the first one first.
        sha256: role to the digest of the unpacked file.
        class_names: in label order.
        debian_package: a package that holds the four gzipped files, if there is one.
    """

    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    class_names: tuple[str, ...]
    debian_package: str | None = None


PUBLISHED = {
    # Xiao et al., https://github.com/zalandoresearch/fashion-mnist
    "fashion_mnist": Published(
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        sha256={
            "train_images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train_labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test_images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test_labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        class_names=(
            *("t-shirt", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
        debian_package="dataset-fashion-mnist",
    ),
    # LeCun et al., http://yann.lecun.com/exdb/mnist
    "mnist": Published(
        mirrors=("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
        sha256={
            "train_images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train_labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test_images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test_labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        class_names=tuple("0123456789"),
    ),
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
