"""The leaderboard in the terminal: settings, best first, and the runs that did not complete."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from fashion_softmax.config.settings import shorten_keys, show
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.viewing.formatting import (
    NOTHING,
    format_mean,
    format_number,
    format_p,
    format_value,
    name_metric,
)
from fashion_softmax.viewing.ranking import TEST, Comparison
from fashion_softmax.viewing.setting import Setting
from fashion_softmax.viewing.statistics import SIGNIFICANCE, Interval

MAX_ERROR_LENGTH = 100
WANTED = 3  # columns of this priority or a smaller one come before a column for each key


@dataclass(frozen=True)
class _Column:
    title: str
    show: Callable[[Setting], str]
    priority: int = 0  # the largest is left out first where the terminal is too narrow, 0 never


def show_leaderboard(console: Console, comparison: Comparison, limit: int) -> None:
    """Show the settings, best first, and below them the runs that did not complete.

    Args:
        console: to print on.
        comparison: of the runs.
        limit: rows of each table; 0 for all.
    """
    settings = comparison.settings
    if settings:
        shown = settings[:limit] if limit else settings
        columns = _columns(comparison)
        table = _leaderboard(comparison, shown, [column for column in columns if column.priority <= WANTED])
        max_width = console.width // 2 if _natural_width(console, table) > console.width else None
        while _natural_width(console, _leaderboard(comparison, shown, columns, max_width)) > console.width:
            optional = [column for column in columns if column.priority]
            if not optional:
                break
            columns.remove(max(optional, key=lambda column: column.priority))
        console.print(_leaderboard(comparison, shown, columns, max_width))
        if len(shown) < len(settings):
            console.print(f"and {len(settings) - len(shown)} more: --limit 0 shows all", soft_wrap=True)
        for line in _explain(comparison, columns):
            console.print(line, soft_wrap=True)
    if comparison.unfinished:
        _show_unfinished(console, comparison, limit)


def _natural_width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _leaderboard(
    comparison: Comparison, settings: Sequence[Setting], columns: Sequence[_Column], max_width: int | None = None
) -> Table:
    """Make the table with a column for each key that differs, or with one for all of them, at most so wide."""
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
    metric, split = comparison.metric, comparison.split
    columns = []
    if not all(setting.hyperparameters and comparison.keys for setting in comparison.settings):
        columns.append(_Column("run", lambda setting: setting.runs[0].name))
    columns += [
        _Column("seeds", lambda setting: str(len(setting.runs)), priority=2),
        _Column(name_metric(metric), lambda setting: format_mean(setting, metric)),
    ]
    if metric != TEST:
        columns.append(_Column("test accuracy", lambda setting: format_value(setting.average(TEST), TEST), priority=1))
    columns += [
        _Column("p", _format_p, priority=3),
        _Column("worse in", _format_num_worse, priority=4),
        _Column(
            f"95 % ({split} images)", lambda setting: _format_interval(setting.interval_images, metric), priority=5
        ),
        _Column("in best epoch", lambda setting: format_value(setting.average_best(metric), metric), priority=6),
        _Column(
            f"{split} cross-entropy",
            lambda setting: format_value(setting.average(f"{split}/cross_entropy"), "cross_entropy"),
            priority=7,
        ),
        _Column("95 % (seeds)", lambda setting: _format_interval(setting.interval_seeds, metric), priority=8),
        _Column("seconds", _format_seconds, priority=9),
    ]
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
        reason = run.error if run.error and run.error != run.state else ""
        if run.is_complete:
            reason = f"has no {comparison.metric}"
        reason = reason if len(reason) <= MAX_ERROR_LENGTH else f"{reason[: MAX_ERROR_LENGTH - 3]}..."
        table.add_row(run.name, run.state, str(run.num_epochs), value, reason)
    console.print(table)
    if len(runs) < len(comparison.unfinished):
        console.print(f"and {len(comparison.unfinished) - len(runs)} more: --limit 0 shows all", soft_wrap=True)


def _format_interval(interval: Interval | None, metric: str) -> str:
    if interval is None:
        return NOTHING
    return f"{format_number(interval[0], metric)} to {format_number(interval[1], metric)}"


def _format_p(setting: Setting) -> str:
    if setting.against_best is None:
        return NOTHING
    test = setting.against_best
    if test.p_value < SIGNIFICANCE and not test.is_first_better:
        return "ahead ≈"
    words = format_p(test.p_value)
    return f"{words} ≈" if setting.is_like_best else f"{words}  "


def _format_num_worse(setting: Setting) -> str:
    return f"{setting.num_worse} of {len(setting.tests)}" if len(setting.tests) > 1 else NOTHING


def _format_seconds(setting: Setting) -> str:
    seconds, size = setting.average_seconds(), setting.runs[0].stack_size
    return NOTHING if seconds is None else f"{seconds:.1f} ({size})" if size > 1 else f"{seconds:.1f}"
