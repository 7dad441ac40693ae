"""Reading a run's records without torch: its epochs and its predictions. They may be a part, or somebody else's."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.files import read_bounded

MAX_ROWS_BYTES = 2**26  # a hundred thousand epochs
PREDICTIONS_NAME = "predictions.npz"
MAX_PREDICTIONS_BYTES = 2**26  # six million images; a foreign file may be anything


@dataclass(frozen=True)
class Predictions:
    """What a trained model says of N test images.

    Attributes:
        labels: true classes, unsigned, shape (N,).
        classes: predicted classes, unsigned, shape (N,).
        confidences: probability that softmax gives the predicted class, float32, shape (N,).
        probabilities: that softmax gives each class, float32, shape (N, K); None where nobody asked for them. They
            are not saved.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    classes: NDArray[np.unsignedinteger[Any]]
    confidences: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None = None

    @property
    def is_correct(self) -> NDArray[np.bool_]:
        """Which images are classified correctly, shape (N,)."""
        correct: NDArray[np.bool_] = self.classes == self.labels
        return correct

    def to_bytes(self) -> bytes:
        """Make a file of them that `numpy.load` reads."""
        buffer = io.BytesIO()
        np.savez(buffer, labels=self.labels, classes=self.classes, confidences=self.confidences)
        return buffer.getvalue()


def read_predictions(run_dir: Path) -> Predictions | None:
    """Read the predictions of a run that was trained to its end.

    Returns:
        The predictions; None when there is no such file or it holds something else.
    """
    try:
        content = io.BytesIO(read_bounded(run_dir / PREDICTIONS_NAME, MAX_PREDICTIONS_BYTES))
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in zipfile.ZipFile(content).infolist()):
            return None  # it could fill the memory
        with np.load(content, allow_pickle=False) as arrays:
            predictions = Predictions(arrays["labels"], arrays["classes"], arrays["confidences"])
    except Exception:  # numpy and zipfile raise whatever a file that somebody made up leads to
        return None
    parts = (predictions.labels, predictions.classes, predictions.confidences)
    has_shape = all(part.shape == (parts[0].size,) for part in parts)
    return predictions if has_shape and [part.dtype.kind for part in parts] == ["u", "u", "f"] else None


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
