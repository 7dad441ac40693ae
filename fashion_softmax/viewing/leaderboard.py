"""The leaderboard in the terminal: settings, best first, and the runs that are not ranked; and numbers as text."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from fashion_softmax.config.settings import shorten_keys, show
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.viewing.ranking import Comparison
from fashion_softmax.viewing.runs import is_accuracy
from fashion_softmax.viewing.setting import SIGNIFICANCE, TEST, Interval, PairedTest, Setting

NOTHING = "-"
MAX_ERROR_LENGTH = 100  # characters
NOTES = {
    "p": "McNemar's test against the best on the same test images, in the middle one of the seeds; "
    "≈: cannot be told from it (not behind it with p < 0.05)",
    "worse in": "seeds in which it is behind the best with p < 0.05",
}

Column = tuple[str, list[str]]  # a title and its cells


def show_leaderboard(console: Console, comparison: Comparison, limit: int) -> None:
    """Show the settings, best first, and below them the runs that are not ranked.

    Args:
        console: to print on.
        comparison: of the runs.
        limit: rows of each table; 0 for all.
    """
    if comparison.settings:
        keys, facts = _choose_columns(comparison, limit, console.width)
        sizes = f"{count(len(comparison.settings), 'setting')}, {count(len(comparison.runs), 'run')}"
        table = Table(title=f"{sizes}, by {name_metric(comparison.metric)}", title_justify="left")
        table.add_column("#", justify="right", no_wrap=True)
        for title, _ in keys:
            table.add_column(title, overflow="fold", max_width=console.width // 2 - 3)
        for title, _ in facts:
            table.add_column(title, justify="right", no_wrap=True)
        for rank, row in enumerate(zip(*(cells for _, cells in (*keys, *facts)), strict=True), start=1):
            table.add_row(str(rank), *row)
        _print(console, table, len(comparison.settings))
        for line in _explain(comparison, [title for title, _ in facts]):
            console.print(line, soft_wrap=True)
    if comparison.unfinished:
        _print(console, _list_unfinished(comparison, limit), len(comparison.unfinished))


def _print(console: Console, table: Table, num_rows: int) -> None:
    console.print(table)
    if num_rows > table.row_count:
        console.print(f"and {num_rows - table.row_count} more: --limit 0 shows all", soft_wrap=True)


def _choose_columns(comparison: Comparison, limit: int, width: int) -> tuple[list[Column], list[Column]]:
    """Fill the columns that fit a terminal; the last facts are left out first, the metric never.

    Args:
        comparison: with at least one setting.
        limit: settings that are shown, 0 for all.
        width: of the terminal, in characters.

    Returns:
        A column for each key that differs, or one with all of them if these would take more than half of the width;
        and columns of facts.
    """
    shown = comparison.settings[: limit or None]
    rows = [_describe(setting, comparison) for setting in comparison.settings]
    titles = [title for title in rows[0] if any(row[title] != NOTHING for row in rows)]
    facts = [(title, [row[title] for row in rows[: len(shown)]]) for title in titles]
    keys = [
        (name, [show(setting.hyperparameters[key]) if key in setting.hyperparameters else NOTHING for setting in shown])
        for key, name in zip(comparison.keys, shorten_keys(comparison.keys), strict=True)
    ]
    if _measure(keys) > width // 2:
        keys = [("setting", [setting.name for setting in shown])]
    room = width - min(_measure(keys), width // 2) - _measure([("#", [str(len(shown))])])
    while _measure(facts) >= room and facts[-1][0] != name_metric(comparison.metric):
        facts.pop()
    return keys, facts


def _measure(columns: Sequence[Column]) -> int:
    """Compute the width of columns: their texts, a blank on each side, and a line."""
    return sum(max(map(cell_len, [title, *cells])) + 3 for title, cells in columns)


def _describe(setting: Setting, comparison: Comparison) -> dict[str, str]:
    """Word what is known of a setting, by the title of its column: the most important first."""
    metric, split, test = comparison.metric, comparison.split, setting.against_best
    entropy = f"{split}/cross_entropy"
    first = {
        "run": NOTHING if setting.hyperparameters and comparison.keys else setting.runs[0].name,
        "seeds": str(len(setting.runs)),
        name_metric(metric): format_value(setting.mean, metric, setting.deviation),
    }
    others = {
        name_metric(TEST): format_value(setting.test_accuracy, TEST),
        "p": _format_test(test) if test else NOTHING,
        "worse in": f"{test.num_seeds_best_better} of {test.num_seeds}" if test and test.num_seeds > 1 else NOTHING,
        f"95 % ({split} images)": _format_interval(setting.interval_images, metric),
        "in best epoch": format_value(setting.best_epoch_mean, metric),
        name_metric(entropy): format_value(setting.cross_entropy, entropy),
        "95 % (seeds)": _format_interval(setting.interval_seeds, metric),
        "seconds": NOTHING if setting.seconds is None else f"{setting.seconds:.1f}",
    }
    if setting.seconds is not None and setting.stack_size > 1:
        others["seconds"] += f" ({setting.stack_size})"
    return first | others | first  # the metric may be one of the others: its column is the first one, with deviation


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


def _list_unfinished(comparison: Comparison, limit: int) -> Table:
    metric = comparison.metric
    table = Table(title=f"{count(len(comparison.unfinished), 'run')} not ranked", title_justify="left")
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("epochs", justify="right")
    table.add_column(f"{name_metric(metric)} so far", justify="right")
    table.add_column("reason", overflow="fold")
    for run in comparison.unfinished[: limit or None]:
        reason = f"has no {metric}" if run.is_complete else run.error or ""
        reason = "" if reason == run.state else reason
        reason = reason if len(reason) <= MAX_ERROR_LENGTH else f"{reason[: MAX_ERROR_LENGTH - 3]}..."
        table.add_row(run.name, run.state, str(len(run.rows)), format_value(run.metrics.get(metric), metric), reason)
    return table


def _format_interval(interval: Interval | None, metric: str) -> str:
    return " to ".join(format_number(limit, metric) for limit in interval) if interval else NOTHING


def _format_test(test: PairedTest) -> str:
    if test.p_value < SIGNIFICANCE and not test.distinguishable:
        return "ahead ≈"
    return f"{format_p(test.p_value)} {' ' if test.distinguishable else '≈'}"


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
    if is_accuracy(metric):
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3g}"


def format_p(p_value: float) -> str:
    """Format a p-value; a very small one without its digits."""
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"
