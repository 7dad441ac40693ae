"""A run's folder: written, read back, used twice; one writer at a time."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fashion_softmax.config.jobs import compose
from fashion_softmax.errors import CheckpointError
from fashion_softmax.runs.folder import (
    list_runs,
    read_sweep,
    require_whole,
    set_aside_earlier,
    write_folder,
    write_sweep,
)
from fashion_softmax.runs.lock import claim, make_status
from fashion_softmax.runs.records import read_folder
from tests.conftest import TINY

HOLD = "import sys, time; from pathlib import Path; from fashion_softmax.runs.lock import claim\n" + (
    "with claim(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
)


def make_run(folder: Path, state: str = "completed", **process: object) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    status = {**make_status(state, "abc"), **process}
    (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")
    (folder / "events.out.tfevents.1").touch()
    return folder


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has claimed the folder `held`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "held")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_folder_reads_back_what_was_written(tmp_path: Path) -> None:
    config = compose([*TINY, "optimizer.lr=1e-3"])
    written = write_folder(tmp_path / "run", config, ["optimizer.lr=1e-3", "sweep.dry_run=false"], {"loss": "ce"})
    assert read_folder(tmp_path / "run") == written
    assert (written.state, written.config, written.overrides) == ("planned", config, ["optimizer.lr=1e-3"])
    require_whole(tmp_path / "run")


@pytest.mark.parametrize(
    ("missing", "words"), [(".hydra/config.yaml", "is no run folder"), ("run.json", "has no run.json")]
)
def test_folder_that_is_not_whole_is_refused(tmp_path: Path, missing: str, words: str) -> None:
    write_folder(tmp_path, compose(TINY), [], {})
    (tmp_path / missing).unlink()
    with pytest.raises(CheckpointError, match=words):
        require_whole(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", "7", "{", '{"state": 7, "error": [1], "overrides": 7, "choices": [1]}', "\ud800"]
)
def test_files_from_other_people_never_stop_reading(tmp_path: Path, content: str) -> None:
    (tmp_path / ".hydra").mkdir()
    for name in ("status.json", "result.json", "run.json", ".hydra/config.yaml", ".hydra/hydra.yaml"):
        (tmp_path / name).write_bytes(content.encode(errors="surrogatepass"))
    folder = read_folder(tmp_path)
    assert folder.state == "unknown" and folder.overrides == [] and folder.choices == {} and not folder.is_finished


def test_one_process_writes_a_folder(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    make_run(tmp_path / "held", "running", pid=holder.pid)
    with pytest.raises(CheckpointError, match=f"held: process {holder.pid} is writing there"), claim(tmp_path / "held"):
        pass
    assert read_folder(tmp_path / "held").state == "running"
    holder.kill()
    holder.wait()
    assert read_folder(tmp_path / "held").state == "killed"
    with claim(tmp_path / "held"), claim(tmp_path / "held"):
        pass


def test_run_of_another_machine_is_not_called_killed(tmp_path: Path) -> None:
    assert read_folder(make_run(tmp_path / "a", "running", host="elsewhere", pid=2**22 + 1)).state == "running"
    assert read_folder(make_run(tmp_path / "b", "running", pid=2**22 + 1)).state == "killed"


def test_earlier_runs_are_kept_in_numbered_subfolders(tmp_path: Path) -> None:
    for number in (1, 2):
        make_run(tmp_path, number=number)
        (tmp_path / "notes.txt").touch()
        set_aside_earlier(tmp_path)
        assert json.loads((tmp_path / f"earlier-{number}" / "status.json").read_text())["number"] == number
    assert {path.name for path in tmp_path.iterdir()} == {"earlier-1", "earlier-2", "notes.txt"}
    assert (tmp_path / "earlier-1" / "events.out.tfevents.1").exists()


def test_folder_without_a_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    set_aside_earlier(tmp_path)
    set_aside_earlier(tmp_path / "missing")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_earlier_sweep_is_kept_whole(tmp_path: Path) -> None:
    make_run(tmp_path / "000_ce")
    write_sweep(tmp_path, [["000_ce"]])
    (tmp_path / "mine").mkdir()
    set_aside_earlier(tmp_path, [tmp_path / "000_ce"])
    assert {path.name for path in tmp_path.iterdir()} == {"earlier-1", "mine"}
    assert {path.name for path in (tmp_path / "earlier-1").iterdir()} == {"000_ce", "sweep.json"}


def test_sweep_reads_back_its_stacks(tmp_path: Path) -> None:
    names = ["1000_a", "002_b", "999_c"]
    for name in names:
        make_run(tmp_path / name)
    write_sweep(tmp_path, [names[:2], names[2:]])
    assert read_sweep(tmp_path) == [names[:2], names[2:]]
    assert [path.name for path in list_runs(tmp_path)] == ["002_b", "999_c", "1000_a"]


@pytest.mark.parametrize("stacks", [None, [7], [["../run"]], [["missing"]], [[7]], [["run", "/etc"]]])
def test_sweep_that_names_other_folders_is_refused(tmp_path: Path, stacks: object) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "sweep.json").write_text(json.dumps({"format_version": 2, "stacks": stacks}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"sweep\.json: "):
        read_sweep(tmp_path)
