"""Checkpoints: everything a run would need to go on, written so that a reader finds a whole one or the one before."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.files import link_atomically, write_atomically

FORMAT_VERSION = 1


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    progress: dict[str, Any],
    *,
    is_best: bool,
) -> None:
    """Write `last.pt`, and `best.pt` too when this epoch is the best so far.

    Args:
        folder: created if needed.
        model: its weights are saved.
        optimizer: its state is saved.
        scheduler: its state is saved.
        progress: plain values that say how far the run is: `epoch` (counted from 1, the last one finished), `step`
            (optimizer updates so far), `best` (epoch and objective so far) and the configuration's `fingerprint`.
        is_best: this epoch is the best so far.

    Raises:
        OSError: the disk is full or the folder may not be written; earlier checkpoints are untouched.
    """
    state: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        # Cloned: in a stack they are views, and torch.save writes the whole storage of a view.
        "model": {name: value.clone() for name, value in model.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "random_state": torch.get_rng_state(),
        **progress,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "last.pt", buffer.getvalue())
    if is_best:
        link_atomically(folder / "last.pt", folder / "best.pt")
