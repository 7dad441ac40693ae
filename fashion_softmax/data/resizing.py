"""Resizing the images of a split once, as bytes."""

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def resize_images(images: Tensor, resize: int | Sequence[int]) -> Tensor:
    """Resize bilinearly with antialiasing; every pixel is within 1/255 of Pillow's resize.

    Args:
        images: uint8, shape (N, C, H, W).
        resize: new size in pixels, see `target_size`.

    Returns:
        Resized images, uint8, shape (N, C, new height, new width).
    """
    height, width = images.shape[2:]
    size = target_size(height, width, resize)
    if size == (height, width):
        return images
    # Every channel is resized by itself, so several images may pass as the channels of one: torch has a kernel for
    # up to four channels, which takes half the time. 60 000 images to 64 x 64: 0.5 s on one core.
    planes = images.flatten(0, 1)
    grouped = planes.view(-1, math.gcd(len(planes), 4), *planes.shape[1:])
    return F.interpolate(grouped, size=size, mode="bilinear", antialias=True).view(*images.shape[:2], *size)


def target_size(height: int, width: int, resize: int | Sequence[int]) -> tuple[int, int]:
    """Compute the size after resizing, by the rule of `torchvision.transforms.Resize`.

    Args:
        height: of the images, in pixels.
        width: of the images, in pixels.
        resize: one number, the length of the shorter side (the ratio is kept), or [height, width].

    Returns:
        New (height, width).
    """
    if not isinstance(resize, int):
        new_height, new_width = resize
        return int(new_height), int(new_width)
    if height <= width:
        return resize, int(resize * width / height)
    return int(resize * height / width), resize
