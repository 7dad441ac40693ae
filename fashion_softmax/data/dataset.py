"""A data set as the rest of the library sees it: splits of byte images with labels, and class names."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

Normalization = tuple[list[float], list[float]]  # mean and standard deviation of each channel, of values in [0, 1]


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: uint8, shape (N, C, H, W).
        labels: int64, shape (N,).
        normalization: what the bytes are normalized by when they become floats, if by anything.

    Raises:
        ValueError: they are something else.
    """

    images: Tensor
    labels: Tensor
    normalization: Normalization | None = None

    def __post_init__(self) -> None:
        found = [self.images.dtype, self.images.ndim, self.labels.dtype, self.labels.ndim]
        if found != [torch.uint8, 4, torch.int64, 1] or not len(self.images) == len(self.labels) > 0:
            described = [f"{part.dtype} of shape {tuple(part.shape)}" for part in (self.images, self.labels)]
            raise ValueError(
                f"images are {described[0]}, labels {described[1]}; expected uint8 of shape (N, C, H, W) and int64 of "
                "shape (N,), N at least 1"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Take the images with these numbers, and their labels."""
        return self.images[index], self.labels[index]

    def to(self, device: torch.device | str) -> "Split":
        """Move to a device; what is already there is not copied."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


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

    Raises:
        ValueError: splits have images of different shapes, or a label is no class.
    """

    train: Split
    val: Split | None
    test: Split
    class_names: tuple[str, ...]
    batch_size: int
    num_workers: int

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.num_workers < 0:
            raise ValueError(
                f"batch_size={self.batch_size}, num_workers={self.num_workers}: at least 1 and 0 are needed"
            )
        for split in (self.train, *self.evaluation_splits.values()):
            if split.images.shape[1:] != self.train.images.shape[1:]:
                raise ValueError(f"splits have images of shapes {self.image_shape} and {tuple(split.images.shape[1:])}")
            low, high = (int(value) for value in split.labels.aminmax())
            if not 0 <= low <= high < self.num_classes:
                raise ValueError(f"has labels from {low} to {high}; {self.num_classes} classes allow 0 to K - 1")

    @cached_property
    def description(self) -> dict[str, Any]:
        """What a model that was trained on it depends on, in plain values, to find out later if it has changed."""
        digest = hashlib.sha256()
        for split in filter(None, (self.train, self.val, self.test)):
            middle_rows = split.images[:, :, split.images.shape[2] // 2]  # another image is unlikely to have the same
            digest.update(b"|".join((split.labels.numpy().tobytes(), middle_rows.numpy().tobytes(), b"")))
        about = {"class_names": list(self.class_names), "image_shape": list(self.image_shape)}
        return about | {"normalization": self.train.normalization, "sha256": digest.hexdigest()}

    @classmethod
    def from_description(cls, about: Any) -> "Dataset":
        """Make one with a black image in place of all others, from its `description`: a model needs no more."""
        image, label = torch.zeros(1, *about["image_shape"], dtype=torch.uint8), torch.zeros(1, dtype=torch.int64)
        split = Split(image, label, about["normalization"])
        return cls(split, None, split, tuple(map(str, about["class_names"])), 1, 0)

    def normalize(self, by: Normalization | None) -> "Dataset":
        """Let all images be normalized when they become floats."""
        splits = {"train": self.train, **self.evaluation_splits}
        changed: Any = {name: replace(split, normalization=by) for name, split in splits.items()}
        return replace(self, **changed)

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
