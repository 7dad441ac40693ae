"""Resizing against torchvision's PIL resize, and the cache."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import Resize
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from fashion_softmax.data.resizing import resize_images, target_size


def draw_images(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 28, 28), (1, 20, 30), (4, 31, 17)])
@pytest.mark.parametrize("resize", [64, 28, 32, 14, 7, 96])
def test_resize_is_within_one_step_of_pillow(shape: tuple[int, int, int], resize: int) -> None:
    images = draw_images(6, *shape)
    ours = resize_images(images, target_size(*shape[1:], resize))
    theirs = torch.stack([pil_to_tensor(Resize(resize)(to_pil_image(image))) for image in images])
    if shape[0] == 4:  # Pillow blends the colours with alpha; the channels here are just channels
        theirs = torch.cat(
            [
                torch.stack([pil_to_tensor(Resize(resize)(to_pil_image(c))) for c in image])[None, :, 0]
                for image in images
            ]
        )
    assert ours.shape == theirs.shape
    assert (ours.int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize(("resize", "expected"), [(14, (14, 21)), ([5, 6], (5, 6))])
def test_target_size(resize: int | list[int], expected: tuple[int, int]) -> None:
    assert target_size(20, 30, resize) == expected


def test_cache_is_written_once_and_read_back(tmp_path: Path) -> None:
    images, path = draw_images(5, 1, 8, 8), tmp_path / "sub" / "train.bin"
    first = resize_images(images, (16, 16), path)
    written = path.stat().st_mtime_ns
    again = resize_images(torch.zeros_like(images), (16, 16), path)
    assert torch.equal(first, again) and path.stat().st_mtime_ns == written
    assert {file.name for file in path.parent.iterdir()} == {"train.bin", ".lock"}


def test_cache_that_was_cut_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images, path = draw_images(5, 1, 8, 8), tmp_path / "train.bin"
    path.write_bytes(b"half a file")
    assert torch.equal(resize_images(images, (16, 16), path), resize_images(images, (16, 16)))
    assert str(path) in caplog.text


def test_unwritable_cache_keeps_the_result_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    images = draw_images(5, 1, 8, 8)
    resized = resize_images(images, (16, 16), blocked / "train.bin")
    assert resized.shape == (5, 1, 16, 16) and "cannot keep the resized images" in caplog.text
