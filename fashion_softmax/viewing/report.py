"""A comparison as plain values, and as one page.

The page holds everything inside its file: a browser fetches nothing, and no text of a run becomes markup. Python
collects plain values, the scripts in `page` draw them.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from statistics import fmean
from string import Template
from typing import Any

from fashion_softmax.config.settings import printable
from fashion_softmax.files import finite_or_none
from fashion_softmax.runs.records import RunFolder, find_best, is_metric
from fashion_softmax.viewing.predictions import describe_predictions
from fashion_softmax.viewing.ranking import Comparison, Setting

PAGE_DIR = Path(__file__).parent / "page"
SCRIPTS = ("main.js", "header.js", "table.js", "filters.js", "charts.js", "curves.js", "panels.js", "predictions.js")
JOINS: dict[str, Callable[[Sequence[float]], float]] = {"mean": fmean, "low": min, "high": max}  # over seeds
# Of each run, beside what is computed here.
RUN_FACTS = ("name", "state", "seed", "metrics", "best", "seconds", "stack_size", "hyperparameters", "error")
# Nothing ends the data's script element; ASCII spares U+2028 and lone surrogates, too.
ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&"})


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Describe all of a comparison in plain values, named as in the JSON output."""

    def describe_run(run: RunFolder) -> dict[str, Any]:
        facts = {name: getattr(run, name) for name in RUN_FACTS}
        best_epoch = (find_best(run.rows, comparison.metric) or (None,))[0]
        return facts | {"num_epochs": len(run.rows), "best_epoch": best_epoch, "path": printable(str(run.path))}

    def describe_setting(setting: Setting) -> dict[str, Any]:
        test, runs = setting.against_best, [describe_run(run) for run in setting.runs]
        facts = {name: value for name, value in vars(setting).items() if name != "best_run"}
        return facts | {"num_seeds": len(runs), "against_best": test and vars(test), "runs": runs}

    return vars(comparison) | {
        "settings": [describe_setting(setting) for setting in comparison.settings],
        "unfinished": [describe_run(run) for run in comparison.unfinished],
    }


def make_report(comparison: Comparison) -> str:
    """Make a page with tables, charts and pictures that a browser shows without a network.

    Args:
        comparison: of the runs. Pictures need the best run's data set on this machine; without it the page says so.

    Returns:
        HTML, which grows with the epochs of all runs. The page's own policy lets it run the scripts inside it and load
        nothing at all.
    """
    style = _read("style.css")
    content = finite_or_none(_collect(comparison))
    script = "\n".join(map(_read, SCRIPTS))
    return Template(_read("page.html")).substitute(
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=json.dumps(content, separators=(",", ":"), allow_nan=False).translate(ESCAPES),
    )


def _read(name: str) -> str:
    return (PAGE_DIR / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Compute what a content security policy knows an inline script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _collect(comparison: Comparison) -> dict[str, Any]:
    """Describe what the page shows. It may be shown to other people: it names no folder of its author's."""
    content, keys = to_dict(comparison), set(comparison.keys)
    items = [setting.hyperparameters.items() for setting in comparison.settings]
    shared = [item for item in (items[0] if items else ()) if all(item in other for other in items)]
    for setting in content["settings"]:
        setting["hyperparameters"] = {key: value for key, value in setting["hyperparameters"].items() if key in keys}
    for facts in [*content["unfinished"], *(run for setting in content["settings"] for run in setting["runs"])]:
        del facts["path"], facts["hyperparameters"]  # the setting has these already
    return content | {
        "date": datetime.now().astimezone().isoformat(" ", "minutes"),
        "split": comparison.metric.partition("/")[0],
        "shared": {key: value for key, value in shared if key not in (*keys, "dataset.root")},  # a folder of the author
        "curves": _describe_curves(comparison),
        **describe_predictions(comparison),
    }


def _describe_curves(comparison: Comparison) -> list[dict[str, Any]]:
    """List for each setting `epochs`, and by tag the `mean` over seeds, with `low` and `high` if there are several."""
    tags = dict.fromkeys(tag for run in comparison.runs for row in run.rows[:1] for tag in row if is_metric(tag))
    curves = []
    for setting in comparison.settings:
        # For each epoch, a row of each run; it is empty where the run has fewer epochs.
        epochs = list(zip_longest(*(run.rows for run in setting.runs), fillvalue={}))
        curve: dict[str, Any] = {"epochs": list(range(1, len(epochs) + 1)), "values": {}}
        for tag in tags:
            found = [[row[tag] for row in rows if tag in row] for rows in epochs]
            curve["values"][tag] = {
                name: [float(f"{join(each):.5g}") if each else None for each in found]  # a chart shows five digits
                for name, join in JOINS.items()
                if name == "mean" or len(setting.runs) > 1
            }
        curves.append(curve)
    return curves
