"""Mini-batches: byte images become floats in [0, 1] a batch at a time.

The order of an epoch is a function of (seed, epoch) and nothing else, so neither workers nor resuming nor training
a stack of runs can change it.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fashion_softmax.data.dataset import Split

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W) floats, labels (B,) int64

EVALUATION_BATCH_SIZE = 256  # a float batch of 28 x 28 images then fits a core's cache


def to_float(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert bytes to floats in [0, 1], as float32 bit for bit as `torchvision.transforms.ToTensor` does."""
    return images.to(dtype).div_(255)


def epoch_order(num_images: int, seed: int, epoch: int) -> Tensor:
    """Shuffle the images' indices for one epoch.

    Args:
        num_images: N.
        seed: of the run, 0 or more.
        epoch: counted from 0.

    Returns:
        A permutation of 0 to N - 1, int64, shape (N,).
    """
    return torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(num_images))


class Batches:
    """The shuffled mini-batches of a split, epoch by epoch.

    Args:
        split: the images; moved to `device` as bytes, once, when batches are made in this process.
        batch_size: B, at least 1; the last batch of an epoch has what is left.
        seed: of the run.
        num_workers: processes that prepare batches; 0 makes them here, which is faster for images in memory.
        device: where the batches are wanted.
        dtype: of the images, float32 or float64.

    Attributes:
        num_drawn: batches handed out so far in all epochs; a display may read it from another thread.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int,
        num_workers: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype
        self.split = split if num_workers else split.to(self.device)
        self.batch_size = batch_size
        self.seed = seed
        self.num_workers = num_workers
        self.num_drawn = 0

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-len(self.split) // self.batch_size)

    def epoch(self, epoch: int, *, first_batch: int = 0, reuse_buffer: bool = False) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            epoch: counted from 0; decides the order together with the seed.
            first_batch: leave out as many batches, to go on inside an epoch.
            reuse_buffer: write every batch into the same memory, which saves a sixth of a softmax-regression epoch;
                a batch is then valid until the next one is drawn.
        """
        order = epoch_order(len(self.split), self.seed, epoch)[first_batch * self.batch_size :]
        batches = self._from_workers(order) if self.num_workers else self._in_process(order, reuse_buffer)
        for batch in batches:
            self.num_drawn += 1
            yield batch

    def _in_process(self, order: Tensor, reuse_buffer: bool) -> Iterator[Batch]:
        order = order.to(self.device)
        images, labels = self.split.images, self.split.labels[order]
        size = (min(self.batch_size, len(order)), *images.shape[1:])
        bytes_buffer = torch.empty(size, dtype=torch.uint8, device=self.device)
        float_buffer = torch.empty(size, dtype=self.dtype, device=self.device) if reuse_buffer else None
        for index, batch_labels in zip(order.split(self.batch_size), labels.split(self.batch_size), strict=True):
            if len(index) < size[0]:  # the last batch
                bytes_buffer = bytes_buffer[: len(index)]
                float_buffer = float_buffer[: len(index)] if float_buffer is not None else None
            torch.index_select(images, 0, index, out=bytes_buffer)
            if float_buffer is None:
                yield to_float(bytes_buffer, self.dtype), batch_labels
            else:
                yield float_buffer.copy_(bytes_buffer).div_(255), batch_labels

    def _from_workers(self, order: Tensor) -> Iterator[Batch]:
        from torch.utils.data import DataLoader

        with warnings.catch_warnings():
            # The lesson asks for 4 workers whatever the machine; torch warns when it has fewer cores.
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            loader = DataLoader(
                _IndexedSplit(self.split, self.dtype),
                sampler=order.split(self.batch_size),  # one index per batch
                batch_size=None,
                num_workers=self.num_workers,
                # Its own: the loader draws from it, and the model's dropout must not notice.
                generator=torch.Generator(),
            )
            batches = iter(loader)
        for images, labels in batches:
            yield images.to(self.device), labels.to(self.device)


class _IndexedSplit(torch.utils.data.Dataset[Batch]):
    """A split whose "items" are whole batches: the index is a tensor of image numbers."""

    def __init__(self, split: Split, dtype: torch.dtype) -> None:
        self.split = split
        self.dtype = dtype

    def __getitem__(self, index: Tensor) -> Batch:
        return to_float(self.split.images[index], self.dtype), self.split.labels[index]


def in_order(split: Split, dtype: torch.dtype = torch.float32) -> Iterator[Batch]:
    """Yield a split's images in their own order, for evaluation.

    Args:
        split: N images, on the device where the batches are wanted.
        dtype: of the images.
    """
    size = EVALUATION_BATCH_SIZE
    for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
        yield to_float(images, dtype), labels
