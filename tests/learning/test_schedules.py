"""Schedules against torch's own and against literals."""

from collections.abc import Callable

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LRScheduler, StepLR

from fashion_softmax.learning import schedules

NUM_EPOCHS = 10


def learning_rates(make: Callable[[torch.optim.Optimizer], LRScheduler], num_epochs: int = NUM_EPOCHS) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = make(optimizer)
    rates = []
    for _ in range(num_epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("ours", "reference"),
    [
        (lambda o: schedules.step(o, step_size=3, gamma=0.2), lambda o: StepLR(o, 3, 0.2)),
        (lambda o: schedules.exponential(o, gamma=0.8), lambda o: ExponentialLR(o, 0.8)),
        (lambda o: schedules.cosine(o, num_epochs=NUM_EPOCHS), lambda o: CosineAnnealingLR(o, NUM_EPOCHS)),
        (
            lambda o: schedules.cosine(o, num_epochs=NUM_EPOCHS, final_fraction=0.1),
            lambda o: CosineAnnealingLR(o, NUM_EPOCHS, eta_min=0.05),
        ),
    ],
)
def test_schedule_equals_torch(
    ours: Callable[[torch.optim.Optimizer], LRScheduler], reference: Callable[[torch.optim.Optimizer], LRScheduler]
) -> None:
    assert learning_rates(ours) == pytest.approx(learning_rates(reference))


def test_constant_keeps_the_rate() -> None:
    assert learning_rates(schedules.constant, 3) == [0.5, 0.5, 0.5]


def test_warmup_rises_in_equal_steps_then_the_schedule_starts() -> None:
    rates = learning_rates(lambda o: schedules.exponential(o, gamma=0.1, warmup_epochs=3), 5)
    assert rates == pytest.approx([0.125, 0.25, 0.375, 0.5, 0.05])


def test_cosine_reaches_its_end_with_warmup() -> None:
    rates = learning_rates(lambda o: schedules.cosine(o, num_epochs=4, warmup_epochs=2, final_fraction=0.2), 5)
    assert rates[2] == pytest.approx(0.5)
    assert rates[4] == pytest.approx(0.1)
