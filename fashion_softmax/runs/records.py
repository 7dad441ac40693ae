"""A run's folder as it can be read: unfinished, damaged or from other people. Nothing in it is run.

Every value is of the kind that is expected; whatever is missing, too large or of another kind is left empty.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fashion_softmax.config.settings import Value, find_hyperparameters, fingerprint, printable
from fashion_softmax.errors import one_line
from fashion_softmax.files import Names, load_yaml, read_bounded, read_json
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.lock import is_abandoned

STATES = ("planned", "running", "completed", "diverged", "failed", "interrupted", "discarded")
MAX_BYTES = 2**26  # of a hundred thousand epochs, or the predictions of two million images in ten classes
MAX_NUMBER = 1e100  # sums and squares of smaller numbers are still floats


@dataclass(frozen=True)
class RunFolder:
    """What a run's folder says.

    Attributes:
        path: the folder.
        name: for tables; that of the folder, as far as it distinguishes the run from those it is compared with.
        state: one of `STATES`, `killed` for a run whose process ended suddenly, `unknown` where nothing says.
        error: why it did not complete, in a line, where there is a reason.
        started: when, in ISO 8601 and UTC; empty where nothing says.
        config: plain values, interpolations unresolved; empty where it cannot be read.
        overrides: of its command line.
        choices: group to option, such as `loss` to `huber`; a group whose class was overridden is left out.
        status: the whole of `status.json`.
        result: of a completed run, the content of `result.json`; else empty.
    """

    path: Path
    name: str
    state: str
    error: str | None
    started: str
    config: dict[str, Any]
    overrides: list[str]
    choices: dict[str, str]
    status: dict[str, Any]
    result: dict[str, Any]

    @property
    def num_epochs_wanted(self) -> int:
        """Epochs that the configuration asks for; 0 where it cannot be read."""
        from fashion_softmax.config.schema import resolve  # imports Hydra: most that reads runs need not

        try:
            return int(resolve(self.config)["trainer"]["num_epochs"])
        except Exception:  # the configuration may come from other people and hold anything
            return 0

    @property
    def is_finished(self) -> bool:
        """Whether the run has trained all the epochs that its configuration asks for, and has its predictions."""
        trained, predictions = self.result.get("num_epochs"), self.path / Names.PREDICTIONS
        if not isinstance(trained, int) or not 0 < self.num_epochs_wanted <= trained:
            return False
        if not (predictions.is_file() and predictions.stat().st_size):  # what a power cut leaves is empty
            return False
        return self.status.get("fingerprint") == fingerprint(self.config)

    @cached_property
    def hyperparameters(self) -> dict[str, Value]:
        """What decides its result, with `seed`; empty where its configuration cannot be read."""
        return find_hyperparameters(self.config, self.choices) if self.config else {}

    @property
    def seed(self) -> Value:
        """Of its initial weights and of the order of its data."""
        return self.hyperparameters.get("seed")

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """The finite numbers of each finished epoch, see `read_rows`."""
        return [_numbers(row) for row in read_rows(self.path)]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Of the last epoch, by tag."""
        found = _numbers(self.result.get("metrics")) or (self.rows or [{}])[-1]
        return {tag: value for tag, value in found.items() if is_metric(tag)}

    @cached_property
    def best(self) -> dict[str, float]:
        """`epoch` and `objective` of its best epoch, and more if it is completed; empty before the first one."""
        if best := _numbers(self.result.get("best")):
            return best
        found = find_best(self.rows, "val/accuracy") or find_best(self.rows, "test/accuracy")
        return dict(zip(("epoch", "objective"), found or (), strict=False))

    @property
    def seconds(self) -> dict[str, float]:
        """`total` and `training` of a completed run; of all runs of its stack together."""
        return _numbers(self.result.get("seconds"))

    @property
    def num_images(self) -> dict[str, float]:
        """Of each split that it was measured on, by name; empty where nothing says."""
        return _numbers(self.result.get("num_images"))

    @property
    def stack_size(self) -> int:
        """Runs that were trained together with it, itself included; 1 where nothing says."""
        return int(_numbers(self.result).get("stack_size", 1))

    @cached_property
    def predictions(self) -> Predictions | None:
        """Of the test images; None where there are none, or something else."""
        try:
            return Predictions.from_bytes(read_bounded(self.path / Names.PREDICTIONS, MAX_BYTES))
        except Exception:  # numpy and zipfile raise anything for a file that was made up
            return None

    def read_again(self) -> "RunFolder":
        """Read what may have changed while the run trained."""
        return replace(self, **_read_state(self.path))


def read_folder(path: Path, name: str | None = None) -> RunFolder:
    """Read a run's folder.

    Args:
        path: of the folder.
        name: for tables, that of the folder unless given.
    """
    info = read_json(path / Names.INFO)
    overrides, choices = info.get("overrides"), info.get("choices")
    return RunFolder(
        path=path,
        name=printable(name or path.name),
        config=_read_config(path),
        overrides=[str(line) for line in overrides] if isinstance(overrides, list) else [],
        choices={k: v for k, v in choices.items() if isinstance(v, str)} if isinstance(choices, dict) else {},
        **_read_state(path),
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = None if (path / Names.CONFIG.parent).is_symlink() else load_yaml(read_bounded(path / Names.CONFIG))
        repr(config)  # raises ValueError for a number of thousands of digits, as all that shows it would
    except (OSError, ValueError):
        config = None
    return config if isinstance(config, dict) else {}


def _read_state(path: Path) -> dict[str, Any]:
    status, result = read_json(path / Names.STATUS), read_json(path / Names.RESULT)
    state = status.get("state") or result.get("state")
    state = "killed" if is_abandoned(path, status) else state if state in STATES else "unknown"
    return {
        "state": state,
        "error": printable(one_line(status["error"], None)) if status.get("error") else None,
        "started": str(status.get("started") or ""),
        "status": status,
        "result": result if state == "completed" else {},
    }


def read_rows(run_dir: Path) -> list[dict[str, Any]]:
    """Read `metrics.jsonl` as far as it is whole: an object for each epoch, in their order."""
    rows: list[dict[str, Any]] = []
    try:
        lines = read_bounded(run_dir / Names.METRICS, MAX_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return rows
    for line in lines:
        try:
            row = json.loads(line)
            whole = row["epoch"] == len(rows) + 1 and 0 <= int(row["images_seen"]) < 2**62
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            break
        if not whole:
            break
        rows.append(row)
    return rows


def find_best(rows: Sequence[dict[str, float]], tag: str) -> tuple[int, float] | None:
    """Find the epoch with the largest accuracy, or the smallest value of another metric; the first of equal ones.

    Args:
        rows: of a run.
        tag: of the metric, whose value is returned with the epoch; None where no row has it.
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
