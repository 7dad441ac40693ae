"""A comparison as one page: everything is inside the file, nothing is fetched, and no text of a run becomes markup.

Python gathers plain values, the scripts in `page` draw them.
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

from fashion_softmax.config.settings import Value
from fashion_softmax.files import finite_or_none
from fashion_softmax.viewing.export import to_dict
from fashion_softmax.viewing.ranking import Comparison
from fashion_softmax.viewing.report_predictions import describe_predictions
from fashion_softmax.viewing.runs import find_best_epoch, numbers
from fashion_softmax.viewing.setting import Setting

PAGE_DIR = Path(__file__).parent / "page"
SCRIPTS = ("main.js", "header.js", "table.js", "filters.js", "charts.js", "curves.js", "panels.js", "predictions.js")
MAX_TEXT = 1000  # characters; a run's own texts may be of any length
MAX_TAGS = 40
MAX_VALUES = 250_000  # of all curves, about 2 MB; longer ones are thinned out
JOINS: dict[str, Callable[[Sequence[float]], float]] = {"mean": fmean, "low": min, "high": max}  # over seeds
MIN_EPOCHS = 10  # that a curve keeps at least
ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}  # nothing then ends the script element that holds the data


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
        data=_to_json(_gather(comparison)),
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
        return {key[:MAX_TEXT]: _cut(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(item) for item in value]
    if isinstance(value, str) and len(value) > MAX_TEXT and not value.startswith("data:"):
        return f"{value[: MAX_TEXT - 1]}\u2026"
    return value


def _gather(comparison: Comparison) -> dict[str, Any]:
    content = to_dict(comparison)
    for setting, words in zip(comparison.settings, content["settings"], strict=True):
        common = words["hyperparameters"]
        words["hyperparameters"] = {key: common[key] for key in comparison.keys if key in common}
        words["runs"] = [
            _without_repeated(each) | {"best_epoch": (find_best_epoch(run.rows, comparison.metric) or (None,))[0]}
            for run, each in zip(setting.runs, words["runs"], strict=True)
        ]
    content["unfinished"] = [_without_repeated(run) for run in content["unfinished"]]
    return content | {
        "date": datetime.now().astimezone().isoformat(" ", "minutes"),
        "split": comparison.split,
        "shared": _find_shared(comparison),
        "curves": _gather_curves(comparison),
        **describe_predictions(comparison),
    }


def _without_repeated(run: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the setting says already, and the run's folder: a page may be shown to others."""
    return {key: value for key, value in run.items() if key not in ("path", "hyperparameters")}


def _find_shared(comparison: Comparison) -> dict[str, Value]:
    """Find the hyper-parameters that are the same in all settings."""
    settings = [setting.hyperparameters for setting in comparison.settings]
    first = settings[0] if settings else {}
    return {
        key: value
        for key, value in first.items()
        if key not in (*comparison.keys, "dataset.root")  # a folder of its maker's, who may show the page to others
        and all(key in each and each[key] == value for each in settings)
    }


def _gather_curves(comparison: Comparison) -> list[dict[str, Any]]:
    """List for each setting `epochs`, and by tag the `mean` over seeds, with `low` and `high` if there are several."""
    rows = (row for run in comparison.runs for row in run.rows[:1])
    tags = list(dict.fromkeys(tag for row in rows for tag in numbers(row) if "/" in tag or tag == "lr"))[:MAX_TAGS]
    num_curves = max(1, len(comparison.settings) * len(tags))
    limit = max(MIN_EPOCHS, MAX_VALUES // (3 * num_curves))
    return [_describe_curves(setting, tags, limit) for setting in comparison.settings]


def _describe_curves(setting: Setting, tags: Sequence[str], limit: int) -> dict[str, Any]:
    num_epochs = max(run.num_epochs for run in setting.runs)
    epochs = np.unique(np.linspace(1, num_epochs, min(limit, num_epochs)).round()).astype(int).tolist()
    rows = [[numbers(run.rows[epoch - 1]) for run in setting.runs if epoch <= run.num_epochs] for epoch in epochs]
    joins = JOINS if len(setting.runs) > 1 else {"mean": fmean}
    values = {}
    for tag in tags:
        found = [[row[tag] for row in at_epoch if tag in row] for at_epoch in rows]
        if not any(found):
            continue
        values[tag] = {name: [_round(join(each)) if each else None for each in found] for name, join in joins.items()}
    return {"epochs": epochs, "values": values}


def _round(value: float) -> float:
    """Keep the digits that a chart can show."""
    return float(f"{value:.5g}")
