"""Reading IDX files: layouts, gzip, and every way a file can be broken."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from fashion_softmax.data.idx import find_idx_files, read_split
from fashion_softmax.errors import DataError
from tests.conftest import write_idx


def read_images(path: Path, num_images: int = 2) -> torch.Tensor:
    """Read images, beside labels of no interest."""
    return read_split(path, write_idx(path.with_name("labels"), np.zeros(num_images))).images


def test_read_images_grey(tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 3, 4)
    images = read_images(write_idx(tmp_path / "i", values))
    assert images.shape == (2, 1, 3, 4) and images.dtype == torch.uint8
    assert images.flatten().tolist() == list(range(24))


@pytest.mark.parametrize(("shape", "expected"), [((2, 3, 5, 6), (2, 3, 5, 6)), ((2, 5, 6, 3), (2, 3, 5, 6))])
def test_read_images_in_colour(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape)
    images = read_images(write_idx(tmp_path / "i", values))
    assert images.shape == expected
    channels_first = values if shape == expected else values.transpose(0, 3, 1, 2)
    assert (images.numpy() == channels_first).all()


def test_gzipped_file_reads_the_same(tmp_path: Path) -> None:
    images, labels = write_idx(tmp_path / "i", np.ones((3, 2, 2))), write_idx(tmp_path / "l", np.array([3, 1, 2]))
    for path in (images, labels):
        path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    packed = read_split(images.with_suffix(".gz"), labels.with_suffix(".gz"))
    plain = read_split(images, labels)
    assert packed.labels.tolist() == plain.labels.tolist() == [3, 1, 2] and plain.labels.dtype == torch.int64
    assert torch.equal(packed.images, plain.images)


def test_writing_to_images_does_not_change_the_file(tmp_path: Path) -> None:
    path = write_idx(tmp_path / "i", np.ones((1, 2, 2)))
    read_images(path, 1).zero_()
    assert read_images(path, 1).sum() == 4


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "is truncated: its header announces 2 x 3 x 4 = 24 bytes, found 23"),
        (lambda content: content + b"x", "is too long"),
        (lambda content: content[:10], "is truncated inside its header"),
        (lambda content: b"", "(is no IDX file|cannot be read)"),
        (lambda content: b"\x00\x00\x0d\x03" + content[4:], "is no IDX file of unsigned bytes"),
        (lambda content: b"<!DOCTYPE html>", "is no IDX file"),
        # More is announced than any memory has.
        (lambda content: b"\x00\x00\x08\x01" + b"\xff" * 4, "is truncated: its header announces 4294967295 = "),
    ],
)
def test_broken_images_are_refused_by_name(tmp_path: Path, suffix: str, damage: object, message: str) -> None:
    content = damage(write_idx(tmp_path / "x", np.zeros((2, 3, 4))).read_bytes())  # type: ignore[operator]
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(DataError, match=f"images{suffix}: {message}"):
        read_images(path)


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(write_idx(tmp_path / "x", np.zeros((50, 8, 8))).read_bytes())
    (tmp_path / "i.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DataError, match=r"i\.gz: cannot be read"):
        read_images(tmp_path / "i.gz")
    flipped = bytearray(packed)
    flipped[-8] ^= 1  # of the checksum
    (tmp_path / "i.gz").write_bytes(flipped)
    with pytest.raises(DataError, match=r"i\.gz: cannot be read"):
        read_images(tmp_path / "i.gz")


def test_no_images_and_wrong_dimensions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no images"):
        read_images(write_idx(tmp_path / "i", np.zeros((0, 28, 28))))
    with pytest.raises(DataError, match="has no images"):
        read_images(write_idx(tmp_path / "i", np.zeros(5)))
    images = write_idx(tmp_path / "i", np.zeros((5, 2, 2)))
    with pytest.raises(DataError, match="l: has no labels"):
        read_split(images, write_idx(tmp_path / "l", np.zeros((5, 2))))
    with pytest.raises(DataError, match="l: has 4 labels for 5 images in i"):
        read_split(images, write_idx(tmp_path / "l", np.zeros(4)))


def test_find_prefers_plain_files_and_knows_the_dotted_names(tmp_path: Path) -> None:
    for name in ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-labels.idx1-ubyte", "notes.txt"):
        (tmp_path / name).touch()
    found = find_idx_files(tmp_path)
    assert {role: path.name for role, path in found.items()} == {
        "train_images": "train-images-idx3-ubyte",
        "train_labels": "train-labels.idx1-ubyte",
    }
    assert find_idx_files(tmp_path / "missing") == {}
