"""What a user can cause or meet, each with the exit code of the command that met it.

Library code raises these and never exits; `cli.py` turns them into one line on standard error and the code.
"""

from collections.abc import Sequence


def printable(text: str, keep: str = "") -> str:
    """Replace what a terminal would obey instead of showing it, except the characters to keep."""
    if text.isprintable():  # most is
        return text
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: object, max_length: int | None = 200) -> str:
    """Word something on one line."""
    return " ".join(str(text).split())[:max_length]


class FashionSoftmaxError(Exception):
    """Base of every error that is reported as a message instead of a traceback; the message is printable."""

    exit_code = 1

    def __str__(self) -> str:
        return printable(super().__str__(), keep="\n")


class ConfigError(FashionSoftmaxError):
    """The configuration cannot be run; nothing was started and nothing created."""

    exit_code = 2

    @classmethod
    def from_problems(cls, problems: Sequence[str]) -> "ConfigError":
        """Join at least one problem into an error; more than one are counted and get a line each."""
        lines = [f"{len(problems)} problems in the configuration:", *(f"  {line}" for line in problems)]
        return cls("\n".join(lines) if len(problems) > 1 else problems[0])


class DataError(FashionSoftmaxError):
    """The data set is missing, corrupt, or cannot be had from any source."""

    exit_code = 3


class CheckpointError(FashionSoftmaxError):
    """A checkpoint or run folder is missing, corrupt, of another version, or in conflict with what was asked."""

    exit_code = 4


class DivergedError(FashionSoftmaxError):
    """A loss became NaN or infinite."""

    exit_code = 5


class SweepError(FashionSoftmaxError):
    """A sweep has finished, but some of its jobs failed."""

    exit_code = 6


class MachineError(FashionSoftmaxError):
    """The machine refuses: no space, no permission, a device that is not there."""

    exit_code = 7


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; passes through everything that handles exceptions, like the `KeyboardInterrupt` it is.

    Args:
        signal_number: `signal.SIGINT` or `signal.SIGTERM`.
        message: what was saved and how to resume.
    """

    def __init__(self, signal_number: int, message: str = "interrupted") -> None:
        super().__init__(signal_number, message)  # both, or it could not be pickled
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number  # as a shell reports it

    def __str__(self) -> str:
        return printable(self.args[1])
