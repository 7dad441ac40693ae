"""The data sets a configuration can name: published ones, any folder of IDX files, and toy images."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fashion_softmax.data.dataset import Dataset, Split, split_validation
from fashion_softmax.data.idx import ROLES, find_idx_files, read_images, read_labels
from fashion_softmax.data.published import PUBLISHED
from fashion_softmax.data.resizing import resize_images, target_size
from fashion_softmax.data.sources import prepare
from fashion_softmax.errors import DataError

MAX_SYNTHETIC_PIXELS = 2**29  # about 4 GB while they are drawn


def load_published(
    *,
    name: str,
    root: str,
    resize: int | tuple[int, int] | None = None,
    batch_size: int = 256,
    num_workers: int = 0,
    val_size: int = 0,
    mirror: str | None = None,
) -> Dataset:
    """Load Fashion-MNIST, MNIST or KMNIST; download and verify it the first time.

    Args:
        name: `fashion_mnist`, `mnist` or `kmnist`.
        root: folder of the four files.
        resize: pixels, see `target_size`; None keeps 28 x 28.
        batch_size: images per training step, at least 1; the lesson uses 256.
        num_workers: processes that prepare batches, 0 or more.
        val_size: images cut from the 60 000 training images for validation.
        mirror: URL of a folder with the four `.gz` files, instead of torchvision's mirrors.

    Raises:
        DataError: the files are corrupt or cannot be had.
        ValueError: an argument is out of range.
    """
    if name not in PUBLISHED:
        raise ValueError(f"name={name} is no published data set; allowed: {', '.join(PUBLISHED)}")
    files = prepare(name, Path(root), mirror)
    train, test = _read_splits(files)
    return _assemble(
        train, test, PUBLISHED[name].class_names, files,
        resize=resize, val_size=val_size, batch_size=batch_size, num_workers=num_workers,
        cache_dir=Path(root) / "cache",
    )  # fmt: skip


def load_idx(
    *,
    root: str,
    resize: int | tuple[int, int] | None = None,
    batch_size: int = 256,
    num_workers: int = 0,
    val_size: int = 0,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """Load any folder with four IDX files, plain or gzipped: other sizes, colour and other numbers of classes too.

    Args:
        root: folder of train-images, train-labels, t10k-images and t10k-labels.
        resize: pixels, see `target_size`; None keeps the size.
        batch_size: images per training step, at least 1.
        num_workers: processes that prepare batches, 0 or more.
        val_size: images cut from the training images for validation.
        num_classes: K; None takes the largest training label plus one.
        class_names: in label order; None uses the numbers.

    Raises:
        DataError: a file is missing or corrupt, or the files do not fit together.
        ValueError: an argument is out of range.
    """
    folder = Path(root)
    files = find_idx_files(folder)
    if missing := [f"{ROLES[role]}-idx*-ubyte" for role in ROLES if role not in files]:
        raise DataError(f"no data set in {folder}: missing {', '.join(missing)} (plain or .gz)")
    train, test = _read_splits(files)
    num_classes = num_classes or (len(class_names) if class_names else None)
    num_classes = _check_labels(files, train.labels, test.labels, num_classes)
    names = tuple(class_names or map(str, range(num_classes)))
    if len(names) != num_classes:
        raise ValueError(f"class_names has {len(names)} names, but the data set has {num_classes} classes")
    return _assemble(
        train, test, names, files,
        resize=resize, val_size=val_size, batch_size=batch_size, num_workers=num_workers,
        cache_dir=folder / "cache",
    )  # fmt: skip


def make_synthetic(
    *,
    num_train: int = 2048,
    num_test: int = 512,
    image_shape: tuple[int, int, int] = (1, 28, 28),
    num_classes: int = 10,
    noise_std: float = 0.2,
    data_seed: int = 0,
    resize: int | tuple[int, int] | None = None,
    batch_size: int = 256,
    num_workers: int = 0,
    val_size: int = 0,
) -> Dataset:
    """Make separable toy images: one random pattern per class, plus noise. For tests and demonstrations.

    Args:
        num_train: training images, at least 1.
        num_test: test images, at least 1.
        image_shape: [C, H, W].
        num_classes: K, at least 1; the classes take turns.
        noise_std: standard deviation of the noise, in units of the full brightness; 0 or more.
        data_seed: draws the patterns and the noise; independent of the run's seed, as with real data.
        resize: pixels, see `target_size`; None keeps the size.
        batch_size: images per training step, at least 1.
        num_workers: processes that prepare batches, 0 or more.
        val_size: images cut from the training images for validation.

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
    return _assemble(
        draw(num_train), draw(num_test), names, {},
        resize=resize, val_size=val_size, batch_size=batch_size, num_workers=num_workers, cache_dir=None,
    )  # fmt: skip


def _read_splits(files: dict[str, Path]) -> tuple[Split, Split]:
    splits = []
    for part in ("train", "test"):
        images, labels = read_images(files[f"{part}_images"]), read_labels(files[f"{part}_labels"])
        if len(images) != len(labels):
            raise DataError(
                f"{files[f'{part}_labels']}: has {len(labels)} labels for {len(images)} images in "
                f"{files[f'{part}_images'].name}"
            )
        splits.append(Split(images, labels))
    train, test = splits
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{files['test_images']}: test images of shape {tuple(test.images.shape[1:])} do not fit "
            f"training images of shape {tuple(train.images.shape[1:])} (C, H, W)"
        )
    return train, test


def _check_labels(files: dict[str, Path], train: Tensor, test: Tensor, num_classes: int | None) -> int:
    """Check that every label names a class; without `num_classes`, also that the largest label is plausible."""
    present = train.unique().tolist()
    if num_classes is None:
        num_classes = present[-1] + 1
        if len(present) > 1 and present[-1] - present[-2] > 1:
            raise DataError(
                f"{files['train_labels']}: has a label {present[-1]}, but the next lower one is {present[-2]}; "
                f"if that is meant, set dataset.num_classes={num_classes}"
            )
    for role, labels in (("train_labels", train), ("test_labels", test)):
        if (largest := int(labels.max())) >= num_classes:
            raise DataError(
                f"{files[role]}: has a label {largest}; with {num_classes} classes 0 to {num_classes - 1} are allowed"
            )
    return num_classes


def _assemble(
    train: Split,
    test: Split,
    class_names: tuple[str, ...],
    files: dict[str, Path],
    *,
    resize: int | tuple[int, int] | None,
    val_size: int,
    batch_size: int,
    num_workers: int,
    cache_dir: Path | None,
) -> Dataset:
    train, val = split_validation(train, val_size)
    if resize is not None:
        height, width = test.images.shape[2:]
        size = target_size(height, width, resize)
        # The name of a cached file changes with whatever its content depends on.
        state = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files.values()]
        digest = hashlib.sha256(repr((state, val_size)).encode()).hexdigest()[:12]

        def resized(name: str, split: Split) -> Split:
            cache_path = cache_dir and cache_dir / f"{name}_{size[0]}x{size[1]}_{digest}.bin"
            return Split(resize_images(split.images, size, cache_path), split.labels)

        train, test = resized("train", train), resized("test", test)
        val = resized("val", val) if val else None
    return Dataset(train, val, test, class_names, batch_size, num_workers)
