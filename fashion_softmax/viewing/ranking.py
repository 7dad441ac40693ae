"""Ranking settings: runs that differ only in their seed are one setting, and each is compared with the best."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from fashion_softmax.config.settings import GROUPS, Value, name_trial, show, word
from fashion_softmax.errors import ConfigError
from fashion_softmax.runs.records import RunFolder, find_best, is_accuracy
from fashion_softmax.viewing.evidence import PairedTest, compare_seeds, wilson_interval

VALIDATION, TEST = "val/accuracy", "test/accuracy"

Identity = frozenset[tuple[str, Value]]  # the hyper-parameters that equal runs have in common


@dataclass(frozen=True)
class Setting:
    """Runs that differ only in their seed; all but the last attribute are named as in the JSON output.

    Attributes:
        rank: from 1.
        name: what distinguishes it from the others, such as `huber lr=0.1`.
        hyperparameters: what its runs have in common.
        mean: of the metric that settings are ranked by.
        deviation: its standard deviation over seeds, None for a single one.
        num_images: that the metric was measured on, None where it is not known.
        interval_images: 95 % interval of the mean for the number of images; None where that is not known.
        best_epoch_mean: of the metric in each run's best epoch; None where no run has epochs.
        test_accuracy: mean over the runs that have one, None where there are none.
        cross_entropy: likewise, on the images that the metric was measured on.
        seconds: likewise, of what the runs, or the stacks they belonged to, took.
        stack_size: runs of such a stack.
        against_best: None for the best setting, and where there are no predictions of the same images.
        runs: complete ones, one for each seed, by seed.
        best_run: the one with the best value.
    """

    rank: int
    name: str
    hyperparameters: dict[str, Value]
    mean: float
    deviation: float | None
    num_images: int | None
    interval_images: tuple[float, float] | None
    best_epoch_mean: float | None
    test_accuracy: float | None
    cross_entropy: float | None
    seconds: float | None
    stack_size: int
    against_best: PairedTest | None
    runs: list[RunFolder]
    best_run: RunFolder


@dataclass(frozen=True)
class Comparison:
    """Runs, ranked.

    Attributes:
        metric: the tag they are ranked by.
        reason: why by that one, for people.
        keys: of hyper-parameters that differ, in the order of the configuration.
        num_repeated: complete runs that are left out because a later one has the same settings and seed.
        settings: best first.
        unfinished: runs that did not complete, or lack the metric, by path.
    """

    metric: str
    reason: str
    keys: list[str]
    num_repeated: int
    settings: list[Setting]
    unfinished: list[RunFolder]

    @property
    def runs(self) -> list[RunFolder]:
        """All that are ranked, best setting first."""
        return [run for setting in self.settings for run in setting.runs]


def compare(runs: Sequence[RunFolder], metric: str | None = None, *, is_tested: bool = True) -> Comparison:
    """Rank runs.

    Args:
        runs: at least one.
        metric: tag to rank by, the smallest first if it is no accuracy; None for the validation accuracy where all
            runs have one, else the test accuracy.
        is_tested: whether predictions are read, for intervals and paired tests: a millisecond for each run.

    Raises:
        ConfigError: no run has that metric.
    """
    complete = [run for run in runs if run.state == "completed"]
    metric, reason = _choose_metric(complete or runs, metric)
    measured = [run for run in complete if metric in run.metrics]
    unfinished = [run for run in runs if not (run.state == "completed" and metric in run.metrics)]
    # The latest of the runs that have all settings in common: an earlier one is the same result once more.
    latest = {_identify(run): run for run in sorted(measured, key=lambda run: run.started)}
    ranked = sorted(latest.values(), key=lambda run: (str(run.seed).zfill(10), run.path))
    keys = find_differing_keys([run.hyperparameters for run in (*ranked, *unfinished)])
    settings = _rank(ranked, metric, keys, is_tested)
    if metric.endswith("/loss") and len({setting.hyperparameters.get("loss") for setting in settings}) > 1:
        reason += f"; of different losses, which cannot be compared: {metric[:-5]}/cross_entropy can"
    datasets = list(dict.fromkeys(show(setting.hyperparameters.get("dataset")) for setting in settings))
    if len(datasets) > 1:
        reason += f"; of different data sets ({', '.join(datasets)}), so compare within one only"
    return Comparison(metric, reason, keys, len(measured) - len(ranked), settings, unfinished)


def _choose_metric(runs: Sequence[RunFolder], metric: str | None) -> tuple[str, str]:
    if metric is not None:
        known = sorted({tag for run in runs for tag in run.metrics})
        if metric not in known:
            raise ConfigError(f"--metric {metric}: no run has it; they have {', '.join(known) or 'none'}")
        return metric, "as --metric asks"
    num_with_validation = sum(VALIDATION in run.metrics for run in runs)
    if num_with_validation == len(runs) > 0:
        return VALIDATION, "validation images choose, test images measure"
    reason = "no run held out validation images; dataset.val_size=0.1 does"
    if num_with_validation:
        reason = f"only {num_with_validation} of {len(runs)} runs held out validation images; "
        reason += f"--metric {VALIDATION} ranks them alone"
    return TEST, reason


def _rank(runs: Sequence[RunFolder], metric: str, keys: Sequence[str], is_tested: bool) -> list[Setting]:
    groups: dict[Identity, list[RunFolder]] = {}
    for run in runs:
        groups.setdefault(_identify(run, without="seed"), []).append(run)
    sign = -1 if is_accuracy(metric) else 1
    order = list(groups.values())
    order.sort(key=lambda group: (sign * fmean(run.metrics[metric] for run in group), group[0].path))
    return [
        _summarize(rank, group, metric, keys, (order[0] if rank > 1 else []) if is_tested else None)
        for rank, group in enumerate(order, start=1)
    ]


def _summarize(
    rank: int, runs: list[RunFolder], metric: str, keys: Sequence[str], best: Sequence[RunFolder] | None
) -> Setting:
    """Summarize a setting. The best one's runs are empty for itself, None where predictions are not read."""
    first, values = runs[0], [run.metrics[metric] for run in runs]
    mean, num_images = fmean(values), None if best is None else _count_images(runs, metric)
    cross_entropy = f"{metric.partition('/')[0]}/cross_entropy"
    return Setting(
        rank=rank,
        name=word(first.hyperparameters, keys) or name_trial(first.hyperparameters, first.overrides) or first.name,
        hyperparameters={key: value for key, value in first.hyperparameters.items() if key != "seed"},
        mean=mean,
        deviation=stdev(values) if len(values) > 1 else None,
        num_images=num_images,
        interval_images=wilson_interval(mean, num_images) if num_images and 0 <= mean <= 1 else None,
        best_epoch_mean=_average(_find_best_value(run, metric) for run in runs),
        test_accuracy=_average(run.metrics.get(TEST) for run in runs),
        cross_entropy=_average(run.metrics.get(cross_entropy) for run in runs),
        seconds=_average(run.seconds.get("total") for run in runs),
        stack_size=first.stack_size,
        against_best=compare_seeds(best, runs) if best else None,
        runs=runs,
        best_run=runs[values.index(max(values) if is_accuracy(metric) else min(values))],
    )


def _find_best_value(run: RunFolder, metric: str) -> float | None:
    if run.result.get("objective_name") == metric:  # then it need not be searched for in all epochs
        return run.best.get("objective")
    return (find_best(run.rows, metric) or (None, None))[1]


def _average(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return fmean(found) if found else None


def _count_images(runs: Sequence[RunFolder], metric: str) -> int | None:
    """Find out how many images an accuracy was measured on."""
    if metric == VALIDATION:
        # Runs of earlier versions say it only in their settings, where it was no fraction yet.
        val_size = runs[0].num_images.get("val", runs[0].hyperparameters.get("dataset.val_size"))
        return val_size if isinstance(val_size, int) and val_size > 0 else None
    if metric != TEST:
        return None
    return next((len(run.predictions.labels) for run in runs if run.predictions), None)


def _identify(run: RunFolder, without: str = "") -> Identity:
    """Give what equal runs have in common; a run without a readable configuration is equal to no other."""
    settings = {key: value for key, value in run.hyperparameters.items() if key != without}
    return frozenset((settings or {"path": str(run.path)}).items())


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
