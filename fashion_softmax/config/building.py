"""Building everything a run is made of, and finding out early whether the pieces fit together."""

import contextlib
import functools
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from hydra.utils import to_absolute_path
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.config.checking import REMEMBERED, check_values, find_target
from fashion_softmax.config.schema import call_resolver
from fashion_softmax.data import Batches, Dataset, Split
from fashion_softmax.errors import ConfigError
from fashion_softmax.learning.losses import Loss
from fashion_softmax.learning.models import pick_device, seed_torch
from fashion_softmax.stacking import Facts, Member
from fashion_softmax.stacking.models import is_stackable

T = TypeVar("T")

# Data, model and loss in words, and why such a run is trained alone: what was tried once need not be tried for each job
# of a sweep.
_alone: dict[str, str | None] = {}
_checked: dict[str, nn.Module] = {}  # the model of the last job that was only checked, by data and model in words


@dataclass(frozen=True)
class Parts:
    """What a run is made of, on the device it is trained on.

    Attributes:
        dataset: may be shared with other runs.
        member: the model and what it trains with, the run's own.
        facts: what the run must have in common with those it is trained together with.
        seed: of the data's order.
        device: of the model.
        dtype: of the model and of the images it sees.
    """

    dataset: Dataset
    member: Member
    facts: Facts
    seed: int
    device: torch.device
    dtype: torch.dtype

    @property
    def objective_name(self) -> str:
        """What a run is judged by: the accuracy on the validation split if there is one, else on the test split."""
        return f"{next(iter(self.dataset.evaluation_splits))}/accuracy"

    def make_batches(self) -> Batches:
        """Make the training batches."""
        data = self.dataset
        options = {"seed": self.seed, "num_workers": data.num_workers}
        return Batches(data.train, data.batch_size, device=self.device, dtype=self.dtype, **options)

    def evaluation_splits(self) -> dict[str, Split]:
        """Move the splits that runs are measured on to the device, by name; the first is the one that chooses."""
        return {name: split.to(self.device) for name, split in self.dataset.evaluation_splits.items()}


def build_parts(resolved: Mapping[str, Any], *, is_trained: bool = True, dataset: Dataset | None = None) -> Parts:
    """Check a configuration, get its data and build a run's parts, seeded, in the order of their dependencies.

    Args:
        resolved: of the shape of `schema.Config`, without interpolations.
        is_trained: not only checked; if only checked, its model may be another run's, with any weights.
        dataset: to take in place of the configured one.

    Returns:
        The parts, untrained.

    Raises:
        ConfigError: a value is not allowed, or the parts do not fit together; at most the data set was fetched.
        DataError: the data set is missing or corrupt.
        MachineError: the device is not there, or there is no memory for a part.
    """
    check_values(resolved)
    device, dtype = pick_device(resolved["device"]), getattr(torch, resolved["dtype"])
    if device.type == "mps" and dtype == torch.float64:
        raise ConfigError("device mps has no dtype=float64; add device=cpu")
    # A relative path belongs to the user's folder, not to that of the run, into which hydra.job.chdir goes.
    data_words = json.dumps(resolved["dataset"])
    dataset = dataset or load_dataset(data_words, to_absolute_path("."))
    seed_torch(resolved["seed"], device)
    words = f"{data_words} {resolved['model']} {device} {dtype}"
    if (model := None if is_trained else _checked.get(words)) is None:
        model = build_as(nn.Module, resolved, "model", dataset.image_shape, dataset.num_classes).to(device, dtype)
    if not is_trained:
        _checked.clear()  # one is enough for most grids, and all would fill the memory
        _checked[words] = model
    loss_fn = build_as(Loss, resolved, "loss")  # type: ignore[type-abstract]
    if (words := f"{words} {resolved['loss']}") not in _alone:
        blank = torch.zeros(2, *dataset.image_shape, device=device, dtype=dtype)
        _alone[words] = _probe(model, loss_fn, dataset, blank)
    optimizer = build_as(Optimizer, resolved, "optimizer", list(model.parameters()))
    _require_no_arguments(optimizer, "optimizer")
    scheduler = build_as(LRScheduler, resolved, "scheduler", optimizer)
    _require_no_arguments(scheduler, "scheduler")
    facts = _find_facts(resolved, device, model, _alone[words])
    return Parts(dataset, Member(model, loss_fn, optimizer, scheduler), facts, resolved["seed"], device, dtype)


def _find_facts(resolved: Mapping[str, Any], device: torch.device, model: nn.Module, alone: str | None) -> Facts:
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    shared = {
        "seed": str(resolved["seed"]),
        "device": str(device),
        "dtype": resolved["dtype"],
        "trainer.num_epochs": str(resolved["trainer"]["num_epochs"]),
        **{f"dataset.{name}": str(value) for name, value in resolved["dataset"].items()},
        "model": f"{type(model).__name__} with {num_parameters} parameters",
    }
    return Facts(shared, json.dumps(resolved["loss"], sort_keys=True), alone, num_parameters)


def build_as(kind: type[T], resolved: Mapping[str, Any], key: str, *runtime_args: Any) -> T:
    """Build a component and those inside it.

    Args:
        kind: that it has to be of.
        resolved: a configuration, without interpolations.
        key: of the component: a node with a `_target_` and its keyword arguments.
        *runtime_args: facts only known now, passed first and by position; see `schema.COMPONENTS`.

    Raises:
        ConfigError: it is of another kind, or its constructor raises ValueError, TypeError or RuntimeError.
    """
    try:
        part = _construct(resolved[key], *runtime_args)
    except (ValueError, TypeError, RuntimeError) as error:
        if "alloc" in str(error):  # there is no memory
            raise
        opens_with_argument = re.match(r"\w+=", str(error))  # such as `delta=0 is out of range`
        raise ConfigError(f"{key}{'.' if opens_with_argument else ': '}{error}") from error
    if not isinstance(part, kind):
        raise ConfigError(f"{key}._target_ builds a {type(part).__name__}, not a {kind.__module__}.{kind.__name__}")
    return part


def _construct(node: Any, *runtime_args: Any) -> Any:
    """Build a node and those inside it by their `_target_`; Hydra's `instantiate` takes a millisecond for it."""
    if isinstance(node, list):
        return [_construct(item) for item in node]
    if not isinstance(node, dict):
        return node
    kwargs = {name: _construct(value) for name, value in node.items()}
    return find_target(kwargs.pop("_target_"))(*runtime_args, **kwargs) if "_target_" in kwargs else kwargs


@functools.lru_cache(maxsize=4)
def load_dataset(node: str, working_dir: str) -> Dataset:
    """Load a data set once for all runs that ask for it in the same words, JSON here."""
    with contextlib.chdir(working_dir):
        return build_as(Dataset, {"dataset": json.loads(node)}, "dataset")


def forget_data() -> None:
    """Look at all again when it is asked for next: in a live process it may have changed."""
    for cached in (load_dataset, call_resolver, *REMEMBERED):
        cached.cache_clear()
    _alone.clear()
    _checked.clear()


def _require_no_arguments(part: Optimizer | LRScheduler, key: str) -> None:
    """Refuse an optimizer that needs a closure, or a scheduler that needs a metric: the loop has none to give."""
    _, *parameters = inspect.signature(type(part).step).parameters.values()
    if needed := [each.name for each in parameters if each.default is each.empty and each.kind < each.VAR_POSITIONAL]:
        raise ConfigError(f"{key}._target_ cannot be used: its step needs {', '.join(needed)}, and the loop has none")


def _probe(model: nn.Module, loss_fn: Loss, dataset: Dataset, images: Tensor) -> str | None:
    """Send two blank images through model and loss: a misfit is then the configuration's error, not a traceback.

    Returns:
        Why such a run is trained alone, None if it can have company.
    """
    shape = (2, dataset.num_classes)
    labels = torch.zeros(2, dtype=torch.int64, device=images.device)
    try:
        with torch.no_grad():
            logits = model.eval()(images)
        model.train()
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"model: cannot take images of shape {dataset.image_shape} (C, H, W): {error}") from error
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if found != shape:
        raise ConfigError(f"model: gives {found} for two images, expected {shape} (images, classes)")
    sources = [torch, *([] if images.device.type == "cpu" else [getattr(torch, images.device.type)])]
    before = [source.get_rng_state() for source in sources]
    try:
        losses, _ = loss_fn.value_and_gradient(logits, labels)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise ConfigError(f"loss: cannot be computed: {error}") from error
    if tuple(losses.shape) != (2,):
        raise ConfigError(f"loss: gives {tuple(losses.shape)} for two images, expected (2,): one loss per image")
    if not is_stackable(model):
        return "only softmax regressions are trained together"
    if not all(map(torch.equal, before, (source.get_rng_state() for source in sources))):
        return "its loss draws random numbers, and they would depend on its company"
    return None
