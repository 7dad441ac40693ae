"""A comparison as plain values, for JSON, and as one page.

The page holds everything inside its file: a browser fetches nothing, and no text of a run becomes markup. Python
collects plain values, the scripts in `page` draw them.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean
from string import Template
from typing import Any

import numpy as np

from fashion_softmax.config.settings import Value, printable
from fashion_softmax.files import finite_or_none
from fashion_softmax.viewing.predictions import describe_predictions
from fashion_softmax.viewing.ranking import TEST, Comparison
from fashion_softmax.viewing.runs import RecordedRun, is_metric
from fashion_softmax.viewing.setting import Setting

PAGE_DIR = Path(__file__).parent / "page"
SCRIPTS = ("main.js", "header.js", "table.js", "filters.js", "charts.js", "curves.js", "panels.js", "predictions.js")
MAX_TEXT = 1000  # characters; a run's own texts may be of any length
MAX_TAGS = 40
MAX_VALUES = 250_000  # of all curves, about 2 MB; longer ones are thinned out
JOINS: dict[str, Callable[[Sequence[float]], float]] = {"mean": fmean, "low": min, "high": max}  # over seeds
MIN_EPOCHS = 10  # that a curve keeps at least
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # nothing then ends the script element that holds the data


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Describe all of a comparison in plain values, for JSON and for the page."""
    return {
        "metric": comparison.metric,
        "reason": comparison.reason,
        "keys": comparison.keys,
        "num_repeated": comparison.num_repeated,
        "settings": [_describe_setting(setting, comparison) for setting in comparison.settings],
        "unfinished": [_describe_run(run) | {"error": run.error} for run in comparison.unfinished],
    }


def _describe_setting(setting: Setting, comparison: Comparison) -> dict[str, Any]:
    test = setting.against_best
    return {
        "rank": setting.rank,
        "name": comparison.name(setting),
        "hyperparameters": setting.hyperparameters,
        "mean": setting.mean,
        "deviation": setting.deviation,
        "num_seeds": len(setting.runs),
        "num_images": setting.num_images,
        "interval_images": setting.interval_images,
        "interval_seeds": setting.interval_seeds,
        "best_epoch_mean": setting.average_best(),
        "test_accuracy": setting.average(TEST),
        "cross_entropy": setting.average(f"{comparison.split}/cross_entropy"),
        "seconds": setting.average_seconds(),
        "stack_size": setting.runs[0].stack_size,
        "against_best": test
        and {
            "seed": test.seed,
            "only_best_correct": test.only_first,
            "only_this_correct": test.only_second,
            "p_value": test.p_value,
            "distinguishable": not setting.is_like_best,
            "num_seeds": len(setting.tests),
            "num_seeds_best_better": setting.num_worse,
        },
        "runs": [_describe_run(run) for run in setting.runs],
    }


def _describe_run(run: RecordedRun) -> dict[str, Any]:
    names = ("name", "state", "seed", "num_epochs", "metrics", "best", "seconds", "stack_size", "hyperparameters")
    return {"path": printable(str(run.path)), **{name: getattr(run, name) for name in names}}


def make_report(comparison: Comparison) -> str:
    """Make a page with tables, charts and pictures that a browser shows without a network.

    Args:
        comparison: of the runs. Pictures need the best run's data set on this machine; without it the page says so.

    Returns:
        HTML, at most a few MB. The page's own policy lets it run the scripts inside it and load nothing at all.
    """
    style = _read("style.css")
    script = "\n".join(map(_read, SCRIPTS))
    return Template(_read("page.html")).substitute(
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        data=_to_json(_collect(comparison)),
    )


def _read(name: str) -> str:
    return (PAGE_DIR / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Compute what a content security policy knows an inline script or style by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _to_json(content: Any) -> str:
    """Write JSON that may stand inside an HTML script element: ASCII, which spares U+2028 and lone surrogates too."""
    text = json.dumps(finite_or_none(_cut(content)), separators=(",", ":"), allow_nan=False)
    for character, escape in ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _cut(value: Any) -> Any:
    """Shorten every text inside lists and dictionaries."""
    if isinstance(value, dict):
        return {str(key)[:MAX_TEXT]: _cut(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(item) for item in value]
    if isinstance(value, str) and len(value) > MAX_TEXT and not value.startswith("data:"):
        return f"{value[: MAX_TEXT - 1]}\u2026"
    return value


def _collect(comparison: Comparison) -> dict[str, Any]:
    """Describe what the page shows. It may be shown to other people: it names no folder of its author's."""
    content = to_dict(comparison)
    for setting, values in zip(comparison.settings, content["settings"], strict=True):
        known = values["hyperparameters"]
        values["hyperparameters"] = {key: known[key] for key in comparison.keys if key in known}
        for run, facts in zip(setting.runs, values["runs"], strict=True):
            facts["best_epoch"] = (run.find_best(comparison.metric) or (None,))[0]
    for facts in [*content["unfinished"], *(run for setting in content["settings"] for run in setting["runs"])]:
        del facts["path"], facts["hyperparameters"]  # the setting has them already
    return content | {
        "date": datetime.now().astimezone().isoformat(" ", "minutes"),
        "split": comparison.split,
        "shared": _find_shared(comparison),
        "curves": _describe_curves(comparison),
        **describe_predictions(comparison),
    }


def _find_shared(comparison: Comparison) -> dict[str, Value]:
    """Find the hyper-parameters that are the same in all settings; the folder of the data is its author's."""
    settings = [setting.hyperparameters for setting in comparison.settings]
    return {
        key: value
        for key, value in (settings[0] if settings else {}).items()
        if key not in (*comparison.keys, "dataset.root")
        and all(key in each and each[key] == value for each in settings)
    }


def _describe_curves(comparison: Comparison) -> list[dict[str, Any]]:
    """List for each setting `epochs`, and by tag the `mean` over seeds, with `low` and `high` if there are several."""
    first_rows = [row for run in comparison.runs for row in run.rows[:1]]
    tags = list(dict.fromkeys(tag for row in first_rows for tag in row if is_metric(tag)))[:MAX_TAGS]
    limit = max(MIN_EPOCHS, MAX_VALUES // (3 * max(1, len(comparison.settings) * len(tags))))
    curves = []
    for setting in comparison.settings:
        num_epochs = max(run.num_epochs for run in setting.runs)
        epochs = np.unique(np.linspace(1, num_epochs, min(limit, num_epochs)).round()).astype(int).tolist()
        rows = [[run.rows[epoch - 1] for run in setting.runs if epoch <= run.num_epochs] for epoch in epochs]
        found = {tag: [[row[tag] for row in at_epoch if tag in row] for at_epoch in rows] for tag in tags}
        joins = JOINS if len(setting.runs) > 1 else {"mean": fmean}
        values = {
            tag: {name: [_round(join(each)) if each else None for each in lists] for name, join in joins.items()}
            for tag, lists in found.items()
            if any(lists)
        }
        curves.append({"epochs": epochs, "values": values})
    return curves


def _round(value: float) -> float:
    """Keep the digits that a chart can show."""
    return float(f"{value:.5g}")
