"""Writing files so that a reader finds the old content or the new one, never a part of it."""

import errno
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 2**20


def write_atomically(path: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file under a temporary name beside `path`, flush it to the disk, then rename it.

    Args:
        path: the final name; an existing file is replaced, its folder must exist.
        content: the file's bytes; those given whole are read back and compared before the rename.

    Raises:
        OSError: the disk is full or broken, or the folder may not be written; `path` is untouched and nothing is left
            behind.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        if isinstance(content, bytes) and temporary.read_bytes() != content:
            raise OSError(errno.EIO, "what was written reads back as something else")
        # mkstemp makes private files; give the result the mode an ordinary open() would have given it.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # "No space left on device" alone does not say where
        raise
    _sync_folder(path.parent)


def remove_temporary_files(folder: Path) -> None:
    """Delete what a killed process left of a file it was writing in a folder."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of one JSON object, which may be somebody else's.

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


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a file that may be somebody else's.

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


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write one JSON object atomically, indented, in UTF-8. NaN and infinities become null: JSON has neither.

    Args:
        path: the final name.
        content: JSON-serializable values.
    """
    text = json.dumps(finite_or_none(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def finite_or_none(value: Any) -> Any:
    """Replace every NaN and infinity inside lists and dictionaries by None."""
    if isinstance(value, dict):
        return {key: finite_or_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(item) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open a folder, and needs no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
