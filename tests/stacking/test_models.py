"""Many models as one: the same logits and gradients as each alone, one product however many, what cannot be stacked."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fashion_softmax.learning.losses import CrossEntropy
from fashion_softmax.learning.models import MLP, LeNet, SoftmaxRegression
from fashion_softmax.stacking.models import SingleModel, StackedModule, StackedSoftmaxRegression, stack_models
from fashion_softmax.stacking.planning import architecture, why_alone

SHAPE = (1, 4, 4)


class BatchNormed(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(16, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


class Scaled(nn.Module):
    """Its factor is no tensor, so that vmap cannot tell two of them apart."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.linear = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * self.linear(images.flatten(1))  # type: ignore[no-any-return]


class Branching(Scaled):
    """Looks at its numbers, which vmap does not allow."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits if logits.sum() > 0 else -logits


class Hidden(Scaled):
    """Keeps a module where torch does not see it, so that every stacked copy computes with the first one's."""

    def __init__(self, factor: float) -> None:
        super().__init__(factor)
        self.hidden = [nn.Linear(3, 3)]

    def forward(self, images: Tensor) -> Tensor:
        return self.hidden[0](super().forward(images)).detach()  # type: ignore[no-any-return]


class Secret(Scaled):
    """Keeps what it computes with where nobody should look."""

    def __init__(self, factor: float) -> None:
        super().__init__(1.0)
        self._factor = factor

    def forward(self, images: Tensor) -> Tensor:
        return self._factor * super().forward(images)


def hook(model: nn.Module) -> nn.Module:
    model.register_forward_hook(lambda module, inputs, output: 2 * output)
    return model


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


@pytest.mark.parametrize("num_models", [1, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda: SoftmaxRegression(SHAPE, 3),
        lambda: MLP(SHAPE, 3, hidden_sizes=[5]),
        lambda: LeNet((1, 12, 12), 3),
        BatchNormed,
    ],
    ids=["softmax_regression", "mlp", "lenet", "batch_norm"],
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


@pytest.mark.parametrize("stacked_class", [StackedSoftmaxRegression, StackedModule])
def test_parameters_are_views_into_the_storage(stacked_class: type) -> None:
    make = SoftmaxRegression if stacked_class is StackedSoftmaxRegression else MLP
    models = [make(SHAPE, 3) for _ in range(3)]
    stack = stacked_class(models)
    for storage, *parameters in zip(stack.parameters, *(model.parameters() for model in models), strict=True):
        assert storage.shape == (3, *parameters[0].shape)
        with torch.no_grad():
            parameters[1].fill_(7)
        assert (storage[1] == 7).all() and not (storage[0] == 7).any()


@pytest.mark.parametrize("model_class", [SoftmaxRegression, MLP])
def test_number_of_products_does_not_grow_with_the_runs(model_class: Callable[..., nn.Module]) -> None:
    counts = []
    for num_models in (2, 16):
        stack = stack_models([model_class(SHAPE, 3) for _ in range(num_models)])
        with CountProducts() as products:
            stack(torch.rand(8, *SHAPE))
            stack.backward(torch.rand(num_models, 8, 3))
        counts.append(products.counts)
    assert counts[0] == counts[1] and counts[0]
    assert model_class is MLP or counts[0] == {"addmm": 2}


def test_stack_models_picks_the_cheapest_way() -> None:
    assert isinstance(stack_models([SoftmaxRegression(SHAPE, 3)]), StackedSoftmaxRegression)
    assert isinstance(stack_models([MLP(SHAPE, 3)]), SingleModel)
    assert isinstance(stack_models([MLP(SHAPE, 3), MLP(SHAPE, 3)]), StackedModule)


@pytest.mark.parametrize(
    ("model", "other", "same"),
    [
        (SoftmaxRegression(SHAPE, 3), SoftmaxRegression(SHAPE, 3, init_std=5), True),
        (SoftmaxRegression(SHAPE, 3), SoftmaxRegression(SHAPE, 4), False),
        (SoftmaxRegression(SHAPE, 3), SoftmaxRegression(SHAPE, 3).double(), False),
        (MLP(SHAPE, 3), MLP(SHAPE, 3), True),
        (MLP(SHAPE, 3, dropout=0.1), MLP(SHAPE, 3, dropout=0.2), False),
        (MLP(SHAPE, 3, hidden_sizes=[4]), MLP(SHAPE, 3, hidden_sizes=[5]), False),
        (Scaled(1.0), Scaled(1.0), True),
        (Scaled(1.0), Scaled(2.0), False),
        (Scaled(1.0), Branching(1.0), False),
        (Hidden(1.0), Hidden(1.0), False),
        (Secret(1.0), Secret(1.0), True),
        (Secret(1.0), Secret(2.0), False),
        (Scaled(1.0), hook(Scaled(1.0)), False),
        (Scaled(1.0), Scaled(1.0).requires_grad_(False), False),
    ],
)
def test_architecture_tells_models_apart_that_compute_different_functions(
    model: nn.Module, other: nn.Module, same: bool
) -> None:
    assert (architecture(model) == architecture(other)) is same
    assert hash(architecture(model)) is not None


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (SoftmaxRegression(SHAPE, 3), None),
        (MLP(SHAPE, 3), None),
        (Scaled(2.0), None),
        (BatchNormed(), None),
        (MLP(SHAPE, 3, dropout=0.5), "random numbers"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), "convolutions gain nothing"),
        (Branching(1.0), "torch.func cannot stack it"),
        (MLP(SHAPE, 3, hidden_sizes=[300, 500]), "large enough to fill a CPU"),
    ],
)
def test_why_alone_names_what_forbids_stacking(model: nn.Module, reason: str | None) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = why_alone(model, CrossEntropy(), torch.rand(4, *SHAPE))
    assert (found is None) if reason is None else (found is not None and reason in found)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
