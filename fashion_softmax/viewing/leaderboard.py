"""A comparison in the terminal: the leaderboard."""

import textwrap
from collections.abc import Sequence

from rich.console import Console

from fashion_softmax.config.settings import (
    shorten_keys,
    show,
)
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.viewing.evidence import SIGNIFICANCE, PairedTest
from fashion_softmax.viewing.ranking import TEST, Comparison, Setting
from fashion_softmax.viewing.tables import (
    NOTHING,
    Row,
    format_number,
    format_p,
    format_value,
    name_metric,
    show_table,
)

MAX_KEYS = 4  # that have a column each; more are one column
MAX_ERROR_LENGTH = 100  # characters
NOTES = {
    "p": "McNemar's test against the best on the same test images, in the middle one of the seeds; "
    "≈: cannot be told from it (not behind it with p < 0.05)",
    "worse in": "seeds in which it is behind the best with p < 0.05",
}


def show_leaderboard(console: Console, comparison: Comparison, limit: int) -> None:
    """Show the settings, best first, and below them the runs that are not ranked.

    Args:
        console: to print on.
        comparison: of the runs.
        limit: rows of each table; 0 for all.
    """
    metric, settings, unfinished = comparison.metric, comparison.settings, comparison.unfinished
    if settings:
        sizes = f"{count(len(settings), 'setting')}, {count(len(comparison.runs), 'run')}"
        rows = [_describe(setting, comparison) for setting in settings]
        titles = show_table(console, f"{sizes}, by {name_metric(metric)}", rows, limit)
        for line in _explain(comparison, titles):
            console.print(line, soft_wrap=True)
    if unfinished:
        rows = [
            (
                {"run": run.name, "state": run.state, "reason": _word_reason(run, metric)},
                {
                    "epochs": str(len(run.rows)),
                    f"{name_metric(metric)} so far": format_value(run.metrics.get(metric), metric),
                },
            )
            for run in unfinished
        ]
        show_table(console, f"{count(len(unfinished), 'run')} not ranked", rows, limit)


def _word_reason(run: RunFolder, metric: str) -> str:
    reason = f"has no {metric}" if run.is_complete else run.error or ""
    return "" if reason == run.state else textwrap.shorten(reason, MAX_ERROR_LENGTH, placeholder="...")


def _describe(setting: Setting, comparison: Comparison) -> Row:
    """Name a setting, and word what is known of it, the most important first."""
    keys, metric, split = comparison.keys, comparison.metric, comparison.metric.partition("/")[0]
    if not keys:
        names = {"run": setting.runs[0].name}
    elif len(keys) > MAX_KEYS or not all(each.hyperparameters for each in comparison.settings):
        names = {"setting": setting.name}
    else:
        names = {title: show_key(setting, key) for key, title in zip(keys, shorten_keys(keys), strict=True)}
    value, entropy = format_value(setting.mean, metric, setting.deviation), f"{split}/cross_entropy"
    test, interval = setting.against_best, setting.interval_images
    stack = f" ({setting.stack_size})" if setting.stack_size > 1 else ""
    facts = {
        "seeds": str(len(setting.runs)),
        name_metric(metric): value,
        name_metric(TEST): format_value(setting.test_accuracy, TEST),
        "p": _word_test(test) if test else NOTHING,
        "worse in": f"{test.num_seeds_best_better} of {test.num_seeds}" if test and test.num_seeds > 1 else NOTHING,
        f"95 % ({split} images)": " to ".join(format_number(limit, metric) for limit in interval or ()) or NOTHING,
        "in best epoch": format_value(setting.best_epoch_mean, metric),
        name_metric(entropy): format_value(setting.cross_entropy, entropy),
        "seconds": NOTHING if setting.seconds is None else f"{setting.seconds:.1f}{stack}",
    }
    return {"#": str(setting.rank), **names}, facts | {name_metric(metric): value}  # it may be one of the others


def show_key(each: Setting | RunFolder, key: str) -> str:
    """Word a hyper-parameter of a setting or a run."""
    return show(each.hyperparameters[key]) if key in each.hyperparameters else NOTHING


def _word_test(test: PairedTest) -> str:
    if test.p_value < SIGNIFICANCE and not test.distinguishable:
        return "ahead ≈"
    return f"{format_p(test.p_value)} {' ' if test.distinguishable else '≈'}"


def _explain(comparison: Comparison, titles: Sequence[str]) -> list[str]:
    settings = comparison.settings
    lines = [f"best run: {shorten(settings[0].best_run.path)}"]
    lines.append(f"ranked by {name_metric(comparison.metric)}: {comparison.reason}")
    if any(setting.deviation is not None for setting in settings):
        lines.append("±: standard deviation over seeds")
    lines += [f"{title}: {NOTES[title]}" for title in titles if title in NOTES]
    if "seconds" in titles and any(setting.stack_size > 1 for setting in settings):
        lines.append("seconds: of a run's whole stack, of so many runs")
    if comparison.num_repeated:
        runs = count(comparison.num_repeated, "run")
        lines.append(f"{runs} left out, repeated later with the same settings and seed")
    return lines
