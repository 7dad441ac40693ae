"""Atomic writing: whole or not at all, and no litter."""

import json
import stat
from pathlib import Path

import pytest

from fashion_softmax.files import to_json, write_atomically
from tests.faults import broken_disk


def test_write_replaces_the_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_failed_write_says_where_keeps_the_old_content_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    for step in range(1, 5):  # open, write, flush, rename
        with broken_disk(step, "fail"), pytest.raises(OSError, match=f"No space left on device: '{path}'"):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_written_file_has_the_mode_of_an_ordinary_one(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "ordinary").touch()
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "ordinary").stat().st_mode)


def test_json_has_no_nan() -> None:
    content = to_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": -float("inf")}, "名": "é"})
    assert json.loads(content) == {"a": None, "b": [None, 1.5], "c": {"d": None}, "名": "é"}
