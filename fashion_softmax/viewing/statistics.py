"""How sure one can be of an accuracy, and of the difference of two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05

Interval = tuple[float, float]


def wilson_interval(accuracy: float, num_images: int) -> Interval:
    """Compute the interval of accuracies that a result on so many images agrees with, 95 % sure.

    Args:
        accuracy: fraction of the images that are classified correctly.
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


def t_interval(values: Sequence[float]) -> Interval:
    """Compute the 95 % interval of the mean that equally distributed values, such as those of several seeds, stem from.

    Args:
        values: at least two.

    References:
        Student, The Probable Error of a Mean, https://doi.org/10.1093/biomet/6.1.1
    """
    spread = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - spread, fmean(values) + spread


def t_quantile(degrees: int) -> float:
    """Compute what 95 % of Student's distribution lies within, by bisection.

    Args:
        degrees: of freedom, at least 1.
    """
    low, high = 0.0, math.pi / 2  # of atan(t / sqrt(degrees))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _probability_within(middle, degrees) < CONFIDENCE else (low, middle)
    return math.tan(low) * math.sqrt(degrees)


def _probability_within(angle: float, degrees: int) -> float:
    """Integrate Student's density from -t to t, where `t = tan(angle) * sqrt(degrees)`.

    References:
        Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4
    """
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = degrees % 2
    term = cosine if is_odd else 1.0
    total = term if degrees > 1 else 0.0
    for k in range(2 + is_odd, degrees - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two classifiers on the same images.

    Attributes:
        only_first: images that the first alone classifies correctly.
        only_second: images that the second alone classifies correctly.
        p_value: how probable so unequal a count, or a more unequal one, is between equally good classifiers.
    """

    only_first: int
    only_second: int
    p_value: float

    @property
    def is_first_better(self) -> bool:
        """Whether the first is ahead by more than chance."""
        return self.only_first > self.only_second and self.p_value < SIGNIFICANCE


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Test whether two classifiers differ by more than chance; images that both get right or wrong say nothing.

    Args:
        first: which images the first classifies correctly, shape (N,).
        second: likewise, the same images in the same order, shape (N,).

    References:
        McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
        https://doi.org/10.1007/BF02295996
    """
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    return PairedTest(only_first, only_second, _sign_test(only_first, only_second))


def _sign_test(heads: int, tails: int) -> float:
    """Compute how probable so few of the rarer side, or fewer, are among fair coins, both sides counted."""
    num, rare = heads + tails, min(heads, tails)
    if 2 * rare == num:
        return 1.0
    # The sum of binomials downwards from the largest, as multiples of it: 2^-num alone is below all floats.
    multiple = total = 1.0
    for k in range(rare, 0, -1):
        multiple *= k / (num - k + 1)
        total += multiple
    log_largest = math.lgamma(num + 1) - math.lgamma(rare + 1) - math.lgamma(num - rare + 1) - num * math.log(2)
    return min(1.0, 2 * math.exp(log_largest) * total)
