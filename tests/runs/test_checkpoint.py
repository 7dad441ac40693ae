"""Checkpoints: safe to load, complete, and whole at every moment."""

from pathlib import Path

import pytest
import torch

from fashion_softmax.errors import CheckpointError
from fashion_softmax.learning import schedules
from fashion_softmax.learning.losses import CrossEntropy
from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.runs.checkpoint import Progress, load_checkpoint, make_checkpoint, restore
from fashion_softmax.stacking import Member


def save(folder: Path, *, epoch: int) -> Member:
    torch.manual_seed(epoch)
    model = SoftmaxRegression((1, 2, 2), 3)
    optimizer = torch.optim.Adam(model.parameters())
    member = Member(model, CrossEntropy(), optimizer, schedules.constant(optimizer))
    progress = Progress(epoch, {"epoch": epoch, "objective": 0.5}, {}, {"total": 1.0, "training": 0.5})
    folder.mkdir(exist_ok=True)
    (folder / "last.pt").write_bytes(make_checkpoint(member, progress, "abc"))
    return member


def test_checkpoint_holds_what_resuming_needs(tmp_path: Path) -> None:
    model = save(tmp_path / "checkpoints", epoch=2).model
    state = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    assert torch.equal(state["model"]["weight"], model.weight)
    assert (state["epoch"], state["fingerprint"]) == (2, "abc")
    assert {"optimizer", "scheduler", "random_state", "best", "format_version"} <= state.keys()


def test_any_flipped_bit_is_noticed(tmp_path: Path) -> None:
    save(tmp_path, epoch=1)
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    for position in range(0, len(whole), 37):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="SHA-256"):
            load_checkpoint(path)


def test_any_truncation_is_noticed(tmp_path: Path) -> None:
    save(tmp_path, epoch=1)
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    for length in range(0, len(whole), 101):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is truncated"):
            load_checkpoint(path)


def test_restored_member_equals_the_saved_one(tmp_path: Path) -> None:
    member, other = save(tmp_path, epoch=1), save(tmp_path / "other", epoch=2)
    state = load_checkpoint(tmp_path / "last.pt")
    restore(other, state, tmp_path / "last.pt")
    assert all(torch.equal(a, b) for a, b in zip(member.model.parameters(), other.model.parameters(), strict=True))
    assert other.scheduler.state_dict() == member.scheduler.state_dict()


def test_state_of_another_model_does_not_fit(tmp_path: Path) -> None:
    member = save(tmp_path, epoch=1)
    state = load_checkpoint(tmp_path / "last.pt")
    state["model"]["weight"] = torch.zeros(5, 5)
    with pytest.raises(CheckpointError, match=r"last.pt: does not fit the run's configuration: .*weight"):
        restore(member, state, tmp_path / "last.pt")
