"""What a trained model says of test images, without torch."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Predictions:
    """What a trained model says of N test images.

    Attributes:
        labels: true classes, unsigned, shape (N,).
        classes: predicted classes, unsigned, shape (N,).
        confidences: probability that softmax gives the predicted class, float32, shape (N,).
    """

    labels: NDArray[np.unsignedinteger[Any]]
    classes: NDArray[np.unsignedinteger[Any]]
    confidences: NDArray[np.float32]

    @property
    def is_correct(self) -> NDArray[np.bool_]:
        """Which images are classified correctly, shape (N,)."""
        correct: NDArray[np.bool_] = self.classes == self.labels
        return correct

    def count_confusions(self, num_classes: int) -> NDArray[np.int64]:
        """Count images by true class (row) and predicted class (column), shape (K, K)."""
        pairs = self.labels.astype(np.int64) * num_classes + self.classes
        return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)

    def sort_surest(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Sort images by how sure the model is of what it predicts, the surest first."""
        return indices[np.argsort(-np.nan_to_num(self.confidences[indices]), kind="stable")]

    def word(self, indices: Iterable[int], names: Sequence[str]) -> list[tuple[str, str]]:
        """Word what images are and what the model says, such as `true: shirt` and `97 % coat`."""
        return [
            (
                f"true: {names[self.labels[index]]}",
                f"{100 * self.confidences[index]:.0f} % {names[self.classes[index]]}",
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
        if [part.dtype.kind for part in parts] != ["u", "u", "f"] or any(
            part.shape != (labels.size,) for part in parts
        ):
            raise ValueError("its arrays are of other types or shapes")
        return cls(labels, classes, confidences)

    def to_bytes(self) -> bytes:
        """Make a file of them that `numpy.load` reads."""
        buffer = io.BytesIO()
        np.savez(buffer, labels=self.labels, classes=self.classes, confidences=self.confidences)
        return buffer.getvalue()
