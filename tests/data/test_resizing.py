"""Resizing against torchvision's PIL resize."""

import numpy as np
import pytest
import torch
from torchvision.transforms import Resize
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from fashion_softmax.data.catalog import resize_images


def draw_images(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 28, 28), (1, 20, 30), (4, 31, 17)])
@pytest.mark.parametrize("resize", [64, 28, 7])
def test_resize_is_within_one_step_of_pillow(shape: tuple[int, int, int], resize: int) -> None:
    images = draw_images(5, *shape)
    ours = resize_images(images, resize)
    # One channel at a time: Pillow would blend the colours of four channels with the last one.
    theirs = [pil_to_tensor(Resize(resize)(to_pil_image(channel))) for channel in images.flatten(0, 1)]
    assert ours.shape[:2] == images.shape[:2]
    assert (ours.flatten(0, 1).int() - torch.cat(theirs).int()).abs().max() <= 1


@pytest.mark.parametrize("num_images", [1, 6, 8])
def test_images_do_not_depend_on_their_neighbours(num_images: int) -> None:
    images = draw_images(num_images, 3, 9, 8)
    assert torch.equal(resize_images(images, 12), torch.cat([resize_images(image[None], 12) for image in images]))


@pytest.mark.parametrize(("resize", "expected"), [(14, (14, 21)), ([5, 6], (5, 6))])
def test_new_size_keeps_the_ratio_or_is_as_told(resize: int | list[int], expected: tuple[int, int]) -> None:
    assert resize_images(draw_images(1, 1, 20, 30), resize).shape[2:] == expected
