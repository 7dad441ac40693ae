"""Ctrl-C and SIGTERM while something trains: the first lets the step under way finish and the state be saved."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from fashion_softmax.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Remembers the first signal instead of raising it; the second is raised at once. A context manager.

    Signals reach only the main thread of a process; elsewhere nothing is changed.

    Attributes:
        signal_number: of the signal that came, None if none did.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._earlier = {number: signal.signal(number, self._remember) for number in SIGNALS}
        except ValueError:  # not the main thread
            self._earlier = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    def raise_if_any(self) -> None:
        """Raise what was remembered.

        Raises:
            Interrupted: a signal came.
        """
        if self.signal_number is not None:
            raise Interrupted(self.signal_number)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            raise Interrupted(number)
        self.signal_number = number
