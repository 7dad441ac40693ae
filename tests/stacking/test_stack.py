"""A stack against the same runs alone, over losses, optimizers, and schedules; members that fail.

Tolerances: in float64, 1e-9 after twelve steps. In float32, 1e-5: a product of R runs may be summed in another order
than that of one.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from fashion_softmax.data import Batches, make_synthetic
from fashion_softmax.errors import DivergedError
from fashion_softmax.learning import schedules
from fashion_softmax.learning.losses import AbsoluteError, CrossEntropy, Huber, Loss, Margin, SquaredError
from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.stacking import Member, Stack
from fashion_softmax.stacking.losses import StackedLoss
from fashion_softmax.stacking.training import EpochReport, fit

DATASET = make_synthetic(num_train=100, num_test=40, image_shape=(1, 4, 4), num_classes=3, noise_std=0.5)

LOSSES: dict[str, Callable[[], Loss]] = {
    "ce": CrossEntropy,
    "smooth": lambda: CrossEntropy(0.1),
    "mse": SquaredError,
    "mse_logits": lambda: SquaredError(input="logits"),
    "l1": AbsoluteError,
    "huber": Huber,
    "margin": Margin,
}
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.2, weight_decay=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.003),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
}
SCHEDULES: dict[str, Callable[..., torch.optim.lr_scheduler.LambdaLR]] = {
    "constant": schedules.constant,
    "step": lambda o: schedules.step(o, step_size=1, gamma=0.5),
    "exponential": lambda o: schedules.exponential(o, gamma=0.7, warmup_epochs=1),
    "cosine": lambda o: schedules.cosine(o, num_epochs=3),
}
Setting = tuple[str, str, str, int]  # loss, optimizer, schedule, seed of the initial weights


def make_member(setting: Setting, dtype: torch.dtype = torch.float64) -> Member:
    loss, optimizer_name, schedule, seed = setting
    torch.manual_seed(seed)
    module = SoftmaxRegression((1, 4, 4), 3).to(dtype)
    optimizer = OPTIMIZERS[optimizer_name](module.parameters())
    return Member(module, LOSSES[loss](), optimizer, SCHEDULES[schedule](optimizer))


def train(stack: Stack, num_epochs: int = 3, dtype: torch.dtype = torch.float64) -> list[list[EpochReport]]:
    """Train, and return each member's reports."""
    batches = Batches(DATASET.train, 32, seed=0, dtype=dtype)
    reports: list[list[EpochReport]] = [[] for _ in stack.members]
    for by_index in fit(stack, batches, {"test": DATASET.test}, num_epochs=num_epochs):
        for index, report in by_index.items():
            reports[index].append(report)
    return reports


def assert_same(
    member: Member, reports: list[EpochReport], alone: Member, expected: list[EpochReport], tolerance: float
) -> None:
    for parameter, other in zip(member.model.parameters(), alone.model.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=0, atol=tolerance)
    assert len(reports) == len(expected)
    for report, other_report in zip(reports, expected, strict=True):
        assert report.metrics == pytest.approx(other_report.metrics, abs=tolerance)
        assert report.step_losses == pytest.approx(other_report.step_losses, abs=tolerance)


@pytest.mark.parametrize("num_runs", [2, 7])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_mixed_stack_equals_each_run_alone(num_runs: int, dtype: torch.dtype, tolerance: float) -> None:
    settings = list(zip(LOSSES, OPTIMIZERS, itertools.cycle(SCHEDULES), range(7), strict=False))[:num_runs]
    stack = Stack([make_member(setting, dtype) for setting in settings])
    reports = train(stack, dtype=dtype)
    for index, setting in enumerate(settings):
        alone = Stack([make_member(setting, dtype)])
        (expected,) = train(alone, dtype=dtype)
        assert_same(stack.members[index], reports[index], alone.members[0], expected, tolerance)


@pytest.mark.parametrize(("loss", "optimizer"), list(zip(LOSSES, reversed(OPTIMIZERS), strict=True)))
def test_every_loss_and_optimizer_stacks_with_every_schedule(loss: str, optimizer: str) -> None:
    settings = [(loss, optimizer, schedule, seed) for seed, schedule in enumerate(SCHEDULES)]
    stack = Stack([make_member(setting) for setting in settings])
    reports = train(stack)
    for index, setting in enumerate(settings):
        alone = Stack([make_member(setting)])
        (expected,) = train(alone)
        assert_same(stack.members[index], reports[index], alone.members[0], expected, 1e-9)


def test_plain_sgd_equals_torchs_own_step() -> None:
    settings = [("ce", name, "exponential", seed) for seed, name in enumerate(["sgd", "sgd_decay", "sgd"])]
    stack = Stack([make_member(setting) for setting in settings])
    train(stack)
    for member, setting in zip(stack.members, settings, strict=True):
        model = make_member(setting)
        for epoch in range(3):
            for images, labels in Batches(DATASET.train, 32, seed=0, dtype=torch.float64).epoch(epoch):
                model.optimizer.zero_grad()
                nn.functional.cross_entropy(model.model(images), labels).backward()
                model.optimizer.step()
            model.scheduler.step()
        for parameter, other in zip(member.model.parameters(), model.model.parameters(), strict=True):
            torch.testing.assert_close(parameter, other, rtol=0, atol=1e-12)


def test_members_may_have_been_in_another_stack() -> None:
    members = [make_member(("ce", "sgd_decay", "constant", seed)) for seed in range(2)]
    train(Stack(members))
    before = [parameter.detach().clone() for parameter in members[1].model.parameters()]
    Stack(members)
    assert all(map(torch.equal, before, members[1].model.parameters()))


def test_optimizer_of_a_member_can_be_saved_and_loaded_alone() -> None:
    stack = Stack([make_member(("ce", name, "constant", 0)) for name in ("adam", "momentum", "sgd")])
    train(stack)
    for member, name in zip(stack.members, ("adam", "momentum", "sgd"), strict=True):
        fresh = make_member(("ce", name, "constant", 1))
        fresh.model.load_state_dict(member.model.state_dict())
        fresh.optimizer.load_state_dict(member.optimizer.state_dict())
        assert str(fresh.optimizer.state_dict()) == str(member.optimizer.state_dict())


def call(index: int, action: Callable[..., object], *args: object) -> object:
    return action(*args)


class Fragile(Loss):
    """Raises what it is told to at its n-th gradient."""

    def __init__(self, calls: int, error: BaseException) -> None:
        self.calls = calls
        self.error = error

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return CrossEntropy()(logits, labels)

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        self.calls -= 1
        if self.calls < 0:
            raise self.error
        return super().value_and_gradient(logits, labels)


class FragileSGD(torch.optim.SGD):
    """Raises at its n-th step."""

    calls = 6

    def step(self, closure: object = None) -> None:  # type: ignore[override]
        self.calls -= 1
        if self.calls < 0:
            raise ArithmeticError("the optimizer gave up")
        super().step()


class Shrinking(CrossEntropy):
    """Gives one loss too few when a batch is small, which two blank images do not show."""

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().value_and_gradient(logits, labels)
        return losses if len(labels) == 32 else losses[1:], gradient


def make_company(odd: Member | None) -> list[Member]:
    """Three sound members around a fourth."""
    sound = [make_member(setting, torch.float32) for setting in SOUND]
    return [*sound[:2], odd or make_member(("ce", "sgd", "constant", 9), torch.float32), sound[2]]


SOUND: Sequence[Setting] = [("ce", "sgd", "step", 0), ("ce", "adam", "constant", 1), ("huber", "momentum", "cosine", 2)]


def make_odd(kind: str) -> Member:
    torch.manual_seed(9)
    module = SoftmaxRegression((1, 4, 4), 3)
    lr = {"diverges": 1e30, "overflows": 1e39}.get(kind, 0.05)
    optimizer: torch.optim.Optimizer = torch.optim.SGD(module.parameters(), lr=lr, weight_decay=0.1)
    if kind == "optimizer raises":
        optimizer = FragileSGD(module.parameters(), lr=lr)
    scheduler = schedules.constant(optimizer)
    if kind == "scheduler raises":
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 - epoch))
    errors = {"loss raises": ZeroDivisionError("no loss"), "loss exits": SystemExit(3)}
    if kind == "loss shrinks":
        return Member(module, Shrinking(), optimizer, scheduler)
    loss = Fragile(6, errors[kind]) if kind in errors else SquaredError(input="logits")
    return Member(module, loss, optimizer, scheduler)


@pytest.mark.parametrize(
    ("kind", "error", "num_reports"),
    [
        ("diverges", DivergedError, 0),
        ("overflows", DivergedError, 0),
        ("optimizer raises", ArithmeticError, 1),
        ("scheduler raises", ZeroDivisionError, 0),
        ("loss raises", ZeroDivisionError, 1),
        ("loss exits", SystemExit, 1),
        ("loss shrinks", ValueError, 0),
    ],
)
def test_failing_member_leaves_the_others_bit_for_bit(kind: str, error: type[BaseException], num_reports: int) -> None:
    sound, broken = Stack(make_company(None)), Stack(make_company(make_odd(kind)))
    expected, reports = train(sound, dtype=torch.float32), train(broken, dtype=torch.float32)
    assert list(broken.errors) == [2] and isinstance(broken.errors[2], error)
    assert len(reports[2]) == num_reports
    for index in (0, 1, 3):
        assert [report.metrics for report in reports[index]] == [report.metrics for report in expected[index]]
        pairs = zip(broken.members[index].model.parameters(), sound.members[index].model.parameters(), strict=True)
        assert all(torch.equal(parameter, other) for parameter, other in pairs)


def test_diverged_member_keeps_its_last_good_weights() -> None:
    members = make_company(None)
    members[2].model.get_parameter("weight").data[0, 0] = math.nan
    before = members[2].model.get_parameter("bias").detach().clone()
    stack = Stack(members)
    train(stack, dtype=torch.float32)
    assert "the loss is nan in step 1 of epoch 1 (lr 0.05)" in str(stack.errors[2])
    assert torch.equal(members[2].model.get_parameter("bias"), before)


def test_training_ends_when_nobody_is_left() -> None:
    stack = Stack([make_odd("diverges"), make_odd("overflows")])
    assert train(stack, dtype=torch.float32) == [[], []] and set(stack.errors) == {0, 1}


class Sloppy(Loss):
    """Breaks the promise about leading axes, and ruins the logits it is given."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = CrossEntropy()(logits - logits.mean(0), labels)
        logits.zero_()
        return losses


def test_loss_of_other_people_is_asked_run_by_run() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(3, 6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    losses = StackedLoss([CrossEntropy(), Sloppy(), Sloppy()], call)(logits.clone(), labels)
    expected = [CrossEntropy()(logits[0], labels), *(Sloppy()(scores.clone(), labels) for scores in logits[1:])]
    torch.testing.assert_close(losses, torch.stack(expected))


def test_equal_neighbours_share_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[torch.Size] = []
    whole = CrossEntropy.value_and_gradient

    def counted(self: CrossEntropy, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        shapes.append(logits.shape)
        return whole(self, logits, labels)

    monkeypatch.setattr(CrossEntropy, "value_and_gradient", counted)
    losses = StackedLoss([CrossEntropy(s) for s in (0, 0, 0, 0.1, 0.1, 0)], call)
    losses.value_and_gradient(torch.randn(6, 4, 3), torch.tensor([0, 1, 2, 0]))
    assert [tuple(shape) for shape in shapes] == [(3, 4, 3), (2, 4, 3), (4, 3)]


def test_keyboard_interrupt_is_nobodys_failure() -> None:
    members = make_company(None)
    members[1] = dataclasses.replace(members[1], loss_fn=Fragile(3, KeyboardInterrupt()))
    stack = Stack(members)
    with pytest.raises(KeyboardInterrupt):
        train(stack, dtype=torch.float32)
    assert not stack.errors
