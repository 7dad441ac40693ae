"""Pictures decoded once, on all cores, into one file of bytes that later runs map into memory."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from torch import Tensor

from fashion_softmax.data import decoding
from fashion_softmax.data.decoding import Answer, Recipe, decode
from fashion_softmax.data.sources import lock_folder
from fashion_softmax.errors import DataError, printable
from fashion_softmax.files import read_json, to_json, write_atomically

warn_once = functools.cache(logging.getLogger(__name__).warning)  # a data set is loaded again to look at a run

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
CHUNK = 64  # pictures that a process is given at once
MAX_NAMED = 10  # broken pictures in a message


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
                _write_cache(folder, made_from, pictures, recipe)
                cached = _read_cache(folder, made_from, is_verified=True)
    assert cached is not None
    images, is_kept, broken = cached
    if num_broken := len(pictures) - len(images):
        more = f"\n  and {num_broken - len(broken)} more" if num_broken > len(broken) else ""
        named = "".join(f"\n  {each}" for each in broken) + more
        message = f"{root}: {num_broken} of {len(pictures)} pictures cannot be read"
        if not skip_broken or num_broken == len(pictures):
            raise DataError(f"{message}; repair or remove them, or add dataset.skip_broken=true{named}")
        warn_once("%s and are left out:%s", message, named)
    return images, is_kept


def _read_cache(
    folder: Path, made_from: dict[str, Any], *, is_verified: bool = False
) -> tuple[Tensor, NDArray[np.bool_], list[str]] | None:
    """Map what was decoded before; None if it is not there, not whole, or made from something else."""
    about, path, num_pictures = read_json(folder / "made_from.json"), folder / "pictures.bin", made_from["num_pictures"]
    if about.get("made_from") != made_from or not path.is_file() or path.stat().st_size <= num_pictures:
        return None
    content = np.memmap(path, np.uint8, mode="c")  # private: writing to the array would not change the file
    images, is_kept = content[:-num_pictures], content[-num_pictures:].astype(bool)
    seal = about.pop("sha256", None)
    if not is_verified:
        step = len(images) // num_pictures * CHUNK
        parts = (hashlib.sha256(images[start : start + step].data).hexdigest() for start in range(0, len(images), step))
        if seal != _seal(about, is_kept, parts):
            return None
    shaped = images.reshape(num_pictures, *about["shape"])
    is_grey = made_from["mode"] is None and not about["has_colour"]  # three equal channels: the first is the picture
    kept = torch.from_numpy(shaped if is_kept.all() else shaped[is_kept])
    return kept[:, :1] if is_grey else kept, is_kept, about["broken"]


def _seal(about: dict[str, Any], is_kept: NDArray[np.bool_], parts: Iterable[str]) -> str:
    return hashlib.sha256(to_json(about) + is_kept.tobytes() + "".join(parts).encode()).hexdigest()


def _write_cache(folder: Path, made_from: dict[str, Any], pictures: Sequence[Picture], recipe: Recipe) -> None:
    """Let pictures be decoded into a file, and add which of them it has; whoever has mapped an older file keeps it."""
    path, temporary = folder / "pictures.bin", folder / "pictures.tmp"
    images = (image for picture in pictures if not isinstance(image := decode(picture.path, recipe), str))
    shape = next((image.shape for image in images), (1, 1, 1))
    broken, parts, is_kept, has_colour = list[str](), list[str](), list[bool](), False
    try:
        temporary.unlink(missing_ok=True)
        temporary.open("xb").close()
        answers = decode_on_all_cores([picture.path for picture in pictures], recipe, shape, temporary)
        with contextlib.closing(answers):  # type: ignore[type-var]  # a generator
            for problems, digest, is_coloured in _track(answers, len(pictures)):
                for problem in problems:
                    picture = pictures[len(is_kept)]
                    is_kept.append(problem is None)
                    if isinstance(problem, str):
                        broken += [printable(f"{picture.name} ({problem})")][: MAX_NAMED - len(broken)]
                    elif problem is not None:
                        first = f"{pictures[is_kept.index(True)].path} has {shape[2]} x {shape[1]}"
                        sizes = f"has {problem[1]} x {problem[0]} pixels (width x height), {first}"
                        raise DataError(f"{picture.path}: {sizes}; give all one size, such as dataset.resize=32")
                parts.append(digest)
                has_colour |= is_coloured
        kept = np.array(is_kept)
        with temporary.open("ab") as file:
            file.write(kept.tobytes())
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(temporary)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    about = {"made_from": made_from, "shape": list(shape), "has_colour": has_colour, "broken": broken}
    write_atomically(folder / "made_from.json", to_json(about | {"sha256": _seal(about, kept, parts)}))


def _track(answers: Iterator[Answer], num_pictures: int) -> Iterable[Answer]:
    """Show a progress bar, or a line where there is no terminal."""
    from rich.console import Console
    from rich.progress import track

    console, title = Console(stderr=True), f"decoding {num_pictures} pictures"
    if not console.is_terminal:
        console.print(title)
    num_answers = -(-num_pictures // CHUNK)
    return track(answers, title, num_answers, console=console, transient=True, disable=not console.is_terminal)


def decode_on_all_cores(paths: Sequence[str], recipe: Recipe, shape: tuple[int, ...], path: Path) -> Iterator[Answer]:
    """Hand out pictures to processes in turns, see `decoding.py`; yield answers of `CHUNK` pictures each, in order.

    Args:
        paths: of the pictures.
        recipe: for all of them.
        shape: of all images, (C, H, W).
        path: of the file that the images are written into, one after the other.
    """
    arguments = [json.dumps(dataclasses.asdict(recipe)), json.dumps(shape), str(path)]
    starts = range(0, len(paths), CHUNK)
    lines = [json.dumps([start, *paths[start : start + CHUNK]]).encode() + b"\n" for start in starts]
    num_workers = min(torch.get_num_threads(), len(lines))
    ahead = 4 * num_workers  # lines that wait for a process, so that it never waits for one
    try:
        with contextlib.ExitStack() as stack:
            workers = []
            for _ in range(num_workers):
                command = [sys.executable, "-P", decoding.__file__, *arguments]
                # Of a group of its own: Ctrl-C ends this process, and with it the worker's input.
                worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
                workers.append(stack.enter_context(worker))
                stack.callback(worker.kill)
            for number in range(len(lines) + ahead):
                stdin, stdout = workers[number % num_workers].stdin, workers[number % num_workers].stdout
                assert stdin and stdout
                if number < len(lines):
                    stdin.write(lines[number])
                    stdin.flush()
                if ahead <= number:
                    answer = json.loads(stdout.readline())
                    if isinstance(answer, int):
                        raise OSError(answer, os.strerror(answer), str(path))
                    yield answer
    except (ValueError, BrokenPipeError) as error:  # also of closing a worker's input
        raise DataError("a process that decodes pictures ended suddenly; is there memory enough?") from error
