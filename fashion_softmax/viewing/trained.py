"""Finding a trained run and loading its model; its folder may be somebody else's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fashion_softmax.config.building import Parts, build_parts
from fashion_softmax.config.checking import validate
from fashion_softmax.config.names import printable
from fashion_softmax.config.resumable import fingerprint
from fashion_softmax.config.trust import read_config, refuse_links_out, require_run
from fashion_softmax.data import Split
from fashion_softmax.errors import CheckpointError
from fashion_softmax.runs.checkpoint import load_checkpoint, restore
from fashion_softmax.runs.folder import Predictions
from fashion_softmax.runs.progress import check_fingerprint
from fashion_softmax.stacking import Stack
from fashion_softmax.stacking.prediction import predict
from fashion_softmax.viewing.runs import RecordedRun, read_runs


@dataclass(frozen=True)
class TrainedRun:
    """A run as it was when a checkpoint was written.

    Attributes:
        run_dir: its folder.
        parts: its data set, and its model on the CPU.
        epoch: finished epochs.
    """

    run_dir: Path
    parts: Parts
    epoch: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """In label order, fit to be printed: a name in somebody else's run may hold anything."""
        return tuple(map(printable, self.parts.dataset.class_names))

    def predict(self, images: Tensor, labels: Tensor) -> Predictions:
        """Classify images: bytes (N, C, H, W), N at least 1. The labels (N,) are only kept beside the answers."""
        stack = Stack([self.parts.member])
        return predict(stack, Split(images, labels), self.parts.dtype, keep_probabilities=True)[0]

    def predict_probabilities(self, image: Tensor) -> NDArray[np.float32]:
        """Give the probability of each class, shape (K,), for an image that has no label, bytes (C, H, W)."""
        predictions = self.predict(image[None], torch.zeros(1, dtype=torch.int64))
        assert predictions.probabilities is not None
        probabilities: NDArray[np.float32] = predictions.probabilities[0]
        return probabilities


def find_run(folder: Path, *, best: bool = False) -> Path:
    """Find a run that can be asked for predictions.

    Args:
        folder: of a run, of a sweep, or above them.
        best: among several take the one with the best objective, not the one that was saved last. Objectives of two
            data sets cannot be compared: only runs on the data set of the latest count.

    Returns:
        Its folder.

    Raises:
        CheckpointError: there is none.
    """
    if (folder / ".hydra").is_dir():
        return folder
    runs = [run for run in read_runs([folder]) if (run.path / "checkpoints" / "last.pt").is_file()]
    if not runs:
        raise CheckpointError(f"{folder}: none of its runs has a checkpoint; train one first: python train.py")
    latest = max(runs, key=_time_of_saving)
    if best:
        data = latest.hyperparameters.get("dataset")
        return max((run for run in runs if run.hyperparameters.get("dataset") == data), key=_objective).path
    return latest.path


def load_trained(run_dir: Path, *, checkpoint: str = "last", trusted: Sequence[str] = ()) -> TrainedRun:
    """Load a run's data set and its trained model.

    Args:
        run_dir: the run's folder, which may be somebody else's: nothing in it is executed.
        checkpoint: `last` or `best`.
        trusted: packages of the user's own that the configuration may name.

    Returns:
        The run, its model on the CPU.

    Raises:
        CheckpointError: the folder is no run's, or its checkpoint is missing, damaged or another run's.
        FashionSoftmaxError: the configuration or the data does not allow it.
    """
    require_run(run_dir)
    refuse_links_out(run_dir)
    path = run_dir / "checkpoints" / f"{checkpoint}.pt"
    if not path.is_file():
        raise CheckpointError(f"{run_dir}: has no checkpoint yet ({path.name} is missing); let it train an epoch")
    state = load_checkpoint(path)
    cfg = read_config(run_dir, trusted)
    cfg.device = "cpu"  # wherever it was trained; a few images need no more
    validate(cfg)
    check_fingerprint(state, fingerprint(cfg), path)
    parts = build_parts(cfg)
    restore(parts.member, state, path)
    if not all(parameter.isfinite().all() for parameter in parts.member.model.parameters()):
        raise CheckpointError(f"{path}: its weights are not finite, so that it says nothing of any image")
    return TrainedRun(run_dir, parts, state["epoch"])


def _objective(run: RecordedRun) -> float:
    return run.best.get("objective", -1.0)


def _time_of_saving(run: RecordedRun) -> int:
    return (run.path / "checkpoints" / "last.pt").stat().st_mtime_ns
