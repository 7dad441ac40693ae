"""Batches: equal to `ToTensor`, equal whatever the number of workers, an order that depends on seed and epoch only."""

import numpy as np
import pytest
import torch

from fashion_softmax.data import Batches, Split
from fashion_softmax.data.batches import epoch_order, in_order, to_float


@pytest.fixture
def split() -> Split:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (100, 1, 5, 4), dtype=np.uint8))
    return Split(images, torch.arange(100))


def test_to_float_equals_torchvision_bit_for_bit() -> None:
    from torchvision.transforms import ToTensor

    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert torch.equal(to_float(pixels), ToTensor()(pixels[0].numpy()))


@pytest.mark.parametrize(("batch_size", "sizes"), [(32, [32, 32, 32, 4]), (4096, [100])])
def test_batches_cover_every_image_once_with_its_label(split: Split, batch_size: int, sizes: list[int]) -> None:
    batches = Batches(split, batch_size, seed=3)
    all_images, all_labels = zip(*batches.epoch(0), strict=True)
    assert list(map(len, all_labels)) == sizes and len(batches) == batches.num_drawn == len(sizes)
    labels = torch.cat(all_labels)
    assert labels.sort().values.tolist() == list(range(100))
    assert torch.equal(torch.cat(all_images), split.images[labels].float() / 255)


def test_order_depends_on_seed_and_epoch_only() -> None:
    assert torch.equal(epoch_order(50, 1, 2), epoch_order(50, 1, 2))
    assert not torch.equal(epoch_order(50, 1, 2), epoch_order(50, 1, 3))
    assert not torch.equal(epoch_order(50, 1, 2), epoch_order(50, 2, 2))
    torch.manual_seed(123)
    before = epoch_order(50, 1, 2)
    torch.rand(7)
    assert torch.equal(before, epoch_order(50, 1, 2))


def test_workers_yield_the_same_batches_and_draw_none_of_the_models_random_numbers(split: Split) -> None:
    expected = list(Batches(split, 32, seed=3).epoch(1))
    before = torch.get_rng_state()
    found = list(Batches(split, 32, seed=3, num_workers=2).epoch(1))
    assert torch.equal(torch.get_rng_state(), before)
    for (images, labels), (expected_images, expected_labels) in zip(found, expected, strict=True):
        assert torch.equal(images, expected_images) and torch.equal(labels, expected_labels)


def test_reused_buffer_holds_the_same_batches(split: Split) -> None:
    batches = Batches(split, 32, seed=3)
    copies = [(images.clone(), labels) for images, labels in batches.epoch(0, reuse_buffer=True)]
    for (images, labels), (expected_images, expected_labels) in zip(copies, batches.epoch(0), strict=True):
        assert torch.equal(images, expected_images) and torch.equal(labels, expected_labels)


def test_in_order_keeps_the_order(split: Split) -> None:
    assert torch.cat([labels for _, labels in in_order(split)]).tolist() == list(range(100))
