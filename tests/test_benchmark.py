"""The benchmark's timers run and its verdicts are right; what they measure is no matter for tests."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.stacking import Stack
from tests.conftest import ROOT, TINY


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    return importlib.import_module(name)


def test_timers_take_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timers = load("benchmark_timers", monkeypatch)
    parts = build_parts(resolve(compose(TINY)))
    stack = Stack([build_parts(resolve(compose([*TINY, f"optimizer.lr={lr}"]))).member for lr in (0.1, 0.2)])
    memory_mb: list[float] = []
    times = timers.best_of(
        1,
        lambda: timers.epoch(parts),
        lambda: timers.floor_epoch(parts.dataset),
        lambda: timers.stack_epoch(stack, parts),
        lambda: timers.stack_floor(parts.dataset, 2),
        lambda: timers.run_python(["-c", "pass"], memory_mb),
        lambda: timers.time_files(tmp_path, 2),
    )
    assert len(list(tmp_path.glob("*/*"))) == 24
    assert len(times) == 6 and min(times) > 0 and memory_mb[0] > 1


@pytest.mark.parametrize(
    ("value", "lower", "verdict"),
    [(0.5, True, "aim reached"), (1.5, True, "bar reached"), (2.5, True, "MISSED"),
     (0.5, False, "MISSED"), (2.5, False, "aim reached")],
)  # fmt: skip
def test_verdict_says_which_side_of_the_bar(
    value: float, lower: bool, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar, aim = (2.0, 1.0) if lower else (1.0, 2.0)
    figure = load("benchmark", monkeypatch).Figure("key", "what", value, bar, aim, lower=lower)
    assert figure.verdict == verdict and figure.passes == (verdict != "MISSED")
