"""Finding and reading recorded runs; they may be unfinished, damaged or from other people. Nothing in them is run."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fashion_softmax.config.settings import Value, find_hyperparameters, name_trial, printable
from fashion_softmax.errors import CheckpointError
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.folder import RunFolder, read_folder, read_predictions, read_rows

RECORDS = ("status.json", "result.json", "metrics.jsonl")  # a run has at least one of them
MAX_NUMBER = 1e100  # sums and squares of smaller numbers are still floats
SET_ASIDE = re.compile(r"earlier-\d+")  # folders with runs that were replaced by a later one


@dataclass(frozen=True)
class RecordedRun(RunFolder):
    """A run's folder with the numbers that its records hold.

    Attributes:
        name: of the folder, as far as it distinguishes the run from those it is compared with.
        rows: the finite numbers of each finished epoch, see `read_rows`.
    """

    name: str
    rows: list[dict[str, float]]

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.state == "completed"

    @property
    def num_epochs(self) -> int:
        """Epochs it has finished."""
        return len(self.rows)

    @cached_property
    def hyperparameters(self) -> dict[str, Value]:
        """What decides its result, with `seed`; empty where its configuration cannot be read."""
        try:
            return find_hyperparameters(self.config, self.choices) if self.config else {}
        except ValueError:  # nested too deeply for a configuration of ours
            return {}

    @property
    def seed(self) -> Value:
        """Of its initial weights and of the order of its data."""
        return self.hyperparameters.get("seed")

    @property
    def trial_name(self) -> str:
        """What distinguishes it, whatever its seed, such as `huber lr=0.1`."""
        return name_trial(self.hyperparameters, self.overrides)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Finite metrics after the last epoch, by tag."""
        last = self.rows[-1] if self.rows else {}
        found = numbers(self.result.get("metrics")) if self.is_complete else last
        return {tag: value for tag, value in found.items() if is_metric(tag)}

    @cached_property
    def best(self) -> dict[str, float]:
        """`epoch` and `objective` of its best epoch; empty before the first one."""
        if self.is_complete:
            return numbers(self.result.get("best"))
        found = self.find_best("val/accuracy") or self.find_best("test/accuracy")
        return {"epoch": found[0], "objective": found[1]} if found else {}

    @property
    def seconds(self) -> dict[str, float]:
        """`total` and `training` of a completed run; of all runs of its stack together."""
        return numbers(self.result.get("seconds"))

    @property
    def stack_size(self) -> int:
        """Runs that were trained together with it, itself included; 1 where nothing says."""
        return int(numbers(self.result).get("stack_size", 1))

    @cached_property
    def predictions(self) -> Predictions | None:
        """Of the test images; None where there are none."""
        return read_predictions(self.path)

    def find_best(self, tag: str) -> tuple[int, float] | None:
        """Find the epoch with the largest accuracy, or the smallest value of another metric; the first of equal ones.

        Args:
            tag: of the metric.

        Returns:
            The epoch and its value, None if there is none.
        """
        sign = -1 if is_accuracy(tag) else 1
        found = [(sign * row[tag], epoch) for epoch, row in enumerate(self.rows, start=1) if tag in row]
        return (min(found)[1], sign * min(found)[0]) if found else None


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
    error = printable(" ".join(folder.error.split())) if folder.error else None
    rows = [numbers(row) for row in read_rows(folder.path)]
    return RecordedRun(**(vars(folder) | {"error": error}), name=printable(name or folder.path.name), rows=rows)


def is_accuracy(tag: str) -> bool:
    """Tell whether a metric is a fraction of images, of which the largest is the best."""
    return tag.endswith("accuracy")


def is_metric(tag: str) -> bool:
    """Tell a metric such as `test/loss` from the other numbers of an epoch, such as `step`."""
    return "/" in tag or tag == "lr"


def numbers(values: Any) -> dict[str, float]:
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
        if real in visited:  # links can make a circle
            names.clear()
            continue
        visited.add(real)
        if ".hydra" in names or not set(RECORDS).isdisjoint(files):
            yield Path(parent)
            if ".hydra" in names or "status.json" in files:  # a file of another name may lie above runs
                names.clear()
        names[:] = [name for name in names if name[0] != "." and not SET_ASIDE.fullmatch(name)]
