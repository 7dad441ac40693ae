"""What a model says of test images: how sure it is beside how often it is right, and the file of it."""

import io

import numpy as np
import pytest

from fashion_softmax.learning.predictions import NUM_BINS, Predictions


def make(confidences: list[float], is_correct: list[bool]) -> Predictions:
    classes = np.array(is_correct, np.uint8)
    return Predictions(np.ones_like(classes), classes, np.array(confidences, np.float32))


def test_reliability_of_a_few_images_is_as_by_hand() -> None:
    counts, confidences, accuracies, error = make([0.95, 0.97, 0.5, 0.5], [True, False, True, True]).count_reliability()
    assert np.flatnonzero(counts).tolist() == [7, 14] and counts[[7, 14]].tolist() == [2, 2]
    assert confidences[[7, 14]] == pytest.approx([0.5, 0.96]) and accuracies[[7, 14]].tolist() == [1.0, 0.5]
    assert error == pytest.approx((0.5 + 0.46) / 2)


def test_reliability_is_what_the_definition_says() -> None:
    random = np.random.default_rng(0)
    predictions = make(random.uniform(0, 1, 500).tolist(), (random.uniform(size=500) < 0.7).tolist())
    counts, confidences, accuracies, error = predictions.count_reliability()
    expected = 0.0
    for index in range(NUM_BINS):
        low, high = index / NUM_BINS, (index + 1) / NUM_BINS
        inside = [
            (float(sure), bool(right))
            for sure, right in zip(predictions.confidences, predictions.is_correct, strict=True)
            if low <= sure < high
        ]
        assert counts[index] == len(inside)
        sure, right = (sum(column) / len(inside) for column in zip(*inside, strict=True))
        assert confidences[index] == pytest.approx(sure) and accuracies[index] == pytest.approx(right)
        expected += abs(sure - right) * len(inside) / 500
    assert error == pytest.approx(expected)


def test_reliability_bears_what_is_no_probability() -> None:
    counts, confidences, accuracies, error = make([np.nan, np.inf, -1, 1], [True] * 4).count_reliability()
    assert counts.sum() == 4 and np.isfinite([*confidences, *accuracies, error]).all()


def test_file_has_all_probabilities_as_small_floats_and_numpy_reads_it() -> None:
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]], np.float16)
    labels = np.array([1, 0], np.uint8)
    content = Predictions(labels, labels, probabilities.max(1).astype(np.float32), probabilities).to_bytes()
    with np.load(io.BytesIO(content)) as arrays:
        assert sorted(arrays) == ["classes", "confidences", "labels", "probabilities"]
        assert arrays["probabilities"].dtype == np.float16
    read = Predictions.from_bytes(content).probabilities
    assert read is not None and read.tolist() == probabilities.tolist()


@pytest.mark.parametrize("shape", [(3, 2), (2,), (2, 2, 2), ()])
def test_probabilities_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    labels = np.zeros(2, np.uint8)
    content = Predictions(labels, labels, labels.astype(np.float32), np.zeros(shape, np.float16)).to_bytes()
    with pytest.raises(ValueError, match="shape"):
        Predictions.from_bytes(content)
