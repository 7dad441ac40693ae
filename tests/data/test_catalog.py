"""Data sets as a configuration names them: any IDX folder, toy images, the validation split."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fashion_softmax.data import Batches, Split, finish, load_idx, make_synthetic
from fashion_softmax.data.batches import epoch_order, in_order
from fashion_softmax.data.catalog import measure
from fashion_softmax.errors import DataError
from tests.conftest import write_idx, write_idx_folder


def test_idx_takes_shape_and_classes_from_the_files(tmp_path: Path) -> None:
    dataset = load_idx(root=str(write_idx_folder(tmp_path / "a b,c=[d] 数据", (3, 6, 5), num_classes=4, sizes=(40, 8))))
    assert dataset.image_shape == (3, 6, 5) and dataset.num_classes == 4
    assert dataset.class_names == ("0", "1", "2", "3")
    assert (len(dataset.train), len(dataset.test), dataset.val) == (40, 8, None)


def test_idx_names_what_is_missing(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "d")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"d: missing t10k-labels-idx1-ubyte \(plain or \.gz\)"):
        load_idx(root=str(folder))
    with pytest.raises(DataError, match=r"\(plain or \.gz\); download them from https://here/$"):
        load_idx(root=str(folder), url="https://here/")


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "train-labels-idx1-ubyte",
            [0, 1, 2] * 31 + [0, 1, 17],
            "has a label 17; with 4 classes 0 to 3 are allowed",
        ),
        ("t10k-labels-idx1-ubyte", [0, 1, 2] * 7 + [0, 1, 17], "has a label 17; with 3 classes 0 to 2 are allowed"),
        ("train-labels-idx1-ubyte", [0, 1, 2], "has 3 labels for 96 images"),
        ("t10k-images-idx3-ubyte", np.zeros((24, 9, 9)), r"do not fit training images of shape \(1, 8, 8\)"),
    ],
)
def test_idx_files_that_do_not_fit_are_refused_by_name(tmp_path: Path, name: str, values: object, message: str) -> None:
    folder = write_idx_folder(tmp_path / "d")
    write_idx(folder / name, np.asarray(values))
    with pytest.raises(DataError, match=f"{name}: .*{message}"):
        load_idx(root=str(folder))


def test_idx_accepts_a_gap_in_the_labels_when_told(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "d")
    write_idx(folder / "train-labels-idx1-ubyte", np.array([0, 17] * 48))
    assert load_idx(root=str(folder), num_classes=18).num_classes == 18


def test_idx_refuses_the_wrong_number_of_names(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "d")
    assert load_idx(root=str(folder), class_names=["a", "b", "c"]).class_names == ("a", "b", "c")
    with pytest.raises(ValueError, match="class_names has 4 names, but the data set has 3 classes"):
        load_idx(root=str(folder), num_classes=3, class_names=["a", "b", "c", "d"])


def test_all_splits_are_resized() -> None:
    dataset = make_synthetic(num_train=20, num_test=6, resize=16, val_size=5)
    assert dataset.val is not None and (len(dataset.train), len(dataset.val), len(dataset.test)) == (15, 5, 6)
    assert {split.images.shape[1:] for split in (dataset.train, dataset.val, dataset.test)} == {(1, 16, 16)}


def test_synthetic_images_are_separable_and_repeatable() -> None:
    dataset, again = (
        make_synthetic(image_shape=(3, 4, 4), num_classes=5),
        make_synthetic(image_shape=(3, 4, 4), num_classes=5),
    )
    assert torch.equal(dataset.train.images, again.train.images)
    means = torch.stack([dataset.train.images[dataset.train.labels == k].float().mean(0) for k in range(5)])
    distances = torch.cdist(dataset.test.images.float().flatten(1), means.flatten(1))
    assert (distances.argmin(1) == dataset.test.labels).float().mean() > 0.99


def test_synthetic_refuses_more_than_memory_holds() -> None:
    with pytest.raises(ValueError, match="num_train=2000000000 is too large"):
        make_synthetic(num_train=2_000_000_000)


@pytest.fixture
def fifty() -> Split:
    """Images that know their own number."""
    return Split(torch.arange(50, dtype=torch.uint8).view(50, 1, 1, 1), torch.arange(50))


def test_validation_split_is_disjoint_fixed_and_of_the_size_asked(fifty: Split) -> None:
    names = tuple(map(str, range(50)))
    dataset = finish(fifty, fifty, names, val_size=20)
    rest, val = dataset.train, dataset.val
    assert val is not None and len(val) == 20 and len(rest) == 30
    assert torch.cat([rest.labels, val.labels]).sort().values.tolist() == list(range(50))
    assert torch.equal(val.images.flatten().long(), val.labels)
    again = finish(fifty, fifty, names, val_size=20).val
    assert again is not None and torch.equal(val.labels, again.labels)
    without = finish(fifty, fifty, names)
    assert (without.train, without.val, without.test) == (fifty, None, fifty)


@pytest.mark.parametrize("val_size", [50, 51, -1])
def test_validation_split_leaves_something_to_train_on(val_size: int, fifty: Split) -> None:
    with pytest.raises(ValueError, match=f"val_size={val_size} is out of range: there are 50 training images"):
        finish(fifty, fifty, ("0",), val_size=val_size)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64), "images are torch.float32"),
        (torch.zeros(3, 2, 2, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), r"shape \(3, 2, 2\)"),
        (torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), r"shape \(2,\)"),
        (torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 7]), "labels from 0 to 7; 2 classes"),
    ],
)
def test_loader_of_the_users_own_may_give_nothing_else(
    images: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        finish(Split(images, labels), Split(images, labels), ("a", "b"))


def test_val_size_as_a_fraction_holds_out_the_same_images_as_the_number() -> None:
    by_number, by_fraction = (make_synthetic(num_train=200, num_test=8, val_size=size) for size in (50, 0.25))
    assert by_number.val is not None and by_fraction.val is not None
    assert torch.equal(by_number.val.images, by_fraction.val.images) and len(by_fraction.train) == 150
    with pytest.raises(ValueError, match="val_size=0 is out of range: there are 200 training images"):
        make_synthetic(num_train=200, num_test=8, val_size=0.001)


def test_finish_keeps_validation_images_that_a_data_set_brings() -> None:
    train, val, test = (make_synthetic(num_train=n, num_test=1).train for n in (40, 10, 20))
    dataset = finish(train, test, tuple("0123456789"), val=val, resize=14)
    assert dataset.val is not None and dataset.val.images.shape == (10, 1, 14, 14) and len(dataset.train) == 40
    with pytest.raises(ValueError, match="val_size=5 cannot be used: the data set has validation images of its own"):
        finish(train, test, tuple("0123456789"), val=val, val_size=5)


@pytest.mark.parametrize("shape", [(1, 5, 6), (3, 4, 4)])
def test_mean_std_gives_each_channel_mean_zero_and_deviation_one(shape: tuple[int, int, int]) -> None:
    dataset = make_synthetic(num_train=300, num_test=50, image_shape=shape, val_size=100, normalize="mean_std")
    assert dataset.val is not None
    assert dataset.train.normalization == dataset.val.normalization == dataset.test.normalization is not None
    floats = dataset.train.images.double() / 255
    mean, std = floats.mean((0, 2, 3)), floats.std((0, 2, 3), correction=0)
    expected = (floats - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
    (found,) = (images for images, _ in Batches(dataset.train, 500, seed=0, dtype=torch.float64).epoch(0))
    order = epoch_order(200, 0, 0)
    torch.testing.assert_close(found, expected[order], rtol=1e-12, atol=1e-12)
    test_images = torch.cat([images for images, _ in in_order(dataset.test, torch.float64)])
    means, stds = (torch.tensor(values).view(-1, 1, 1) for values in dataset.train.normalization)
    torch.testing.assert_close(test_images, (dataset.test.images.double() / 255 - means) / stds, rtol=1e-6, atol=1e-6)


def test_a_channel_without_any_difference_is_not_divided_by_zero() -> None:
    images = torch.full((4, 1, 2, 2), 7, dtype=torch.uint8)
    assert measure(images) == ([pytest.approx(7 / 255)], [1.0])
