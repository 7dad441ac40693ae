"""What trains together: runs are sorted into stacks by what they must share, if their models can be stacked."""

import copy
import io
import itertools
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from fashion_softmax.learning.losses import Loss
from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.stacking.members import Member
from fashion_softmax.stacking.models import StackedModule

# On a CPU more runs than this gain nothing: the product is as fast as it gets, and its operands leave the cache.
MAX_STACK_SIZE = 64
# Of all runs of a stack: with gradients, an optimizer's two moments and a copy to save, 20 bytes each in float32.
MAX_STACKED_PARAMETERS = 2**24
# What gains nothing on a CPU. Measured on two cores, time of a run in a stack of 16 over its time alone: LeNet 1.1, its
# convolutions become grouped ones; an MLP of 203 530 parameters 0.8 to 1.0, depending on the optimizer, and 1.1 in a
# stack of two; with 13 000 to 102 000 parameters 0.5 to 0.9.
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_PARAMETERS_ON_CPU = 150_000
T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """What planning needs to know of a run.

    Attributes:
        shared: name to value of everything that the runs of a stack must have in common.
        architecture: of the model; shared as well.
        loss: the loss in words; members with equal losses become neighbours.
        alone: why the run cannot be stacked, None if it can.
        num_parameters: of the model.
    """

    shared: Mapping[str, str]
    architecture: object
    loss: str
    alone: str | None
    num_parameters: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for runs that can be trained together."""
        return (*self.shared.items(), self.architecture)


def find_facts(member: Member, blank: Tensor, shared: Mapping[str, str], loss: str) -> Facts:
    """Find out what a run must have in common with its company.

    Args:
        member: of the run.
        blank: a few images to try, shape (B, C, H, W), on the model's device and of its type.
        shared: see `Facts`; the model is added.
        loss: the loss and its settings in words.
    """
    model = member.model
    kind = architecture(model)
    alone = why_alone(model, member.loss_fn, blank.clone().uniform_())
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    words = {**shared, "model": f"{type(model).__name__} with {num_parameters} parameters"}
    return Facts(words, kind, loss, alone, num_parameters)


def plan(runs: Mapping[T, Facts], max_stack_size: int | None = None) -> list[list[T]]:
    """Sort runs into stacks.

    Args:
        runs: name of each run, such as its number, to its facts.
        max_stack_size: runs in a stack at most, at least 1; None for what is fast and fits into memory.

    Returns:
        The stacks, in the order of their first runs; in each, runs with equal losses are neighbours. What is too large
        is split into equal parts.
    """
    place = {name: index for index, name in enumerate(runs)}
    stacks: list[list[T]] = []
    groups: dict[tuple[object, ...], list[T]] = {}
    for name, facts in runs.items():
        groups.setdefault((name,) if facts.alone else facts.key, []).append(name)
    for group in groups.values():
        in_memory = max(1, MAX_STACKED_PARAMETERS // max(1, runs[group[0]].num_parameters))
        num_stacks = -(-len(group) // (max_stack_size or min(MAX_STACK_SIZE, in_memory)))
        group.sort(key=lambda name: (runs[name].loss, place[name]))
        bounds = [len(group) * index // num_stacks for index in range(num_stacks + 1)]
        stacks += [group[start:end] for start, end in itertools.pairwise(bounds)]
    return sorted(stacks, key=lambda stack: min(map(place.__getitem__, stack)))


def architecture(model: nn.Module) -> object:
    """Describe all of a model but its numbers; models of equal architecture compute the same function of theirs.

    Args:
        model: any module; it is put into training mode.

    Returns:
        The pickled module with the shapes of its parameters and buffers in their places. What cannot be pickled, such
        as a hook, equals nothing.
    """
    content = io.BytesIO()
    pickler = _Pickler(content)
    pickler.shapes = {
        id(tensor): (tuple(tensor.shape), tensor.dtype, tensor.requires_grad)
        for tensor in (*model.parameters(), *model.buffers())
    }
    try:
        pickler.dump(model.train())
    except Exception:  # whatever foreign code raises
        return object()
    return content.getvalue()


class _Pickler(pickle.Pickler):
    shapes: Mapping[int, object]

    def persistent_id(self, value: object) -> object:
        return self.shapes.get(id(value))


def why_alone(model: nn.Module, loss_fn: Loss, images: Tensor) -> str | None:
    """Find out why a run cannot be stacked with others of its architecture, or should not.

    Args:
        model: any module, left as it was.
        loss_fn: left as it was.
        images: a batch to try, shape (B, C, H, W), on the model's device.

    Returns:
        The reason in a few words; None when it stacks.
    """
    if images.device.type == "cpu" and type(model) is not SoftmaxRegression:
        if any(isinstance(module, CONVOLUTIONS) for module in model.modules()):
            return "convolutions gain nothing from stacking on a CPU"
        if sum(parameter.numel() for parameter in model.parameters()) > MAX_PARAMETERS_ON_CPU:
            return "its products are large enough to fill a CPU already"
    try:
        copies = [copy.deepcopy(model).train() for _ in range(2)]
        with torch.no_grad():
            for parameter in copies[1].parameters():
                parameter.add_(torch.randn_like(parameter))
            before = torch.get_rng_state()
            expected = torch.stack([copy.deepcopy(each)(images) for each in copies])
            labels = torch.zeros(len(images), dtype=torch.int64, device=images.device)
            copy.deepcopy(loss_fn).value_and_gradient(expected[0], labels)
        if not torch.equal(before, torch.get_rng_state()):
            return "it draws random numbers while it trains, and they would depend on its company"
        if type(model) is SoftmaxRegression:
            return None
        same = torch.allclose(StackedModule(copies)(images), expected, rtol=1e-3, atol=1e-5, equal_nan=True)
    except Exception as error:  # whatever foreign code raises
        return f"torch.func cannot stack it ({' '.join(str(error).split())[:100]})"
    return None if same else "stacked, it computes something else than alone"
