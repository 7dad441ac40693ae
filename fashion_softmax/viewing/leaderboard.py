"""A comparison in the terminal: the leaderboard, averages by a hyper-parameter, and two runs side by side."""

import textwrap
from collections.abc import Sequence
from statistics import fmean, stdev

from rich.console import Console

from fashion_softmax.config.settings import (
    SECTIONS_THAT_SAY_NOTHING,
    flatten,
    printable,
    shorten_keys,
    show,
    word,
)
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.viewing.ranking import Comparison
from fashion_softmax.viewing.runs import RecordedRun
from fashion_softmax.viewing.setting import SIGNIFICANCE, TEST, Interval, PairedTest, Setting, compare_pair
from fashion_softmax.viewing.tables import (
    NOTHING,
    Column,
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
    metric = comparison.metric
    if settings := comparison.settings:
        sizes = f"{count(len(settings), 'setting')}, {count(len(comparison.runs), 'run')}"
        texts = [("#", lambda setting: str(setting.rank)), *_list_keys(comparison)]
        title = f"{sizes}, by {name_metric(metric)}"
        titles = show_table(console, title, settings, texts, _list_facts(comparison), limit=limit)
        for line in _explain(comparison, titles):
            console.print(line, soft_wrap=True)
    if unfinished := comparison.unfinished:
        texts = [("run", lambda run: run.name), ("state", lambda run: run.state)]
        texts += [("reason", lambda run: _word_reason(run, metric))]
        numbers: list[Column] = [("epochs", lambda run: str(len(run.rows)))]
        numbers += [(f"{name_metric(metric)} so far", lambda run: format_value(run.metrics.get(metric), metric))]
        show_table(console, f"{count(len(unfinished), 'run')} not ranked", unfinished, texts, numbers, limit=limit)


def _word_reason(run: RecordedRun, metric: str) -> str:
    reason = f"has no {metric}" if run.is_complete else run.error or ""
    return "" if reason == run.state else textwrap.shorten(reason, MAX_ERROR_LENGTH, placeholder="...")


def _list_keys(comparison: Comparison) -> list[Column]:
    """Name settings by the keys that differ, a column each; or in one column if there are too many or none."""
    keys = comparison.keys
    if not keys:
        return [("run", lambda setting: setting.runs[0].name)]
    if len(keys) > MAX_KEYS or not all(setting.hyperparameters for setting in comparison.settings):
        return [("setting", lambda setting: setting.name)]
    return [
        (title, lambda setting, key=key: _show_key(setting, key))  # type: ignore[misc]
        for key, title in zip(keys, shorten_keys(keys), strict=True)
    ]


def _show_key(each: Setting | RecordedRun, key: str) -> str:
    return show(each.hyperparameters[key]) if key in each.hyperparameters else NOTHING


def _list_facts(comparison: Comparison) -> list[Column]:
    """Word what is known of a setting: the most important first."""
    metric, split = comparison.metric, comparison.metric.partition("/")[0]
    entropy = f"{split}/cross_entropy"
    columns: list[Column] = [
        ("seeds", lambda setting: str(len(setting.runs))),
        (name_metric(metric), lambda setting: format_value(setting.mean, metric, setting.deviation)),
        (name_metric(TEST), lambda setting: format_value(setting.test_accuracy, TEST)),
        ("p", lambda setting: _format_test(setting.against_best)),
        ("worse in", lambda setting: _format_seeds(setting.against_best)),
        (f"95 % ({split} images)", lambda setting: _format_interval(setting.interval_images, metric)),
        ("in best epoch", lambda setting: format_value(setting.best_epoch_mean, metric)),
        (name_metric(entropy), lambda setting: format_value(setting.cross_entropy, entropy)),
        ("seconds", _format_seconds),
    ]
    # The metric may be one of the others.
    return [column for place, column in enumerate(columns) if column[0] not in [title for title, _ in columns[:place]]]


def _format_test(test: PairedTest | None) -> str:
    if test is None:
        return NOTHING
    if test.p_value < SIGNIFICANCE and not test.distinguishable:
        return "ahead ≈"
    return f"{format_p(test.p_value)} {' ' if test.distinguishable else '≈'}"


def _format_seeds(test: PairedTest | None) -> str:
    return f"{test.num_seeds_best_better} of {test.num_seeds}" if test and test.num_seeds > 1 else NOTHING


def _format_interval(interval: Interval | None, metric: str) -> str:
    return " to ".join(format_number(limit, metric) for limit in interval) if interval else NOTHING


def _format_seconds(setting: Setting) -> str:
    size = f" ({setting.stack_size})" if setting.stack_size > 1 else ""
    return NOTHING if setting.seconds is None else f"{setting.seconds:.1f}{size}"


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


def show_by(console: Console, comparison: Comparison, key: str) -> None:
    """Show, for each value of a hyper-parameter, its best setting and the mean over all of them.

    Args:
        console: to print on.
        comparison: of the runs.
        key: such as `loss` or `optimizer.lr`.
    """
    groups: dict[str, list[Setting]] = {}
    for setting in comparison.settings:  # best first, and so are the groups and what is in them
        groups.setdefault(_show_key(setting, key), []).append(setting)
    metric, others = comparison.metric, [other for other in comparison.keys if other != key]
    unfinished = [_show_key(run, key) for run in comparison.unfinished]
    texts: list[Column] = [(key, lambda group: _show_key(group[0], key))]
    texts += [("best setting", lambda group: word(group[0].hyperparameters, others) or NOTHING)]
    numbers: list[Column] = [
        ("best", lambda group: format_value(group[0].mean, metric, group[0].deviation)),
        ("mean", lambda group: _format_mean([setting.mean for setting in group], metric)),
        ("worst", lambda group: format_value(group[-1].mean, metric)),
        ("settings", lambda group: str(len(group))),
        ("runs", lambda group: str(sum(len(setting.runs) for setting in group))),
        ("not ranked", lambda group: str(unfinished.count(_show_key(group[0], key)))),
    ]
    show_table(console, f"{name_metric(metric)} by {key}", list(groups.values()), texts, numbers)
    for value in sorted(set(unfinished) - groups.keys()):
        console.print(f"{key}={value}: {count(unfinished.count(value), 'run')}, none of them complete", soft_wrap=True)
    console.print("best: mean ± deviation over its seeds; mean: ± deviation over the settings", soft_wrap=True)
    console.print("not ranked: runs that diverged, failed or did not end, which no mean counts", soft_wrap=True)


def _format_mean(means: Sequence[float], metric: str) -> str:
    return format_value(fmean(means), metric, stdev(means) if len(means) > 1 else None)


def show_differences(console: Console, first: RecordedRun, second: RecordedRun) -> None:
    """Show what differs between the configurations of two runs, and their results side by side."""
    runs = (first, second)
    settings = [
        run.hyperparameters | {printable(key): value for key, value in flatten(run.config) if "._target_" not in key}
        for run in runs
    ]
    keys = [key for key in {**settings[0], **settings[1]} if key.partition(".")[0] not in SECTIONS_THAT_SAY_NOTHING]
    rows = [(key, *(show(each[key]) if key in each else NOTHING for each in settings)) for key in keys]
    facts = [_list_results(run) for run in runs]
    results = [(name, *(each.get(name, NOTHING) for each in facts)) for name in {**facts[0], **facts[1]}]
    texts: list[Column] = [("", lambda row: row[0])]
    texts += [(shorten(run.path), lambda row, place=place: row[place]) for place, run in enumerate(runs, start=1)]  # type: ignore[misc]
    show_table(console, "where their settings differ", [row for row in rows if row[1] != row[2]], texts)
    show_table(console, "their results", results, texts)
    if test := compare_pair(first, second):
        console.print(
            f"of the test images the first alone gets {test[0]} right, the second alone {test[1]}: "
            f"McNemar's p {format_p(test[2])}",
            soft_wrap=True,
        )


def _list_results(run: RecordedRun) -> dict[str, str]:
    facts = {"state": run.state, "epochs": str(len(run.rows))} | ({"reason": run.error} if run.error else {})
    facts |= {name_metric(tag): format_value(value, tag) for tag, value in run.metrics.items() if tag != "lr"}
    if run.best:
        best = format_value(run.best.get("objective"), TEST)
        facts["in best epoch"] = f"{best} in epoch {run.best.get('epoch', 0):.0f}"
    return facts | {f"seconds, {name}": f"{value:.1f}" for name, value in run.seconds.items()}
