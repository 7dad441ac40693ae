"""Ctrl-C and SIGTERM while something trains: the first lets the step under way finish."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from fashion_softmax.errors import Interrupted


@contextlib.contextmanager
def remember_signals() -> Iterator[Callable[[], None]]:
    """Remember the first signal instead of raising it; the second is raised at once.

    Signals reach only the main thread of a process; elsewhere nothing is changed.

    Yields:
        A function that raises `Interrupted` if a signal came.
    """
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if came:
            raise Interrupted(number)
        came.append(number)

    def raise_if_any() -> None:
        if came:
            raise Interrupted(came[0])

    earlier = {}
    with contextlib.suppress(ValueError):  # not the main thread
        earlier = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield raise_if_any
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
