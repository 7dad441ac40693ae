"""What an exception means to the user: an error with a message and an exit code, or a bug with its traceback."""

import errno
import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fashion_softmax.config.schema import PACKAGE_DIR
from fashion_softmax.errors import ConfigError, FashionSoftmaxError, MachineError

log = logging.getLogger(__name__)

# What the machine refuses, as opposed to a file our own code should have found.
MACHINE_ERRNOS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),  # not allowed
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),  # no space, broken
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),  # not possible with that name
)


def translate(error: BaseException, config_folders: Sequence[Path] = ()) -> FashionSoftmaxError | None:
    """Find the user's error in an exception.

    Args:
        error: anything that was raised.
        config_folders: of configuration files, to name the file that is not UTF-8.

    Returns:
        The error to show; None for a bug.
    """
    if isinstance(error, FashionSoftmaxError):
        return error
    if isinstance(error, OSError) and error.errno in MACHINE_ERRNOS:
        return MachineError(str(error) if error.filename else f"{error}, while the run's folder was written")
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "alloc" in str(error)):
        return MachineError(f"not enough memory: {str(error).splitlines()[0] if str(error) else 'no details given'}")
    from fashion_softmax.config.explain import explain

    message = explain(error, config_folders)
    if message is None and not _passed_through_our_code(error):
        message = f"Hydra cannot use this command line ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    return ConfigError(message) if message else None


@contextmanager
def job_errors(*, in_sweep: bool) -> Iterator[None]:
    """Write what a job raises into its log, with the traceback, and raise on what its caller can use.

    Args:
        in_sweep: a job among many: that it called `sys.exit` is its own failure and not the end of the sweep.

    Raises:
        FashionSoftmaxError: an error of the user's.
        Exception: a bug, as it was.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit):
            if not in_sweep:
                raise
            known: FashionSoftmaxError | None = FashionSoftmaxError(f"the job called sys.exit({error.code!r})")
        else:
            known = translate(error)
        if in_sweep:  # into the log file only: the sweep lists all failures at its end
            log.info("failed: %s", known or describe(error), exc_info=error)
        elif known:
            log.error("%s", known)
            log.info("traceback of this error", exc_info=error)
        else:
            log.exception("%s", describe(error))
        if known:
            raise known from error
        raise


def describe(error: BaseException) -> str:
    """Word an error in a line, with its class where it is none of ours."""
    return str(error) if isinstance(error, FashionSoftmaxError) else f"{type(error).__name__}: {error}"


def _passed_through_our_code(error: BaseException) -> bool:
    """Tell a bug of ours from something in the command line that only Hydra stumbled over."""
    files = {Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)}
    ours = (PACKAGE_DIR, PACKAGE_DIR.parent / "scripts")
    return any(path.is_relative_to(folder) and path.name != "cli.py" for path in files for folder in ours)
