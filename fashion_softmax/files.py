"""Writing files so that a reader finds the old content or the new one, never a part of it."""

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Write a file under a temporary name beside `path`, flush it to the disk, then rename it.

    Args:
        path: the final name; an existing file is replaced, its folder must exist.
        content: the file's bytes, whole or in parts.

    Raises:
        OSError: the disk is full or the folder may not be written; `path` is untouched and nothing is left behind.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; give the result the mode an ordinary open() would have given it.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # "No space left on device" alone does not say where
        raise
    _sync_folder(path.parent)


def link_atomically(source: Path, path: Path) -> None:
    """Give a file a second name, in place of writing its content once more; copies it where there are no hard links.

    Args:
        source: a file that is only ever replaced as a whole, never written into; its content is then safe under `path`.
        path: the second name, in the same folder; an existing file is replaced.

    Raises:
        OSError: the disk is full or the folder may not be written; `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        temporary.hardlink_to(source)
    except OSError:
        write_atomically(path, source.read_bytes())
        return
    temporary.replace(path)
    _sync_folder(path.parent)


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
