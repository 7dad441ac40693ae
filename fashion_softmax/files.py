"""Files and folders: atomic writes, bounded reads, YAML and JSON as plain values, locks.

A reader finds the old content of a file or the new one, never a part of it.
"""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

START_DIR = Path.cwd()  # where the user stands; a run may change into its own folder
CONFIG_PATH = Path(".hydra", "config.yaml")  # in a run's folder
MAX_JSON_BYTES = 2**20
MAX_YAML_BYTES = 2**20
MAX_DEPTH = 20  # of nested values; libyaml crashes at more than 20 000
LOCK_TIMEOUT_S = 900.0  # longer than the slowest download that is still accepted
# What YAML 1.2 and OmegaConf take for a number beyond YAML 1.1: 1e-3 has no dot.
FLOAT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML as OmegaConf does; with libyaml, which PyYAML's wheels have, ten times faster than in Python."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes what `_Loader` reads: a text that looks like a number is quoted."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+0123456789."))
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))  # a text


def write_atomically(path: Path, content: bytes | Iterable[bytes | memoryview], *, flush: bool = True) -> None:
    """Write a file under a temporary name beside `path`, flush it to the disk, then rename it.

    Args:
        path: the final name; an existing file is replaced, its folder must exist.
        content: the file's bytes.
        flush: see `write_together`.

    Raises:
        OSError: the disk is full or broken, or the folder may not be written; `path` is untouched and nothing is left
            behind.
    """
    if failures := write_together({path: content}, flush=flush):
        raise failures[path]


def write_together(
    contents: Mapping[Path, bytes | Iterable[bytes | memoryview]], *, flush: bool = True
) -> dict[Path, OSError]:
    """Write several files as one step: none gets its new content before all are on the disk.

    Flushing is what takes time: several files are flushed at once, each by itself, since a flush of the whole system
    waits for what other processes write.

    Args:
        contents: final name to bytes, see `write_atomically`.
        flush: whether the contents have to survive a power cut from now on.

    Returns:
        The files that could not be written, each with its error; they are as they were, and the others are written.
    """
    failures: dict[Path, OSError] = {}
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    try:
        for path, content in contents.items():
            with _collect(failures, path), temporary[path].open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
                file.flush()
                if flush and len(contents) == 1:
                    os.fsync(file.fileno())
        if flush and len(contents) > 1:
            flush_files({path: temporary[path] for path in contents if path not in failures}, failures)
        for path in contents:
            if path not in failures:
                with _collect(failures, path):
                    temporary[path].replace(path)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return failures


def flush_files(written: Mapping[Path, Path], failures: dict[Path, OSError]) -> None:
    """Wait until files are on the disk, many at a time.

    Args:
        written: name for messages to the file that is flushed.
        failures: gets those that cannot be flushed.
    """
    from concurrent.futures import ThreadPoolExecutor

    def flush_one(path: Path) -> None:
        # "r+b": Windows flushes no file that is open for reading alone.
        with _collect(failures, path), written[path].open("r+b") as file:
            os.fsync(file.fileno())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(flush_one, written))


@contextlib.contextmanager
def _collect(failures: dict[Path, OSError], path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(path)  # "No space left on device" alone does not say where
        failures[path] = error


def link_atomically(source: Path, path: Path) -> None:
    """Give a file a second name, which may belong to another file yet; where there are no links, copy it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
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


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a file that may come from other people.

    Raises:
        OSError: it cannot be read, is longer than allowed, or is a link, which may lead anywhere, a device or a pipe,
            which might never end.
    """
    if not path.is_file() or path.is_symlink():
        raise FileNotFoundError(errno.ENOENT, "is no file", str(path))
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"is longer than {max_bytes} bytes", str(path))
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of one JSON object, which may come from other people.

    Args:
        path: of the file, at most `MAX_JSON_BYTES` long.

    Returns:
        Its content; empty when there is no such file or it holds something else.
    """
    try:
        content = json.loads(read_bounded(path, MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def to_json(content: Mapping[str, Any]) -> bytes:
    """Make the file of one JSON object: indented, in UTF-8. NaN and infinities become null: JSON has neither."""
    return (json.dumps(finite_or_none(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON object atomically, see `to_json`."""
    write_atomically(path, to_json(content))


def finite_or_none(value: Any) -> Any:
    """Replace every NaN and infinity inside lists and dictionaries by None."""
    if isinstance(value, Mapping):
        return {key: finite_or_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(item) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value


def load_yaml(text: str) -> Any:
    """Read YAML into plain values; interpolations stay text.

    Raises:
        ValueError: it is no YAML, or it is dangerous: it has aliases, which could expand without end, or is nested so
            deeply that libyaml would crash.
    """
    try:
        depth = 0
        if len(text) > 10_000 or "&" in text:  # others cannot be dangerous
            for event in yaml.parse(text, Loader=_Loader):
                depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                if isinstance(event, yaml.AliasEvent) or depth > MAX_DEPTH:
                    raise ValueError("it has aliases, or is nested too deeply")
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error


def dump_yaml(value: Any) -> str:
    """Write plain values as YAML, in their order."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1000
    )
    return text


@contextlib.contextmanager
def locked(folder: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Let one process at a time write into a folder; the lock of a process that was killed is free.

    Args:
        folder: which exists. What a killed process left of a file is removed.
        timeout_s: how long to wait for another process.

    Raises:
        TimeoutError: another process has the lock.
        OSError: the folder may not be written.
    """
    from filelock import FileLock

    with FileLock(folder / ".lock", timeout=timeout_s):  # its Timeout is a TimeoutError
        remove_temporary_files(folder)
        yield
