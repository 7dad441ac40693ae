"""Fault injection: count the steps in which `files.py` and `runs/run.py` change the disk, and die or fail at the n-th.

As a module, `broken_disk(n, "die")` or `broken_disk(n, "fail")` hold for a block; as a script, for a whole command:

    python tests/faults.py fail 25 train.py dataset=synthetic

Dying is `os._exit`, so that no `finally` of ours tidies up, as with SIGKILL or a power cut.
"""

import errno
import os
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

DEATH = 86  # the exit code of a process that died here
WRITERS = tuple(str(Path("fashion_softmax", *names)) for names in (("files.py",), ("runs", "run.py")))


class _Counter:
    def __init__(self, number: int, mode: str) -> None:
        self.left = number
        self.mode = mode

    def step(self, half_done: Callable[[], None] = lambda: None) -> None:
        """Count a step; at the n-th, leave it half done and die or fail."""
        self.left -= 1
        if self.left == 0:
            half_done()
            if self.mode == "die":
                os._exit(DEATH)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if _is_ours():
                self.step()
            return function(*args, **kwargs)

        return call

    def open_counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            if not (_is_ours() and mode == "wb"):
                return function(path, mode, *args, **kwargs)
            self.step()
            return _CountedFile(function(path, mode, *args, **kwargs), self)

        return call


class _CountedFile:
    """A file whose write is a step, half of which may happen."""

    def __init__(self, file: Any, counter: _Counter) -> None:
        self._file, self._counter = file, counter

    def write(self, content: bytes) -> None:
        def write_half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        self._counter.step(write_half)
        self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_CountedFile":
        return self

    def __exit__(self, *args: object) -> None:
        self._file.__exit__(*args)


def _is_ours() -> bool:
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.endswith("pathlib.py"):
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and frame.f_code.co_filename.endswith(WRITERS)


@contextmanager
def broken_disk(number: int, mode: str) -> Iterator[_Counter]:
    """Let the n-th step (1, 2, ...) of writing files die or fail; the counter tells how many were left."""
    counter = _Counter(number, mode)
    with (
        mock.patch.object(os, "fsync", counter.counted(os.fsync)),
        mock.patch.object(os, "link", counter.counted(os.link)),
        mock.patch.object(shutil, "copyfile", counter.counted(shutil.copyfile)),
        mock.patch.object(Path, "open", counter.open_counted(Path.open)),
        mock.patch.object(Path, "replace", counter.counted(Path.replace)),
    ):
        yield counter


if __name__ == "__main__":
    chosen_mode, chosen_number, script, *arguments = sys.argv[1:]
    sys.argv = [script, *arguments]
    with broken_disk(int(chosen_number), chosen_mode):
        runpy.run_path(script, run_name="__main__")
