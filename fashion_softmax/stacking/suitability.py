"""Which models can be stacked: those of equal architecture that `torch.func.vmap` can compute together."""

import copy

import torch
from torch import Tensor, nn

from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.stacking.models import StackedModule

# What gains nothing on a CPU. Measured on two cores, time of a run in a stack of 16 over its time alone: LeNet 1.1, its
# convolutions become grouped ones; an MLP of 203 530 parameters 0.8 to 1.0, depending on the optimizer, and 1.1 in a
# stack of two; with 13 000 to 102 000 parameters 0.5 to 0.9.
CONVOLUTIONS = (nn.modules.conv._ConvNd,)
MAX_PARAMETERS_ON_CPU = 150_000
PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device, type)


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


INTERNAL = frozenset(vars(nn.Module()))  # what torch keeps in every module


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
