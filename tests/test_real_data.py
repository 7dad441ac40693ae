"""Fashion-MNIST itself: what is in it, and the accuracies the project promises.

Needs the data (`make data`); skipped without it, except in CI.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.data import Batches, load_published
from fashion_softmax.runs.folder import write_folder
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.training import train_folders

pytestmark = pytest.mark.real_data


def test_sizes_shapes_and_classes(fashion_mnist_root: Path) -> None:
    dataset = load_published(name="fashion_mnist", root=str(fashion_mnist_root))
    assert dataset.train.images.shape == (60_000, 1, 28, 28) and dataset.test.images.shape == (10_000, 1, 28, 28)
    assert torch.bincount(dataset.train.labels).tolist() == [6000] * 10
    assert torch.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert dataset.class_names[0] == "t-shirt" and dataset.class_names[9] == "ankle boot"


def test_images_equal_torchvisions_bit_for_bit(fashion_mnist_root: Path, tmp_path: Path) -> None:
    from torchvision.datasets import FashionMNIST
    from torchvision.transforms import ToTensor

    (tmp_path / "FashionMNIST").mkdir()
    (tmp_path / "FashionMNIST" / "raw").symlink_to(fashion_mnist_root)
    theirs = FashionMNIST(str(tmp_path), train=True, transform=ToTensor())
    split = load_published(name="fashion_mnist", root=str(fashion_mnist_root)).train
    images, labels = next(Batches(split, 64, seed=0).epoch(0))
    order = next(Batches(type(split)(split.images, torch.arange(60_000)), 64, seed=0).epoch(0))[1]
    for image, label, index in zip(images, labels, order, strict=True):
        expected_image, expected_label = theirs[int(index)]
        assert torch.equal(image, expected_image) and int(label) == expected_label


def run(folder: Path, config: dict[str, Any]) -> float:
    """Train a run; its objective."""
    write_folder(folder, config, [], {})
    assert not train_folders([folder])
    return float(read_folder(folder).result["objective"])


@pytest.mark.slow
def test_lesson_reaches_its_numbers(fashion_mnist_root: Path, tmp_path: Path) -> None:
    cfg = compose(["experiment=lesson", f"dataset.root='{fashion_mnist_root}'"])
    accuracies = []
    for seed in range(2):
        accuracies.append(run(tmp_path / str(seed), cfg | {"seed": seed}))
        facts = json.loads((tmp_path / str(seed) / "result.json").read_text(encoding="utf-8"))
        assert facts["metrics"]["train/loss"] < 0.5
    assert sum(accuracies) / 2 >= 0.825


@pytest.mark.parametrize(
    ("overrides", "at_least"),
    [
        (["loss=mse", "optimizer.lr=1.0"], 0.835),
        pytest.param(["loss=huber"], 0.80, marks=pytest.mark.slow),
        pytest.param(["loss=margin"], 0.82, marks=pytest.mark.slow),
        pytest.param(["loss=l1"], 0.70, marks=pytest.mark.slow),
    ],
)
def test_losses_reach_their_numbers(
    fashion_mnist_root: Path, tmp_path: Path, overrides: list[str], at_least: float
) -> None:
    assert run(tmp_path, compose([*overrides, f"dataset.root='{fashion_mnist_root}'"])) >= at_least


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "at_least"),
    [
        ("best_linear", 0.848),
        ("mlp", 0.86),
        ("lenet trainer.num_epochs=1 scheduler.warmup_epochs=0", 0.75),
    ],
)
def test_experiments_reach_their_numbers(
    fashion_mnist_root: Path, tmp_path: Path, experiment: str, at_least: float
) -> None:
    cfg = compose([*f"experiment={experiment}".split(), f"dataset.root='{fashion_mnist_root}'"])
    assert run(tmp_path, cfg) >= at_least


@pytest.mark.slow
@pytest.mark.parametrize("resize", [64, 14])
def test_resized_images_are_within_one_step_of_pillow(fashion_mnist_root: Path, resize: int) -> None:
    from torchvision.transforms import Resize
    from torchvision.transforms.functional import pil_to_tensor, to_pil_image

    dataset = load_published(name="fashion_mnist", root=str(fashion_mnist_root), resize=resize)
    originals = load_published(name="fashion_mnist", root=str(fashion_mnist_root)).test.images
    worst = max(
        int((pil_to_tensor(Resize(resize)(to_pil_image(original))).int() - ours.int()).abs().max())
        for original, ours in zip(originals, dataset.test.images, strict=True)
    )
    assert worst <= 1


def test_parts_of_the_default_configuration(fashion_mnist_root: Path) -> None:
    parts = build_parts(resolve(compose([f"dataset.root='{fashion_mnist_root}'"])))
    assert sum(parameter.numel() for parameter in parts.member.model.parameters()) == 7850
