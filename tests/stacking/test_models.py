"""Many models as one: the same logits and gradients as each alone, one product however many, what cannot be stacked."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from fashion_softmax.learning.models import MLP, LeNet, SoftmaxRegression
from fashion_softmax.stacking.models import SingleModel, StackedSoftmaxRegression, is_stackable, stack_models

SHAPE = (1, 4, 4)


class BatchNormed(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(16, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


class CountProducts(TorchDispatchMode):
    """Counts the matrix products torch really makes."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        name = func.__name__.partition(".")[0]
        if name in ("mm", "addmm", "bmm", "baddbmm", "mv", "dot", "addmv"):
            self.counts[name] = self.counts.get(name, 0) + 1
        return func(*args, **(kwargs or {}))


def make_models(make: Callable[[], nn.Module], num_models: int) -> tuple[list[nn.Module], list[nn.Module]]:
    """Make models and exact copies of them."""
    torch.manual_seed(0)
    models = [make().double() for _ in range(num_models)]
    copies = [make().double() for _ in range(num_models)]
    for model, other in zip(models, copies, strict=True):
        other.load_state_dict(model.state_dict())
    return models, copies


@pytest.mark.parametrize(
    ("make", "num_models"),
    [
        (lambda: SoftmaxRegression(SHAPE, 3), 1),
        (lambda: SoftmaxRegression(SHAPE, 3), 3),
        (lambda: MLP(SHAPE, 3, hidden_sizes=[5]), 1),
        (lambda: LeNet((1, 12, 12), 3), 1),
        (BatchNormed, 1),
    ],
    ids=["softmax_regression", "three_softmax_regressions", "mlp", "lenet", "batch_norm"],
)
def test_stack_computes_what_each_model_computes_alone(make: Callable[[], nn.Module], num_models: int) -> None:
    models, copies = make_models(make, num_models)
    stack = stack_models(models)
    images = torch.rand(6, 1, 12, 12) if isinstance(models[0], LeNet) else torch.rand(6, *SHAPE)
    for _ in range(2):  # twice: gradients must not add up, running statistics must
        gradient = torch.randn(num_models, 6, 3, dtype=torch.float64)
        stack.train()
        logits = stack(images.double())
        stack.backward(gradient)
        for index, (model, other) in enumerate(zip(models, copies, strict=True)):
            expected = other.train()(images.double())
            other.zero_grad()
            (expected * gradient[index]).sum(-1).mean().backward()
            torch.testing.assert_close(logits[index], expected.detach(), rtol=0, atol=1e-12)
            for parameter, alone in zip(model.parameters(), other.parameters(), strict=True):
                torch.testing.assert_close(parameter.grad, alone.grad, rtol=0, atol=1e-12)
            for buffer, alone_buffer in zip(model.buffers(), other.buffers(), strict=True):
                torch.testing.assert_close(buffer, alone_buffer, rtol=0, atol=1e-12)
    stack.train(False)
    with torch.no_grad():
        expected = torch.stack([other.eval()(images.double()) for other in copies])
        torch.testing.assert_close(stack(images.double()), expected, rtol=0, atol=1e-12)


def test_parameters_are_views_into_the_storage() -> None:
    models = [SoftmaxRegression(SHAPE, 3) for _ in range(3)]
    stack = stack_models(models)
    for storage, *parameters in zip(stack.parameters, *(model.parameters() for model in models), strict=True):
        assert storage.shape == (3, *parameters[0].shape)
        with torch.no_grad():
            parameters[1].fill_(7)
        assert (storage[1] == 7).all() and not (storage[0] == 7).any()


def test_number_of_products_does_not_grow_with_the_runs() -> None:
    for num_models in (1, 2, 16):
        stack = stack_models([SoftmaxRegression(SHAPE, 3) for _ in range(num_models)])
        with CountProducts() as products:
            stack(torch.rand(8, *SHAPE))
            stack.backward(torch.rand(num_models, 8, 3))
        assert products.counts == {"addmm": 2}


class Scaled(SoftmaxRegression):
    """A subclass may compute something else."""


def test_only_softmax_regressions_are_trained_together() -> None:
    assert isinstance(stack_models([SoftmaxRegression(SHAPE, 3)]), StackedSoftmaxRegression)
    assert isinstance(stack_models([MLP(SHAPE, 3)]), SingleModel)
    assert is_stackable(SoftmaxRegression(SHAPE, 3))
    assert not any(map(is_stackable, (MLP(SHAPE, 3), LeNet((1, 12, 12), 3), Scaled(SHAPE, 3))))
