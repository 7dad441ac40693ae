"""Ranking settings: runs that differ only in their seed are one setting, and each is compared with the best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fashion_softmax.config.settings import GROUPS, Value, show, word
from fashion_softmax.errors import ConfigError
from fashion_softmax.viewing.runs import RecordedRun, is_accuracy
from fashion_softmax.viewing.setting import PairedTest, Setting, mcnemar

VALIDATION, TEST = "val/accuracy", "test/accuracy"

Identity = frozenset[tuple[str, Value]]  # the hyper-parameters that equal runs have in common


@dataclass(frozen=True)
class Comparison:
    """Runs, ranked.

    Attributes:
        metric: the tag they are ranked by.
        reason: why by that one, for people.
        keys: of hyper-parameters that differ, in the order of the configuration.
        settings: best first.
        unfinished: runs that did not complete, or lack the metric, by path.
        num_repeated: complete runs that are left out because a later one has the same settings and seed.
    """

    metric: str
    reason: str
    keys: list[str]
    settings: list[Setting]
    unfinished: list[RecordedRun]
    num_repeated: int

    @property
    def split(self) -> str:
        """What the metric was measured on."""
        return self.metric.partition("/")[0]

    def name(self, setting: Setting) -> str:
        """Word what distinguishes a setting from the others, such as `huber lr=0.1`."""
        first = setting.runs[0]
        return word(first.hyperparameters, self.keys) or first.trial_name or first.name

    @property
    def runs(self) -> list[RecordedRun]:
        """All that are ranked, best setting first."""
        return [run for setting in self.settings for run in setting.runs]


def compare(runs: Sequence[RecordedRun], metric: str | None = None) -> Comparison:
    """Rank runs.

    Args:
        runs: at least one.
        metric: tag to rank by, the smallest first if it is no accuracy; None for the validation accuracy where all
            runs have one, else the test accuracy.

    Raises:
        ConfigError: no run has that metric.
    """
    complete = [run for run in runs if run.is_complete]
    metric, reason = _choose_metric(complete or runs, metric)
    measured = [run for run in complete if metric in run.metrics]
    unfinished = [run for run in runs if not (run.is_complete and metric in run.metrics)]
    ranked = _leave_out_repeated(measured)
    settings = _rank(ranked, metric)
    if metric.endswith("/loss") and len({setting.hyperparameters.get("loss") for setting in settings}) > 1:
        reason += f"; of different losses, which cannot be compared: {metric[:-5]}/cross_entropy can"
    datasets = list(dict.fromkeys(show(setting.hyperparameters.get("dataset")) for setting in settings))
    if len(datasets) > 1:
        reason += f"; of different data sets ({', '.join(datasets)}), so compare within one only"
    shown = {run.path for run in (*ranked, *unfinished)}
    keys = find_differing_keys([run.hyperparameters for run in runs if run.path in shown])
    return Comparison(metric, reason, keys, settings, unfinished, len(measured) - len(ranked))


def _rank(runs: Sequence[RecordedRun], metric: str) -> list[Setting]:
    groups: dict[Identity, list[RecordedRun]] = {}
    for run in runs:
        groups.setdefault(_identify(run, without=("seed",)), []).append(run)
    settings = [Setting(group, metric) for group in groups.values()]
    sign = -1 if is_accuracy(metric) else 1
    settings.sort(key=lambda setting: (sign * setting.mean, setting.runs[0].path))
    for rank, setting in enumerate(settings, start=1):
        setting.rank = rank
        setting.num_images = _count_images(setting)
        setting.tests = _test(settings[0], setting) if rank > 1 else []
    return settings


def _choose_metric(runs: Sequence[RecordedRun], metric: str | None) -> tuple[str, str]:
    if metric is not None:
        known = sorted({tag for run in runs for tag in run.metrics})
        if metric not in known:
            raise ConfigError(f"--metric {metric}: no run has it; they have {', '.join(known) or 'none'}")
        return metric, "as --metric asks"
    num_with_validation = sum(VALIDATION in run.metrics for run in runs)
    if num_with_validation == len(runs) > 0:
        return VALIDATION, "validation images choose, test images measure"
    reason = "no run held out validation images; dataset.val_size=10000 does"
    if num_with_validation:
        reason = f"only {num_with_validation} of {len(runs)} runs held out validation images; "
        reason += f"--metric {VALIDATION} ranks them alone"
    return TEST, reason


def _leave_out_repeated(runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    """Keep the latest of the runs that have all settings in common: an earlier one is the same result once more."""
    latest: dict[Identity, RecordedRun] = {}
    for run in sorted(runs, key=lambda run: run.started):
        latest[_identify(run)] = run
    return sorted(latest.values(), key=lambda run: (str(run.seed).zfill(10), run.path))


def _identify(run: RecordedRun, without: Sequence[str] = ()) -> Identity:
    """Give what equal runs have in common; a run without a readable configuration is equal to no other."""
    settings = {key: value for key, value in run.hyperparameters.items() if key not in without}
    return frozenset((settings or {"path": str(run.path)}).items())


def _count_images(setting: Setting) -> int | None:
    """Find out how many images an accuracy was measured on."""
    if setting.metric == VALIDATION:
        val_size = setting.hyperparameters.get("dataset.val_size")
        return val_size if isinstance(val_size, int) and val_size > 0 else None
    if setting.metric != TEST:
        return None
    return next((len(run.predictions.labels) for run in setting.runs if run.predictions), None)


def _test(best: Setting, other: Setting) -> list[PairedTest]:
    """Compare the runs of equal seeds, or the first run of each where no seeds are equal."""
    by_seed = {run.seed: run for run in best.runs}
    pairs = [(by_seed[run.seed], run) for run in other.runs if run.seed in by_seed] or [(best.runs[0], other.runs[0])]
    tests = [test for first, second in pairs if (test := compare_pair(first, second))]

    def evidence_for_best(test: PairedTest) -> tuple[bool, float]:
        is_ahead = test.only_first > test.only_second
        return is_ahead, -test.p_value if is_ahead else test.p_value

    return sorted(tests, key=evidence_for_best)


def compare_pair(first: RecordedRun, second: RecordedRun) -> PairedTest | None:
    """Compare two runs by McNemar's test; None unless both have predictions of the same test images."""
    one, other = first.predictions, second.predictions
    if one is None or other is None or _images_of(first) != _images_of(second):
        return None
    if not np.array_equal(one.labels, other.labels):
        return None
    return mcnemar(one.is_correct, other.is_correct, first.seed)


# These change neither the test images nor their order.
NOT_OF_TEST_IMAGES = ("dataset.batch_size", "dataset.val_size", "dataset.resize")


def _images_of(run: RecordedRun) -> dict[str, Value]:
    """Say where a run's test images come from; where that and their labels agree, they are the same."""
    return {
        key: value
        for key, value in run.hyperparameters.items()
        if key.partition(".")[0] == "dataset" and key not in NOT_OF_TEST_IMAGES
    }


def find_differing_keys(hyperparameters: Sequence[dict[str, Value]]) -> list[str]:
    """Find what distinguishes runs: options that differ, and keys that differ between runs of the same option.

    Args:
        hyperparameters: of each run. The seed is left out, and so is `loss.delta` where only one loss has a delta.
    """
    keys = list(dict.fromkeys(key for each in hyperparameters for key in each if key != "seed"))
    keys.sort(key=lambda key: GROUPS.index(key) if key in GROUPS else len(GROUPS))
    return [key for key in keys if _differs(key, hyperparameters)]


def _differs(key: str, hyperparameters: Iterable[dict[str, Value]]) -> bool:
    section = key.partition(".")[0]
    values: dict[Value, set[str]] = {}
    for each in filter(None, hyperparameters):
        option = each.get(section) if section in GROUPS and key != section else None
        if key in each or option is not None:  # a key of the project's own may be younger than the run
            values.setdefault(option, set()).add(show(each[key]) if key in each else "")
    return any(len(found) > 1 for found in values.values())
