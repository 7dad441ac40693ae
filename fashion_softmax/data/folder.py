"""Pictures in folders, one for each class: the layout of torchvision's `ImageFolder`, with or without splits."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import torch

from fashion_softmax.data.catalog import Options, finish
from fashion_softmax.data.dataset import Dataset, Split
from fashion_softmax.data.decoding import Recipe
from fashion_softmax.data.idx import find_idx_files
from fashion_softmax.data.pictures import ENDINGS, Picture, read_pictures, warn_once
from fashion_softmax.errors import DataError, printable

SPLITS = ("train", "val", "test")
LOOK_LIKE_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
KINDS = f"pictures ({', '.join(ENDINGS)})"
LAYOUT = "expected ROOT/CLASS/*.png, or ROOT/train/CLASS/*.png and ROOT/test/CLASS/*.png"


def load_folder(
    *,
    root: str,
    cache_dir: str,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    mode: Literal["grey", "rgb"] | None = None,
    background: str = "white",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    skip_broken: bool = False,
    **options: Unpack[Options],
) -> Dataset:
    """Load pictures of any size: `root/train/CLASS/*`, `root/test/CLASS/*` and perhaps `root/val/CLASS/*`.

    Without a folder `test`, a part of each class is held out. Nothing is written into `root`. The classes are the
    folders' names, in alphabetical order.

    Args:
        root: the folder; or one with the class folders in it.
        cache_dir: folder for what was decoded, see `read_pictures`.
        fit: how a picture of another shape becomes `resize`: `crop` cuts the longer side at both ends, `pad` fills up
            the shorter one, `stretch` keeps all and changes the ratio.
        mode: `grey` or `rgb`; None is rgb if one picture at least has a colour.
        background: name of a colour, or #rrggbb: what lies behind transparent pixels and beside padded pictures.
        test_fraction: above 0 and below 1, of each class, if there is no folder `test`.
        split_seed: of what is held out for the test.
        skip_broken: leave out pictures that cannot be read, instead of an error.
        **options: see `Options`; here `resize` is [height, width] or the side of a square, and None needs pictures that
            are equally large.

    Raises:
        DataError: the folder has another layout, or pictures cannot be read.
        ValueError: an argument is out of range.
    """
    from PIL import ImageColor

    try:
        ImageColor.getrgb(background)
    except ValueError as error:
        raise ValueError(f"background={background} is not a colour; use a name such as white, or '#ffffff'") from error
    resize, folder = options.pop("resize", None), Path(root).expanduser()
    parts, class_names = _list_classes(folder)
    start = len(str(folder.absolute())) + 1
    pictures = [picture for part, path in parts.items() for picture in _list_pictures(part, path, class_names, start)]
    size = (resize, resize) if isinstance(resize, int) else resize
    recipe = Recipe(size and (size[0], size[1]), fit, mode, background)
    images, is_kept = read_pictures(folder, pictures, recipe, Path(cache_dir), skip_broken=skip_broken)
    split_of = np.array([SPLITS.index(picture.part) for picture in pictures], np.int64)[is_kept]
    labels = np.array([picture.label for picture in pictures], np.int64)[is_kept]
    if "test" not in parts:
        # By each picture's own name: one that is added or removed leaves the others in their splits.
        names = (os.fsencode(f"{split_seed} {picture.name}") for picture in pictures)
        keys = np.array([hashlib.sha256(name).digest() for name in names])[is_kept]
        for label, name in enumerate(class_names):
            found = np.flatnonzero((labels == label) & (split_of == 0))
            found = found[np.argsort(keys[found])]
            num_test = max(1, round(test_fraction * len(found)))
            if num_test >= len(found):
                problem = f"has too few pictures ({len(found)}) to hold out {test_fraction:g} of them for the test"
                raise DataError(f"{parts['train'] / name}: {problem}; add some or change dataset.test_fraction")
            split_of[found[:num_test]] = SPLITS.index("test")
    rows = {part: torch.from_numpy(np.flatnonzero(split_of == index)) for index, part in enumerate(SPLITS)}
    if empty := [part for part in parts if not len(rows[part])]:
        raise DataError(f"{parts[empty[0]]}: has no pictures that can be read")
    for label, name in enumerate(class_names):
        if label not in labels[split_of == 0]:
            raise DataError(f"{parts['train'] / name}: has no pictures that can be read")
    splits = {part: Split(images[index], torch.from_numpy(labels)[index]) for part, index in rows.items() if len(index)}
    return finish(splits["train"], splits["test"], class_names, val=splits.get("val"), **options)


def _list_classes(root: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Find the folders of the splits, and the names of the classes, which are those of the training pictures."""
    if not root.is_dir():
        raise DataError(f"{root}: {'is a file, not a' if root.exists() else 'there is no such'} folder; {LAYOUT}")
    if find_idx_files(root):
        raise DataError(f"{root}: holds IDX files, not pictures; use dataset=idx")
    folders = _list_folders(root)
    parts = {"train": root}
    if "train" in folders and _list_folders(root / "train"):
        if others := sorted(set(folders) - set(SPLITS)):
            raise DataError(f"{root}: has {others[0]!r} beside train; only train, val and test belong there")
        parts = {part: root / part for part in SPLITS if part in folders}
    classes = tuple(_list_folders(parts["train"]))
    if wrong := [name for name in classes if name.casefold() in LOOK_LIKE_SPLITS]:
        raise DataError(f"{parts['train'] / wrong[0]}: looks like a split, but is taken for a class; {LAYOUT}")
    if len(classes) < 2:
        found = f"one class, {classes[0]!r}" if classes else "no folders of classes"
        raise DataError(f"{parts['train']}: has {found}; at least two are needed; {LAYOUT}")
    for part, path in parts.items():
        if unknown := sorted((there := set(_list_folders(path))) - set(classes)):
            problem = f"has a class {unknown[0]!r} that {parts['train']} lacks; {part} needs the same ones"
            raise DataError(f"{path}: {problem}")
        if absent := sorted(set(classes) - there):
            warn_once(f"{path}: has no folder {absent[0]!r}; its accuracy says nothing of this class")
        if loose := sorted(each for each in path.iterdir() if each.suffix.lower() in ENDINGS):
            left_out = f"{len(loose)} pictures are in no folder of a class and left out, such as {loose[0].name}"
            warn_once(printable(f"{path}: {left_out}"))
    return parts, classes


def _list_folders(folder: Path) -> list[str]:
    folders = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."]
    if links := [path for path in folders if path.is_symlink()]:
        raise DataError(f"{links[0]}: is a link to a folder; links are not followed, put the folder itself there")
    return [path.name for path in folders]


def _list_pictures(part: str, folder: Path, class_names: Sequence[str], start: int) -> Iterator[Picture]:
    root = os.path.realpath(folder)
    for label, name in enumerate(class_names):
        files = list(_walk((folder / name).absolute(), root))
        kept = [file for file in files if file[0].lower().endswith(ENDINGS)]
        found = [Picture(part, label, path, path[start:], stamp) for path, stamp in kept]
        if others := [path for path, _ in files if not path.lower().endswith(ENDINGS)]:
            left_out = f"{len(others)} of {len(files)} files are left out, such as {Path(others[0]).name}"
            warn_once(printable(f"{folder / name}: {left_out}; only {KINDS} are read"))
        if not found and part == "train":
            raise DataError(f"{folder / name}: has no {KINDS}; add some or remove the folder")
        yield from found


def _walk(folder: str | Path, root: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """List the files in a folder and below, in order: path, and what changes when the file is another one."""
    if not Path(folder).is_dir():  # a class of which there are training pictures only
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name[0] == ".":
            continue
        if entry.is_symlink() and not (entry.is_file() and Path(os.path.realpath(entry)).is_relative_to(root)):
            problem = "is a link that leads out of the folder, to a folder or to nothing"
            raise DataError(f"{entry.path}: {problem}; put the picture itself there")
        if entry.is_dir():
            yield from _walk(entry.path, root)
        elif entry.is_file():
            state = entry.stat()
            yield entry.path, (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
