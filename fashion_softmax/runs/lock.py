"""One writer per folder of a run or a sweep, and whether the process that wrote there is still alive."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import read_json

RELEASE_TIMEOUT_S = 15.0  # the data's worker processes outlive a killed run by a few seconds, and keep its lock


@contextlib.contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Become the only writer of a folder; again in the same process is allowed. A killed process holds no lock.

    Args:
        folder: of a run or a sweep; created if needed.

    Raises:
        CheckpointError: another process writes there.
        OSError: the folder may not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.resolve() / ".lock", timeout=0, is_singleton=True, thread_local=False)
    deadline = time.monotonic() + RELEASE_TIMEOUT_S
    while True:
        try:
            lock.acquire()
            break
        except Timeout as error:
            status = read_json(folder / "status.json")
            if not is_abandoned(status) or time.monotonic() > deadline:
                raise CheckpointError(_word_holder(folder, status)) from error
            time.sleep(0.1)
    try:
        status = read_json(folder / "status.json")
        if status.get("state") == "running" and is_alive(status) and status.get("pid") != os.getpid():
            raise CheckpointError(_word_holder(folder, status))  # a process of the first edition, which had no locks
        yield
    finally:
        lock.release()


def make_status(
    state: str, own_fingerprint: str, *, started: str | None = None, error: str | None = None
) -> dict[str, Any]:
    """Make the content of `status.json`, which also says which process writes the folder.

    Args:
        state: one of `folder.STATES`.
        own_fingerprint: of the configuration.
        started: when training began, in ISO 8601 and UTC.
        error: why it did not complete.
    """
    status = {"state": state, "error": error, "started": started, "fingerprint": own_fingerprint}
    return status | {"host": platform.node(), "pid": os.getpid(), "process_start": _process_start(os.getpid())}


def now() -> str:
    """Say what time it is, in ISO 8601 and UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_abandoned(status: dict[str, Any]) -> bool:
    """Tell whether a run that says it is running was killed, as far as this machine can know.

    Args:
        status: the content of its `status.json`.
    """
    return status.get("state") == "running" and status.get("host") == platform.node() and not is_alive(status)


def is_alive(status: dict[str, Any]) -> bool:
    """Tell whether the process that wrote a run's status lives on this machine; its number may belong to another."""
    pid = status.get("pid")
    if status.get("host") != platform.node() or not isinstance(pid, int) or pid <= 0 or not _is_running(pid):
        return False
    return status.get("process_start") in (None, _process_start(pid))


def _word_holder(folder: Path, status: dict[str, Any]) -> str:
    holder = f"process {status['pid']}" if is_alive(status) else "another process"
    return f"{folder}: {holder} is writing there; choose another folder, or wait until it has ended"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing, only asks
    except PermissionError:  # another user's process
        return True
    except (OSError, OverflowError):
        return False
    return _read_stat(pid)[:1] not in (["Z"], ["X"])  # it has ended, and its parent has not asked yet how


def _process_start(pid: int) -> int | None:
    """Ask when a process began, in clock ticks since the machine did, since their numbers are used again."""
    try:
        return int(_read_stat(pid)[19])
    except (ValueError, IndexError):
        return None


def _read_stat(pid: int) -> list[str]:
    """Read what Linux knows of a process, from its state on; nothing on other systems, or where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
