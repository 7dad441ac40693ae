"""Finding and reading recorded runs; they may be unfinished, damaged or from other people. Nothing in them is run."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fashion_softmax.config.settings import Value, find_hyperparameters, printable
from fashion_softmax.errors import CheckpointError
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.folder import RunFolder, read_folder, read_predictions, read_rows

MAX_NUMBER = 1e100  # sums and squares of smaller numbers are still floats
SET_ASIDE = re.compile(r"earlier-\d+")  # folders with runs that were replaced by a later one


@dataclass(frozen=True)
class RecordedRun(RunFolder):
    """A run's folder with the numbers that its records hold, all of them finite.

    Attributes:
        name: of the folder, as far as it distinguishes the run from those it is compared with.
        rows: of each finished epoch, see `read_rows`.
        hyperparameters: what decides its result, with `seed`; empty where its configuration cannot be read.
        metrics: after the last epoch, by tag.
        best: `epoch` and `objective` of its best epoch; empty before the first one.
        seconds: `total` and `training` of a completed run; of all runs of its stack together.
        stack_size: runs that were trained together with it, itself included; 1 where nothing says.
    """

    name: str
    rows: list[dict[str, float]]
    hyperparameters: dict[str, Value]
    metrics: dict[str, float]
    best: dict[str, float]
    seconds: dict[str, float]
    stack_size: int

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.state == "completed"

    @property
    def seed(self) -> Value:
        """Of its initial weights and of the order of its data."""
        return self.hyperparameters.get("seed")

    @cached_property
    def predictions(self) -> Predictions | None:
        """Of the test images; None where there are none."""
        return read_predictions(self.path)


def read_runs(folders: Sequence[Path]) -> list[RecordedRun]:
    """Read all runs in folders and below.

    Args:
        folders: of runs, of sweeps, or above them. Runs that were set aside because their folder was used again are
            left out unless their own folder is named.

    Returns:
        The runs, by path; none twice.

    Raises:
        CheckpointError: a folder is missing, or there is no run in any of them.
    """
    for folder in folders:
        if not folder.is_dir():
            raise CheckpointError(f"{folder}: there is no such folder; a run's, a sweep's or one above is expected")
    paths = sorted({path.resolve() for folder in folders for path in _find_runs(folder)})
    if not paths:
        raise CheckpointError(f"{', '.join(map(str, folders))}: holds no run; train one first: python train.py")
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return [record(read_folder(path), str(path.relative_to(common))) for path in paths]


def read_run(path: Path) -> RecordedRun:
    """Read the run in a folder; whatever is missing or unreadable in it is left empty."""
    return record(read_folder(path))


def record(folder: RunFolder, name: str | None = None) -> RecordedRun:
    """Take a run's folder as read, with its epochs.

    Args:
        folder: of the run.
        name: for tables, that of the folder unless given.
    """
    config = folder.config
    try:
        hyperparameters = find_hyperparameters(config, folder.choices) if config else {}
    except ValueError:  # nested too deeply for a configuration of ours
        config, hyperparameters = {}, {}
    rows = [_numbers(row) for row in read_rows(folder.path)]
    if folder.state == "completed":
        found, best = _numbers(folder.result.get("metrics")), _numbers(folder.result.get("best"))
    else:
        found = rows[-1] if rows else {}
        epoch = find_best(rows, "val/accuracy") or find_best(rows, "test/accuracy")
        best = dict(zip(("epoch", "objective"), epoch or (), strict=False))
    error = printable(" ".join(folder.error.split())) if folder.error else None
    return RecordedRun(
        **(vars(folder) | {"config": config, "error": error}),
        name=printable(name or folder.path.name),
        rows=rows,
        hyperparameters=hyperparameters,
        metrics={tag: value for tag, value in found.items() if is_metric(tag)},
        best=best,
        seconds=_numbers(folder.result.get("seconds")),
        stack_size=int(_numbers(folder.result).get("stack_size", 1)),
    )


def find_best(rows: Sequence[dict[str, float]], tag: str) -> tuple[int, float] | None:
    """Find the epoch with the largest accuracy, or the smallest value of another metric; the first of equal ones.

    Args:
        rows: of a run.
        tag: of the metric.

    Returns:
        The epoch and its value, None if there is none.
    """
    sign = -1 if is_accuracy(tag) else 1
    found = [(sign * row[tag], epoch) for epoch, row in enumerate(rows, start=1) if tag in row]
    return (min(found)[1], sign * min(found)[0]) if found else None


def is_accuracy(tag: str) -> bool:
    """Tell whether a metric is a fraction of images, of which the largest is the best."""
    return tag.endswith("accuracy")


def is_metric(tag: str) -> bool:
    """Tell a metric such as `test/loss` from the other numbers of an epoch, such as `step`."""
    return "/" in tag or tag == "lr"


def _numbers(values: Any) -> dict[str, float]:
    """Keep the finite numbers of an object that may hold anything."""
    if not isinstance(values, dict):
        return {}
    return {
        printable(str(key)): value
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER
    }


def _find_runs(folder: Path) -> Iterator[Path]:
    visited = set()
    for parent, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        is_run = ".hydra" in names or "status.json" in files
        if is_run:
            yield Path(parent)
        if is_run or real in visited:  # links can make a circle
            names.clear()
        visited.add(real)
        names[:] = [name for name in names if name[0] != "." and not SET_ASIDE.fullmatch(name)]
