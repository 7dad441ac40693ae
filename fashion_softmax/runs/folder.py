"""Folders of runs and sweeps that are used a second time: what they hold is kept, and a live run is left alone."""

import itertools
import logging
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion_softmax.errors import CheckpointError, ConfigError, FashionSoftmaxError
from fashion_softmax.files import MAX_YAML_BYTES, load_yaml, read_bounded, read_json

log = logging.getLogger(__name__)

CONFIG_PATH = Path(".hydra", "config.yaml")  # in a run's folder
STATES = ("planned", "running", "completed", "diverged", "failed", "interrupted")


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
        status: the rest of `status.json`.
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


def read_folder(path: Path) -> RunFolder:
    """Read a run's folder; whatever is missing, too large or of another kind in it is left empty."""
    status, result = read_json(path / "status.json"), read_json(path / "result.json")
    info = read_json(path / "run.json") or _read_first_edition(path)
    overrides, choices = info.get("overrides"), info.get("choices")
    state = status.get("state") or result.get("state")
    state = "killed" if is_abandoned(status) else state if state in STATES else "unknown"
    return RunFolder(
        path=path,
        state=state,
        error=str(status["error"]) if status.get("error") else None,
        started=str(status.get("started", "")),
        config=_read_yaml(path / CONFIG_PATH, dict),
        overrides=[str(line) for line in overrides] if isinstance(overrides, list) else [],
        choices={str(key): value for key, value in choices.items() if isinstance(value, str)}
        if isinstance(choices, dict)
        else {},
        status=status,
        result=result if state == "completed" else {},
    )


def _read_first_edition(path: Path) -> dict[str, Any]:
    """Read what the first edition left to Hydra: overrides and choices in two files of its own."""
    hydra = _read_yaml(path / ".hydra" / "hydra.yaml", dict).get("hydra")
    runtime = hydra.get("runtime") if isinstance(hydra, dict) else None
    choices = runtime.get("choices") if isinstance(runtime, dict) else None
    overrides = _read_yaml(path / ".hydra" / "overrides.yaml", list)
    if isinstance(choices, dict):
        choices = {
            key: value for key, value in choices.items() if f"{key}._target_=" not in " ".join(map(str, overrides))
        }
    return {"overrides": overrides, "choices": choices}


def _read_yaml(path: Path, kind: type[Any]) -> Any:
    try:
        value = None if path.parent.is_symlink() else load_yaml(read_bounded(path, MAX_YAML_BYTES).decode())
    except (OSError, ValueError):
        value = None
    return value if isinstance(value, kind) else kind()


def set_aside_earlier_run(run_dir: Path) -> None:
    """Move an earlier run's files into the subfolder `earlier-N`, so that two runs never mix and none is overwritten.

    Args:
        run_dir: where a run is about to be written; whatever else it holds stays where it is.

    Raises:
        ConfigError: the earlier run is still going on.
    """
    if (run_dir / "status.json").exists():
        refuse_if_alive(run_dir)
        files = ("metrics.jsonl", "predictions.npz", "result.json", "status.json", "train.log")
        names = (".hydra", "checkpoints", *files)
        _set_aside(run_dir, [*(run_dir / name for name in names), *run_dir.glob("events.out.tfevents.*")])


def set_aside_earlier_sweep(sweep_dir: Path) -> None:
    """Move an earlier sweep's jobs into the subfolder `earlier-N`; see `set_aside_earlier_run`.

    Args:
        sweep_dir: where a sweep is about to be written.

    Raises:
        ConfigError: one of its jobs is still going on.
    """
    if (sweep_dir / "multirun.yaml").exists():
        jobs = _find_jobs(sweep_dir)
        for job in jobs:
            refuse_if_alive(job)
        _set_aside(sweep_dir, [sweep_dir / "multirun.yaml", *jobs])


def refuse_if_alive(run_dir: Path, kind: type[FashionSoftmaxError] = ConfigError) -> None:
    """Refuse a folder that a living process writes a run into.

    Args:
        run_dir: of the run.
        kind: of the error to raise.

    Raises:
        FashionSoftmaxError: of that kind, naming the process.
    """
    status = read_json(run_dir / "status.json")
    if status.get("state") == "running" and _is_alive(status) and status.get("pid") != os.getpid():
        raise kind(
            f"{run_dir}: process {status['pid']} is still writing a run there; choose another folder, or wait for it"
        )


def is_abandoned(status: dict[str, Any]) -> bool:
    """Tell whether a run that says it is running was killed, as far as this machine can know.

    Args:
        status: the content of its `status.json`.
    """
    return status.get("state") == "running" and status.get("host") == platform.node() and not _is_alive(status)


def check_sweep_can_go_on(sweep_dir: Path) -> None:
    """Check a folder before the sweep in it is gone on with.

    Raises:
        CheckpointError: it is no sweep's, or one of its jobs is still going on.
    """
    if not (sweep_dir / "multirun.yaml").exists():
        raise CheckpointError(f"{sweep_dir}: is no sweep's folder, since it has no multirun.yaml; start the sweep anew")
    for job in _find_jobs(sweep_dir):
        refuse_if_alive(job, CheckpointError)


def describe_process() -> dict[str, Any]:
    """Say which process writes a folder, for its `status.json`."""
    return {"host": platform.node(), "pid": os.getpid(), "process_start": _process_start(os.getpid())}


def _find_jobs(sweep_dir: Path) -> list[Path]:
    return [folder for folder in sweep_dir.iterdir() if (folder / ".hydra").is_dir()]


def _set_aside(folder: Path, entries: Iterable[Path]) -> None:
    target = next(path for i in itertools.count(1) if not (path := folder / f"earlier-{i}").exists())
    target.mkdir()
    for entry in entries:
        if entry.exists():
            entry.rename(target / entry.name)
    log.warning("%s was used before; what it held is kept in %s", folder, target)


def _is_alive(status: dict[str, Any]) -> bool:
    """Tell whether the process that wrote a run's status lives on this machine; its number may belong to another."""
    pid = status.get("pid")
    if status.get("host") != platform.node() or not isinstance(pid, int) or pid <= 0 or not _is_running(pid):
        return False
    return status.get("process_start") in (None, _process_start(pid))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing, only asks
    except PermissionError:  # somebody else's process
        return True
    except (OSError, OverflowError):
        return False
    return _read_stat(pid)[:1] not in (["Z"], ["X"])  # it has ended, and its parent has not asked yet how


def _process_start(pid: int) -> int | None:
    """Ask when a process began, in clock ticks since the machine did, since their numbers are used again."""
    try:
        return int(_read_stat(pid)[19])
    except (ValueError, IndexError):
        return None


def _read_stat(pid: int) -> list[str]:
    """Read what Linux knows of a process, from its state on; nothing on other systems, or where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
