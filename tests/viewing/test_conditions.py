"""Which runs are compared: conditions on settings and metrics, one data set unless they say otherwise."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.scripts.conftest import Outcome, RunScript
from tests.viewing.conftest import RecordRun


@pytest.fixture
def names(script: RunScript, record_run: RecordRun) -> Callable[..., list[str]]:
    """Record runs, then tell which of them `compare_runs.py` compares."""
    for index, (loss, lr) in enumerate([("ce", 0.1), ("ce", 1.0), ("huber", 0.1), ("margin", 3.0)]):
        record_run(f"{loss}{lr:g}", 150 + 5 * index, loss=loss, lr=lr)
    record_run("broken", loss="ce", lr=9.0, state="diverged")

    def compared(*arguments: str) -> list[str]:
        answer = script("compare_runs", ".", "--json", *arguments)
        assert answer.code == 0, answer.err
        content = json.loads(answer.out)
        runs = [run for setting in [*content["settings"], {"runs": content["unfinished"]}] for run in setting["runs"]]
        return sorted(run["name"] for run in runs)

    return compared


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["loss=ce,huber", "state=completed"], ["ce0.1", "ce1", "huber0.1"]),
        (["loss!=ce,margin"], ["huber0.1"]),
        (["optimizer.lr>=1"], ["broken", "ce1", "margin3"]),
        (["lr>1", "state!=diverged"], ["margin3"]),
        (["lr=1e-1"], ["ce0.1", "huber0.1"]),
        (["lr<1.0", "loss=ce"], ["ce0.1"]),
        (["test/accuracy>0.79", "seed=0"], ["huber0.1", "margin3"]),
        (["loss.delta=0.5"], ["huber0.1"]),
    ],
)
def test_runs_meet_all_conditions(names: Any, conditions: list[str], expected: list[str]) -> None:
    assert names("--where", *conditions) == expected
    assert names(*(part for condition in conditions for part in ("--where", condition))) == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("los=ce", "no run has the key los; did you mean loss?"),
        ("loss", "is no condition, such as loss=mse,huber"),
        ("lr>big", "big is no number"),
        ("loss=mse", "none of 5 runs is so; loss is ce, huber"),
    ],
)
def test_condition_that_means_nothing_is_one_line(names: Any, script: RunScript, condition: str, message: str) -> None:
    answer = script("compare_runs", ".", "--where", condition)
    assert answer.code == 2 and message in answer.err and answer.err.count("\n") == 1


def test_one_data_set_at_a_time(script: RunScript, record_run: RecordRun) -> None:
    other: dict[str, Any] = {"_target_": "fashion_softmax.data.load_published", "name": "kmnist", "val_size": 0}
    for name, started, config in (("old", 1, {}), ("new", 2, {"dataset": other}), ("older", 0, {})):
        folder = record_run(name, **config)
        status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        status |= {"started": f"2026-01-0{started + 1}T00:00:00+00:00"}
        (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")

    def compare(*arguments: str) -> Outcome:
        return script("compare_runs", ".", *arguments)

    latest = compare()
    assert "1 run, by test accuracy" in latest.out and "kmnist" not in latest.out
    assert latest.err == "left out: 2 runs on mnist; --where dataset=mnist compares these\n"
    wanted = compare("--where", "dataset=mnist")
    assert "left out, repeated later" in wanted.out and wanted.err == ""
    both = compare("--where", "dataset=mnist,kmnist")
    assert "2 settings, 2 runs" in both.out and "of different data sets" in both.out
