"""A forked command beside one that has an interpreter of its own: the same words, files and exit codes."""

import os
import signal
from pathlib import Path

import pytest

from tests import forking
from tests.conftest import TINY
from tests.test_cli import Train


@pytest.mark.parametrize(
    "arguments", [["--cfg", "job"], pytest.param([*TINY, "device=cuda:99"], marks=pytest.mark.slow)], ids=" ".join
)
def test_forked_command_says_the_same_and_ends_the_same(train: Train, arguments: list[str]) -> None:
    forked, alone = train(*arguments), train(*arguments, python=[])
    assert (forked.returncode, forked.stdout, forked.stderr) == (alone.returncode, alone.stdout, alone.stderr)


@pytest.mark.slow
def test_forked_run_leaves_the_same_files(train: Train, tmp_path: Path) -> None:
    for name, python in (("forked", None), ("alone", [])):
        assert train(*TINY, f"hydra.run.dir={tmp_path}/{name}", python=python).returncode == 0
    forked, alone = tmp_path / "forked", tmp_path / "alone"
    for name in ("metrics.jsonl", "predictions.npz", ".hydra/config.yaml"):
        assert (forked / name).read_bytes() == (alone / name).read_bytes()
    names = [{path.name.partition("tfevents")[0] for path in run.rglob("*")} for run in (forked, alone)]
    assert names[0] == names[1]


@pytest.mark.slow
def test_forked_process_can_be_killed_and_has_no_more_than_its_time(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys, time\nprint(sys.argv[1], flush=True)\ntime.sleep(60)\n")
    command = [str(tmp_path / "script.py"), "word"]
    process = forking.Process(command, tmp_path, os.environ, timeout_s=60)
    process.kill()
    assert process.wait().returncode == -signal.SIGKILL
    with pytest.raises(AssertionError, match=r"took too long: \['word"):
        forking.run(command, tmp_path, os.environ, timeout_s=1)
