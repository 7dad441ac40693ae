"""A comparison as plain values: for JSON, for CSV, for pages."""

import csv
import io
from typing import Any

from fashion_softmax.config.names import printable
from fashion_softmax.viewing.ranking import TEST, Comparison
from fashion_softmax.viewing.runs import RecordedRun
from fashion_softmax.viewing.setting import Setting


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Say all of a comparison in plain values, for JSON and for pages."""
    return {
        "metric": comparison.metric,
        "reason": comparison.reason,
        "keys": comparison.keys,
        "num_repeated": comparison.num_repeated,
        "settings": [_describe_setting(setting, comparison) for setting in comparison.settings],
        "unfinished": [describe_run(run) | {"error": run.error} for run in comparison.unfinished],
    }


def _describe_setting(setting: Setting, comparison: Comparison) -> dict[str, Any]:
    seed, test = setting.middle_test
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
        "best_epoch_mean": setting.average_best(comparison.metric),
        "test_accuracy": setting.average(TEST),
        "cross_entropy": setting.average(f"{comparison.split}/cross_entropy"),
        "seconds": setting.average_seconds(),
        "stack_size": setting.runs[0].stack_size,
        "against_best": test
        and {
            "seed": seed,
            "only_best_correct": test.only_first,
            "only_this_correct": test.only_second,
            "p_value": test.p_value,
            "distinguishable": not setting.is_like_best,
            "num_seeds": len(setting.tests),
            "num_seeds_best_better": setting.num_worse,
        },
        "runs": [describe_run(run) for run in setting.runs],
    }


def describe_run(run: RecordedRun) -> dict[str, Any]:
    """Say what is known of a run in plain values."""
    return {
        "path": printable(str(run.path)),
        "name": run.name,
        "state": run.state,
        "seed": run.seed,
        "num_epochs": run.num_epochs,
        "metrics": run.metrics,
        "best": run.best,
        "seconds": run.seconds,
        "stack_size": run.stack_size,
        "hyperparameters": run.hyperparameters,
    }


def to_csv(comparison: Comparison) -> str:
    """Write a line for each run, ranked ones first, with its hyper-parameters, metrics and its setting's mean."""
    rows = [
        _csv_row(run)
        | {"rank": setting.rank, "ranked_by": comparison.metric, "mean": setting.mean, "deviation": setting.deviation}
        | {"p_value": setting.against_best and setting.against_best.p_value}
        for setting in comparison.settings
        for run in setting.runs
    ] + [_csv_row(run) for run in comparison.unfinished]
    first = ["rank", "name", "state", "seed", "ranked_by", "mean", "deviation", "p_value"]
    names = list(dict.fromkeys([*first, *(name for row in rows for name in row)]))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _csv_row(run: RecordedRun) -> dict[str, Any]:
    return (
        {"name": run.name, "state": run.state, "num_epochs": run.num_epochs}
        | run.hyperparameters
        | run.metrics
        | {f"best/{name}": value for name, value in run.best.items()}
        | {f"seconds/{name}": value for name, value in run.seconds.items()}
        | {"path": printable(str(run.path))}
    )
