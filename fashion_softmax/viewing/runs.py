"""Finding and reading recorded runs; they may be unfinished, damaged or somebody else's, and nothing of them is run."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fashion_softmax.config.names import printable
from fashion_softmax.config.settings import (
    MAX_YAML_BYTES,
    Value,
    find_hyperparameters,
    name_trial,
    parse_yaml,
    read_choices,
)
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import read_bounded, read_json
from fashion_softmax.runs.folder import Predictions, is_abandoned, read_predictions, read_rows

RECORDS = ("status.json", "result.json", "metrics.jsonl")  # of which a run has at least one
MAX_NUMBER = 1e100  # whose sums and squares are still floats
SET_ASIDE = re.compile(r"earlier-\d+")  # what `folders.py` keeps of a folder that was used again


@dataclass(frozen=True)
class RecordedRun:
    """What the records of a run say.

    Attributes:
        path: its folder.
        name: of the folder, as far as it distinguishes the run from those it is compared with.
        state: completed, diverged, failed, interrupted, running, or killed; unknown where nothing says.
        error: why it did not complete, where there is a reason.
        config: its configuration, plain values, interpolations unresolved; empty where it cannot be read.
        hyperparameters: see `find_hyperparameters`, with `seed`; empty where the configuration cannot be read.
        overrides: of its command line.
        rows: metrics after each finished epoch, see `read_rows`.
        metrics: after the last epoch, finite ones only, by tag.
        best: `epoch` and `objective` of its best epoch; empty before the first one.
        seconds: `total` and `training`, of a completed run; of all runs of its stack together.
        stack_size: runs that were trained as one with it, itself included; 1 where nothing says.
        started: when, in ISO 8601 and UTC; empty where nothing says.
    """

    path: Path
    name: str
    state: str
    error: str | None
    config: dict[str, Any]
    hyperparameters: dict[str, Value]
    overrides: list[str]
    rows: list[dict[str, Any]]
    metrics: dict[str, float]
    best: dict[str, float]
    seconds: dict[str, float]
    stack_size: int = 1
    started: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether it was trained to its end."""
        return self.state == "completed"

    @property
    def num_epochs(self) -> int:
        """Epochs it has finished."""
        return len(self.rows)

    @property
    def seed(self) -> Value:
        """Of its initial weights and its data's order."""
        return self.hyperparameters.get("seed")

    @property
    def trial_name(self) -> str:
        """What distinguishes it, whatever its seed, such as `huber lr=0.1`."""
        return name_trial(self.hyperparameters, self.overrides)

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
    return [read_run(path, str(path.relative_to(common))) for path in paths]


def read_run(path: Path, name: str | None = None) -> RecordedRun:
    """Read one run.

    Args:
        path: its folder; whatever is missing or unreadable in it is left empty.
        name: for tables, that of the folder unless given.
    """
    status, result = read_json(path / "status.json"), read_json(path / "result.json")
    rows = read_rows(path)
    hydra_dir = path / ".hydra"
    has_own = not hydra_dir.is_symlink()
    config = _read_yaml(hydra_dir / "config.yaml", dict) if has_own else {}
    overrides = [str(line) for line in _read_yaml(hydra_dir / "overrides.yaml", list)] if has_own else []
    state = printable(str(status.get("state") or result.get("state") or "unknown"))
    is_complete = state == "completed"
    metrics = numbers(result.get("metrics") if is_complete else rows[-1] if rows else {})
    return RecordedRun(
        path=path,
        name=printable(name or path.name),
        state="killed" if is_abandoned(status) else state,
        error=printable(" ".join(str(status["error"]).split())) if status.get("error") else None,
        config=config,
        hyperparameters=_hyperparameters(config, path),
        overrides=overrides,
        rows=rows,
        metrics={tag: value for tag, value in metrics.items() if "/" in tag or tag == "lr"},
        best=numbers(result.get("best")) if is_complete else _find_best(rows),
        seconds=numbers(result.get("seconds")),
        stack_size=int(numbers(result).get("stack_size", 1)),
        started=str(status.get("started", "")),
    )


def is_accuracy(tag: str) -> bool:
    """Tell whether a metric is a fraction of images, of which the largest is the best."""
    return tag.endswith("accuracy")


def numbers(values: Any) -> dict[str, float]:
    """Keep what is a finite number of an object that may hold anything."""
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
            if ".hydra" in names or "status.json" in files:  # else something of that name may lie above runs
                names.clear()
        names[:] = [name for name in names if name[0] != "." and not SET_ASIDE.fullmatch(name)]


def _hyperparameters(config: dict[str, Any], path: Path) -> dict[str, Value]:
    if not config:  # without it nobody knows whether two runs are alike
        return {}
    try:
        return find_hyperparameters(config, read_choices(path))
    except ValueError:
        return {}


def _find_best(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    found = find_best_epoch(rows, "val/accuracy") or find_best_epoch(rows, "test/accuracy")
    return {"epoch": found[0], "objective": found[1]} if found else {}


def find_best_epoch(rows: Sequence[dict[str, Any]], tag: str) -> tuple[int, float] | None:
    """Find the epoch with the largest accuracy, else with the smallest value; the first of several equal ones.

    Args:
        rows: of a run.
        tag: of the metric.

    Returns:
        The epoch and its value, None if there is none.
    """
    sign = -1 if is_accuracy(tag) else 1
    found = [(sign * values[tag], epoch) for epoch, values in enumerate(map(numbers, rows), start=1) if tag in values]
    if not found:
        return None
    value, epoch = min(found)
    return epoch, sign * value


def _read_yaml(path: Path, kind: type[Any]) -> Any:
    try:
        value = parse_yaml(read_bounded(path, MAX_YAML_BYTES).decode())
    except (OSError, ValueError):
        value = None
    return value if isinstance(value, kind) else kind()
