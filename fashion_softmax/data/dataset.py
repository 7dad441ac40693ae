"""A data set as the rest of the library sees it: splits of byte images with labels, and class names."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Every run holds out the same validation images, so that runs with different seeds can be compared on them.
VALIDATION_SEED = 20170825  # the day Fashion-MNIST was submitted to arXiv


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: uint8, shape (N, C, H, W).
        labels: int64, shape (N,).
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Take the images with these numbers, and their labels."""
        return self.images[index], self.labels[index]

    def to(self, device: torch.device | str) -> "Split":
        """Move to a device; what is already there is not copied."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """What a run needs to know about its data.

    Attributes:
        train: images to train on.
        val: images to choose models with, cut from the training images; None unless asked for.
        test: images to measure with, never to choose with.
        class_names: in label order; their number is K.
        batch_size: images a training step sees; the last batch of an epoch may be smaller.
        num_workers: processes that prepare batches; 0 prepares them in the training process.
    """

    train: Split
    val: Split | None
    test: Split
    class_names: tuple[str, ...]
    batch_size: int
    num_workers: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def evaluation_splits(self) -> dict[str, Split]:
        """Splits that a model is measured on, by name; the first one is used to choose."""
        return {"val": self.val, "test": self.test} if self.val else {"test": self.test}

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)


def split_validation(train: Split, val_size: int) -> tuple[Split, Split | None]:
    """Cut a random but fixed part from the training images.

    Args:
        train: all training images.
        val_size: how many to hold out, 0 to all but one; the same images for the same size.

    Returns:
        The images left for training, and those held out (None for size 0).

    Raises:
        ValueError: no image would be left to train on.
    """
    if val_size == 0:
        return train, None
    if not 0 < val_size < len(train):
        raise ValueError(f"val_size={val_size} is out of range: there are {len(train)} training images to cut it from")
    order = torch.from_numpy(np.random.default_rng(VALIDATION_SEED).permutation(len(train)))
    val, rest = order[:val_size].sort().values, order[val_size:].sort().values
    return Split(*train[rest]), Split(*train[val])
