"""What a trained model says of test images, without torch."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15  # of a reliability diagram


@dataclass(frozen=True)
class Predictions:
    """What a trained model says of N test images.

    Attributes:
        labels: true classes, unsigned, shape (N,).
        classes: predicted classes, unsigned, shape (N,).
        confidences: probability that softmax gives the predicted class, float32, shape (N,).
        probabilities: of all K classes, float16, shape (N, K); None where an earlier version wrote the file.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    classes: NDArray[np.unsignedinteger[Any]]
    confidences: NDArray[np.float32]
    probabilities: NDArray[np.float16] | None = None

    @property
    def is_correct(self) -> NDArray[np.bool_]:
        """Which images are classified correctly, shape (N,)."""
        correct: NDArray[np.bool_] = self.classes == self.labels
        return correct

    def count_confusions(self, num_classes: int) -> NDArray[np.int64]:
        """Count images by true class (row) and predicted class (column), shape (K, K)."""
        pairs = self.labels.astype(np.int64) * num_classes + self.classes
        return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)

    def count_reliability(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], float]:
        """Compare how sure the model is with how often it is right, in `NUM_BINS` equal bins of confidence.

        Returns:
            Of each bin the number of images, their mean confidence and their accuracy, 0 where there are none, shape
            (NUM_BINS,); and the expected calibration error, the mean difference of the two over all images.

        References:
            Guo et al., On Calibration of Modern Neural Networks, https://arxiv.org/abs/1706.04599
        """
        sure = np.clip(np.nan_to_num(self.confidences), 0, 1).astype(np.float64)
        bins = np.minimum((sure * NUM_BINS).astype(np.int64), NUM_BINS - 1)
        counts = np.bincount(bins, minlength=NUM_BINS)
        sums = [np.bincount(bins, weights, NUM_BINS) for weights in (sure, self.is_correct)]
        error = float(np.abs(sums[0] - sums[1]).sum() / max(1, counts.sum()))
        confidences, accuracies = (each / np.maximum(counts, 1) for each in sums)
        return counts, confidences, accuracies, error

    def sort_surest(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Sort images by how sure the model is of what it predicts, the surest first."""
        return indices[np.argsort(-np.nan_to_num(self.confidences[indices]), kind="stable")]

    def word(self, indices: Iterable[int], names: Sequence[str]) -> list[tuple[str, str]]:
        """Word what images are and what the model says, such as `true: shirt` and `coat (97 %)`."""
        return [
            (
                f"true: {names[self.labels[index]]}",
                f"{names[self.classes[index]]} ({100 * self.confidences[index]:.0f} %)",
            )
            for index in indices
        ]

    @classmethod
    def from_bytes(cls, content: bytes) -> "Predictions":
        """Read what `to_bytes` made; it may come from other people.

        Raises:
            Exception: of any kind, where it is something else.
        """
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in zipfile.ZipFile(io.BytesIO(content)).infolist()):
            raise ValueError("it is compressed, and could fill the memory")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            parts = labels, classes, confidences = arrays["labels"], arrays["classes"], arrays["confidences"]
            all_classes = arrays.get("probabilities")
        if all_classes is not None and (all_classes.dtype != np.float16 or all_classes.shape[:-1] != (labels.size,)):
            raise ValueError("its probabilities are of another type or shape")
        if [part.dtype.kind for part in parts] != ["u", "u", "f"] or any(
            part.shape != (labels.size,) for part in parts
        ):
            raise ValueError("its arrays are of other types or shapes")
        return cls(labels, classes, confidences, all_classes)

    def to_bytes(self) -> bytes:
        """Make a file of them that `numpy.load` reads."""
        buffer = io.BytesIO()
        np.savez(buffer, **{name: array for name, array in vars(self).items() if array is not None})
        return buffer.getvalue()
