"""Losses against their formulas, against torch, and as properties of random inputs.

Gradients are compared in float64: analytically written ones with autograd to 1e-12.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from fashion_softmax.learning.losses import AbsoluteError, CrossEntropy, Huber, Loss, Margin, SquaredError
from fashion_softmax.learning.metrics import one_hot, softmax

LOSSES: dict[str, Loss] = {
    "ce": CrossEntropy(),
    "ce smoothed": CrossEntropy(label_smoothing=0.1),
    "mse": SquaredError(),
    "mse logits": SquaredError(input="logits"),
    "l1": AbsoluteError(),
    "l1 logits": AbsoluteError(input="logits"),
    "huber": Huber(delta=0.3),
    "huber logits": Huber(delta=0.3, input="logits"),
    "margin": Margin(delta=0.7),
}
# Adding a constant to all logits changes neither the probabilities nor the differences between logits.
SHIFT_INVARIANT = [name for name in LOSSES if not name.endswith("logits")]

each_loss = pytest.mark.parametrize("loss_fn", LOSSES.values(), ids=LOSSES.keys())


def draw_batch(seed: int, *shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(*shape, generator=generator, dtype=torch.float64)
    return logits, torch.randint(shape[-1], shape[-2:-1], generator=generator)


def test_cross_entropy_equals_the_lesson() -> None:
    logits, labels = draw_batch(0, 6, 4)
    probabilities = logits.exp() / logits.exp().sum(-1, keepdim=True)
    losses, gradient = CrossEntropy().value_and_gradient(logits, labels)
    torch.testing.assert_close(losses, -(one_hot(labels, logits) * probabilities.log()).sum(-1))
    torch.testing.assert_close(gradient, probabilities - one_hot(labels, logits))


@pytest.mark.parametrize(
    ("loss_fn", "reference"),
    [
        (CrossEntropy(0.2), lambda o, y: F.cross_entropy(o, y, reduction="none", label_smoothing=0.2)),
        (Margin(0.7), lambda o, y: F.multi_margin_loss(o, y, margin=0.7, reduction="none")),
        (SquaredError(input="logits"), lambda o, y: F.mse_loss(o, one_hot(y, o), reduction="none").sum(-1) / 2),
        (AbsoluteError(input="logits"), lambda o, y: F.l1_loss(o, one_hot(y, o), reduction="none").sum(-1)),
        (Huber(0.3), lambda o, y: F.huber_loss(softmax(o), one_hot(y, o), delta=0.3, reduction="none").sum(-1)),
    ],
)
def test_loss_equals_torch(loss_fn: Loss, reference: object) -> None:
    logits, labels = draw_batch(2, 32, 5)
    torch.testing.assert_close(loss_fn(logits, labels), reference(logits, labels))  # type: ignore[operator]


def test_regression_losses_at_a_hand_computed_point() -> None:
    # softmax([0, 0]) = [1/2, 1/2]; the errors against [1, 0] are -1/2 and 1/2.
    logits, labels = torch.zeros(1, 2), torch.tensor([0])
    assert SquaredError()(logits, labels).item() == pytest.approx(0.25)
    assert AbsoluteError()(logits, labels).item() == pytest.approx(1.0)
    assert Huber(delta=0.25)(logits, labels).item() == pytest.approx(2 * (0.25 * 0.5 - 0.25**2 / 2))
    assert Margin(delta=1.0)(logits, labels).item() == pytest.approx(0.5)


def test_huber_with_delta_one_is_the_squared_error_of_probabilities() -> None:
    logits, labels = draw_batch(3, 64, 10)
    torch.testing.assert_close(Huber(delta=1.0)(logits, labels), SquaredError()(logits, labels))


def test_margin_is_zero_once_every_class_is_led_by_delta() -> None:
    labels = torch.tensor([0])
    assert Margin(1.0)(torch.tensor([[3.0, 2.0, 1.0]]), labels).item() == pytest.approx(0.0)
    assert Margin(1.0)(torch.tensor([[3.0, 2.5, 1.0]]), labels).item() == pytest.approx(0.5 / 3)


@pytest.mark.parametrize("name", SHIFT_INVARIANT)
@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-50, 50))
@settings(max_examples=25, deadline=None)
def test_loss_ignores_a_shift_of_all_logits(name: str, seed: int, shift: float) -> None:
    logits, labels = draw_batch(seed, 3, 4)
    torch.testing.assert_close(LOSSES[name](logits + shift, labels), LOSSES[name](logits, labels), rtol=0, atol=1e-11)


@each_loss
def test_written_gradient_equals_autograd(loss_fn: Loss) -> None:
    logits, labels = draw_batch(4, 2, 7, 5)
    before = logits.clone()
    losses, gradient = loss_fn.value_and_gradient(logits, labels)
    assert torch.equal(logits, before)
    expected_losses, expected = Loss.value_and_gradient(loss_fn, logits, labels)
    torch.testing.assert_close(losses, expected_losses, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)
    assert (losses >= -1e-12).all()


def test_subclass_that_changes_the_loss_does_not_inherit_the_gradient() -> None:
    class Doubled(CrossEntropy):
        def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
            return 2 * super().__call__(logits, labels)

    logits, labels = draw_batch(6, 4, 3)
    _, gradient = Doubled().value_and_gradient(logits, labels)
    torch.testing.assert_close(gradient, 2 * CrossEntropy().value_and_gradient(logits, labels)[1])


@each_loss
@given(leading=st.lists(st.integers(1, 3), min_size=1, max_size=2), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_leading_axes_equal_a_loop(loss_fn: Loss, leading: list[int], seed: int) -> None:
    logits, labels = draw_batch(seed, *leading, 4, 3)
    losses, gradients = loss_fn.value_and_gradient(logits, labels)
    assert losses.shape == (*leading, 4)
    flat_losses, flat_gradients = losses.reshape(-1, 4), gradients.reshape(-1, 4, 3)
    for index, single in enumerate(logits.reshape(-1, 4, 3)):
        expected_losses, expected_gradients = loss_fn.value_and_gradient(single, labels)
        torch.testing.assert_close(flat_losses[index], expected_losses, rtol=0, atol=1e-12)
        torch.testing.assert_close(flat_gradients[index], expected_gradients, rtol=0, atol=1e-12)
