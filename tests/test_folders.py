"""Folders used twice: what they held is kept, what is not a run's stays, and a live run is refused."""

import json
import os
from pathlib import Path

import pytest

from fashion_softmax.errors import ConfigError
from fashion_softmax.runs.folder import describe_process, set_aside_earlier_run, set_aside_earlier_sweep


def make_run(folder: Path, state: str = "completed", **process: object) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    status = {"state": state, **describe_process(), **process}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    (folder / "events.out.tfevents.1").touch()
    return folder


def test_earlier_runs_are_kept_in_numbered_subfolders(tmp_path: Path) -> None:
    for number in (1, 2):
        make_run(tmp_path, number=number)
        (tmp_path / "notes.txt").touch()
        set_aside_earlier_run(tmp_path)
        assert json.loads((tmp_path / f"earlier-{number}" / "status.json").read_text())["number"] == number
    assert {path.name for path in tmp_path.iterdir()} == {"earlier-1", "earlier-2", "notes.txt"}
    assert (tmp_path / "earlier-1" / "events.out.tfevents.1").exists()


def test_folder_without_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    set_aside_earlier_run(tmp_path)
    set_aside_earlier_run(tmp_path / "missing")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_live_run_is_refused(tmp_path: Path) -> None:
    make_run(tmp_path, "running", pid=os.getppid(), process_start=None)
    with pytest.raises(ConfigError, match=f"process {os.getppid()} is still writing a run there"):
        set_aside_earlier_run(tmp_path)


@pytest.mark.parametrize("process", [{"pid": 2**22 + 1}, {"host": "elsewhere"}, {"pid": None}])
def test_killed_run_is_kept_like_any_other(tmp_path: Path, process: dict[str, object]) -> None:
    make_run(tmp_path, "running", **process)
    set_aside_earlier_run(tmp_path)
    assert (tmp_path / "earlier-1" / "status.json").exists()


def test_earlier_sweep_is_kept_whole(tmp_path: Path) -> None:
    make_run(tmp_path / "000_ce")
    (tmp_path / "multirun.yaml").touch()
    (tmp_path / "mine").mkdir()
    set_aside_earlier_sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"earlier-1", "mine"}
    assert {path.name for path in (tmp_path / "earlier-1").iterdir()} == {"000_ce", "multirun.yaml"}
