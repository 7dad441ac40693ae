"""How far a run in a folder is: its last checkpoint, or its result."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.resumable import fingerprint, refuse_differences
from fashion_softmax.config.trust import CONFIG_PATH, read_yaml
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import read_json
from fashion_softmax.learning.tally import Tally
from fashion_softmax.runs.checkpoint import load_checkpoint
from fashion_softmax.runs.records import read_rows


def find_progress(run_dir: Path, expected_fingerprint: str) -> dict[str, Any] | None:
    """Read how far a run is that was interrupted.

    Args:
        run_dir: its folder.
        expected_fingerprint: of its configuration.

    Returns:
        Its last checkpoint, None if it had not come to one.

    Raises:
        CheckpointError: the checkpoint is damaged or belongs to another configuration.
    """
    path = run_dir / "checkpoints" / "last.pt"
    if not path.exists():
        if (run_dir / "result.json").exists() or len(read_rows(run_dir)) > 1:
            raise CheckpointError(f"{path}: is missing, although the run had come further")
        return None
    saved = load_checkpoint(path)
    check_fingerprint(saved, expected_fingerprint, path)
    return saved


def check_fingerprint(saved: dict[str, Any], expected_fingerprint: str, path: Path) -> None:
    """Refuse a checkpoint of a run with another configuration.

    Raises:
        CheckpointError: names the checkpoint.
    """
    if saved["fingerprint"] != expected_fingerprint:
        raise CheckpointError(f"{path}: belongs to a run with another configuration than that of its folder")


def check_progress(saved: dict[str, Any], objective_name: str, num_batches: int) -> None:
    """Check what a checkpoint says of the training, before it is believed.

    Args:
        saved: from `load_checkpoint`.
        objective_name: of the run.
        num_batches: of an epoch.

    Raises:
        Exception: of any kind, for a checkpoint that somebody made up.
    """
    best, seconds, metrics, pause = (saved[key] for key in ("best", "seconds", "metrics", "pause"))
    numbers = [*best.values(), *seconds.values(), *metrics.values()]
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise ValueError("what should be numbers is not")
    if best.keys() != {"epoch", "objective"} or seconds.keys() != {"total", "training"} or saved["epoch"] < 0:
        raise ValueError("its best epoch, its seconds or its epoch is not what it should be")
    if saved["epoch"] and objective_name not in metrics:
        raise ValueError(f"{objective_name} is missing")
    if pause:
        Tally([pause["tally"]]).means()
        if not 0 < len(pause["step_losses"]) < num_batches:
            raise ValueError(f"{len(pause['step_losses'])} steps of {num_batches} in an epoch")


def find_objective(run_dir: Path, cfg: DictConfig) -> float | None:
    """Read the objective of a run that has finished all the epochs that a configuration asks for.

    Args:
        run_dir: its folder.
        cfg: its configuration.

    Returns:
        The objective, None if there is still something to do.

    Raises:
        CheckpointError: the run in the folder has another configuration.
    """
    status, result = read_json(run_dir / "status.json"), read_json(run_dir / "result.json")
    objective, num_epochs = result.get("objective"), result.get("num_epochs")
    if status.get("state") != "completed" or not isinstance(objective, float) or not isinstance(num_epochs, int):
        return None
    if status.get("fingerprint") != fingerprint(cfg):
        raise CheckpointError(f"{run_dir}: holds the result of another configuration")
    return objective if num_epochs >= cfg.trainer.num_epochs else None


def check_jobs_are_the_same(jobs: Iterable[tuple[Path, DictConfig]]) -> None:
    """Refuse to go on with a sweep under other settings than it was begun with.

    Args:
        jobs: folder and configuration of each, as the command gives them now.

    Raises:
        CheckpointError: names the first job that differs, and in what.
    """
    for folder, cfg in jobs:
        known = read_json(folder / "status.json").get("fingerprint")
        if known is not None and known != fingerprint(cfg):
            saved = OmegaConf.create(read_yaml(folder / CONFIG_PATH))
            refuse_differences(folder, saved, cfg)
            raise CheckpointError(f"{folder}: was trained with other settings")
