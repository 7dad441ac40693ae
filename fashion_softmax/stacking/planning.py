"""What trains together: runs are sorted into stacks by what they must share, if their models can be stacked."""

import copy
import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from fashion_softmax.learning.losses import Loss
from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.stacking.members import Member
from fashion_softmax.stacking.models import StackedModule

# On a CPU more runs than this gain nothing: the product is as fast as it gets, and its operands leave the cache.
MAX_STACK_SIZE = 64
# A run's parameters, their gradients, an optimizer's two moments and a copy to save.
TENSORS_PER_PARAMETER = 5
# What gains nothing on a CPU. Measured on two cores, time of a run in a stack of 16 over its time alone: LeNet 1.1, its
# convolutions become grouped ones; an MLP of 203 530 parameters 0.8 to 1.0, depending on the optimizer, and 1.1 in a
# stack of two; with 13 000 to 102 000 parameters 0.5 to 0.9.
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_PARAMETERS_ON_CPU = 150_000
T = TypeVar("T")
PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device, type)
INTERNAL = frozenset(vars(nn.Module()))  # what torch keeps in every module

_alone: dict[tuple[object, ...], str | None] = {}  # what was tried once need not be tried for each job of a sweep
_drawing: dict[str, bool] = {}


@dataclass(frozen=True)
class Facts:
    """What planning needs to know of a run.

    Attributes:
        shared: name to value of everything that the runs of a stack must have in common.
        architecture: of the model; shared as well.
        loss: the loss in words; members with equal losses become neighbours.
        alone: why the model cannot be stacked, None if it can.
        num_bytes: memory that the run needs in a stack.
    """

    shared: Mapping[str, str]
    architecture: tuple[object, ...]
    loss: str
    alone: str | None
    num_bytes: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for runs that can be trained together."""
        return (*self.shared.items(), self.architecture)


def find_facts(member: Member, blank: Tensor, num_classes: int, shared: Mapping[str, str], loss: str) -> Facts:
    """Find out what a run must have in common with its company, trying each architecture of a model only once.

    Args:
        member: of the run.
        blank: a few images to try, shape (B, C, H, W), on the model's device and of its type.
        num_classes: K.
        shared: see `Facts`; the model is added.
        loss: the loss and its settings in words.
    """
    model = member.model
    kind = architecture(model)
    if (key := (kind, blank.device.type, tuple(blank.shape[1:]))) not in _alone:
        _alone[key] = why_alone(model, blank.clone().uniform_())
    if loss not in _drawing:
        _drawing[loss] = _draws(member.loss_fn, num_classes)
    alone = _alone[key] or ("its loss draws random numbers" if _drawing[loss] else None)
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    words = {**shared, "model": f"{type(model).__name__} with {num_parameters} parameters"}
    num_bytes = TENSORS_PER_PARAMETER * sum(p.numel() * p.element_size() for p in model.parameters())
    return Facts(words, kind, loss, alone, num_bytes)


def plan(runs: Mapping[T, Facts], max_stack_size: int | None = None, *, most: int = MAX_STACK_SIZE) -> list[list[T]]:
    """Sort runs into stacks.

    Args:
        runs: name of each run, such as its number, to its facts.
        max_stack_size: runs in a stack at most, at least 1; None for what fits into memory, at most `most`.
        most: what is fast.

    Returns:
        The stacks, in the order of their first runs; in each, runs with equal losses are neighbours. What is too large
        is split into equal parts.
    """
    place = {name: index for index, name in enumerate(runs)}
    stacks = [[name] for name, facts in runs.items() if facts.alone]
    groups: dict[tuple[object, ...], list[T]] = {}
    for name, facts in runs.items():
        if not facts.alone:
            groups.setdefault(facts.key, []).append(name)
    for group in groups.values():
        in_memory = max(1, available_memory() // 2 // max(1, runs[group[0]].num_bytes))
        num_stacks = -(-len(group) // (max_stack_size or min(most, in_memory)))
        group.sort(key=lambda name: (runs[name].loss, place[name]))
        bounds = [len(group) * index // num_stacks for index in range(num_stacks + 1)]
        stacks += [group[start:end] for start, end in itertools.pairwise(bounds)]
    return sorted(stacks, key=lambda stack: min(map(place.__getitem__, stack)))


def available_memory() -> int:
    """Ask the operating system how many bytes are free for a program."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: assume that half of it is taken
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def architecture(model: nn.Module) -> tuple[object, ...]:
    """Describe all of a model but its numbers; models of equal architecture compute the same function of theirs.

    Args:
        model: any module.

    Returns:
        Names, types, settings and the shapes of parameters and buffers of all its modules; compares with `==`.
    """
    modules = tuple((name, type(module), _settings(module)) for name, module in model.named_modules())
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shapes = tuple((name, tuple(tensor.shape), tensor.dtype, tensor.requires_grad) for name, tensor in tensors)
    return modules, shapes


def why_alone(model: nn.Module, images: Tensor) -> str | None:
    """Find out why a model cannot be stacked with others of its architecture, or should not.

    Args:
        model: any module, left as it was.
        images: a batch to try, shape (B, C, H, W), on the model's device.

    Returns:
        The reason in a few words; None when it stacks.
    """
    if type(model) is SoftmaxRegression:
        return None
    if images.device.type == "cpu":
        if any(isinstance(module, CONVOLUTIONS) for module in model.modules()):
            return "convolutions gain nothing from stacking on a CPU"
        if sum(parameter.numel() for parameter in model.parameters()) > MAX_PARAMETERS_ON_CPU:
            return "its products are large enough to fill a CPU already"
    copies = [copy.deepcopy(model).train() for _ in range(2)]
    try:
        with torch.no_grad():
            for parameter in copies[1].parameters():
                parameter.add_(torch.randn_like(parameter))
            expected = torch.stack([copy.deepcopy(each)(images) for each in copies])
        logits = StackedModule(copies)(images)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        if "randomness" in str(error):
            return "it draws random numbers while it trains, and they would depend on its company"
        return f"torch.func cannot stack it ({' '.join(str(error).split())[:100]})"
    same = torch.allclose(logits, expected, rtol=1e-3, atol=1e-5, equal_nan=True)
    return None if same else "stacked, it computes something else than alone"


def _draws(loss_fn: Loss, num_classes: int) -> bool:
    """Tell whether a loss draws random numbers: others, then, in other company."""
    before = torch.get_rng_state()
    copy.deepcopy(loss_fn).value_and_gradient(torch.zeros(2, num_classes), torch.zeros(2, dtype=torch.int64))
    draws = not torch.equal(before, torch.get_rng_state())
    torch.set_rng_state(before)
    return draws


class _Identity:
    """Stands for an object that equals nothing but itself."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _settings(module: nn.Module) -> tuple[object, ...]:
    own = [(key, _settle(value)) for key, value in vars(module).items() if key not in INTERNAL]
    hooks = [(key, _Identity(value)) for key, value in vars(module).items() if key.endswith("_hooks") and value]
    return (*own, *hooks)


def _settle(value: object) -> object:
    """Make a setting comparable: anything but plain values is taken as different unless it is the same object."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, list | tuple):
        return tuple(map(_settle, value))
    return _Identity(value)
