"""Building everything a run is made of, and finding out early whether the pieces fit together."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.compiler import keep_compiler_idle
from fashion_softmax.config import build
from fashion_softmax.data import Dataset
from fashion_softmax.errors import ConfigError, MachineError
from fashion_softmax.losses import Loss

T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """What a run is made of, on the device it is trained on."""

    dataset: Dataset
    model: nn.Module
    loss_fn: Loss
    optimizer: Optimizer
    scheduler: LRScheduler
    device: torch.device


def build_parts(cfg: DictConfig) -> Parts:
    """Build a run's parts, seeded, in the order of their dependencies.

    Args:
        cfg: a configuration that `validate` accepts.

    Returns:
        The parts, untrained.

    Raises:
        ConfigError: a constructor refuses a value, or the parts do not fit together.
        DataError: the data set is missing or corrupt.
        MachineError: the device is not there, or there is no memory for a part.
    """
    device = pick_device(cfg.device)
    dataset = _require(build(cfg.dataset, "dataset"), Dataset, "dataset")
    torch.manual_seed(cfg.seed)
    model = _require(build(cfg.model, "model", dataset.image_shape, dataset.num_classes), nn.Module, "model").to(device)
    loss_fn = _require(build(cfg.loss, "loss"), Loss, "loss")  # type: ignore[type-abstract]
    _probe(model, loss_fn, dataset, device)
    keep_compiler_idle()
    optimizer = _require(build(cfg.optimizer, "optimizer", list(model.parameters())), Optimizer, "optimizer")
    _require_no_arguments(optimizer.step, "optimizer")
    scheduler = _require(build(cfg.scheduler, "scheduler", optimizer), LRScheduler, "scheduler")
    _require_no_arguments(scheduler.step, "scheduler")
    return Parts(dataset, model, loss_fn, optimizer, scheduler, device)


def pick_device(name: str) -> torch.device:
    """Choose where to train.

    Args:
        name: a torch device, or `auto` for CUDA where there is one, else Apple's mps, else the CPU.

    Returns:
        The device.

    Raises:
        ConfigError: there is no such name.
        MachineError: this machine has no such device.
    """
    mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device={name} is no device: {error}") from error
    num_present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(mps)}
    if (device.index or 0) >= num_present.get(device.type, 0):
        raise MachineError(f"device={name} is not on this machine; device=auto takes what there is")
    return device


def _require(part: Any, kind: type[T], key: str) -> T:
    if not isinstance(part, kind):
        raise ConfigError(
            f"{key}._target_ builds a {type(part).__name__}, expected a {kind.__module__}.{kind.__name__}"
        )
    return part


def _require_no_arguments(step: Callable[..., Any], key: str) -> None:
    """Refuse an optimizer that needs a closure, or a scheduler that needs a metric: the loop has none to give."""
    needed = [
        p.name
        for p in inspect.signature(step).parameters.values()
        if p.default is p.empty and p.kind < p.VAR_POSITIONAL
    ]
    if needed:
        raise ConfigError(
            f"{key}._target_ cannot be used: its step needs {', '.join(needed)}, which a plain loop does not give"
        )


def _probe(model: nn.Module, loss_fn: Loss, dataset: Dataset, device: torch.device) -> None:
    """Send two blank images through model and loss: a misfit is then the configuration's error, not a traceback."""
    shape = (2, dataset.num_classes)
    images, labels = (
        torch.zeros(2, *dataset.image_shape, device=device),
        torch.zeros(2, dtype=torch.int64, device=device),
    )
    try:
        with torch.no_grad():
            logits = model.eval()(images)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"model: cannot take images of shape {dataset.image_shape} (C, H, W): {error}") from error
    if tuple(logits.shape) != shape:
        raise ConfigError(f"model: gives {tuple(logits.shape)} for two images, expected {shape} (images, classes)")
    try:
        losses, _ = loss_fn.value_and_gradient(logits, labels)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ConfigError(f"loss: cannot be computed: {error}") from error
    if tuple(losses.shape) != (2,):
        raise ConfigError(f"loss: gives {tuple(losses.shape)} for two images, expected (2,): one loss per image")
