"""Scripts run in this process, as the command would run them."""

import importlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fashion_softmax.dashboard import console


@dataclass(frozen=True)
class Outcome:
    """How a script ended."""

    code: int
    out: str
    err: str


RunScript = Callable[..., Outcome]


@pytest.fixture
def script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Outcome]:
    """Run `python scripts/NAME.py ...` in this process, in a folder of its own with `outputs/` below it."""
    common = importlib.import_module("common")
    for module in (common, importlib.import_module("chosen_run")):
        monkeypatch.setattr(module, "project_dir", lambda: str(tmp_path))
    monkeypatch.setattr(common, "end_on_signals", lambda: None)
    monkeypatch.setattr(console, "START_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: object) -> Outcome:
        module = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        capsys.readouterr()
        try:
            with warnings.catch_warnings():
                module.main()
            code: object = 0
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        assert isinstance(code, int) or code is None
        return Outcome(code or 0, captured.out, captured.err)

    return run
