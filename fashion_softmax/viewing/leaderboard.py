"""The leaderboard in the terminal: settings, best first, and the runs that are not ranked; and numbers as text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from fashion_softmax.config.settings import shorten_keys, show
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.viewing.ranking import TEST, Comparison
from fashion_softmax.viewing.runs import is_accuracy
from fashion_softmax.viewing.setting import SIGNIFICANCE, Interval, Setting

NOTHING = "-"
MAX_ERROR_LENGTH = 100  # characters
WANTED = 3  # columns of this priority or a smaller one are more important than a column for each key


@dataclass(frozen=True)
class _Column:
    title: str
    show: Callable[[Setting], str]
    priority: int = 0  # the largest is left out first where the terminal is too narrow, 0 never


def show_leaderboard(console: Console, comparison: Comparison, limit: int) -> None:
    """Show the settings, best first, and below them the runs that are not ranked.

    Args:
        console: to print on.
        comparison: of the runs.
        limit: rows of each table; 0 for all.
    """
    settings = comparison.settings
    if settings:
        shown = settings[:limit] if limit else settings
        columns = _columns(comparison)

        def fits(columns: Sequence[_Column], max_width: int | None = None) -> bool:
            table = _leaderboard(comparison, shown, columns, max_width)
            return Measurement.get(console, console.options.update(max_width=10_000), table).maximum <= console.width

        max_width = None if fits([each for each in columns if each.priority <= WANTED]) else console.width // 2
        while not fits(columns, max_width) and any(column.priority for column in columns):
            columns.remove(max(columns, key=lambda column: column.priority))
        console.print(_leaderboard(comparison, shown, columns, max_width))
        if len(shown) < len(settings):
            console.print(f"and {len(settings) - len(shown)} more: --limit 0 shows all", soft_wrap=True)
        for line in _explain(comparison, columns):
            console.print(line, soft_wrap=True)
    if comparison.unfinished:
        _show_unfinished(console, comparison, limit)


def _leaderboard(
    comparison: Comparison, settings: Sequence[Setting], columns: Sequence[_Column], max_width: int | None
) -> Table:
    """Make the table with a column for each key that differs, or with one column of this width for all of them."""
    sizes = f"{count(len(comparison.settings), 'setting')}, {count(len(comparison.runs), 'run')}"
    table = Table(title=f"{sizes}, by {name_metric(comparison.metric)}", title_justify="left")
    table.add_column("#", justify="right", no_wrap=True)
    for name in ["setting"] if max_width else shorten_keys(comparison.keys):
        table.add_column(name, overflow="fold", max_width=max_width)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for setting in settings:
        known = setting.hyperparameters
        values = [show(known[key]) if key in known else NOTHING for key in comparison.keys]
        values = [comparison.name(setting)] if max_width else values
        table.add_row(str(setting.rank), *values, *(column.show(setting) for column in columns))
    return table


def _columns(comparison: Comparison) -> list[_Column]:
    """List the columns beside the keys, without those that have nothing to show."""
    metric, split = comparison.metric, comparison.split
    entropy = f"{split}/cross_entropy"
    columns = [
        _Column("seeds", lambda setting: str(len(setting.runs)), 2),
        _Column(name_metric(metric), format_mean),
        _Column("test accuracy", lambda setting: format_value(setting.average(TEST), TEST), 1),
        _Column("p", _format_test, 3),
        _Column("worse in", _format_num_worse, 4),
        _Column(f"95 % ({split} images)", lambda setting: _format_interval(setting.interval_images, metric), 5),
        _Column("in best epoch", lambda setting: format_value(setting.average_best(), metric), 6),
        _Column(f"{split} cross-entropy", lambda setting: format_value(setting.average(entropy), entropy), 7),
        _Column("95 % (seeds)", lambda setting: _format_interval(setting.interval_seeds, metric), 8),
        _Column("seconds", _format_seconds, 9),
    ]
    if metric == TEST:
        del columns[2]  # it is the column before
    if not all(setting.hyperparameters and comparison.keys for setting in comparison.settings):
        columns.insert(0, _Column("run", lambda setting: setting.runs[0].name))
    return [column for column in columns if any(column.show(each) != NOTHING for each in comparison.settings)]


def _explain(comparison: Comparison, columns: Sequence[_Column]) -> list[str]:
    titles = {column.title for column in columns}
    best = comparison.settings[0].best_run
    lines = [f"best run: {shorten(best.path)}", f"ranked by {name_metric(comparison.metric)}: {comparison.reason}"]
    if any(setting.deviation is not None for setting in comparison.settings):
        lines.append("±: standard deviation over seeds")
    if "p" in titles:
        lines.append(
            "p: McNemar's test against the best on the same test images, in the middle one of the seeds; "
            "≈: cannot be told from it (not behind it with p < 0.05)"
        )
    if "worse in" in titles:
        lines.append("worse in: seeds in which it is behind the best with p < 0.05")
    if "seconds" in titles and any(setting.runs[0].stack_size > 1 for setting in comparison.settings):
        lines.append("seconds: of a run's whole stack, of so many runs")
    if comparison.num_repeated:
        lines.append(
            f"{count(comparison.num_repeated, 'run')} left out, repeated later with the same settings and seed"
        )
    return lines


def _show_unfinished(console: Console, comparison: Comparison, limit: int) -> None:
    runs = comparison.unfinished[:limit] if limit else comparison.unfinished
    table = Table(title=f"{count(len(comparison.unfinished), 'run')} not ranked", title_justify="left")
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("epochs", justify="right")
    table.add_column(f"{name_metric(comparison.metric)} so far", justify="right")
    table.add_column("reason", overflow="fold")
    for run in runs:
        value = format_value(run.metrics.get(comparison.metric), comparison.metric)
        reason = f"has no {comparison.metric}" if run.is_complete else run.error or ""
        reason = "" if reason == run.state else reason
        reason = reason if len(reason) <= MAX_ERROR_LENGTH else f"{reason[: MAX_ERROR_LENGTH - 3]}..."
        table.add_row(run.name, run.state, str(run.num_epochs), value, reason)
    console.print(table)
    if len(runs) < len(comparison.unfinished):
        console.print(f"and {len(comparison.unfinished) - len(runs)} more: --limit 0 shows all", soft_wrap=True)


def _format_interval(interval: Interval | None, metric: str) -> str:
    return " to ".join(format_number(limit, metric) for limit in interval) if interval else NOTHING


def _format_test(setting: Setting) -> str:
    test = setting.against_best
    if test is None:
        return NOTHING
    if test.p_value < SIGNIFICANCE and not test.is_first_better:
        return "ahead ≈"
    return f"{format_p(test.p_value)} {'≈' if setting.is_like_best else ' '}"


def _format_num_worse(setting: Setting) -> str:
    return f"{setting.num_worse} of {len(setting.tests)}" if len(setting.tests) > 1 else NOTHING


def _format_seconds(setting: Setting) -> str:
    seconds, size = setting.average_seconds(), setting.runs[0].stack_size
    return NOTHING if seconds is None else f"{seconds:.1f} ({size})" if size > 1 else f"{seconds:.1f}"


def name_metric(tag: str) -> str:
    """Name a tag, such as `test cross-entropy`."""
    return tag.replace("/", " ").replace("cross_entropy", "cross-entropy")


def format_mean(setting: Setting) -> str:
    """Format a setting's mean with its deviation, such as `83.18 ± 0.20 %`."""
    spread = "" if setting.deviation is None else f" ± {format_number(setting.deviation, setting.metric)}"
    return f"{format_number(setting.mean, setting.metric)}{spread}{unit(setting.metric)}"


def format_value(value: float | None, metric: str) -> str:
    """Format a value of a metric with its unit."""
    return NOTHING if value is None else f"{format_number(value, metric)}{unit(metric)}"


def format_number(value: float, metric: str) -> str:
    """Format a value of a metric without its unit: percent for an accuracy, four decimals for others."""
    if is_accuracy(metric):
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3g}"


def format_p(p_value: float) -> str:
    """Format a p-value; a very small one without its digits."""
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def unit(metric: str) -> str:
    """Give the unit of a metric, with the space before it."""
    return " %" if is_accuracy(metric) else ""
