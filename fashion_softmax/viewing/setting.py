"""A setting: runs that differ only in their seed, and what they say together."""

from dataclasses import dataclass, field
from statistics import fmean, stdev

from fashion_softmax.config.settings import Value
from fashion_softmax.viewing.runs import RecordedRun, find_best_epoch
from fashion_softmax.viewing.statistics import Interval, PairedTest, t_interval, wilson_interval


@dataclass
class Setting:
    """Runs that differ only in their seed.

    Attributes:
        runs: complete ones, one for each seed, by seed.
        values: what they are ranked by, a value for each run.
        rank: from 1.
        num_images: that the values were measured on, None where it is not known.
        tests: of the best setting's run (first) and of the run of this one with the same seed, by that seed, those
            that speak least for the best first; empty for the best, and where no predictions are of the same images.
        has_largest_best: whether a larger value is a better one.
    """

    runs: list[RecordedRun]
    values: list[float]
    rank: int = 0
    num_images: int | None = None
    tests: list[tuple[Value, PairedTest]] = field(default_factory=list)
    has_largest_best: bool = True

    @property
    def hyperparameters(self) -> dict[str, Value]:
        """What the runs have in common."""
        return {key: value for key, value in self.runs[0].hyperparameters.items() if key != "seed"}

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
        """95 % interval of the mean, as far as the number of images is concerned; for accuracies only."""
        known = self.num_images and 0 <= self.mean <= 1
        return wilson_interval(self.mean, self.num_images) if known and self.num_images else None

    @property
    def interval_seeds(self) -> Interval | None:
        """95 % interval of the mean, as far as the number of seeds is concerned; None for a single one."""
        return t_interval(self.values) if len(self.values) > 1 else None

    @property
    def best_run(self) -> RecordedRun:
        """The run with the best value."""
        find_best = max if self.has_largest_best else min
        return self.runs[self.values.index(find_best(self.values))]

    @property
    def middle_test(self) -> tuple[Value, PairedTest | None]:
        """The middle one of the seeds, of an even number the one that speaks less for the best, and its test."""
        return self.tests[(len(self.tests) - 1) // 2] if self.tests else (None, None)

    @property
    def against_best(self) -> PairedTest | None:
        """The test in the middle one of the seeds."""
        return self.middle_test[1]

    @property
    def num_worse(self) -> int:
        """Seeds in which the best is better by more than chance."""
        return sum(test.is_first_better for _, test in self.tests)

    @property
    def is_like_best(self) -> bool:
        """Whether the test images cannot tell it from the best, in the middle one of the seeds."""
        return self.against_best is not None and not self.against_best.is_first_better

    def average(self, tag: str) -> float | None:
        """Average a metric over the runs that have it."""
        found = [run.metrics[tag] for run in self.runs if tag in run.metrics]
        return fmean(found) if found else None

    def average_best(self, tag: str) -> float | None:
        """Average a metric's best epochs: the largest accuracy, else the smallest value."""
        found = [best[1] for run in self.runs if (best := find_best_epoch(run.rows, tag))]
        return fmean(found) if found else None

    def average_seconds(self) -> float | None:
        """Average the time that the runs, or the stacks they belonged to, took."""
        found = [run.seconds["total"] for run in self.runs if "total" in run.seconds]
        return fmean(found) if found else None
