"""A data set as the rest of the library sees it: splits of byte images with labels, and class names."""

from dataclasses import dataclass

import torch
from torch import Tensor


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
