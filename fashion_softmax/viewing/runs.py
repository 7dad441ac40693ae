"""Finding recorded runs, and a table of them for Python."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import Names
from fashion_softmax.runs.folder import SET_ASIDE
from fashion_softmax.runs.records import RunFolder, read_folder


def read_runs(folders: Sequence[Path]) -> list[RunFolder]:
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
    return [read_folder(path, str(path.relative_to(common))) for path in paths]


def on_latest_data(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """Keep the runs on the data set of the run that began last: accuracies on another one cannot be compared."""
    data = max(runs, key=lambda run: run.started).hyperparameters.get("dataset")
    return [run for run in runs if run.hyperparameters.get("dataset") == data]


def _find_runs(folder: Path) -> Iterator[Path]:
    visited = set()
    for parent, names, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        is_run = Names.CONFIG.parent.name in names or Names.STATUS in files
        if is_run:
            yield Path(parent)
        if is_run or real in visited:  # links can make a circle
            names.clear()
        visited.add(real)
        names[:] = [name for name in names if name[0] != "." and not SET_ASIDE.fullmatch(name)]


class Runs(list[dict[str, Any]]):
    """A table of runs, those of the best setting first.

    Each has `name`, `state`, its settings, the metrics of its last epoch, and `path`. A notebook shows the table;
    `pandas.DataFrame(runs)` takes it.
    """

    def to_pandas(self) -> Any:
        """Make a `pandas.DataFrame`; pandas has to be installed."""
        import pandas  # type: ignore[import-untyped]  # not needed otherwise

        return pandas.DataFrame(self)

    def _repr_html_(self) -> str:
        from html import escape

        def show(value: object) -> str:
            return escape(f"{value:.4g}" if isinstance(value, float) else str(value))

        always = ("name", "state", "val/accuracy", "test/accuracy")
        keys = [key for run in self for key in run if key in always or not (key == "path" or "/" in key or key == "lr")]
        keys = [key for key in dict.fromkeys(keys) if key in always or len({str(run.get(key)) for run in self}) > 1]
        rows = [keys, *([run.get(key, "") for key in keys] for run in self)]
        return f"<table>{''.join('<tr><td>' + '<td>'.join(map(show, row)) for row in rows)}</table>"
