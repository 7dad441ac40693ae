"""A run's folder: what is where, writing it before the run begins, and the one gate through which it is read.

.hydra/config.yaml   the configuration, interpolations unresolved
run.json             the overrides of its command, the options that were chosen, its fingerprint
status.json          what became of the run so far; written last, so that a folder without it is no run's
metrics.jsonl, result.json, predictions.npz, checkpoints/, events..., train.log   what `recorder.py` and others write
"""

import itertools
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fashion_softmax.config.settings import fingerprint
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import CONFIG_PATH as CONFIG_PATH
from fashion_softmax.files import dump_yaml, load_yaml, read_bounded, read_json, to_json
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.lock import claim, is_abandoned, make_status

log = logging.getLogger(__name__)

FORMAT_VERSION = 2  # of run.json; the first edition had none, and two files of Hydra's instead
STATES = ("planned", "running", "completed", "diverged", "failed", "interrupted")
PREDICTIONS_NAME = "predictions.npz"
MAX_ROWS_BYTES = 2**26  # a hundred thousand epochs
MAX_PREDICTIONS_BYTES = 2**26  # six million images; a file from other people may be anything
# What a run or a sweep writes, beside events and the folders of runs.
OWN = (
    *(".hydra", "checkpoints", "metrics.jsonl", "predictions.npz", "result.json", "run.json", "status.json"),
    *("train.log", "sweep.json", "multirun.yaml", ".stacks"),
)


@dataclass(frozen=True)
class RunFolder:
    """What a run's folder says, every value of the kind that is expected; a folder may come from other people.

    Attributes:
        path: the folder.
        state: one of `STATES`, `killed` for a run whose process ended without a word, `unknown` where nothing says.
        error: why it did not complete, where there is a reason.
        started: when, in ISO 8601 and UTC; empty where nothing says.
        config: plain values, interpolations unresolved; empty where it cannot be read.
        overrides: of its command line.
        choices: group to option, such as `loss` to `huber`; a group whose class was overridden is left out.
        status: the whole of `status.json`.
        result: of a completed run, the content of `result.json`; else empty.
    """

    path: Path
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
        """Epochs that the configuration asks for; 0 where it does not say."""
        trainer = self.config.get("trainer")
        wanted = trainer.get("num_epochs") if isinstance(trainer, dict) else None
        return wanted if isinstance(wanted, int) else 0

    @property
    def is_finished(self) -> bool:
        """Whether the run has trained all the epochs that its configuration asks for."""
        trained = self.result.get("num_epochs")
        if not isinstance(trained, int) or not 0 < self.num_epochs_wanted <= trained:
            return False
        return self.status.get("fingerprint") == fingerprint(self.config)

    def read_again(self) -> "RunFolder":
        """Read what may have changed while the run trained."""
        return replace(self, **_read_state(self.path))


def read_folder(path: Path) -> RunFolder:
    """Read a run's folder; whatever is missing, too large or of another kind in it is left empty."""
    info = read_json(path / "run.json") or _read_first_edition(path)
    overrides, choices = info.get("overrides"), _texts(info.get("choices"))
    lines = [str(line) for line in overrides] if isinstance(overrides, list) else []
    config = _read_yaml(path / CONFIG_PATH, dict)
    return RunFolder(path=path, config=config, overrides=lines, choices=choices, **_read_state(path))


def _read_state(path: Path) -> dict[str, Any]:
    status, result = read_json(path / "status.json"), read_json(path / "result.json")
    state = status.get("state") or result.get("state")
    state = "killed" if is_abandoned(path, status) else state if state in STATES else "unknown"
    return {
        "state": state,
        "error": str(status["error"]) if status.get("error") else None,
        "started": str(status.get("started") or ""),
        "status": status,
        "result": result if state == "completed" else {},
    }


def write_folder(path: Path, config: dict[str, Any], overrides: Iterable[str], choices: Mapping[str, str]) -> RunFolder:
    """Write the folder of a run that is planned.

    Args:
        path: of the folder, created if needed.
        config: of the run, interpolations unresolved.
        overrides: of its command line; those of `sweep` say nothing about the run and are left out.
        choices: group to option.
    """
    (path / ".hydra").mkdir(parents=True, exist_ok=True)
    (path / CONFIG_PATH).write_text(dump_yaml(config), encoding="utf-8")
    (path / "run.json").write_bytes(make_info(overrides, choices))
    status = make_status("planned", fingerprint(config))
    (path / "status.json").write_bytes(to_json(status))
    own = [line for line in overrides if not line.startswith("sweep.")]
    return RunFolder(path, "planned", None, "", config, own, dict(choices), status, {})


def make_info(overrides: Iterable[str], choices: Mapping[str, str]) -> bytes:
    """Make the content of `run.json`, see `write_folder`."""
    own = [line for line in overrides if not line.startswith("sweep.")]
    return to_json({"format_version": FORMAT_VERSION, "overrides": own, "choices": dict(choices)})


def require_whole(path: Path) -> None:
    """Refuse a folder that is no run's, or that was not written to its end.

    Raises:
        CheckpointError: names what is missing.
    """
    if not (path / CONFIG_PATH).is_file():
        raise CheckpointError(f"{path}: is no run folder, since it has no {CONFIG_PATH}; start the run anew")
    if not (path / "run.json").is_file() and not (path / ".hydra" / "overrides.yaml").is_file():
        raise CheckpointError(f"{path}: was not written to its end, since it has no run.json; start the run anew")
    version = read_json(path / "run.json").get("format_version")
    if (path / "run.json").exists() and version != FORMAT_VERSION:
        raise CheckpointError(f"{path / 'run.json'}: has format version {version}, expected {FORMAT_VERSION}")


def set_aside_earlier(folder: Path, runs: Iterable[Path] = ()) -> None:
    """Move what an earlier run or sweep left into the subfolder `earlier-N`, so that nothing is mixed or overwritten.

    Args:
        folder: where a run or a sweep is about to be written; whatever else it holds stays where it is.
        runs: of an earlier sweep, in this folder.

    Raises:
        CheckpointError: one of the runs is still going on.
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


def read_predictions(run_dir: Path) -> Predictions | None:
    """Read the predictions of a run that was trained to its end.

    Returns:
        The predictions; None when there is no such file or it holds something else.
    """
    try:
        return Predictions.from_bytes(read_bounded(run_dir / PREDICTIONS_NAME, MAX_PREDICTIONS_BYTES))
    except Exception:  # numpy and zipfile raise anything for a file that was made up
        return None


def read_rows(run_dir: Path) -> list[dict[str, Any]]:
    """Read `metrics.jsonl` as far as it is whole: an object for each epoch, in their order."""
    rows: list[dict[str, Any]] = []
    try:
        lines = read_bounded(run_dir / "metrics.jsonl", MAX_ROWS_BYTES).decode(errors="replace").splitlines()
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


def _read_first_edition(path: Path) -> dict[str, Any]:
    """Read what the first edition left to Hydra: overrides and choices in two files of its own."""
    hydra = _read_yaml(path / ".hydra" / "hydra.yaml", dict).get("hydra")
    runtime = hydra.get("runtime") if isinstance(hydra, dict) else None
    choices = _texts(runtime.get("choices") if isinstance(runtime, dict) else None)
    overrides = [str(line) for line in _read_yaml(path / ".hydra" / "overrides.yaml", list)]
    named = {group: name for group, name in choices.items() if f"{group}._target_=" not in " ".join(overrides)}
    return {"overrides": overrides, "choices": named}


def _texts(value: Any) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {str(key): text for key, text in pairs if isinstance(text, str)}


def _read_yaml(path: Path, kind: type[Any]) -> Any:
    try:
        value = None if path.parent.is_symlink() else load_yaml(read_bounded(path))
    except (OSError, ValueError):
        value = None
    return value if isinstance(value, kind) else kind()
