"""A setting: runs that differ only in their seed, and how sure their results are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.config.settings import Value
from fashion_softmax.viewing.runs import RecordedRun, is_accuracy

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05

Interval = tuple[float, float]


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two runs on the same images.

    Attributes:
        seed: of the first run.
        only_first: images that only the first run classifies correctly.
        only_second: images that only the second run classifies correctly.
        p_value: how probable such a difference, or a larger one, is between equally good classifiers.
    """

    seed: Value
    only_first: int
    only_second: int
    p_value: float

    @property
    def is_first_better(self) -> bool:
        """Whether the first is ahead by more than chance."""
        return self.only_first > self.only_second and self.p_value < SIGNIFICANCE


@dataclass
class Setting:
    """Runs that differ only in their seed.

    Attributes:
        runs: complete ones, one for each seed, by seed.
        metric: the tag they are ranked by, which all of them have.
        rank: from 1.
        num_images: that the metric was measured on, None where it is not known.
        tests: the best setting's run (first) against this setting's run with the same seed, for each such seed, sorted
            from the weakest evidence for the best setting to the strongest; empty for the best setting, and where there
            are no predictions of the same images.
    """

    runs: list[RecordedRun]
    metric: str
    rank: int = 0
    num_images: int | None = None
    tests: list[PairedTest] = field(default_factory=list)

    @property
    def hyperparameters(self) -> dict[str, Value]:
        """What the runs have in common."""
        return {key: value for key, value in self.runs[0].hyperparameters.items() if key != "seed"}

    @property
    def values(self) -> list[float]:
        """The metric of each run."""
        return [run.metrics[self.metric] for run in self.runs]

    @property
    def mean(self) -> float:
        """Of the values."""
        return fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Standard deviation over seeds, None for a single one."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def interval_images(self) -> Interval | None:
        """95 % interval of the mean for the number of images; for accuracies only."""
        return wilson_interval(self.mean, self.num_images) if self.num_images and 0 <= self.mean <= 1 else None

    @property
    def interval_seeds(self) -> Interval | None:
        """95 % interval of the mean for the number of seeds; None for a single one."""
        return t_interval(self.values) if len(self.values) > 1 else None

    @property
    def best_run(self) -> RecordedRun:
        """The run with the best value."""
        find_best = max if is_accuracy(self.metric) else min
        return self.runs[self.values.index(find_best(self.values))]

    @property
    def against_best(self) -> PairedTest | None:
        """The test of the middle seed; of an even number of seeds, the one with the weaker evidence for the best."""
        return self.tests[(len(self.tests) - 1) // 2] if self.tests else None

    @property
    def num_worse(self) -> int:
        """Seeds in which the best setting is better by more than chance."""
        return sum(test.is_first_better for test in self.tests)

    @property
    def is_like_best(self) -> bool:
        """Whether the test images cannot tell it from the best setting, in the middle one of the seeds."""
        return self.against_best is not None and not self.against_best.is_first_better

    def average(self, tag: str) -> float | None:
        """Average a metric over the runs that have it."""
        return _average([run.metrics[tag] for run in self.runs if tag in run.metrics])

    def average_best(self) -> float | None:
        """Average the best epochs of the metric."""
        return _average([best[1] for run in self.runs if (best := run.find_best(self.metric))])

    def average_seconds(self) -> float | None:
        """Average the time that the runs, or the stacks they belonged to, took."""
        return _average([run.seconds["total"] for run in self.runs if "total" in run.seconds])


def _average(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def wilson_interval(accuracy: float, num_images: int) -> Interval:
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


def t_interval(values: Sequence[float]) -> Interval:
    """Compute Student's 95 % interval of the mean of normally distributed values, such as those of several seeds.

    Args:
        values: at least two.
    """
    from scipy.special import stdtrit  # a tenth of a second

    quantile = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
    spread = quantile * stdev(values) / math.sqrt(len(values))
    return fmean(values) - spread, fmean(values) + spread


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], seed: Value = None) -> PairedTest:
    """Test whether two classifiers differ by more than chance; images that both get right or wrong do not count.

    Args:
        first: which images the first classifies correctly, shape (N,).
        second: likewise, the same images in the same order, shape (N,).
        seed: of the first.

    References:
        McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
        https://doi.org/10.1007/BF02295996
    """
    from scipy.special import bdtr

    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    rarer, num = min(only_first, only_second), only_first + only_second
    # The images on which they differ are fair coins: twice the probability of so few heads or fewer.
    return PairedTest(seed, only_first, only_second, min(1.0, 2 * float(bdtr(rarer, num, 0.5))))
