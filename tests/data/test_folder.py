"""Folders of pictures: what their layout means, what pictures become, what is refused; nothing is written into them."""

import errno
import json
import os
import signal
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fashion_softmax.data import Dataset, load_folder
from fashion_softmax.data import pictures as data_pictures
from fashion_softmax.data.decoding import Recipe
from fashion_softmax.errors import DataError

Bytes = NDArray[np.uint8]


def save(path: Path, pixels: Bytes | None = None, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8) if pixels is None else pixels).save(path, **options)
    return path


def grey(value: int, height: int = 6, width: int = 5) -> Bytes:
    return np.full((height, width), value, np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten grey pictures of each of three classes; each picture has a brightness of its own."""
    for label, name in enumerate(("cat", "dog", "猫 🐈")):
        for number in range(10):
            save(tmp_path / "my pictures" / name / f"{number}.png", grey(80 * label + number))
    return tmp_path / "my pictures"


def load(root: Path, **options: Any) -> Dataset:
    return load_folder(root=str(root), cache_dir=str(root.parent / "cache"), **options)


def brightness(dataset: Dataset) -> list[list[int]]:
    return [
        split.images.amax((1, 2, 3)).tolist() if split else [] for split in (dataset.train, dataset.val, dataset.test)
    ]


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in (root, *root.rglob("*"))}


def test_a_part_of_each_class_is_held_out_by_seed(pictures: Path) -> None:
    before = snapshot(pictures)
    dataset = load(pictures)
    assert dataset.class_names == ("cat", "dog", "猫 🐈") and dataset.image_shape == (1, 6, 5)
    assert dataset.train.labels.bincount().tolist() == [8, 8, 8] and dataset.test.labels.bincount().tolist() == [
        2,
        2,
        2,
    ]
    train, _, test = brightness(dataset)
    assert sorted(train + test) == [80 * label + number for label in range(3) for number in range(10)]
    assert [value // 80 for value in train + test] == [*dataset.train.labels.tolist(), *dataset.test.labels.tolist()]
    assert brightness(load(pictures)) == brightness(dataset) != brightness(load(pictures, split_seed=1))
    assert len(load(pictures, test_fraction=0.5).test) == 15
    assert snapshot(pictures) == before


def test_splits_are_taken_as_they_are(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    for part, numbers in {"train": range(6), "val": (6, 7), "test": (8, 9)}.items():
        for name in ("cat", "dog"):
            (pictures / part / name).mkdir(parents=True)
            for number in numbers:
                (pictures / name / f"{number}.png").rename(pictures / part / name / f"{number}.PNG")
    for name in ("cat", "dog", "猫 🐈"):
        (pictures / name).rename(pictures.parent / name)
    (pictures / "notes.txt").write_text("mine", encoding="utf-8")
    (pictures / "train" / "cat" / "Thumbs.db").write_bytes(b"x")
    (pictures / "train" / "cat" / ".hidden.png").write_bytes(b"x")
    save(pictures / "train" / "cat" / ".thumbnails" / "1.png")
    dataset = load(pictures)
    assert brightness(dataset) == [[*range(6), *range(80, 86)], [6, 7, 86, 87], [8, 9, 88, 89]]
    assert "train/cat: 1 of 7 files are left out, such as Thumbs.db; only pictures (.png, .jpg" in caplog.text
    with pytest.raises(ValueError, match="val_size=2 cannot be used: the data set has validation images of its own"):
        load(pictures, val_size=2)
    (pictures / "test" / "dog").rename(pictures.parent / "gone")
    assert brightness(load(pictures))[2] == [8, 9]
    assert "test: has no folder 'dog'; its accuracy says nothing of this class" in caplog.text
    (pictures / "test").rename(pictures.parent / "test")  # then a part of train is held out
    train, val, test = brightness(load(pictures))
    assert (len(train), val, len(test)) == (10, [6, 7, 86, 87], 2)


def test_pictures_are_decoded_once_until_one_changes(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = data_pictures.decode_on_all_cores

    def count(paths: list[str], *others: Any) -> Iterator[Any]:
        opened.extend(paths)
        return real(paths, *others)

    monkeypatch.setattr(data_pictures, "decode_on_all_cores", count)
    first = load(pictures)
    assert len(opened) == 30
    assert brightness(load(pictures)) == brightness(first) and len(opened) == 30
    save(pictures / "cat" / "3.png", grey(255))
    changed = brightness(load(pictures))
    assert len(opened) == 60 and 255 in changed[0] + changed[2]
    load(pictures, mode="rgb")
    assert len(opened) == 90
    assert brightness(load(pictures)) == changed and len(opened) == 90


def test_a_damaged_cache_is_made_again(pictures: Path) -> None:
    expected = brightness(load(pictures))
    (cached,) = (pictures.parent / "cache").glob("*/pictures.bin")
    content = bytearray(cached.read_bytes())
    content[7] ^= 255
    cached.write_bytes(content)
    assert brightness(load(pictures)) == expected
    os.utime(cached, ns=(1, 1))  # as after a copy: the content is what counts
    assert brightness(load(pictures)) == expected
    cached.unlink()
    assert brightness(load(pictures)) == expected


def test_loaded_images_are_not_the_cache(pictures: Path) -> None:
    expected = brightness(load(pictures))
    load(pictures).train.images.fill_(9)
    assert brightness(load(pictures)) == expected


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("mode", ["grey", "rgb"])
def test_pictures_become_what_pillow_makes_of_them(tmp_path: Path, fit: str, mode: str) -> None:
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        for number, (height, width) in enumerate(((9, 14), (20, 8), (8, 8), (11, 12))):
            save(tmp_path / "p" / name / f"{number}.png", rng.integers(0, 256, (height, width, 3), np.uint8))
    dataset = load(tmp_path / "p", resize=[6, 8], fit=fit, mode=mode, background="red", test_fraction=0.5)
    found = {image.numpy().tobytes() for split in (dataset.train, dataset.test) for image in split.images}
    assert dataset.image_shape == (1 if mode == "grey" else 3, 6, 8)
    rule = {"crop": ImageOps.fit, "pad": lambda image, size: ImageOps.pad(image, size, color="red")}
    for path in (tmp_path / "p").glob("*/*"):
        image = Image.open(path).convert("L" if mode == "grey" else "RGB")
        pixels = np.asarray(rule[fit](image, (8, 6)) if fit in rule else image.resize((8, 6)))
        assert np.ascontiguousarray(pixels.reshape(6, 8, -1).transpose(2, 0, 1)).tobytes() in found


def test_modes_of_all_kinds_become_one(tmp_path: Path) -> None:
    shapes = {
        "1.png": "1",
        "l.png": "L",
        "la.png": "LA",
        "p.png": "P",
        "rgba.png": "RGBA",
        "c.jpg": "CMYK",
        "g.gif": "P",
    }
    for name in ("a", "b"):
        for number in range(2):
            save(tmp_path / "p" / name / f"deep{number}.png", np.full((4, 4), 200 * 256, np.uint16))
        for file, mode in shapes.items():
            save(tmp_path / "p" / name / file)
            image = Image.new("RGB", (4, 4), (200, 200, 200)).convert(mode, dither=Image.Dither.NONE)
            image.save(tmp_path / "p" / name / file)
    dataset = load(tmp_path / "p", mode="grey")
    assert set(dataset.train.images.flatten().tolist()) <= {
        199,
        200,
        201,
        204,
        255,
    }  # the palette of the web has no 200
    assert load(tmp_path / "p").image_shape[0] == 1  # greys in whatever mode
    save(tmp_path / "p" / "a" / "red.png", np.tile(np.array([255, 0, 0], np.uint8), (4, 4, 1)))
    assert load(tmp_path / "p").image_shape[0] == 3


def test_transparent_pixels_show_the_background(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(2):
            save(tmp_path / "p" / name / f"{number}.png", np.zeros((4, 4, 4), np.uint8))
    assert load(tmp_path / "p").train.images.unique().tolist() == [255]
    dataset = load(tmp_path / "p", background="#0a0b0c")
    assert dataset.train.images[0, :, 0, 0].tolist() == [10, 11, 12]
    with pytest.raises(ValueError, match=r"^background=no is not a colour"):
        load(tmp_path / "p", background="no")


def test_exif_turns_a_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, :8] = 255
    for name in ("a", "b"):
        for number in range(2):
            save(tmp_path / "p" / name / f"{number}.jpg", pixels, exif=exif, quality=100)
    images = load(tmp_path / "p").train.images
    assert images.shape[1:] == (1, 16, 8) and images[0, 0, 2, 4] > 250 and images[0, 0, 13, 4] < 5


def write_bomb(path: Path, side: int) -> None:
    """Write a PNG whose header announces a square of white pixels; there are none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_broken_pictures_are_named_or_left_out(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    (pictures / "cat" / "text.png").write_text("no picture", encoding="utf-8")
    whole = save(pictures / "dog" / "cut.png", np.random.default_rng(0).integers(0, 256, (6, 5), np.uint8)).read_bytes()
    (pictures / "dog" / "cut.png").write_bytes(whole[:60])
    write_bomb(pictures / "dog" / "bomb.png", 17_400)
    write_bomb(pictures / "dog" / "large.png", 10_000)
    with pytest.raises(DataError) as caught:
        load(pictures)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        f"{pictures}: 4 of 34 pictures cannot be read; repair or remove them, or add dataset.skip_broken=true"
    )
    assert [line.split()[0] for line in lines[1:]] == ["cat/text.png", "dog/bomb.png", "dog/cut.png", "dog/large.png"]
    assert (
        "302760000 pixels" in lines[2]
        and "truncated" in lines[3]
        and "has 100000000 pixels, at most 67108864 are read" in lines[4]
    )
    dataset = load(pictures, skip_broken=True)
    assert "4 of 34 pictures cannot be read and are left out" in caplog.text
    assert sorted(value for values in brightness(dataset) for value in values) == [
        80 * label + number for label in range(3) for number in range(10)
    ]
    with pytest.raises(DataError, match="4 of 34"):  # also when they were skipped before
        load(pictures)
    assert brightness(load(pictures, skip_broken=True)) == brightness(dataset)


def test_pictures_of_different_sizes_need_a_size(pictures: Path) -> None:
    save(pictures / "dog" / "99.png", grey(1, 7, 5))
    with pytest.raises(
        DataError, match=r"dog/99.png: has 5 x 7 pixels \(width x height\), .*0.png has 5 x 6; .*dataset.resize=32"
    ):
        load(pictures)
    assert load(pictures, resize=4).image_shape == (1, 4, 4)


def test_large_pictures_need_a_size(tmp_path: Path) -> None:
    for name in "ab":
        for number in range(2):
            save(tmp_path / "p" / name / f"{number}.png", grey(number, 1025, 3))
    with pytest.raises(DataError, match=r"has 3 x 1025 pixels; make it smaller with dataset.resize=32"):
        load(tmp_path / "p")
    assert load(tmp_path / "p", resize=8).image_shape == (1, 8, 8)


def nothing(root: Path) -> None:
    root.rmdir()


def a_file(root: Path) -> None:
    root.rmdir()
    root.write_bytes(b"")


def loose(root: Path) -> None:
    save(root / "1.png")


def one_class(root: Path) -> None:
    save(root / "cat" / "1.png")


def empty_class(root: Path) -> None:
    save(root / "cat" / "1.png")
    (root / "dog").mkdir()


def unknown_class(root: Path) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "test/bird/1.png"):
        save(root / name)


def another_folder(root: Path) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png", "valid/dog/1.png"):
        save(root / name)


def capital_splits(root: Path) -> None:
    for name in ("Train/cat/1.png", "Train/dog/1.png", "Test/cat/2.png"):
        save(root / name)


def empty_test(root: Path) -> None:
    for name in ("train/cat/1.png", "train/dog/1.png"):
        save(root / name)
    (root / "test" / "cat").mkdir(parents=True)


def few(root: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        save(root / name)


def idx(root: Path) -> None:
    (root / "train-images-idx3-ubyte").write_bytes(b"")


def link_out(root: Path) -> None:
    save(root / "cat" / "1.png")
    (root / "dog").mkdir()
    (root / "dog" / "1.png").symlink_to(save(root.parent / "secret.png"))


def link_to_folder(root: Path) -> None:
    save(root / "cat" / "1.png")
    save(root / "dog" / "1.png")
    (root / "dog" / "again").symlink_to(root)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nothing, "root: there is no such folder; expected ROOT/CLASS/"),
        (a_file, "root: is a file, not a folder; expected ROOT/CLASS/"),
        (loose, "root: has no folders of classes; at least two are needed"),
        (one_class, "root: has one class, 'cat'; at least two are needed"),
        (empty_class, r"dog: has no pictures \(.png, .jpg, .*\); add some or remove the folder"),
        (unknown_class, "test: has a class 'bird' that .*train lacks"),
        (another_folder, "root: has 'valid' beside train; only train, val and test belong there"),
        (capital_splits, "root/Test: looks like a split, but is taken for a class; expected ROOT/CLASS/"),
        (empty_test, "test: has no pictures"),
        (few, r"dog: has too few pictures \(1\) to hold out 0.2 of them"),
        (idx, "root: holds IDX files, not pictures; use dataset=idx"),
        (link_out, "dog/1.png: is a link that leads"),
        (link_to_folder, "dog/again: is a link that leads"),
    ],
)
def test_other_layouts_are_refused_in_a_line(tmp_path: Path, make: Any, message: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make(root)
    with pytest.raises(DataError, match=message) as caught:
        load(root)
    assert "\n" not in str(caught.value)


def test_a_worker_that_dies_is_reported(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):  # more than a chunk for each process
        save(pictures / "cat" / f"more{number}.png", grey(number))
    program = tmp_path / "dies.py"
    program.write_text("import os, sys\nsys.stdin.readline()\nos._exit(1)\n", encoding="utf-8")
    monkeypatch.setattr(data_pictures.decoding, "__file__", str(program))
    with pytest.raises(DataError, match="a process that decodes pictures ended suddenly"):
        load(pictures)


def test_many_pictures_are_decoded_in_their_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for number in range(128):
            save(tmp_path / "p" / name / f"{number:03d}.png", grey(number, 2, 2))
    dataset = load(tmp_path / "p", test_fraction=1 / 128)
    rest = dataset.train.images[:, 0, 0, 0].tolist()
    assert len(rest) == 254 and rest[:127] == sorted(rest[:127]) and rest[127:] == sorted(rest[127:])


def test_a_picture_more_leaves_the_others_in_their_splits(pictures: Path) -> None:
    before = brightness(load(pictures, test_fraction=0.3))
    save(pictures / "cat" / "another.png", grey(255))
    after = brightness(load(pictures, test_fraction=0.3))
    assert set(before[2]) ^ set(after[2]) <= {255, *(set(before[2]) - set(after[2]))}
    assert len(set(before[2]) - set(after[2])) <= 1 and [v for v in after[2] if v >= 80 and v != 255] == [
        v for v in before[2] if v >= 80
    ]


def test_pictures_that_change_places_are_noticed(pictures: Path) -> None:
    load(pictures)
    first, second, aside = pictures / "cat" / "1.png", pictures / "dog" / "1.png", pictures.parent / "aside"
    for path in (first, second):
        os.utime(path, ns=(1, 1))
    expected = load(pictures)
    for source, target in ((first, aside), (second, first), (aside, second)):
        source.rename(target)
    changed = load(pictures)
    splits = [(split.images.amax((1, 2, 3)), split.labels) for split in (changed.train, changed.test)]
    label_of = {
        int(value): int(label) for values, labels in splits for value, label in zip(values, labels, strict=True)
    }
    assert label_of[1] == 1 and label_of[81] == 0 and len(expected.train) == len(changed.train)


def test_an_older_cache_stays_readable_while_it_is_made_anew(pictures: Path) -> None:
    load(pictures)
    (cached,) = (pictures.parent / "cache").glob("*/pictures.bin")
    mapped = np.memmap(cached, np.uint8, mode="r")
    before = mapped.tobytes()
    save(pictures / "cat" / "3.png", grey(255))
    load(pictures)
    assert mapped.tobytes() == before != cached.read_bytes()


def test_a_cache_that_a_power_cut_emptied_is_made_again(pictures: Path) -> None:
    expected = brightness(load(pictures))
    (cached,) = (pictures.parent / "cache").glob("*/pictures.bin")
    cached.write_bytes(b"")
    assert brightness(load(pictures)) == expected


def test_a_cache_inside_the_folder_is_refused(pictures: Path) -> None:
    before = snapshot(pictures)
    with pytest.raises(DataError, match="cache: lies in the folder of the pictures"):
        load_folder(root=str(pictures), cache_dir=str(pictures / "cache"))
    assert snapshot(pictures) == before


def test_workers_end_with_an_error(pictures: Path) -> None:
    def list_children() -> set[str]:
        children = Path(f"/proc/self/task/{os.getpid()}/children")  # of Linux
        return set(children.read_text(encoding="utf-8").split()) if children.exists() else set()

    save(pictures / "cat" / "99.png", grey(1, 7, 5))
    before = list_children()
    with pytest.raises(DataError) as caught:
        load(pictures)
    assert caught.tb and list_children() <= before


@pytest.mark.parametrize("key", ["made_from", "shape", "has_colour", "broken", "sha256"])
@pytest.mark.parametrize(
    "value", ["missing", *(pytest.param(value, marks=pytest.mark.slow) for value in (None, False, [24, 3, 2, 5]))]
)
def test_a_cache_that_says_something_else_is_made_again(pictures: Path, key: str, value: Any) -> None:
    expected = brightness(load(pictures))
    (path,) = (pictures.parent / "cache").glob("*/made_from.json")
    about = json.loads(path.read_bytes()) | {key: value}
    if value == "missing":
        del about[key]
    path.write_text(json.dumps(about), encoding="utf-8")
    assert brightness(load(pictures)) == expected


def test_a_picture_that_was_changed_in_secret_is_noticed(pictures: Path) -> None:
    load(pictures)
    path, other = pictures / "cat" / "3.png", save(pictures.parent / "other.png", grey(4))
    state = path.stat()
    content = other.read_bytes()
    assert len(content) == state.st_size
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    train, _, test = brightness(load(pictures))
    assert sorted(train + test)[3:5] == [4, 4]


def test_what_says_nothing_of_a_picture_is_not_remembered(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image, "open", fail)
    for error in (OSError(errno.EMFILE, "too many open files"), MemoryError()):
        with pytest.raises(type(error)):
            load(pictures)
    monkeypatch.undo()
    assert len(load(pictures).train) == 24


def test_broken_pictures_need_not_be_decoded_twice_to_be_skipped(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "cat" / "3.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"1 of 30 pictures cannot be read"):
        load(pictures)
    monkeypatch.delattr(data_pictures, "decode_on_all_cores")
    dataset = load(pictures, skip_broken=True)
    assert sorted(brightness(dataset)[0] + brightness(dataset)[2])[2:4] == [2, 4]


def test_a_worker_that_is_killed_while_it_waits_is_reported(pictures: Path) -> None:
    paths = [str(pictures / "cat" / f"{number % 10}.png") for number in range(64)]
    (pictures.parent / "file").touch()
    recipe = Recipe((4, 4), "crop", None, "white")
    answers = data_pictures.decode_on_all_cores(paths * 10, recipe, (3, 4, 4), pictures.parent / "file")
    next(answers)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    for child in children.read_text(encoding="utf-8").split():
        if b"decoding.py" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    with pytest.raises(DataError, match="a process that decodes pictures ended suddenly"):
        list(answers)


def test_names_that_are_no_unicode_or_move_the_cursor(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in (b"do\xe9.png", b"a\x1b]0;title\x07b.png"):
        Path(os.fsdecode(os.fsencode(pictures / "cat") + b"/" + name)).write_bytes(b"broken")
    assert len(load(pictures, skip_broken=True).train) == 24
    assert "2 of 32 pictures cannot be read and are left out" in caplog.text and "\x1b" not in caplog.text
    assert len(load(pictures, skip_broken=True).train) == 24


def test_too_narrow_a_picture_is_not_padded_to_nothing(pictures: Path) -> None:
    save(pictures / "cat" / "line.png", grey(0, 1000, 1))
    with pytest.raises(DataError, match="1 x 1000 pixels, too narrow to be padded"):
        load(pictures, resize=32, fit="pad")
