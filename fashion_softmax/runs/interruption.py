"""Ctrl-C and SIGTERM while something trains: the first lets the step under way finish."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from fashion_softmax.errors import Interrupted


@contextlib.contextmanager
def handle_signals(handle: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM call a function; they reach only the main thread of a process, elsewhere nothing changes.

    Args:
        handle: gets the signal's number, and what was running.
    """
    earlier = {}
    with contextlib.suppress(ValueError):  # not the main thread
        earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def raise_interrupted(number: int, frame: FrameType | None = None) -> NoReturn:
    """Raise `Interrupted` at once."""
    raise Interrupted(number)


@contextlib.contextmanager
def remember_signals() -> Iterator[Callable[[], None]]:
    """Remember the first signal instead of raising it; the second is raised at once.

    Yields:
        A function that raises `Interrupted` if a signal came.
    """
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if came:
            raise_interrupted(number)
        came.append(number)

    def raise_if_any() -> None:
        if came:
            raise_interrupted(came[0])

    with handle_signals(remember):
        yield raise_if_any
