"""Building everything a run is made of, and finding out early whether the pieces fit together."""

import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.config.checking import validate
from fashion_softmax.config.compiler import keep_compiler_idle
from fashion_softmax.config.schema import build
from fashion_softmax.data import Batches, Dataset, Split
from fashion_softmax.errors import ConfigError, MachineError
from fashion_softmax.learning.losses import Loss
from fashion_softmax.stacking import Member

T = TypeVar("T")


@dataclass(frozen=True)
class Parts:
    """What a run is made of, on the device it is trained on.

    Attributes:
        dataset: may be shared with other runs.
        member: the model and what it trains with, the run's own.
        seed: of the data's order.
        device: of the model.
        dtype: of the model and of the images it sees.
    """

    dataset: Dataset
    member: Member
    seed: int
    device: torch.device
    dtype: torch.dtype

    @property
    def objective_name(self) -> str:
        """What a run is judged by: the accuracy on the validation split if there is one, else on the test split."""
        return f"{next(iter(self.dataset.evaluation_splits))}/accuracy"

    def make_batches(self) -> Batches:
        """Make the training batches."""
        return Batches(
            self.dataset.train,
            self.dataset.batch_size,
            seed=self.seed,
            num_workers=self.dataset.num_workers,
            device=self.device,
            dtype=self.dtype,
        )

    def evaluation_splits(self) -> dict[str, Split]:
        """Move the splits that runs are measured on to the device, by name; the first is the one that chooses."""
        return {name: split.to(self.device) for name, split in self.dataset.evaluation_splits.items()}


def check(cfg: DictConfig) -> Parts:
    """Find out whether a configuration can be run: check it, get its data, build all its parts.

    Args:
        cfg: of the shape of `config.Config`.

    Returns:
        The parts, untrained.

    Raises:
        FashionSoftmaxError: it cannot; nothing was created but a data set that was missing.
    """
    validate(cfg)
    return build_parts(cfg)


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
    device, dtype = pick_device(cfg.device), getattr(torch, cfg.dtype)
    if device.type == "mps" and dtype == torch.float64:
        raise ConfigError("dtype=float64 is not to be had on device mps; add device=cpu")
    # The folder belongs to the words: a relative path means another data set elsewhere.
    dataset = _load_dataset(json.dumps(OmegaConf.to_container(cfg.dataset, resolve=True)), Path.cwd())
    seed_torch(cfg.seed, device)
    model = require_part(build(cfg.model, "model", dataset.image_shape, dataset.num_classes), nn.Module, "model")
    model = model.to(device, dtype)
    loss_fn = require_part(build(cfg.loss, "loss"), Loss, "loss")  # type: ignore[type-abstract]
    _probe(model, loss_fn, dataset, torch.zeros(2, *dataset.image_shape, device=device, dtype=dtype))
    keep_compiler_idle()
    optimizer = require_part(build(cfg.optimizer, "optimizer", list(model.parameters())), Optimizer, "optimizer")
    _require_no_arguments(optimizer.step, "optimizer")
    scheduler = require_part(build(cfg.scheduler, "scheduler", optimizer), LRScheduler, "scheduler")
    _require_no_arguments(scheduler.step, "scheduler")
    return Parts(dataset, Member(model, loss_fn, optimizer, scheduler), cfg.seed, device, dtype)


@functools.lru_cache(maxsize=4)
def _load_dataset(node: str, working_dir: Path) -> Dataset:
    """Load a data set once for all runs of the process that ask for it in the same words, JSON here."""
    return require_part(build(OmegaConf.create(json.loads(node)), "dataset"), Dataset, "dataset")


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed what the models draw: initial weights on the CPU, dropout on the device.

    Args:
        seed: of the run.
        device: of the model. `torch.manual_seed` would also prepare the seeding of devices that are not used, which
            takes longer than building the model.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.manual_seed(seed)


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


def require_part(part: Any, kind: type[T], key: str) -> T:
    """Refuse what a configuration builds when it is of another kind.

    Raises:
        ConfigError: names the key, what it builds and what is expected.
    """
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


def _probe(model: nn.Module, loss_fn: Loss, dataset: Dataset, images: Tensor) -> None:
    """Send two blank images through model and loss: a misfit is then the configuration's error, not a traceback."""
    shape = (2, dataset.num_classes)
    labels = torch.zeros(2, dtype=torch.int64, device=images.device)
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
