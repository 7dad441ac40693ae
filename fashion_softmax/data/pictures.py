"""Pictures decoded once, on all cores, into one file of bytes that later runs map into memory."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor

from fashion_softmax.data import decoding
from fashion_softmax.data.decoding import Recipe
from fashion_softmax.data.sources import lock_folder
from fashion_softmax.errors import DataError, printable
from fashion_softmax.files import read_json, to_json, write_atomically

warn_once = functools.cache(logging.getLogger(__name__).warning)  # a data set is loaded again to look at a run

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
CHUNK = 32  # pictures that a process is given at once
MAX_NAMED = 10  # broken pictures in a message

Images = Iterator[NDArray[np.uint8] | str]  # of a picture that cannot be read, the reason


class Picture(NamedTuple):
    """A picture's file: its split, label and path, the path below the root, and what shows that it was changed."""

    part: str
    label: int
    path: str
    name: str
    stamp: tuple[int, ...]


def read_pictures(
    root: Path, pictures: Sequence[Picture], recipe: Recipe, cache_dir: Path, *, skip_broken: bool
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Decode pictures, or take what was decoded before if neither a picture nor the recipe has changed.

    The cache is a folder below `cache_dir`: `pictures.bin` has the images and, for each picture, whether it could be
    read; `made_from.json` says of what it was made.

    Args:
        root: folder of the pictures; nothing is written there.
        pictures: at least one.
        recipe: for all of them.
        cache_dir: created if needed.
        skip_broken: leave out those that cannot be read.

    Returns:
        Images, uint8, shape (N, C, H, W), and which of the pictures they are.

    Raises:
        DataError: pictures cannot be read, or are not equally large and the recipe has no size.
    """
    listing = hashlib.sha256()
    for picture in pictures:
        listing.update(os.fsencode(picture.name) + f"\0{picture.stamp}\n".encode())
    made_from = {"root": printable(str(root.resolve())), **dataclasses.asdict(recipe)}
    made_from["size"] = list(recipe.size or ()) or None
    key = hashlib.sha256(to_json(made_from)).hexdigest()[:8]
    made_from |= {"num_pictures": len(pictures), "sha256": listing.hexdigest(), "pillow": PIL.__version__}
    folder = cache_dir / f"{printable(root.resolve().name)[:50]}-{key}"
    if folder.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{cache_dir}: lies in the folder of the pictures; choose another with dataset.cache_dir")
    if (cached := _read_cache(folder, made_from)) is None:
        folder.mkdir(parents=True, exist_ok=True)
        with lock_folder(folder):
            if (cached := _read_cache(folder, made_from)) is None:  # nor has another process written it meanwhile
                _write_cache(folder, made_from, _decode(pictures, recipe))
                cached = _read_cache(folder, made_from)
    assert cached is not None
    images, is_kept, broken = cached
    if num_broken := len(pictures) - len(images):
        more = f"\n  and {num_broken - len(broken)} more" if num_broken > len(broken) else ""
        named = "".join(f"\n  {each}" for each in broken) + more
        message = f"{root}: {num_broken} of {len(pictures)} pictures cannot be read"
        if not skip_broken or not len(images):
            (folder / "made_from.json").unlink(missing_ok=True)  # the reason may pass, such as a full memory
            raise DataError(f"{message}; repair or remove them, or add dataset.skip_broken=true{named}")
        warn_once("%s and are left out:%s", message, named)
    return images, is_kept


def _read_cache(folder: Path, made_from: dict[str, Any]) -> tuple[Tensor, NDArray[np.bool_], list[str]] | None:
    """Map what was decoded before; None if it is not there, not whole, or made from something else."""
    about, path = read_json(folder / "made_from.json"), folder / "pictures.bin"
    if about.get("made_from") != made_from or not path.is_file() or not path.stat().st_size:
        return None
    content = np.memmap(path, np.uint8, mode="c")  # private: writing to the array would not change the file
    if about.pop("sha256", None) != _seal(hashlib.sha256(content.data).digest(), about):
        return None
    num_pictures = made_from["num_pictures"]
    images = torch.from_numpy(content[:-num_pictures].reshape(about["shape"]))
    is_grey = made_from["mode"] is None and not about["has_colour"]  # three equal channels: the first is the picture
    return images[:, :1] if is_grey else images, content[-num_pictures:].astype(bool), about["broken"]


def _write_cache(folder: Path, made_from: dict[str, Any], images: Images) -> None:
    """Write images one after the other, then which pictures they are; whoever has mapped an older file keeps it."""
    path, temporary = folder / "pictures.bin", folder / "pictures.tmp"
    digest, is_kept, broken, shape, has_colour = hashlib.sha256(), bytearray(), list[str](), (1, 1, 1), False
    try:
        temporary.unlink(missing_ok=True)
        with contextlib.closing(images), temporary.open("xb") as file:  # type: ignore[type-var]  # a generator
            for image in images:
                is_kept.append(not isinstance(image, str))
                if isinstance(image, str):
                    broken += [printable(image)][: MAX_NAMED - len(broken)]
                    continue
                shape, has_colour = image.shape, has_colour or bool((image != image[:1]).any())
                digest.update(image.data)
                file.write(image.data)
            digest.update(is_kept)
            file.write(is_kept)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(temporary)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    about = {"made_from": made_from, "shape": [sum(is_kept), *shape], "has_colour": has_colour, "broken": broken}
    write_atomically(folder / "made_from.json", to_json(about | {"sha256": _seal(digest.digest(), about)}))


def _seal(digest: bytes, about: dict[str, Any]) -> str:
    return hashlib.sha256(digest + to_json(about)).hexdigest()


def _decode(pictures: Sequence[Picture], recipe: Recipe) -> Images:
    """Decode pictures in order, with a progress bar; all have to be equally large."""
    from rich.console import Console
    from rich.progress import track

    console, title, first = Console(stderr=True), f"decoding {len(pictures)} pictures", ("", 0, 0)
    if not console.is_terminal:
        console.print(title)
    with contextlib.closing(decode_on_all_cores([picture.path for picture in pictures], recipe)) as images:  # type: ignore[type-var]
        shown = track(images, title, len(pictures), console=console, transient=True, disable=not console.is_terminal)
        for picture, image in zip(pictures, shown, strict=True):
            if isinstance(image, str):
                yield f"{picture.name} ({image})"
                continue
            height, width = image.shape[1:]
            first = first if first[0] else (picture.path, height, width)
            if (height, width) != first[1:]:
                sizes = f"has {height} x {width} pixels, {first[0]} has {first[1]} x {first[2]}"
                raise DataError(f"{picture.path}: {sizes}; give all one size, such as dataset.resize=32")
            yield image


def decode_on_all_cores(paths: Sequence[str], recipe: Recipe) -> Images:
    """Hand out pictures to processes in turns, see `decoding.py`, and yield the answers in order."""
    command = [sys.executable, "-P", decoding.__file__, json.dumps(dataclasses.asdict(recipe))]
    lines = [json.dumps(paths[start : start + CHUNK]).encode() + b"\n" for start in range(0, len(paths), CHUNK)]
    num_workers = min(torch.get_num_threads(), len(lines))
    try:
        with contextlib.ExitStack() as stack:
            workers = []
            for _ in range(num_workers):
                # Of a group of its own: Ctrl-C ends this process, and with it the worker's input.
                worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
                workers.append(stack.enter_context(worker))
                stack.callback(worker.kill)
            for number in range(len(lines) + num_workers):
                stdin, stdout = workers[number % num_workers].stdin, workers[number % num_workers].stdout
                assert stdin and stdout
                answers = pickle.load(stdout) if number >= num_workers else []
                if number < len(lines):
                    stdin.write(lines[number])
                    stdin.flush()
                yield from answers
    except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:  # also of closing a worker's input
        raise DataError("a process that decodes pictures ended suddenly; is there memory enough?") from error
