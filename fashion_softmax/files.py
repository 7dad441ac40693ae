"""Files and folders: atomic writes, bounded reads, YAML and JSON as plain values.

What is written atomically is the old file or the new one for every reader, never a part.
"""

import errno
import functools
import json
import os
import pickle
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fashion_softmax.errors import one_line

START_DIR = Path.cwd()  # where the user stands; a run may change into its own folder
MAX_BYTES = 2**20  # of a YAML or JSON file
MAX_SWEEP_BYTES = 2**26  # of sweep.json: a million runs
MAX_DEPTH = 20  # of nested values; libyaml crashes at more than 20 000
NUM_FLUSHERS = 16  # threads
# What YAML 1.2 and OmegaConf take for a number beyond YAML 1.1: 1e-3 has no dot.
FLOAT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")


class Names:
    """What is where in the folder of a run, see `runs/folder.py`, and in that of a sweep."""

    CONFIG = Path(".hydra", "config.yaml")
    CHECKPOINT = Path("checkpoints", "last.pt")
    INFO, STATUS, RESULT, SWEEP = "run.json", "status.json", "result.json", "sweep.json"
    METRICS, PREDICTIONS = "metrics.jsonl", "predictions.npz"


# Read YAML as OmegaConf does, and write what is read back the same: a text that looks like a number is quoted. With
# libyaml, which PyYAML's wheels have, this is ten times faster than in Python.
_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_Dumper: Any = type("_Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))
_written: dict[str, bytes] = {}  # YAML that this process wrote, to its values
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))  # a text


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside `path`, flush it to the disk, then rename it.

    Args:
        path: the final name; an existing file is replaced, its folder must exist.
        content: the file's bytes.

    Raises:
        OSError: the disk is full or broken, or the folder may not be written; nothing is changed or left behind.
    """
    if failures := write_together({path: content}):
        raise failures[path]


def write_together(contents: Mapping[Path, bytes | None]) -> dict[Path, OSError]:
    """Write several files as one step: none gets its new content before all are on the disk.

    Flushing is what takes time. Several files are flushed in parallel: `os.sync` would wait for what others write.
    Ctrl-C in the middle leaves what a kill would leave: old files, new files, and temporary ones.

    Args:
        contents: final name to bytes, see `write_atomically`; None for a file that is written already and is flushed.

    Returns:
        The files that could not be written, each with its error; they are as they were, and the others are written.
    """
    from concurrent.futures import ThreadPoolExecutor

    failures: dict[Path, OSError] = {}
    temporary = {path: path if content is None else _temporary_path(path) for path, content in contents.items()}

    def write(paths: Sequence[Path]) -> None:
        for path in paths:
            content = contents[path]
            try:
                with temporary[path].open("r+b" if content is None else "wb") as file:
                    file.write(content or b"")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                failures[path] = error

    paths, num_threads = list(contents), min(NUM_FLUSHERS, len(contents))
    with ThreadPoolExecutor(NUM_FLUSHERS) as pool:
        each = pool.map if num_threads > 1 else map
        list(each(write, [paths[start::num_threads] for start in range(num_threads)]))
    for path in contents:
        try:
            if path not in failures:
                temporary[path].replace(path)
        except OSError as error:
            failures[path] = error
    for path, failure in failures.items():
        if contents[path] is not None:
            temporary[path].unlink(missing_ok=True)
        failure.filename = failure.filename or str(path)  # "No space left on device" alone does not say where
    return failures


def overwrite(path: Path, content: bytes) -> None:
    """Write a text file, which is there and has less than a disk's block, where it stands: a fifth of the time."""
    with path.open("r+b") as file:
        file.write(content.ljust(path.stat().st_size))


def _temporary_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def link_atomically(source: Path, path: Path) -> None:
    """Give a file a second name, in place of what had it; where there are no links, copy the file."""
    temporary = _temporary_path(path)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(path)
    temporary.unlink(missing_ok=True)  # it is still there where it and `path` were names of one file already


def remove_temporary_files(folder: Path) -> None:
    """Delete what a killed process left of a file it was writing in a folder."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def read_bounded(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file that may come from other people.

    Raises:
        OSError: it cannot be read, is too long, or is a link, which may lead anywhere, or a pipe, which may never end.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(errno.ENOENT, "is no file", str(path))
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"is longer than {max_bytes} bytes", str(path))
    return content


def read_json(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read a file of one JSON object, which may come from other people; empty if it is missing or something else."""
    try:
        content = json.loads(read_bounded(path, max_bytes))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def to_json(content: Mapping[str, Any]) -> bytes:
    """Make the file of one JSON object: indented, in UTF-8. NaN and infinities become null: JSON has neither."""
    return f"{json.dumps(finite_or_none(content), indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def finite_or_none(value: Any) -> Any:
    """Replace every NaN and infinity inside lists and dictionaries by None."""
    if isinstance(value, dict):
        return {key: finite_or_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(item) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value


def load_yaml(text: str | bytes) -> Any:
    """Read YAML, which may come from other people, into plain values; interpolations stay text.

    Args:
        text: bytes are UTF-8; what this process wrote itself is not parsed again, which would take a millisecond.

    Raises:
        ValueError: it is no YAML, has aliases, which could expand without end, or is nested too deeply for libyaml.
    """
    text = text.decode() if isinstance(text, bytes) else text
    if text in _written:
        return pickle.loads(_written[text])
    # Every level takes a bracket, or a character before the text of a line.
    most = text.count("[") + text.count("{") + max(len(line) - len(line.lstrip(" -?")) for line in text.split("\n"))
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader) if most > MAX_DEPTH or "*" in text else ():  # 0.3 ms
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                raise ValueError("it has aliases, or is nested too deeply")
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(one_line(error)) from error


def dump_yaml(value: Any) -> str:
    """Write plain values as YAML, in their order."""
    parts = [{key: item} for key, item in value.items()] if isinstance(value, dict) and value else [value]
    text = "".join(_dump_part(pickle.dumps(part)) for part in parts)
    if len(_written) < 4096:  # of 3 KB each
        _written[text] = pickle.dumps(value)
    return text


@functools.lru_cache(maxsize=256)  # the runs of a grid differ in few of their parts
def _dump_part(pickled: bytes) -> str:
    value = pickle.loads(pickled)
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))
