"""Names of run folders, made of what distinguishes the runs; and text that is safe to print."""

import re
from collections.abc import Iterable, Sequence

GROUPS = ("experiment", "dataset", "model", "loss", "optimizer", "scheduler")  # whose options are words enough

# Neither the machine, nor what is recorded, nor the company of a run is in its folder's name.
NOT_IN_NAMES = re.compile(
    r"[+~]*(device|dataset\.(root|mirror|num_workers)|trainer\.(log|save)_every|(dashboard|sweep)\.)"
)


def job_name(number: int, overrides: Iterable[str]) -> str:
    """Name a sweep's job folder by its number and what distinguishes it, such as `007_huber_lr0.1_seed1`.

    Args:
        number: of the job, from 0; it makes the name unique within the sweep.
        overrides: the swept `key=value` pairs of the job; anything may be in them.

    Returns:
        A single path component of at most 120 bytes.
    """
    return f"{number:03d}_{_name(list(overrides))}".rstrip("_-.")


def run_suffix(overrides: Iterable[str]) -> str:
    """Name what the command of a single run set, such as `_huber_lr0.5`, for the end of its folder's name.

    Args:
        overrides: its `key=value` pairs; anything may be in them. What says nothing about the run, such as where its
            data is, is left out.

    Returns:
        At most 101 bytes of a path component; empty where nothing is left.
    """
    return f"_{_name([line for line in overrides if not NOT_IN_NAMES.match(line)])}".rstrip("_-.")


def _name(overrides: Sequence[str]) -> str:
    words = []
    for override in sorted(overrides):
        key, _, value = override.partition("=")
        words.append(value if key in GROUPS else key.lstrip("+").rpartition(".")[2] + value)
    return re.sub(r"[^\w.+-]+", "-", "_".join(words)).encode()[:100].decode(errors="ignore")


def printable(text: str) -> str:
    """Replace what a terminal would obey instead of showing it."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
