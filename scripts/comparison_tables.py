"""Tables of `compare_runs.py` beside the leaderboard: averages by a hyper-parameter, two runs side by side, CSV."""

import csv
import io
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from rich.console import Console

from fashion_softmax.config.settings import NEUTRAL_SECTIONS, flatten, printable, shorten_keys, show, word
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.viewing.evidence import compare_pair
from fashion_softmax.viewing.leaderboard import NOTHING, format_p, format_value, name_metric, show_key, show_table
from fashion_softmax.viewing.ranking import TEST, Comparison, Setting
from fashion_softmax.viewing.report import to_dict


def show_by(console: Console, comparison: Comparison, keys: Sequence[str]) -> None:
    """Show, for each combination of hyper-parameters, its best setting and the mean over all of them.

    Args:
        console: to print on.
        comparison: of the runs.
        keys: such as `loss` and `optimizer.lr`.
    """

    def name(each: Setting | RunFolder) -> tuple[str, ...]:
        return tuple(show_key(each, key) for key in keys)

    groups: dict[tuple[str, ...], list[Setting]] = {}
    for setting in comparison.settings:  # best first, and so are the groups and what is in them
        groups.setdefault(name(setting), []).append(setting)
    metric, others = comparison.metric, [other for other in comparison.keys if other not in keys]
    unfinished = list(map(name, comparison.unfinished))
    titles = shorten_keys(keys)
    rows = []
    for values, group in groups.items():
        means = [setting.mean for setting in group]
        numbers = {
            "best": format_value(means[0], metric, group[0].deviation),
            "mean": format_value(fmean(means), metric, stdev(means) if len(means) > 1 else None),
            "worst": format_value(means[-1], metric),
            "settings": str(len(group)),
            "runs": str(sum(len(setting.runs) for setting in group)),
            "not ranked": str(unfinished.count(values)) if unfinished else NOTHING,
        }
        texts = dict(zip(titles, values, strict=True))
        rows.append((texts | {"best setting": word(group[0].hyperparameters, others) or NOTHING}, numbers))
    show_table(console, f"{name_metric(metric)} by {', '.join(keys)}", rows)
    for values in sorted(set(unfinished) - groups.keys()):
        what = " ".join(f"{title}={value}" for title, value in zip(titles, values, strict=True))
        console.print(f"{what}: {count(unfinished.count(values), 'run')}, none of them complete")
    console.print("best: mean ± deviation over its seeds; mean: ± deviation over the settings")
    if unfinished:
        console.print("not ranked: runs that diverged, failed or did not end, which no mean counts")


def show_differences(console: Console, first: RunFolder, second: RunFolder) -> None:
    """Show what differs between the configurations of two runs, and their results side by side."""
    settings, results = ([words(run) for run in (first, second)] for words in (_word_settings, _word_results))
    differing = [key for key in settings[0] | settings[1] if settings[0].get(key) != settings[1].get(key)]
    titles = ["", *(shorten(run.path) for run in (first, second))]
    for title, facts, keys in (
        ("where their settings differ", settings, differing or [NOTHING]),
        ("their results", results, results[0] | results[1]),
    ):
        rows = [[key, *(each.get(key, NOTHING) for each in facts)] for key in keys]
        show_table(console, title, [(dict(zip(titles, row, strict=True)), {}) for row in rows])
    if test := compare_pair(first, second):
        console.print(
            f"of the test images the first alone gets {test[0]} right, the second alone {test[1]}: "
            f"McNemar's p {format_p(test[2])}"
        )


def _word_settings(run: RunFolder) -> dict[str, str]:
    config = {printable(key): value for key, value in flatten(run.config) if "._target_" not in key}
    settings = (run.hyperparameters | config).items()
    return {key: show(value) for key, value in settings if key.partition(".")[0] not in NEUTRAL_SECTIONS}


def _word_results(run: RunFolder) -> dict[str, str]:
    facts = {"state": run.state, "epochs": str(len(run.rows))} | ({"reason": run.error} if run.error else {})
    facts |= {name_metric(tag): format_value(value, tag) for tag, value in run.metrics.items() if tag != "lr"}
    if run.best:
        best = format_value(run.best.get("objective"), TEST)
        facts["in best epoch"] = f"{best} in epoch {run.best.get('epoch', 0):.0f}"
    return facts | {f"seconds, {name}": f"{value:.1f}" for name, value in run.seconds.items()}


def to_csv(comparison: Comparison) -> str:
    """Write a line for each run, ranked ones first: the facts of `to_dict`, with its setting's mean."""
    content, rows = to_dict(comparison), []
    for setting in [*content["settings"], {"runs": content["unfinished"]}]:
        shared = {"ranked_by": comparison.metric if "rank" in setting else None}
        shared |= {name: setting.get(name) for name in ("mean", "deviation")}
        shared |= {"p_value": (setting.get("against_best") or {}).get("p_value")}
        for run in setting["runs"]:
            facts = {"rank": setting.get("rank")} | {name: run[name] for name in ("name", "state", "seed")} | shared
            facts |= {"num_epochs": run["num_epochs"]} | run["hyperparameters"] | run["metrics"]
            facts |= {f"{kind}/{name}": value for kind in ("best", "seconds") for name, value in run[kind].items()}
            rows.append(facts | {"path": run["path"]})
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
