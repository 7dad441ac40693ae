"""The folder of a run, and that of a sweep: what is where, and writing it before the training begins.

.hydra/config.yaml   the configuration, interpolations unresolved
run.json             the overrides of its command, the options that were chosen
status.json          its state; written last, so that a folder without it is no run's
metrics.jsonl, result.json, predictions.npz, checkpoints/, events..., train.log   what `recorder.py` and others write
sweep.json           of a sweep, which holds the folders of its runs: the stacks that they are trained in
"""

import itertools
import logging
import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import MAX_SWEEP_BYTES, Names, dump_yaml, read_json, to_json, write_atomically
from fashion_softmax.runs.lock import claim, make_status
from fashion_softmax.runs.records import RunFolder

log = logging.getLogger(__name__)

JOURNAL = "search.log"  # of a sweep that is a search: what Optuna knows
SET_ASIDE = re.compile(r"earlier-\d+")  # folders with what was replaced by a later run

FORMAT_VERSION = 2  # of run.json and sweep.json; version 0.1 had neither, but files of Hydra's instead
# What a run or a sweep writes, beside events and the folders of runs.
OWN = (
    *(Names.CONFIG.parent, Names.CHECKPOINT.parent, Names.INFO, Names.STATUS, Names.METRICS, Names.RESULT),
    *(Names.PREDICTIONS, "train.log", Names.SWEEP, "multirun.yaml", ".stacks", JOURNAL),
)


def write_folder(path: Path, config: dict[str, Any], overrides: Iterable[str], choices: Mapping[str, str]) -> RunFolder:
    """Write the folder of a run that is planned.

    Args:
        path: of the folder, created if needed.
        config: of the run, interpolations unresolved.
        overrides: of its command line; those of `sweep` say nothing about the run and are left out.
        choices: group to option.
    """
    (path / ".hydra").mkdir(parents=True, exist_ok=True)
    (path / Names.CONFIG).write_text(dump_yaml(config), encoding="utf-8")
    (path / Names.INFO).write_bytes(make_info(overrides, choices))
    status = make_status("planned", None)
    (path / Names.STATUS).write_bytes(to_json(status))
    own = [line for line in overrides if not line.startswith("sweep.")]
    return RunFolder(path, path.name, "planned", None, "", config, own, dict(choices), status, {})


def make_info(overrides: Iterable[str], choices: Mapping[str, str]) -> bytes:
    """Make the content of `run.json`, see `write_folder`."""
    own = [line for line in overrides if not line.startswith("sweep.")]
    return to_json({"format_version": FORMAT_VERSION, "overrides": own, "choices": dict(choices)})


def require_whole(path: Path) -> None:
    """Refuse a folder that is no run's, or that was not written to its end.

    Raises:
        CheckpointError: names what is missing.
    """
    if not path.is_dir():
        raise CheckpointError(f"{path}: there is no such folder; give that of a run")
    if not (path / Names.CONFIG).is_file():
        raise CheckpointError(f"{path}: is no run folder, since it has no {Names.CONFIG}; start the run anew")
    for name in (Names.INFO, Names.STATUS):
        if not (path / name).is_file():
            is_old = (path / ".hydra" / "overrides.yaml").is_file()
            old = "was written by version 0.1; only that version can resume it or predict with it"
            raise CheckpointError(f"{path}: {old if is_old else f'has no {name}: it was not written to its end'}")
    if (version := read_json(path / Names.INFO).get("format_version")) != FORMAT_VERSION:
        raise CheckpointError(f"{path / Names.INFO}: has format version {version}, expected {FORMAT_VERSION}")


def set_aside_earlier(folder: Path, runs: Iterable[Path] = ()) -> None:
    """Move what an earlier run or sweep left into the subfolder `earlier-N`, so that nothing is mixed or overwritten.

    Args:
        folder: where a run or a sweep is about to be written; whatever else it holds stays where it is.
        runs: of an earlier sweep, in this folder.

    Raises:
        CheckpointError: one of the runs is still being trained.
    """
    for run in runs:
        with claim(run):
            pass
    found = [*(folder / name for name in OWN), *folder.glob("events.out.tfevents.*"), *runs]
    if entries := [path for path in found if path.exists()]:
        target = next(path for i in itertools.count(1) if not (path := folder / f"earlier-{i}").exists())
        target.mkdir()
        for entry in entries:
            entry.rename(target / entry.name)
        log.warning("%s was used before; what it held is kept in %s", folder, target)


def write_sweep(sweep_dir: Path, stacks: Sequence[Sequence[str]]) -> None:
    """Write `sweep.json`, when all runs have their folders: only then is it a sweep's folder.

    It also says which process trains them.

    Args:
        sweep_dir: of the sweep.
        stacks: names of the folders of runs that are trained as one, in their order.
    """
    content = {"format_version": FORMAT_VERSION, "stacks": [list(stack) for stack in stacks]}
    content |= {"host": platform.node(), "pid": os.getpid()}
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
    content = read_json(path, MAX_SWEEP_BYTES)
    stacks: Any = content.get("stacks")
    is_whole = isinstance(stacks, list) and all(isinstance(stack, list) for stack in stacks)
    if not is_whole or content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(f"{path}: is missing or damaged, or is of another version; start the sweep anew")
    there = {entry.name for entry in os.scandir(sweep_dir) if entry.is_dir()}
    for name in (name for stack in stacks for name in stack):
        if not isinstance(name, str) or name not in there:
            raise CheckpointError(f"{path}: {str(name)[:200]!r} is no run folder of this sweep")
    return stacks  # type: ignore[no-any-return]


def list_runs(sweep_dir: Path) -> list[Path]:
    """List the folders of a sweep's runs, by number; see `read_sweep`."""
    names = [name for stack in read_sweep(sweep_dir) for name in stack]
    return [sweep_dir / name for name in sorted(names, key=lambda name: (len(name.partition("_")[0]), name))]
