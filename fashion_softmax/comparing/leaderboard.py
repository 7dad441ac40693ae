"""The leaderboard in the terminal: settings, best first, and the runs that did not complete."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from fashion_softmax.comparing.formatting import (
    NOTHING,
    format_mean,
    format_number,
    format_seconds,
    format_value,
    name_metric,
)
from fashion_softmax.comparing.ranking import TEST, Comparison
from fashion_softmax.comparing.setting import Setting
from fashion_softmax.comparing.statistics import Interval
from fashion_softmax.console import count, shorten
from fashion_softmax.hyperparameters import show

MAX_ERROR_LENGTH = 100


@dataclass(frozen=True)
class _Column:
    title: str
    show: Callable[[Setting], str]
    is_optional: bool = False  # left out, last one first, where the terminal is too narrow


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
        while _natural_width(console, _leaderboard(comparison, shown, columns)) > console.width:
            optional = [column for column in columns if column.is_optional]
            if not optional:
                break
            columns.remove(optional[-1])
        console.print(_leaderboard(comparison, shown, columns))
        if len(shown) < len(settings):
            console.print(f"and {len(settings) - len(shown)} more: --limit 0 shows all", soft_wrap=True)
        for line in _explain(comparison, columns):
            console.print(line, soft_wrap=True)
    if comparison.unfinished:
        _show_unfinished(console, comparison, limit)


def _natural_width(console: Console, table: Table) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _leaderboard(comparison: Comparison, settings: Sequence[Setting], columns: Sequence[_Column]) -> Table:
    sizes = f"{count(len(comparison.settings), 'setting')}, {count(len(comparison.runs), 'run')}"
    title = f"{sizes}, by {name_metric(comparison.metric)}"
    table = Table(title=title, title_justify="left")
    table.add_column("#", justify="right", no_wrap=True)
    for key in comparison.keys:
        table.add_column(key, overflow="fold")
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for setting in settings:
        values = [
            show(setting.hyperparameters[key]) if key in setting.hyperparameters else NOTHING for key in comparison.keys
        ]
        table.add_row(str(setting.rank), *values, *(column.show(setting) for column in columns))
    return table


def _columns(comparison: Comparison) -> list[_Column]:
    metric, split = comparison.metric, comparison.split
    columns = []
    if not all(setting.hyperparameters and comparison.keys for setting in comparison.settings):
        columns.append(_Column("run", lambda setting: setting.runs[0].name))
    columns += [
        _Column("seeds", lambda setting: str(len(setting.runs))),
        _Column(name_metric(metric), lambda setting: format_mean(setting, metric)),
    ]
    if metric != TEST:
        columns.append(_Column("test accuracy", lambda setting: format_value(setting.average(TEST), TEST)))
    columns += [
        _Column("95 % (images)", lambda setting: _format_interval(setting.interval_images, metric)),
        _Column("p", _format_p),
        _Column("best epoch", lambda setting: format_value(setting.average_best(metric), metric), is_optional=True),
        _Column(
            f"{split} cross-entropy",
            lambda setting: format_value(setting.average(f"{split}/cross_entropy"), "cross_entropy"),
            is_optional=True,
        ),
        _Column("95 % (seeds)", lambda setting: _format_interval(setting.interval_seeds, metric), is_optional=True),
        _Column("seconds", lambda setting: format_seconds(setting.average_seconds()), is_optional=True),
    ]
    return [column for column in columns if any(column.show(each) != NOTHING for each in comparison.settings)]


def _explain(comparison: Comparison, columns: Sequence[_Column]) -> list[str]:
    titles = {column.title for column in columns}
    best = comparison.settings[0].runs[0]
    lines = [f"best: {shorten(best.path)}", f"by {name_metric(comparison.metric)}: {comparison.reason}"]
    if any(setting.deviation is not None for setting in comparison.settings):
        lines.append("±: standard deviation over seeds")
    if "p" in titles:
        lines.append(
            "p: McNemar's test against the best on the same test images, in the seed that speaks least for the best; "
            "≈: cannot be told from it (p ≥ 0.05, or ahead of it)"
        )
    if comparison.num_repeated:
        lines.append(f"{comparison.num_repeated} runs left out: a later one has the same settings and seed")
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
        reason = run.error or ""
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
    p_value = setting.against_best.p_value
    words = f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"
    return f"{words} ≈" if setting.is_like_best else f"{words}  "
