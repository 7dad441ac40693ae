"""Batches: equal to `ToTensor`, equal whatever the number of workers, an order that depends on seed and epoch only."""

import numpy as np
import pytest
import torch

from fashion_softmax.data import Batches, Split, in_order
from fashion_softmax.data.batches import epoch_order, to_float


@pytest.fixture
def split() -> Split:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (100, 1, 5, 4), dtype=np.uint8))
    return Split(images, torch.arange(100))


def test_to_float_equals_torchvision_bit_for_bit() -> None:
    from torchvision.transforms import ToTensor

    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert torch.equal(to_float(pixels), ToTensor()(pixels[0].numpy()))


def test_batches_cover_every_image_once(split: Split) -> None:
    batches = Batches(split, 32, seed=3)
    sizes, labels = zip(*((len(images), labels) for images, labels in batches.epoch(0)), strict=True)
    assert sizes == (32, 32, 32, 4) and len(batches) == 4 and batches.num_drawn == 4
    assert torch.cat(labels).sort().values.tolist() == list(range(100))


def test_images_belong_to_their_labels(split: Split) -> None:
    for images, labels in Batches(split, 32, seed=3).epoch(0):
        assert torch.equal(images, split.images[labels].float() / 255)


def test_order_depends_on_seed_and_epoch_only() -> None:
    assert torch.equal(epoch_order(50, 1, 2), epoch_order(50, 1, 2))
    assert not torch.equal(epoch_order(50, 1, 2), epoch_order(50, 1, 3))
    assert not torch.equal(epoch_order(50, 1, 2), epoch_order(50, 2, 2))
    torch.manual_seed(123)
    before = epoch_order(50, 1, 2)
    torch.rand(7)
    assert torch.equal(before, epoch_order(50, 1, 2))


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_yield_the_same_batches_bit_for_bit(split: Split, num_workers: int) -> None:
    for epoch in range(2):
        expected = list(Batches(split, 32, seed=3).epoch(epoch))
        found = list(Batches(split, 32, seed=3, num_workers=num_workers).epoch(epoch))
        assert len(found) == len(expected)
        for (images, labels), (expected_images, expected_labels) in zip(found, expected, strict=True):
            assert torch.equal(images, expected_images) and torch.equal(labels, expected_labels)


def test_workers_do_not_touch_the_models_random_numbers(split: Split) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    list(Batches(split, 32, seed=3, num_workers=1).epoch(0))
    assert torch.equal(torch.rand(1), expected)


def test_reused_buffer_holds_the_same_batches(split: Split) -> None:
    batches = Batches(split, 32, seed=3)
    copies = [(images.clone(), labels) for images, labels in batches.epoch(0, reuse_buffer=True)]
    for (images, labels), (expected_images, expected_labels) in zip(copies, batches.epoch(0), strict=True):
        assert torch.equal(images, expected_images) and torch.equal(labels, expected_labels)


def test_batch_larger_than_the_data_is_one_short_batch(split: Split) -> None:
    batches = Batches(split, 4096, seed=0)
    assert len(batches) == 1
    assert [len(labels) for _, labels in batches.epoch(0)] == [100]


def test_in_order_keeps_the_order(split: Split) -> None:
    assert torch.cat([labels for _, labels in in_order(split)]).tolist() == list(range(100))


def test_lesson_shapes_after_resizing() -> None:
    from fashion_softmax.data import make_synthetic

    dataset = make_synthetic(num_train=64, num_test=16, resize=64, batch_size=32)
    images, labels = next(Batches(dataset.train, dataset.batch_size, seed=0).epoch(0))
    assert images.shape == (32, 1, 64, 64) and images.dtype == torch.float32
    assert labels.shape == (32,) and labels.dtype == torch.int64
