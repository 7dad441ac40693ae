"""Letting one process at a time write into a folder of data."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from fashion_softmax.errors import DataError
from fashion_softmax.files import remove_temporary_files

LOCK_TIMEOUT_S = 900.0  # longer than the slowest download that is still accepted


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder, and remove what a process killed while it wrote has left; the lock of such a process is free.

    Args:
        folder: which exists.

    Raises:
        DataError: another process has held the lock for `LOCK_TIMEOUT_S`.
        OSError: the folder may not be written.
    """
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=LOCK_TIMEOUT_S)
    except Timeout as error:
        raise DataError(
            f"{folder}: another process has been preparing this folder for {LOCK_TIMEOUT_S:.0f} s"
        ) from error
    try:
        remove_temporary_files(folder)
        yield
    finally:
        lock.release()
