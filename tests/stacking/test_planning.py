"""Planning: what trains together, what is split, and what keeps jobs apart."""

import dataclasses

import torch

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.learning.losses import CrossEntropy
from fashion_softmax.stacking.stack import MAX_STACKED_PARAMETERS, Facts, plan
from tests.conftest import TINY


def find_facts(*jobs: str) -> dict[int, Facts]:
    configs = [resolve(compose([*TINY, *job.split()])) for job in jobs]
    return {number: build_parts(config).facts for number, config in enumerate(configs)}


def test_losses_optimizers_schedules_rates_and_initial_weights_share_a_stack() -> None:
    facts = find_facts("loss=mse", "optimizer=adam", "scheduler=cosine", "optimizer.lr=0.5", "model.init_std=0.1")
    (stack,) = plan(facts)
    assert set(stack) == {0, 1, 2, 3, 4}


def test_what_a_stack_must_share_keeps_jobs_apart() -> None:
    overrides = {
        "seed=1": "seed",
        "trainer.num_epochs=2": "trainer.num_epochs",
        "dtype=float64": "dtype",
        "dataset.batch_size=64": "dataset.batch_size",
        "dataset.num_train=128": "dataset.num_train",
        "dataset.num_workers=1": "dataset.num_workers",
        "model=mlp model.hidden_sizes=[8]": "model",
    }
    facts = find_facts("loss=ce", *overrides, "loss=mse")
    assert plan(facts) == [[0, len(facts) - 1], *([number] for number in range(1, len(facts) - 1))]
    for number, name in enumerate(overrides.values(), start=1):
        assert [key for key in facts[0].shared if facts[0].shared[key] != facts[number].shared[key]] == [name]


def test_equal_losses_become_neighbours() -> None:
    jobs = [f"loss={loss} optimizer.lr={lr}" for lr in (0.1, 0.2) for loss in ("mse", "ce", "huber")]
    (stack,) = plan(find_facts(*jobs))
    losses = [jobs[position].split()[0] for position in stack]
    assert sorted(losses) == sorted(losses, key=losses.index)


def test_model_that_is_no_softmax_regression_is_alone() -> None:
    facts = find_facts(*["model=mlp model.hidden_sizes=[8]"] * 2, "loss=ce", "loss=mse")
    assert plan(facts) == [[0], [1], [2, 3]]
    assert "only softmax regressions" in str(facts[0].alone)


class Noisy(CrossEntropy):
    """Draws random numbers."""

    def value_and_gradient(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        losses, gradient = super().value_and_gradient(logits, labels)
        return losses, gradient + torch.rand_like(gradient)


def test_loss_that_draws_random_numbers_is_alone() -> None:
    facts = find_facts(*["loss._target_=tests.stacking.test_planning.Noisy"] * 2)
    assert plan(facts) == [[0], [1]]
    assert "random numbers" in str(facts[0].alone)


def test_large_groups_are_split_evenly() -> None:
    (facts,) = find_facts("loss=ce").values()
    assert [len(stack) for stack in plan(dict.fromkeys(range(10), facts), max_stack_size=4)] == [3, 3, 4]
    assert [len(stack) for stack in plan(dict.fromkeys(range(10), facts), max_stack_size=1)] == [1] * 10
    assert [len(stack) for stack in plan(dict.fromkeys(range(257), facts))] == [128, 129]


def test_large_models_make_small_stacks() -> None:
    (facts,) = find_facts("loss=ce").values()
    large = dataclasses.replace(facts, num_parameters=MAX_STACKED_PARAMETERS // 3)
    assert [len(stack) for stack in plan(dict.fromkeys(range(6), large))] == [3, 3]
    assert [len(stack) for stack in plan(dict.fromkeys(range(6), large), max_stack_size=6)] == [6]
    huge = dataclasses.replace(facts, num_parameters=MAX_STACKED_PARAMETERS + 1)
    assert [len(stack) for stack in plan(dict.fromkeys(range(2), huge))] == [1, 1]
