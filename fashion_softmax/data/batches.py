"""Mini-batches: byte images become floats in [0, 1] a batch at a time.

The order of an epoch is a function of (seed, epoch) and nothing else: workers, resuming and training in a stack do not
change it.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from fashion_softmax.data.dataset import Normalization, Split

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W) floats, labels (B,) int64

EVALUATION_BATCH_SIZE = 256  # a float batch of 28 x 28 images then fits a core's cache


def to_float(
    images: Tensor, dtype: torch.dtype = torch.float32, by: Normalization | None = None, out: Tensor | None = None
) -> Tensor:
    """Convert bytes to floats in [0, 1], as float32 bit for bit as `torchvision.transforms.ToTensor` does.

    Args:
        images: uint8, shape (N, C, H, W).
        dtype: of the floats.
        by: normalize them by this.
        out: where they are written, if not into new memory.
    """
    floats = (images.to(dtype) if out is None else out.copy_(images)).div_(255)
    if by is not None:
        mean, std = (torch.tensor(values, dtype=dtype, device=images.device).view(-1, 1, 1) for values in by)
        floats.sub_(mean).div_(std)
    return floats


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
        split: the images; moved to `device` once, as bytes, when batches are made in this process.
        batch_size: B, at least 1; the last batch of an epoch may be smaller.
        seed: of the run.
        num_workers: processes that prepare batches; 0 makes them in this process, which is faster for images in memory.
        device: where the batches are wanted.
        dtype: of the images, float32 or float64.

    Attributes:
        num_drawn: batches yielded so far in all epochs; a display may read it from another thread.
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

    def epoch(self, epoch: int, *, reuse_buffer: bool = False) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            epoch: counted from 0; decides the order together with the seed.
            reuse_buffer: write every batch into the same memory, which saves a sixth of a softmax-regression epoch;
                a batch is then valid only until the next one is drawn.
        """
        order = epoch_order(len(self.split), self.seed, epoch)
        batches = self._from_workers(order) if self.num_workers else self._in_process(order, reuse_buffer)
        for batch in batches:
            self.num_drawn += 1
            yield batch

    def _in_process(self, order: Tensor, reuse_buffer: bool) -> Iterator[Batch]:
        order = order.to(self.device)
        images, labels = self.split.images, self.split.labels[order]
        size = (min(self.batch_size, len(order)), *images.shape[1:])
        bytes_buffer = torch.empty(size, dtype=torch.uint8, device=self.device)
        float_buffer = torch.empty(size, dtype=self.dtype, device=self.device)
        for index, batch_labels in zip(order.split(self.batch_size), labels.split(self.batch_size), strict=True):
            selected = torch.index_select(images, 0, index, out=bytes_buffer[: len(index)])
            out = float_buffer[: len(index)] if reuse_buffer else None
            yield to_float(selected, self.dtype, self.split.normalization, out), batch_labels

    def _from_workers(self, order: Tensor) -> Iterator[Batch]:
        from torch.utils.data import DataLoader

        with warnings.catch_warnings():
            # The lesson uses 4 workers on every machine; torch warns when there are fewer cores.
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            loader = DataLoader[Batch](
                self.split,  # type: ignore[arg-type]  # its items are whole batches here
                sampler=order.split(self.batch_size),  # one index per batch
                batch_size=None,
                num_workers=self.num_workers,
                # The loader draws from a generator of its own, so that the model's dropout stays the same.
                generator=torch.Generator(),
            )
            batches = iter(loader)
        for images, labels in batches:
            yield to_float(images.to(self.device), self.dtype, self.split.normalization), labels.to(self.device)


def in_order(split: Split, dtype: torch.dtype = torch.float32) -> Iterator[Batch]:
    """Yield a split's images in their own order, for evaluation.

    Args:
        split: N images, on the device where the batches are wanted.
        dtype: of the images.
    """
    size = EVALUATION_BATCH_SIZE
    for images, labels in zip(split.images.split(size), split.labels.split(size), strict=True):
        yield to_float(images, dtype, split.normalization), labels
