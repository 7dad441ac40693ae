"""Averages by a hyper-parameter, and two runs side by side, in the terminal."""

from statistics import fmean, stdev

from rich.console import Console
from rich.table import Table

from fashion_softmax.comparing.formatting import (
    NOTHING,
    format_mean,
    format_number,
    format_seconds,
    format_value,
    name_metric,
    unit,
)
from fashion_softmax.comparing.ranking import TEST, Comparison
from fashion_softmax.comparing.runs import RecordedRun
from fashion_softmax.comparing.setting import Setting
from fashion_softmax.console import shorten
from fashion_softmax.hyperparameters import Value, flatten, show, word
from fashion_softmax.run_names import GROUPS


def show_by(console: Console, comparison: Comparison, key: str) -> None:
    """Show, for each value of a hyper-parameter, its best setting and the mean over all of them.

    Args:
        console: to print on.
        comparison: of the runs.
        key: such as `loss` or `optimizer.lr`.
    """
    groups: dict[str, list[Setting]] = {}
    for setting in comparison.settings:  # best first, and so are the groups and what is in them
        value = show(setting.hyperparameters[key]) if key in setting.hyperparameters else NOTHING
        groups.setdefault(value, []).append(setting)
    metric = comparison.metric
    table = Table(title=f"{name_metric(metric)} by {key}", title_justify="left")
    table.add_column(key)
    for title in ("settings", "runs", "best", "mean", "worst"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("best setting", overflow="fold")
    others = [other for other in comparison.keys if other != key]
    for value, settings in groups.items():
        means = [setting.mean for setting in settings]
        spread = f" ± {format_number(stdev(means), metric)}" if len(means) > 1 else ""
        table.add_row(
            value,
            str(len(settings)),
            str(sum(len(setting.runs) for setting in settings)),
            format_mean(settings[0], metric),
            f"{format_number(fmean(means), metric)}{spread}{unit(metric)}",
            format_value(settings[-1].mean, metric),
            word(settings[0].hyperparameters, others) or NOTHING,
        )
    console.print(table)
    console.print("best: mean ± deviation over its seeds; mean: ± deviation over the settings", soft_wrap=True)


def show_differences(console: Console, first: RecordedRun, second: RecordedRun) -> None:
    """Show two configurations and their results side by side; what differs is marked."""
    table = Table(title="two runs, ≠ where they differ", title_justify="left")
    table.add_column("")
    table.add_column("key", overflow="fold")
    for run in (first, second):
        table.add_column(shorten(run.path), overflow="fold")
    one, other = (_settings(run) for run in (first, second))
    sections = [*GROUPS, *(key.partition(".")[0] for key in one)]
    for key in sorted(
        {**one, **other},
        key=lambda key: sections.index(key.partition(".")[0]) if key.partition(".")[0] in sections else len(sections),
    ):
        values = [show(each[key]) if key in each else NOTHING for each in (one, other)]
        differs = values[0] != values[1]
        table.add_row("≠" if differs else "", key, *values, style="bold" if differs else "dim")
    table.add_section()
    facts = [_facts(run) for run in (first, second)]
    for name in dict.fromkeys([*facts[0], *facts[1]]):
        table.add_row("", name, *(each.get(name, NOTHING) for each in facts))
    console.print(table)


def _settings(run: RecordedRun) -> dict[str, Value]:
    """List all settings, options by name."""
    rest = {key: value for key, value in flatten(run.config) if not key.endswith("._target_")}
    settings = {**run.hyperparameters, **rest}
    return {key: value for key, value in settings.items() if not key.startswith("sweep.")}


def _facts(run: RecordedRun) -> dict[str, str]:
    facts = {"state": run.state, "epochs": str(run.num_epochs)}
    facts |= {name_metric(tag): format_value(value, tag) for tag, value in run.metrics.items() if tag != "lr"}
    if run.best:
        facts["best epoch"] = f"{format_value(run.best.get('objective'), TEST)} in epoch {run.best.get('epoch', 0):.0f}"
    return facts | {f"seconds, {name}": format_seconds(value) for name, value in run.seconds.items()}
