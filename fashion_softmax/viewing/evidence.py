"""How sure results are: intervals for the number of test images, and tests of two settings on the same images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.config.settings import Value
from fashion_softmax.runs.records import RunFolder

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
# These change neither the test images nor their order.
NOT_OF_TEST_IMAGES = ("dataset.batch_size", "dataset.val_size", "dataset.resize")


@dataclass(frozen=True)
class PairedTest:
    """McNemar's test of the best setting against another, for each seed that both have; named as in the JSON output.

    Attributes:
        seed: the middle one, from the weakest evidence for the best setting to the strongest; of two, the weaker one.
        only_best_correct: images that only the best setting's run with this seed classifies correctly.
        only_this_correct: images that only the other setting's run classifies correctly.
        p_value: how probable such a difference, or a larger one, is between equally good classifiers.
        distinguishable: whether the best is ahead by more than chance, with this seed.
        num_seeds: that both have.
        num_seeds_best_better: seeds in which the best is ahead by more than chance.
    """

    seed: Value
    only_best_correct: int
    only_this_correct: int
    p_value: float
    distinguishable: bool
    num_seeds: int
    num_seeds_best_better: int


def compare_seeds(best: Sequence[RunFolder], others: Sequence[RunFolder]) -> PairedTest | None:
    """Compare two settings by their runs of equal seeds, or by the first run of each where no seeds are equal.

    Args:
        best: runs of the best setting.
        others: of another one.

    Returns:
        The test, None where there are no predictions of the same images.
    """
    by_seed = {run.seed: run for run in best}
    pairs = [(by_seed[run.seed], run) for run in others if run.seed in by_seed]
    pairs = pairs or list(zip(best[:1], others, strict=False))
    tests = [(first.seed, *test) for first, second in pairs if (test := compare_pair(first, second))]
    if not tests:
        return None
    # From the weakest evidence for the best to the strongest: where it is behind, a small p-value speaks against it.
    tests.sort(key=lambda test: (test[1] > test[2], -test[3] if test[1] > test[2] else test[3]))
    is_better = [num_best > num_other and p_value < SIGNIFICANCE for _, num_best, num_other, p_value in tests]
    middle = (len(tests) - 1) // 2
    return PairedTest(*tests[middle], is_better[middle], len(tests), sum(is_better))


def compare_pair(first: RunFolder, second: RunFolder) -> tuple[int, int, float] | None:
    """Compare two runs, see `mcnemar`; None unless both have predictions of the same test images."""
    one, other = first.predictions, second.predictions
    if one is None or other is None or _images_of(first) != _images_of(second):
        return None
    return mcnemar(one.is_correct, other.is_correct) if np.array_equal(one.labels, other.labels) else None


def _images_of(run: RunFolder) -> dict[str, Value]:
    """Say where a run's test images come from; where that and their labels agree, they are the same."""
    found = run.hyperparameters.items()
    return {key: value for key, value in found if key.partition(".")[0] == "dataset" and key not in NOT_OF_TEST_IMAGES}


def wilson_interval(accuracy: float, num_images: int) -> tuple[float, float]:
    """Compute the 95 % interval of the accuracies that agree with a result on a number of images.

    Args:
        accuracy: fraction of the images that are classified correctly; a mean over seeds need not be a whole number of
            images.
        num_images: at least 1.

    References:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference,
        https://doi.org/10.1080/01621459.1927.10502953
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    center = accuracy + z**2 / (2 * num_images)
    spread = z * math.sqrt(accuracy * (1 - accuracy) / num_images + (z / (2 * num_images)) ** 2)
    scale = 1 + z**2 / num_images
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int, float]:
    """Test whether two classifiers differ by more than chance; images that both get right or wrong do not count.

    Args:
        first: which images the first classifies correctly, shape (N,).
        second: likewise, the same images in the same order, shape (N,).

    Returns:
        Images that only the first classifies correctly, those that only the second does, and the exact p-value.

    References:
        McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
        https://doi.org/10.1007/BF02295996
    """
    from scipy.special import bdtr

    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    rarer, num = min(only_first, only_second), only_first + only_second
    # The images on which they differ are fair coins: twice the probability of so few heads or fewer.
    return only_first, only_second, min(1.0, 2 * float(bdtr(rarer, num, 0.5)))
