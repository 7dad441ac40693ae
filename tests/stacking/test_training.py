"""The loop of a single run: the lesson's update by hand, written gradients against autograd, reports, divergence."""

import pytest
import torch
from torch import nn

from fashion_softmax.data import Batches, Split, make_synthetic
from fashion_softmax.errors import DivergedError
from fashion_softmax.learning import schedules
from fashion_softmax.learning.losses import CrossEntropy, Loss, SquaredError
from fashion_softmax.learning.models import MLP, SoftmaxRegression
from fashion_softmax.stacking import Member, Stack
from fashion_softmax.stacking.training import EpochReport, evaluate, fit

DATASET = make_synthetic(num_train=100, num_test=40, image_shape=(1, 4, 4), num_classes=3, noise_std=0.5)


class Linear(nn.Module):
    """Softmax regression that `fit` does not recognize, and so trains by autograd."""

    def __init__(self, model: SoftmaxRegression) -> None:
        super().__init__()
        self.linear = nn.Linear(model.weight.shape[1], model.weight.shape[0])
        self.linear.weight.data, self.linear.bias.data = model.weight.data.clone(), model.bias.data.clone()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1))  # type: ignore[no-any-return]


def make_stack(model: nn.Module, loss_fn: Loss, lr: float = 0.1) -> Stack:
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return Stack([Member(model, loss_fn, optimizer, schedules.exponential(optimizer, gamma=0.5))])


def train(
    model: nn.Module, loss_fn: Loss, num_epochs: int = 2, lr: float = 0.1, batch_size: int = 32
) -> list[EpochReport]:
    stack = make_stack(model, loss_fn, lr)
    batches = Batches(DATASET.train, batch_size, seed=0)
    reports = [reports[0] for reports in fit(stack, batches, {"test": DATASET.test}, num_epochs=num_epochs)]
    if stack.errors:
        raise stack.errors[0]
    return reports


def run_backward(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    stack = make_stack(model, CrossEntropy())
    for _ in range(2):  # twice: an earlier gradient must not be added
        logits = stack.model(images)
        losses, gradient = stack.loss_fn.value_and_gradient(logits, labels)
        stack.model.backward(gradient)
    assert losses.shape == (1, 8) and logits.shape == (1, 8, 3) and not logits.requires_grad


def test_fit_equals_the_lesson_written_by_hand() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((1, 4, 4), 3)
    weight, bias = model.weight.detach().double(), model.bias.detach().double()
    train(model, CrossEntropy(), num_epochs=1)
    for images, labels in Batches(DATASET.train, 32, seed=0).epoch(0):
        features = images.double().flatten(1)
        scores = (features @ weight.T + bias).exp()
        error = scores / scores.sum(1, keepdim=True) - nn.functional.one_hot(labels, 3)
        weight -= 0.1 * error.T @ features / len(labels)
        bias -= 0.1 * error.mean(0)
    # float32 against float64 over four steps.
    torch.testing.assert_close(model.weight.detach().double(), weight, rtol=0, atol=1e-6)
    torch.testing.assert_close(model.bias.detach().double(), bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize("loss_fn", [CrossEntropy(), CrossEntropy(0.1), SquaredError()])
def test_written_gradient_trains_like_autograd(loss_fn: Loss) -> None:
    torch.manual_seed(0)
    written = SoftmaxRegression((1, 4, 4), 3)
    by_autograd = Linear(written)
    reports, expected = train(written, loss_fn), train(by_autograd, loss_fn)
    torch.testing.assert_close(written.weight, by_autograd.linear.weight, rtol=0, atol=1e-6)
    for report, other in zip(reports, expected, strict=True):
        assert report.metrics == pytest.approx(other.metrics, abs=1e-5)


def test_backward_leaves_the_gradient_of_the_mean_loss() -> None:
    torch.manual_seed(0)
    model = MLP((1, 4, 4), 3, hidden_sizes=[5])
    images, labels = DATASET.train.images[:8].float() / 255, DATASET.train.labels[:8]
    run_backward(model, images, labels)
    expected = torch.autograd.grad(nn.functional.cross_entropy(model(images), labels), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_report_counts_steps_images_and_learning_rates() -> None:
    first, second = train(SoftmaxRegression((1, 4, 4), 3), CrossEntropy())
    assert (first.epoch, first.step, first.images_seen, len(first.step_losses)) == (1, 4, 100, 4)
    assert (second.epoch, second.step, second.images_seen) == (2, 8, 200)
    assert (first.metrics["lr"], second.metrics["lr"]) == (0.1, 0.05)
    measures = [f"{split}/{name}" for split in ("train", "test") for name in ("loss", "accuracy", "cross_entropy")]
    assert sorted(first.metrics) == sorted([*measures, "lr"])


def test_training_loss_is_the_mean_over_images_not_over_batches() -> None:
    (report,) = train(SoftmaxRegression((1, 4, 4), 3), CrossEntropy(), num_epochs=1)
    expected = sum(loss * size for loss, size in zip(report.step_losses, (32, 32, 32, 4), strict=True)) / 100
    assert report.metrics["train/loss"] == pytest.approx(expected, rel=1e-6)


def test_evaluate_equals_torch() -> None:
    model = SoftmaxRegression((1, 4, 4), 3)
    split = Split(DATASET.test.images.repeat(10, 1, 1, 1), DATASET.test.labels.repeat(10))  # more than one batch
    logits = model(split.images.float() / 255)
    metrics = {name: value for name, (value,) in evaluate(make_stack(model, SquaredError()), split).items()}
    assert metrics["accuracy"] == pytest.approx((logits.argmax(1) == split.labels).float().mean().item())
    assert metrics["cross_entropy"] == pytest.approx(nn.functional.cross_entropy(logits, split.labels).item(), rel=1e-6)
    assert metrics["loss"] == pytest.approx(SquaredError()(logits, split.labels).mean().item(), rel=1e-6)


def test_subclass_of_softmax_regression_is_left_to_autograd() -> None:
    class Scaled(SoftmaxRegression):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 5 * super().forward(images)

    model = Scaled((1, 4, 4), 3)
    images, labels = DATASET.train.images[:8].float() / 255, DATASET.train.labels[:8]
    run_backward(model, images, labels)
    (expected,) = torch.autograd.grad(nn.functional.cross_entropy(model(images), labels), [model.weight])
    torch.testing.assert_close(model.weight.grad, expected)


def test_same_seed_trains_the_same_bit_for_bit() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append([report.metrics for report in train(MLP((1, 4, 4), 3, dropout=0.5), CrossEntropy())])
    assert results[0] == results[1]


def test_divergence_is_noticed_before_the_optimizer_steps() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((1, 4, 4), 3)
    model.weight.data[0, 0] = float("nan")
    before = model.weight.detach().clone()
    with pytest.raises(DivergedError, match=r"the loss is nan in step 1 of epoch 1 \(lr 0\.1\)"):
        train(model, CrossEntropy())
    torch.testing.assert_close(model.weight.detach(), before, equal_nan=True, rtol=0, atol=0)


def test_divergence_in_the_last_step_is_noticed() -> None:
    model = SoftmaxRegression((1, 4, 4), 3, init_std=1000)
    with pytest.raises(DivergedError, match="test/loss is nan after epoch 1"):
        train(model, SquaredError(input="logits"), num_epochs=1, lr=3e38, batch_size=4096)
