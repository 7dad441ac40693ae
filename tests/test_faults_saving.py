"""Cases D1, D2 and D5: a disk that fails, a process that dies at every step of saving, damaged checkpoints."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import link_atomically, remove_temporary_files, write_atomically, write_together
from fashion_softmax.runs.checkpoint import load_checkpoint
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.run import Run
from tests import forking
from tests.conftest import COMMAND_TIMEOUT_S, ROOT, TINY, make_run
from tests.faults import DEATH, broken_disk
from tests.test_cli import Train, read_json

MAX_STEPS = 100
THREE_EPOCHS = [*TINY, "trainer.num_epochs=3"]


def save(folder: Path, content: bytes) -> None:
    """Save as a run does that is at its best."""
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "last.pt", content)
    link_atomically(folder / "last.pt", folder / "best.pt")


def read_both(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "last.pt").read_bytes(), (folder / "best.pt").read_bytes()


def find_litter(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_d1_a_save_that_dies_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    seen = set()
    for number in range(1, MAX_STEPS):
        folder = tmp_path / str(number)
        save(folder, b"old")
        child = os.fork()
        if child == 0:
            with broken_disk(number, "die"):
                save(folder, b"new")
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, DEATH)
        seen.add(read_both(folder))
        remove_temporary_files(folder)
        save(folder, b"newest")
        assert read_both(folder) == (b"newest", b"newest") and not find_litter(folder)
        if code == 0:
            break
    assert number > 6 and seen == {(b"old", b"old"), (b"new", b"old"), (b"new", b"new")}


def test_d2_a_save_that_fails_at_any_step_keeps_the_older_checkpoint_and_leaves_no_litter(tmp_path: Path) -> None:
    for number in range(1, MAX_STEPS):
        folder = tmp_path / str(number)
        save(folder, b"old")
        try:
            with broken_disk(number, "fail") as counter:
                save(folder, b"new")
        except OSError as error:
            assert "No space left" in str(error)
        assert set(read_both(folder)) <= {b"old", b"new"}
        if counter.left > 0:
            break
    assert number > 5


def test_d1_files_written_together_change_together_or_stay_until_all_are_on_the_disk(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for number in range(1, MAX_STEPS):
        for path in paths:
            write_atomically(path, b"old")
        child = os.fork()
        if child == 0:
            with broken_disk(number, "die"):
                write_together(dict.fromkeys(paths, b"new"))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        left = [path for path in paths if path.read_bytes() == b"old"]
        if len(left) < len(paths):  # one has its new content: that of all is whole, if under another name
            for path in left:
                assert [each.read_bytes() for each in tmp_path.glob(f".{path.name}.*.tmp")] == [b"new"]
        remove_temporary_files(tmp_path)
        if code == 0:
            break
    assert number > 9 and not left


def test_d2_of_files_written_together_those_that_can_be_are_written(tmp_path: Path) -> None:
    failures = write_together({tmp_path / "missing" / "a": b"a", tmp_path / "b": b"b"})
    assert list(failures) == [tmp_path / "missing" / "a"] and (tmp_path / "b").read_bytes() == b"b"


def train_on_broken_disk(
    mode: str, number: int, arguments: Sequence[str], folder: Path
) -> "subprocess.CompletedProcess[str]":
    """Train where the n-th step of writing dies or fails."""
    command = [str(ROOT / "tests" / "faults.py"), mode, str(number), str(ROOT / "train.py"), *arguments]
    return forking.run(command, folder, os.environ, COMMAND_TIMEOUT_S)


@pytest.mark.parametrize("number", [10, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 24))])
def test_d2_full_disk_ends_the_command_with_7_and_the_run_can_be_resumed(
    tmp_path: Path, number: int, train: Train
) -> None:
    run = tmp_path / "run"
    result = train_on_broken_disk("fail", number, [*THREE_EPOCHS, f"hydra.run.dir={run}"], tmp_path)
    assert result.returncode == 7 and "No space left on device" in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and not find_litter(run)
    result = train(f"resume={run}")
    assert result.returncode == 0, result.stderr
    assert read_json(run / "result.json")["num_epochs"] == 3 and len(read_rows(run)) == 3


def read_rows(run: Path) -> list[str]:
    return (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run when nothing happens to it."""
    return make_run(tmp_path_factory.mktemp("whole") / "run", THREE_EPOCHS)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2, 26, 5))
def test_d1_a_command_that_dies_at_a_step_of_writing_is_resumed(
    tmp_path: Path, number: int, train: Train, whole: Path
) -> None:
    run = tmp_path / "run"
    result = train_on_broken_disk("die", number, [*THREE_EPOCHS, f"hydra.run.dir={run}"], tmp_path)
    assert result.returncode == DEATH
    assert train(f"resume={run}").returncode == 0
    assert read_rows(run) == read_rows(whole) and not find_litter(run)
    assert_same_weights(run, whole)


def assert_same_weights(run: Path, other: Path) -> None:
    for name in ("last.pt", "best.pt"):
        state, expected = (load_checkpoint(folder / "checkpoints" / name) for folder in (run, other))
        for key in ("model", "optimizer", "scheduler", "best", "metrics", "epoch"):
            assert_equal(state[key], expected[key])


def assert_equal(value: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert torch.equal(value, expected)
    elif isinstance(expected, dict):
        assert value.keys() == expected.keys()
        for key in expected:
            assert_equal(value[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(value) == len(expected)
        for pair in zip(value, expected, strict=True):
            assert_equal(*pair)
    else:
        assert value == expected


class Bomb:
    """A pickle that would make a file, were it ever opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


MADE_UP: dict[str, Any] = {
    "random_state": {},
    "epoch": -5,
    "metrics": {"test/accuracy": "q"},
    "best": {"epoch": 1, "objective": "x"},
    "seconds": {"total": 1.0},
    "optimizer": {"state": {}, "param_groups": [{"params": [0, 1]}]},
}


def damage(path: Path, how: Any, tmp_path: Path) -> str:
    """Damage a checkpoint and return what the message must say."""
    content = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
        return "is truncated, damaged"
    if how == "truncated":
        path.write_bytes(content[:-1000])
        return "is truncated, damaged"
    if how == "flipped":
        path.write_bytes(content[:5000] + bytes([content[5000] ^ 8]) + content[5001:])
        return "is truncated, damaged"
    if how == "missing":
        path.unlink()
        path.mkdir()
        return "cannot be read"
    if how == "bomb":
        import pickle

        path.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
        return "is truncated, damaged"
    from fashion_softmax.runs import checkpoint

    state = load_checkpoint(path)
    if how == "future":
        state["format_version"] = 99
        message = "is no checkpoint of format version 2; its version is 99"
    elif how == "sealed bomb":
        state["model"] = Bomb(tmp_path / "exploded")
        message = "holds more than tensors and plain values; refused"
    elif how == "incomplete":
        state.pop("scheduler")
        message = "its scheduler is missing or of a wrong type"
    else:
        key, value = how
        state[key] = value
        message = "does not fit the run's configuration"
    torch.save(state, path)
    path.write_bytes(checkpoint._seal(path.read_bytes()))
    return message


@pytest.mark.parametrize("how", ["truncated", "flipped", "sealed bomb"])
def test_d5_d7_damaged_checkpoint_is_refused_with_file_and_reason(
    train: Train, tmp_path: Path, run: Path, how: Any
) -> None:
    message = damage(run / "checkpoints" / "last.pt", how, tmp_path)
    before = sorted(run.rglob("*"))
    result = train(f"resume={run}", "trainer.num_epochs=4")
    assert result.returncode == 4, result.stderr
    assert "Traceback" not in result.stderr and str(run / "checkpoints" / "last.pt") in result.stderr
    assert message in result.stderr
    assert_untouched(run, before, tmp_path)


@pytest.mark.parametrize(
    "how",
    [
        *("empty", "missing", "bomb", "future", "incomplete"),
        *(pytest.param(how, id=how[0]) for how in MADE_UP.items()),
    ],
)
def test_d5_d7_damaged_checkpoint_stops_a_run_before_it_begins(tmp_path: Path, run: Path, how: Any) -> None:
    message = damage(run / "checkpoints" / "last.pt", how, tmp_path)
    before = sorted(run.rglob("*"))
    with pytest.raises(CheckpointError) as error:
        Run(read_folder(run)).begin(in_sweep=False)
    assert message in str(error.value) and str(run / "checkpoints" / "last.pt") in str(error.value)
    assert_untouched(run, before, tmp_path)


def assert_untouched(run: Path, before: Sequence[Path], tmp_path: Path) -> None:
    assert not (tmp_path / "exploded").exists()
    assert load_checkpoint(run / "checkpoints" / "best.pt")["epoch"] == 1
    assert [path for path in sorted(run.rglob("*")) if path.name != "train.log"] == [
        path for path in before if path.name != "train.log"
    ]
