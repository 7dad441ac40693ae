"""`scripts/time_loading.py`: both pipelines give the same images, and the table says what was timed."""

import re
from pathlib import Path

import pytest
import torch

from fashion_softmax.data import load_idx
from tests.conftest import write_idx_folder
from tests.scripts.conftest import RunScript

TOY = ["dataset=synthetic", "dataset.num_train=300", "dataset.num_test=10", "dataset.batch_size=100"]


@pytest.mark.slow
def test_each_pipeline_is_timed_with_each_number_of_workers(script: RunScript) -> None:
    outcome = script("time_loading", *TOY, "--workers", 0, 1)
    assert outcome.code == 0, outcome.err
    assert "300 training images of 28 x 28, 3 batches of 100" in outcome.out
    rows = re.findall(
        r"(image by image|whole batches)\s*│\s*(\d) │\s*([\d.]+) │\s*([\d,]+) │\s*([\d.]+) │", outcome.out
    )
    assert [row[:2] for row in rows] == [
        ("image by image", "0"), ("image by image", "1"), ("whole batches", "0"), ("whole batches", "1"),
    ]  # fmt: skip
    seconds = [float(row[2]) for row in rows]
    assert all(second > 0 for second in seconds[:2])
    for row in rows[:2]:
        assert int(row[3].replace(",", "")) == pytest.approx(300 / float(row[2]), rel=0.1, abs=300)
    assert max(float(row[4]) for row in rows[:2]) == 1.0  # the lesson's fastest is the yardstick


@pytest.mark.parametrize(
    ("resize", "shape"), [("null", "[1,28,28]"), ("9", "[3,16,20]"), ("[12, 20]", "[1,28,28]"), ("null", "[3,16,20]")]
)
def test_lessons_pipeline_gives_the_images_that_ours_gives(resize: str, shape: str, script: RunScript) -> None:
    import time_loading

    from fashion_softmax.config.building import build_as
    from fashion_softmax.config.jobs import compose
    from fashion_softmax.data import Dataset

    settings = compose([*TOY, f"dataset.image_shape={shape}", f"dataset.resize={resize}"])["dataset"]
    dataset, original = (
        build_as(Dataset, {"dataset": settings | change}, "dataset") for change in ({}, {"resize": None})
    )
    totals = []
    for load in (time_loading.load_as_the_lesson(dataset, original), time_loading.load_as_we_do(dataset)):
        batches = list(load(0))
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        assert images.shape == dataset.train.images.shape and images.dtype == torch.float32
        totals.append([images[labels == label].sum(0) for label in range(10)])  # whatever their order
    for lesson, ours in zip(*totals, strict=True):
        assert (lesson - ours).abs().max() <= 30 * 1.01 / 255  # 30 images of a class, each at most 1/255 away


def test_lessons_pipeline_does_what_torchvision_does_for_an_image(script: RunScript, tmp_path: Path) -> None:
    import time_loading
    from torchvision.datasets import FashionMNIST
    from torchvision.transforms import ToTensor

    folder = write_idx_folder(tmp_path / "FashionMNIST" / "raw", shape=(28, 28), num_classes=10)
    theirs = FashionMNIST(str(tmp_path), train=True, transform=ToTensor())
    ours = time_loading.Pictures(load_idx(root=str(folder)).train, ToTensor())
    assert len(ours) == len(theirs)
    for (image, label), (own_image, own_label) in zip(theirs, (ours[index] for index in range(len(ours))), strict=True):
        assert torch.equal(image, own_image) and label == own_label


def test_mistakes_are_one_line(script: RunScript) -> None:
    outcome = script("time_loading", *TOY, "--workers", "-1")
    assert outcome.code == 2 and "-1 is no whole number from 0 on" in outcome.err
    outcome = script("time_loading", *TOY, "dataset.batch_size=0")
    assert outcome.code == 2 and "dataset.batch_size=0" in outcome.err
