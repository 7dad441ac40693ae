"""One writer per folder of a run or a sweep, and the run's state, which names the process that writes.

A lock is free when its process has ended; the data's workers may hold it a few seconds longer.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fashion_softmax.errors import CheckpointError, MachineError
from fashion_softmax.files import MAX_SWEEP_BYTES, Names, read_json

LOCK_NAME = ".lock"
RELEASE_TIMEOUT_S = 15.0  # the data's worker processes outlive a killed run by a few seconds, and keep its lock


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Become the only writer of a folder; again in the same process is allowed.

    Args:
        folder: of a run or a sweep; created if needed.

    Raises:
        CheckpointError: another process writes there; says which.
        MachineError: the folder cannot be made.
        OSError: the folder may not be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"{folder}: cannot be made: {error.strerror}") from error
    path = folder.resolve() / LOCK_NAME
    with contextlib.suppress(FileExistsError):
        path.touch(exist_ok=False)  # where there is none, filelock 4 first makes and deletes a file to try the disk
    lock = FileLock(path, is_singleton=True, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        status = read_json(folder / Names.STATUS) or read_json(folder / Names.SWEEP, MAX_SWEEP_BYTES)
        holder, host = status.get("pid"), status.get("host")
        try:
            lock.acquire(timeout=0 if _may_live(holder) else RELEASE_TIMEOUT_S)
        except Timeout as error:
            who = f"process {holder}" if holder else "another process"
            remedy = "choose another folder, or wait until it has ended"
            if host not in (None, platform.node()):
                who, remedy = f"{who} of the machine {host}", f"{remedy}; if that machine is gone, delete {path}"
            raise CheckpointError(f"{folder}: {who} is writing there; {remedy}") from error
    try:
        yield
    finally:
        lock.release()


def is_abandoned(folder: Path, status: dict[str, Any]) -> bool:
    """Tell whether a run that says it is running was killed, as far as this machine can know.

    Args:
        folder: of the run.
        status: the content of its `status.json`.
    """
    if status.get("state") != "running" or status.get("host") != platform.node():
        return False
    try:
        with claim(folder):
            return status.get("pid") != os.getpid()
    except (CheckpointError, OSError):
        return False


def make_status(
    state: str, fingerprint: str | None, *, started: str | None = None, error: str | None = None
) -> dict[str, Any]:
    """Make the content of `status.json`, which also says which process writes the folder.

    Args:
        state: one of `records.STATES`.
        fingerprint: of the configuration; None of a run that is only planned.
        started: when training began, in ISO 8601 and UTC.
        error: why it did not complete.
    """
    status = {"state": state, "error": error, "started": started, "fingerprint": fingerprint}
    return status | {"host": platform.node(), "pid": os.getpid()}


def _may_live(pid: Any) -> bool:
    """Tell whether there may be a process of a number on this machine; where there is no number, there may be."""
    try:
        os.kill(int(pid), 0)  # sends nothing, only asks
    except (ProcessLookupError, OverflowError):
        return False
    except (OSError, TypeError, ValueError):  # another user's process, or no number
        return True
    return True
