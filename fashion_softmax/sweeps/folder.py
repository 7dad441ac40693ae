"""A sweep's folder: the runs' folders, and `sweep.json` with the stacks that they are trained in."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import Names, read_json, to_json, write_atomically

FORMAT_VERSION = 2  # version 0.1 wrote a multirun.yaml instead


def write_sweep(sweep_dir: Path, stacks: Sequence[Sequence[str]]) -> None:
    """Write `sweep.json`, when all runs have their folders: only then is it a sweep's folder.

    It also says which process trains them.

    Args:
        sweep_dir: of the sweep.
        stacks: names of the folders of runs that are trained as one, in their order.
    """
    content = {"format_version": FORMAT_VERSION, "stacks": [list(stack) for stack in stacks], "pid": os.getpid()}
    write_atomically(sweep_dir / Names.SWEEP, to_json(content))


def is_sweep(folder: Path) -> bool:
    """Tell whether a folder is a sweep's; one that version 0.1 wrote holds only its runs."""
    return (folder / Names.SWEEP).is_file()


def read_sweep(sweep_dir: Path) -> list[list[str]]:
    """Read the stacks of a sweep, which may come from other people.

    Raises:
        CheckpointError: it is another version's, or was not written to its end.
    """
    path = sweep_dir / Names.SWEEP
    content = read_json(path)
    stacks: Any = content.get("stacks")
    is_whole = isinstance(stacks, list) and all(isinstance(stack, list) for stack in stacks)
    if not is_whole or content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(f"{path}: is missing or damaged, or is of another version; start the sweep anew")
    for name in (name for stack in stacks for name in stack):
        if not isinstance(name, str) or Path(name).name != name or not (sweep_dir / name).is_dir():
            raise CheckpointError(f"{path}: {str(name)[:200]!r} is no run folder of this sweep")
    return stacks  # type: ignore[no-any-return]


def list_runs(sweep_dir: Path) -> list[Path]:
    """List the folders of a sweep's runs, by number; see `read_sweep`."""
    names = [name for stack in read_sweep(sweep_dir) for name in stack]
    return [sweep_dir / name for name in sorted(names, key=lambda name: (len(name.partition("_")[0]), name))]
