"""A comparison in the terminal: the leaderboard, the table that it is shown in, and numbers as text."""

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from fashion_softmax.config.settings import shorten_keys, show
from fashion_softmax.dashboard.console import count, shorten, word_number
from fashion_softmax.runs.records import RunFolder, is_accuracy
from fashion_softmax.viewing.evidence import SIGNIFICANCE, PairedTest
from fashion_softmax.viewing.ranking import TEST, Comparison, Setting

NOTHING = "-"
MIN_NUMBERS = 2
MAX_KEYS = 4  # that have a column each; more are one column
MAX_ERROR_LENGTH = 100  # characters
NOTES = {
    "p": "McNemar's test against the best on the same test images, in the middle one of the seeds; "
    "≈: cannot be told from it (not behind it with p < 0.05)",
    "worse in": "seeds in which it is behind the best with p < 0.05",
}

Row = tuple[dict[str, str], dict[str, str]]  # texts and numbers, each by the title of its column


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
        console.print(f"best run: {shorten(settings[0].best_run.path)}", soft_wrap=True)  # in one line, to be copied
        for line in _explain(comparison, titles):
            console.print(line)
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
    reason = f"has no {metric}" if run.state == "completed" else run.error or ""
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
    lines = [f"ranked by {name_metric(comparison.metric)}: {comparison.reason}"]
    if any(setting.deviation is not None for setting in settings):
        lines.append("±: standard deviation over seeds")
    lines += [f"{title}: {NOTES[title]}" for title in titles if title in NOTES]
    if "seconds" in titles and any(setting.stack_size > 1 for setting in settings):
        lines.append("seconds: of a run's whole stack, of so many runs")
    if comparison.num_repeated:
        runs = count(comparison.num_repeated, "run")
        lines.append(f"{runs} left out, repeated later with the same settings and seed")
    return lines


def show_table(console: Console, title: str, rows: Sequence[Row], limit: int = 0) -> list[str]:
    """Show rows; numbers that no row has are left out, and the last ones where the terminal is too narrow.

    Args:
        console: to print on.
        title: of the table.
        rows: at least one, all with the same columns. Texts that are too long are folded, numbers are not; the first
            `MIN_NUMBERS` of these are shown in any terminal.
        limit: rows that are shown; 0 for all.

    Returns:
        The titles of the columns that are shown.
    """
    shown = rows[: limit or None]
    texts = list(shown[0][0])
    numbers = [name for name in shown[0][1] if any(cells[name] != NOTHING for _, cells in shown)]
    while True:
        table = Table(title=title, title_justify="left")
        for name in texts:
            table.add_column(name, overflow="fold", max_width=max(8, console.width // (1 + len(texts))))
        for name in numbers:
            table.add_column(name, justify="right", no_wrap=True)
        for words, cells in shown:
            table.add_row(*words.values(), *(cells[name] for name in numbers))
        width = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
        if width <= console.width or len(numbers) <= MIN_NUMBERS:
            break
        numbers.pop()
    console.print(table)
    if len(rows) > len(shown):
        console.print(f"and {len(rows) - len(shown)} more: --limit 0 shows all", soft_wrap=True)
    return texts + numbers


def name_metric(tag: str) -> str:
    """Name a tag, such as `test cross-entropy`."""
    return tag.replace("/", " ").replace("cross_entropy", "cross-entropy")


def format_value(value: float | None, metric: str, deviation: float | None = None) -> str:
    """Format a value of a metric with its unit, and its deviation if there is one, such as `83.18 ± 0.20 %`."""
    if value is None:
        return NOTHING
    spread = "" if deviation is None else f" ± {format_number(deviation, metric)}"
    return f"{format_number(value, metric)}{spread}{' %' if is_accuracy(metric) else ''}"


def format_number(value: float, metric: str) -> str:
    """Format a value of a metric without its unit: percent for an accuracy, four decimals for others."""
    return f"{100 * value + 1e-9:.2f}" if is_accuracy(metric) else word_number(value)  # 90.625 goes up, as on the page


def format_p(p_value: float) -> str:
    """Format a p-value; a very small one without its digits."""
    return f"{p_value + 1e-12:.3f}" if p_value >= 0.001 else "< 0.001"
