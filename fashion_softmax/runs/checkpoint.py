"""Checkpoints: all that resuming a run needs; a reader finds a whole one, or an error.

A checkpoint is an ordinary file of `torch.save` with the SHA-256 of its content in its zip comment, so that no flipped
bit goes unnoticed and `torch.load` reads it all the same.
"""

import hashlib
import io
import math
import struct
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from fashion_softmax.errors import CheckpointError, one_line
from fashion_softmax.files import Names
from fashion_softmax.runs.records import RunFolder, read_rows
from fashion_softmax.stacking import Member

FORMAT_VERSION = 2
DIGEST_LENGTH = 64  # hexadecimal digits
NO_COMMENT = b"\0\0"  # how a zip file without a comment ends: the comment's length
KINDS: dict[type, tuple[str, ...]] = {
    dict: ("model", "optimizer", "scheduler", "random_state", "best", "metrics", "seconds"),
    int: ("epoch",),
    str: ("fingerprint",),
}


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: finished epochs.
        best: `epoch`, `objective` and `loss` of the best epoch so far.
        metrics: of the last finished epoch, by tag.
        seconds: used so far, in `total` and in `training`.
    """

    epoch: int = 0
    best: dict[str, float] = field(default_factory=lambda: {"epoch": 0, "objective": -1.0})
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: {"total": 0.0, "training": 0.0})


def make_checkpoint(member: Member, progress: Progress, fingerprint: str, data: dict[str, Any] | None = None) -> bytes:
    """Make the content of `last.pt`.

    Args:
        member: its model, optimizer and scheduler are saved.
        progress: of the run.
        fingerprint: of its configuration.
        data: the data set's `description`.
    """
    state: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        # Cloned: in a stack they are views, and torch.save writes the whole storage of a view.
        "model": {name: value.clone() for name, value in member.model.state_dict().items()},
        "optimizer": _without_numpy(member.optimizer.state_dict()),
        "scheduler": _without_numpy(member.scheduler.state_dict()),
        "random_state": {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
            "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        },
        "fingerprint": fingerprint,
        "data": data,
        **vars(progress),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return _seal(buffer.getvalue())


def find_checkpoint(folder: RunFolder, fingerprint: str) -> dict[str, Any] | None:
    """Read how far a run is.

    Args:
        folder: of the run.
        fingerprint: of its configuration.

    Returns:
        Its last checkpoint, None if it has not come to one.

    Raises:
        CheckpointError: the checkpoint or the metrics are missing or damaged, or belong to another configuration.
    """
    path, num_rows = folder.path / Names.CHECKPOINT, len(read_rows(folder.path))
    state = load_checkpoint(path, fingerprint) if path.exists() else None
    if state is None and (folder.result or num_rows > 1):
        raise CheckpointError(f"{path}: is missing, but the run has trained {num_rows} epochs; start it anew")
    if state and state["epoch"] > num_rows:
        raise CheckpointError(
            f"{folder.path / Names.METRICS}: is damaged: {num_rows} epochs can be read, the checkpoint has "
            f"{state['epoch']}; start the run anew"
        )
    return state


def load_checkpoint(path: Path, fingerprint: str | None = None) -> dict[str, Any]:
    """Read a checkpoint that may be damaged or come from other people; nothing in it is executed.

    Args:
        path: of `last.pt` or `best.pt`.
        fingerprint: of the configuration of its run; None takes any.

    Returns:
        What `make_checkpoint` made, tensors on the CPU.

    Raises:
        CheckpointError: it is missing, damaged, of another version or configuration, or no checkpoint of ours.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    if _seal(content[: -DIGEST_LENGTH - len(NO_COMMENT)] + NO_COMMENT) != content:
        raise CheckpointError(f"{path}: is truncated, damaged, or no checkpoint: its SHA-256 does not fit its content")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(content):
                raise ValueError("compressed, which could fill the memory")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: holds more than tensors and plain values; refused ({one_line(error)})"
        ) from error
    version = state.get("format_version") if isinstance(state, dict) else None
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path}: is no checkpoint of format version {FORMAT_VERSION}; its version is {version}")
    for key, kind in ((key, kind) for kind, keys in KINDS.items() for key in keys):
        if not isinstance(state.get(key), kind):
            raise CheckpointError(f"{path}: its {key} is missing or of a wrong type")
    if fingerprint not in (None, state["fingerprint"]):
        raise CheckpointError(f"{path}: belongs to a run with another configuration than that of its folder")
    return state  # type: ignore[no-any-return]


def restore(member: Member, state: dict[str, Any], path: Path) -> Progress:
    """Put a run's model, optimizer, scheduler and random numbers where they were.

    Args:
        member: built from the same configuration.
        state: from `load_checkpoint`.
        path: of the checkpoint, for messages.

    Returns:
        How far the run was.

    Raises:
        CheckpointError: the state does not fit the member, or has numbers that cannot be.
    """
    progress = Progress(**{each.name: state[each.name] for each in fields(Progress)})
    try:
        numbers = [progress.best["epoch"], progress.best["objective"], *progress.metrics.values()]
        numbers += [progress.seconds["total"], progress.seconds["training"]]
        if progress.epoch < 0 or not all(map(math.isfinite, numbers)):
            raise ValueError("a number is negative or not finite")
        _restore_random_state(state)
        member.model.load_state_dict(state["model"])
        expected = [set(group) for group in member.optimizer.param_groups]
        if [set(group) for group in state["optimizer"]["param_groups"]] != expected:
            raise ValueError("other settings of the optimizer")
        member.optimizer.load_state_dict(state["optimizer"])
        member.scheduler.load_state_dict(state["scheduler"])
        if isinstance(member.scheduler, LambdaLR):  # ours: a function of the epoch, which may span more epochs now
            schedule = zip(member.scheduler.base_lrs, member.scheduler.lr_lambdas, strict=True)
            for group, (lr, factor) in zip(member.optimizer.param_groups, schedule, strict=True):
                group["lr"] = lr * factor(member.scheduler.last_epoch)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: does not fit the run's configuration: {one_line(error)}") from error
    return progress


def _restore_random_state(state: dict[str, Any]) -> None:
    """Let torch draw what it would have drawn next, on the CPU and on the devices that are still there."""
    random_state = state["random_state"]
    torch.set_rng_state(random_state["cpu"])
    if random_state["cuda"] and len(random_state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(random_state["cuda"])
    if random_state.get("mps") is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(random_state["mps"])


def _without_numpy(value: Any) -> Any:
    """Turn numbers of NumPy, which a user's schedule may set, into plain ones: others are not read back."""
    if type(value) is dict:  # a Counter, such as that of MultiStepLR, stays one
        return {key: _without_numpy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_numpy(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _seal(content: bytes) -> bytes:
    assert content.endswith(NO_COMMENT)
    comment = hashlib.sha256(content).hexdigest().encode()
    return content[: -len(NO_COMMENT)] + struct.pack("<H", len(comment)) + comment
