"""The data sets a configuration can name: published ones, any folder of IDX files, and toy images.

Each loader makes the splits and the class names, then calls `finish`. A loader for another kind of files needs no more
than that.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fashion_softmax.data.dataset import Dataset, Normalization, Split
from fashion_softmax.data.idx import FILES, PUBLISHED, find_idx_files, read_split
from fashion_softmax.data.sources import prepare
from fashion_softmax.errors import DataError

# Every run holds out the same validation images, so that runs with different seeds can be compared on them.
VALIDATION_SEED = 20170825  # the day Fashion-MNIST was submitted to arXiv
MAX_SYNTHETIC_PIXELS = 2**29  # about 4 GB while they are drawn


class Options(TypedDict, total=False):
    """What every data set can be asked for.

    Attributes:
        resize: pixels, see `resize_images`; None keeps the size.
        batch_size: images per training step, at least 1; 256, as in the lesson, unless given.
        num_workers: processes that prepare batches, 0 or more; 0 unless given.
        val_size: training images held out for validation, all but one at most, or the fraction of them; 0 unless
            given. They are drawn at random, but are the same images for the same size.
        normalize: `none`, as in the lesson, unless given; `mean_std` subtracts the mean of the training images and
            divides by their standard deviation, for each channel.
    """

    resize: int | tuple[int, int] | None
    batch_size: int
    num_workers: int
    val_size: int | float
    normalize: Literal["none", "mean_std"]


def load_published(*, name: str, root: str, mirror: str | None = None, **options: Unpack[Options]) -> Dataset:
    """Load Fashion-MNIST or MNIST; download and verify it the first time.

    Args:
        name: `fashion_mnist` or `mnist`.
        root: folder of the four files.
        mirror: URL of a folder with the four `.gz` files, instead of the known mirrors.
        **options: see `Options`.

    Raises:
        DataError: the files are corrupt or cannot be fetched.
        ValueError: an argument is out of range.
    """
    if name not in PUBLISHED:
        raise ValueError(f"name={name} is no published data set; allowed: {', '.join(PUBLISHED)}")
    prepare(name, Path(root), mirror)
    return load_idx(root=root, class_names=PUBLISHED[name].class_names, **options)


def load_idx(
    *,
    root: str,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    url: str | None = None,
    **options: Unpack[Options],
) -> Dataset:
    """Load any folder with four IDX files, plain or gzipped; other sizes, colour and other numbers of classes work too.

    Args:
        root: folder of train-images, train-labels, t10k-images and t10k-labels.
        num_classes: K; None counts the training labels, which then have to be 0 to K - 1.
        class_names: in label order; None uses the numbers.
        url: where the files can be downloaded; said when one is missing.
        **options: see `Options`.

    Raises:
        DataError: a file is missing or corrupt, or the files do not fit together.
        ValueError: an argument is out of range.
    """
    files = find_idx_files(Path(root))
    if missing := [name for role, name in FILES.items() if role not in files]:
        source = f"; download them from {url}" if url else "; for folders of pictures use dataset=folder"
        raise DataError(f"no data set in {root}: missing {', '.join(missing)} (plain or .gz){source}")
    train, test = (read_split(files[f"{part}_images"], files[f"{part}_labels"]) for part in ("train", "test"))
    train_shape, test_shape = (tuple(split.images.shape[1:]) for split in (train, test))
    if train_shape != test_shape:
        problem = f"test images of shape {test_shape} do not fit training images of shape {train_shape} (C, H, W)"
        raise DataError(f"{files['test_images']}: {problem}")
    num_classes = num_classes or len(class_names or ()) or len(train.labels.unique())
    for role, split in (("train_labels", train), ("test_labels", test)):
        if (largest := int(split.labels.max())) >= num_classes:
            allowed = f"with {num_classes} classes 0 to {num_classes - 1} are allowed"
            raise DataError(f"{files[role]}: has a label {largest}; {allowed}, see dataset.num_classes")
    names = tuple(class_names or map(str, range(num_classes)))
    if len(names) != num_classes:
        raise ValueError(f"class_names has {len(names)} names, but the data set has {num_classes} classes")
    return finish(train, test, names, **options)


def make_synthetic(
    *,
    num_train: int = 2048,
    num_test: int = 512,
    image_shape: tuple[int, int, int] = (1, 28, 28),
    num_classes: int = 10,
    noise_std: float = 0.2,
    data_seed: int = 0,
    **options: Unpack[Options],
) -> Dataset:
    """Make separable toy images: one random pattern per class, plus noise. For tests and demonstrations.

    Args:
        num_train: training images, at least 1.
        num_test: test images, at least 1.
        image_shape: [C, H, W].
        num_classes: K, at least 1; the labels are 0 to K - 1 in turn.
        noise_std: standard deviation of the noise, in units of the full brightness; 0 or more.
        data_seed: of the patterns and the noise; independent of the run's seed, as with real data.
        **options: see `Options`.

    Raises:
        ValueError: an argument is out of range.
    """
    for name, size in (("num_train", num_train), ("num_test", num_test), ("num_classes", num_classes)):
        if size * math.prod(image_shape) > MAX_SYNTHETIC_PIXELS:
            raise ValueError(f"{name}={size} is too large: toy data may have {MAX_SYNTHETIC_PIXELS} pixels in all")
    rng = np.random.default_rng(data_seed)
    patterns = rng.random((num_classes, *image_shape), np.float32)

    def draw(num_images: int) -> Split:
        labels = np.arange(num_images) % num_classes
        noise = rng.standard_normal((num_images, *image_shape), np.float32)
        pixels = np.clip(255 * (patterns[labels] + noise_std * noise), 0, 255).astype(np.uint8)
        return Split(torch.from_numpy(pixels), torch.from_numpy(labels))

    names = tuple(map(str, range(num_classes)))
    return finish(draw(num_train), draw(num_test), names, **options)


def finish(
    train: Split, test: Split, class_names: tuple[str, ...], *, val: Split | None = None, **options: Unpack[Options]
) -> Dataset:
    """Do what all data sets have in common: hold out validation images, resize, find what normalizes.

    Args:
        train: all training images.
        test: test images of the same shape.
        class_names: in label order.
        val: validation images, if the data set has some of its own.
        **options: see `Options`.

    Raises:
        ValueError: `val_size` is out of range.
    """
    if (val_size := options.get("val_size", 0)) != 0:
        if val is not None:
            raise ValueError(f"val_size={val_size} cannot be used: the data set has validation images of its own")
        val_size = val_size if isinstance(val_size, int) else round(val_size * len(train))
        if not 0 < val_size < len(train):
            problem = f"there are {len(train)} training images to cut it from"
            raise ValueError(f"val_size={val_size} is out of range: {problem}")
        order = torch.from_numpy(np.random.default_rng(VALIDATION_SEED).permutation(len(train)))
        val = Split(*train[order[:val_size].sort().values])
        train = Split(*train[order[val_size:].sort().values])
    if (resize := options.get("resize")) is not None:
        train, test = (Split(resize_images(split.images, resize), split.labels) for split in (train, test))
        val = val and Split(resize_images(val.images, resize), val.labels)
    batch_size, num_workers = options.get("batch_size", 256), options.get("num_workers", 0)
    dataset = Dataset(train, val, test, class_names, batch_size, num_workers)
    return dataset.normalize(measure(train.images)) if options.get("normalize", "none") != "none" else dataset


def measure(images: Tensor) -> Normalization:
    """Measure bytes, shape (N, C, H, W): mean and standard deviation of each channel, of values in [0, 1]."""
    means, stds = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        values = torch.arange(256).double() / 255
        means.append(float(counts @ values))
        stds.append(float((counts @ (values - means[-1]) ** 2).sqrt()) or 1.0)  # of a channel that is constant
    return means, stds


def resize_images(images: Tensor, resize: int | Sequence[int]) -> Tensor:
    """Resize bilinearly with antialiasing; every pixel is within 1/255 of Pillow's resize.

    Args:
        images: uint8, shape (N, C, H, W).
        resize: new size in pixels, [height, width]; or one number, the new length of the shorter side, and the ratio
            is kept, as by `torchvision.transforms.Resize`.

    Returns:
        Resized images, uint8, shape (N, C, new height, new width).
    """
    height, width = images.shape[2:]
    if isinstance(resize, int):
        shorter = min(height, width)
        resize = [int(resize * height / shorter), int(resize * width / shorter)]
    # Every channel is resized by itself, so several images may pass as the channels of one: torch has a kernel for
    # up to four channels, which takes half the time. 60 000 images to 64 x 64: 0.5 s on one core.
    planes = images.flatten(0, 1)
    grouped = planes.view(-1, math.gcd(len(planes), 4), height, width)
    return F.interpolate(grouped, size=list(resize), mode="bilinear", antialias=True).view(*images.shape[:2], *resize)
