"""Tables of a comparison for the terminal: averages by a hyper-parameter, and two runs side by side."""

from statistics import fmean, stdev

from rich.console import Console
from rich.table import Table

from fashion_softmax.config.settings import GROUPS, SECTIONS_THAT_SAY_NOTHING, Value, flatten, printable, show, word
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.viewing.leaderboard import NOTHING, format_p, format_value, name_metric
from fashion_softmax.viewing.ranking import Comparison
from fashion_softmax.viewing.runs import RecordedRun
from fashion_softmax.viewing.setting import TEST, Setting, compare_pair


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
    unfinished = [show(run.hyperparameters.get(key)) for run in comparison.unfinished]
    for title in ("settings", "runs", "not ranked", "best", "mean", "worst"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("best setting", overflow="fold")
    others = [other for other in comparison.keys if other != key]
    for value, settings in groups.items():
        means = [setting.mean for setting in settings]
        table.add_row(
            value,
            str(len(settings)),
            str(sum(len(setting.runs) for setting in settings)),
            str(unfinished.count(value)),
            format_value(means[0], metric, settings[0].deviation),
            format_value(fmean(means), metric, stdev(means) if len(means) > 1 else None),
            format_value(means[-1], metric),
            word(settings[0].hyperparameters, others) or NOTHING,
        )
    console.print(table)
    for value in sorted(set(unfinished) - groups.keys()):
        console.print(f"{key}={value}: {count(unfinished.count(value), 'run')}, none of them complete", soft_wrap=True)
    console.print("best: mean ± deviation over its seeds; mean: ± deviation over the settings", soft_wrap=True)
    console.print("not ranked: runs that diverged, failed or did not end, which no mean counts", soft_wrap=True)


def show_differences(console: Console, first: RecordedRun, second: RecordedRun) -> None:
    """Show two configurations and their results side by side: what differs first, then the results, then the rest."""
    table = Table(title="two runs, ≠ where their settings differ", title_justify="left")
    table.add_column("")
    table.add_column("key", overflow="fold")
    for run in (first, second):
        table.add_column(shorten(run.path), overflow="fold")
    one, other = _settings(first), _settings(second)
    sections = [*GROUPS, *(key.partition(".")[0] for key in (*one, *other))]
    keys = sorted({**one, **other}, key=lambda key: sections.index(key.partition(".")[0]))
    rows = [(key, *(show(each[key]) if key in each else NOTHING for each in (one, other))) for key in keys]
    for row in rows:
        if row[1] != row[2]:
            table.add_row("≠", *row, style="bold")
    table.add_section()
    facts = [_facts(run) for run in (first, second)]
    for name in dict.fromkeys([*facts[0], *facts[1]]):
        table.add_row("", name, *(each.get(name, NOTHING) for each in facts))
    table.add_section()
    for row in rows:
        if row[1] == row[2]:
            table.add_row("", *row, style="dim")
    console.print(table)
    if test := compare_pair(first, second):
        console.print(
            f"of the test images the first alone gets {test[0]} right, the second alone {test[1]}: "
            f"McNemar's p {format_p(test[2])}",
            soft_wrap=True,
        )


def _settings(run: RecordedRun) -> dict[str, Value]:
    """List all settings, options by name."""
    rest = {printable(key): value for key, value in flatten(run.config) if not key.endswith("._target_")}
    settings = run.hyperparameters | rest
    return {key: value for key, value in settings.items() if key.partition(".")[0] not in SECTIONS_THAT_SAY_NOTHING}


def _facts(run: RecordedRun) -> dict[str, str]:
    facts = {"state": run.state, "epochs": str(len(run.rows))} | ({"reason": run.error} if run.error else {})
    facts |= {name_metric(tag): format_value(value, tag) for tag, value in run.metrics.items() if tag != "lr"}
    if run.best:
        best = format_value(run.best.get("objective"), TEST)
        facts["in best epoch"] = f"{best} in epoch {run.best.get('epoch', 0):.0f}"
    return facts | {f"seconds, {name}": f"{value:.1f}" for name, value in run.seconds.items()}
