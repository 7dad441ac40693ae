"""Checkpoints: safe to load, complete, and whole at every moment."""

from pathlib import Path

import pytest
import torch

from fashion_softmax import schedules
from fashion_softmax.checkpoint import save_checkpoint
from fashion_softmax.models import SoftmaxRegression


def save(folder: Path, *, epoch: int, is_best: bool) -> SoftmaxRegression:
    torch.manual_seed(epoch)
    model = SoftmaxRegression((1, 2, 2), 3)
    optimizer = torch.optim.Adam(model.parameters())
    progress = {"epoch": epoch, "step": 7 * epoch, "best": {"epoch": epoch, "objective": 0.5}, "fingerprint": "abc"}
    save_checkpoint(folder, model, optimizer, schedules.constant(optimizer), progress, is_best=is_best)
    return model


def test_checkpoint_holds_what_going_on_needs(tmp_path: Path) -> None:
    model = save(tmp_path / "checkpoints", epoch=2, is_best=True)
    state = torch.load(tmp_path / "checkpoints" / "last.pt", weights_only=True)
    assert torch.equal(state["model"]["weight"], model.weight)
    assert (state["epoch"], state["step"], state["fingerprint"]) == (2, 14, "abc")
    assert {"optimizer", "scheduler", "random_state", "best", "format_version"} <= state.keys()


def test_best_is_kept_while_last_moves_on(tmp_path: Path) -> None:
    best = save(tmp_path, epoch=1, is_best=True)
    last = save(tmp_path, epoch=2, is_best=False)
    loaded = {name: torch.load(tmp_path / f"{name}.pt", weights_only=True)["model"] for name in ("best", "last")}
    assert torch.equal(loaded["best"]["weight"], best.weight)
    assert torch.equal(loaded["last"]["weight"], last.weight)


def test_failed_save_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, epoch=1, is_best=True)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, epoch=2, is_best=True)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["epoch"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "last.pt"]
