"""Every script as a command: its help, its start without a display, nothing heavy before it knows what is wanted."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPTS = sorted(
    path.stem for path in (ROOT / "scripts").glob("*.py") if "def main()" in path.read_text(encoding="utf-8")
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-X", "importtime", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_help_shows_an_example_and_imports_nothing_heavy(name: str) -> None:
    result = run(f"scripts/{name}.py", "--help")
    assert result.returncode == 0 and f"python scripts/{name}.py" in result.stdout
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    heavy = {"torch", "matplotlib", "torchvision", "tensorboard"} if name != "benchmark" else {"matplotlib"}
    assert not imported & heavy


def test_script_starts_as_a_command() -> None:
    result = run("scripts/compare_runs.py", "--help")
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert result.returncode == 0 and not imported & {"torch", "matplotlib", "PIL", "scipy"}
