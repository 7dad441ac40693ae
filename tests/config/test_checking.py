"""Checks of a configuration: every problem at once, each with its key, its value and what is allowed."""

from typing import Any, Literal

import pytest

from fashion_softmax.config.checking import check_values, matches_type
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.errors import ConfigError

OUT_OF_RANGE = [
    *(f"optimizer.lr={value}" for value in (-1, 0, "nan", "inf")),
    *(f"dataset.{key}" for key in ("batch_size=0", "num_workers=-1", "val_size=-1", "resize=0", "resize=[28,0]")),
    *("trainer.num_epochs=-1", "trainer.num_epochs=0", "trainer.log_every=0", "seed=-1"),
    *("loss.label_smoothing=1.5", "model.init_std=-0.1", "optimizer.weight_decay=-1", "scheduler.warmup_epochs=-1"),
]


@pytest.mark.parametrize("override", OUT_OF_RANGE)
def test_value_out_of_range_is_refused(override: str) -> None:
    key, _, value = override.partition("=")
    with pytest.raises(ConfigError) as raised:
        check_values(resolve(compose([override])))
    assert str(raised.value).startswith(f"{key}={value.replace(',', ', ')} is out of range: must be ")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss=huber", "loss.delta=0"], "loss.delta=0 is out of range: must be a finite number above 0"),
        (["optimizer=momentum", "optimizer.momentum=1.5"], "optimizer.momentum=1.5 is out of range"),
        (["optimizer=adam", "optimizer.betas=[0.9,1]"], "optimizer.betas=[0.9, 1] is out of range"),
        (["optimizer.lr=abc"], "optimizer.lr='abc' has the wrong type: expected float"),
        (["optimizer.lr=true"], "optimizer.lr=True has the wrong type: expected float"),
        (["optimizer=adam", "optimizer.betas=[0.9]"], "optimizer.betas=[0.9] has the wrong type"),
        (["dataset.batch_size=1.5"], "dataset.batch_size=1.5 has the wrong type: expected int"),
        (["loss=mse", "loss.input=logit"], "expected probabilities or logits"),
        (
            ["+optimizer.lrr=1"],
            "optimizer.lrr is unknown to fashion_softmax.learning.optimizers.SGD; did you mean optimizer.lr?",
        ),
        (["+optimizer.params=1"], "optimizer.params is unknown"),
        (["+extra=1"], "extra is unknown"),
        (["trainer.num_epochs=???"], "trainer.num_epochs is required: add trainer.num_epochs=VALUE"),
        (["+model._partial_=true"], "model._partial_ is unknown"),
        (["scheduler.warmup_epochs=10"], "scheduler.warmup_epochs must be below trainer.num_epochs"),
        (["dataset.resize=[28]"], "dataset.resize=[28] has the wrong type: expected int or [int, int] or null"),
        (["dataset=synthetic", "dataset.image_shape=[28,28]"], "expected [int, int, int]"),
        (["dataset.batch_size=10000000000000000000"], "is out of range: must be a whole number from 1 to"),
        (["device=gpu"], "device=gpu is unknown; did you mean cpu?; allowed: auto, cpu, cuda, cuda:N, mps"),
        (["dataset=idx"], "dataset.root is required: add dataset.root=VALUE"),
        (["~scheduler.warmup_epochs", "scheduler=step", "~scheduler.step_size"], "scheduler.step_size is required"),
        (["optimizer._target_=torch.optim.SDG"], "optimizer._target_=torch.optim.SDG cannot be imported"),
        (["~model"], "model: is no component (found '???')"),
    ],
)
def test_problem_is_named(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_values(resolve(compose(overrides)))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"templates": "yes"}, "dashboard.templates='yes' has the wrong type: expected bool"),
        ({"templates": None}, "dashboard.templates=null has the wrong type: expected bool"),
        ({"template": True}, "dashboard.template is unknown; did you mean dashboard.templates?"),
        (3, "dashboard=3 has the wrong type"),
    ],
)
def test_own_keys_of_a_wrong_type_are_refused(section: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_values(resolve(compose() | {"dashboard": section}))
    assert message in str(caught.value)


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        check_values(resolve(compose(["optimizer.lr=-1", "trainer.num_epochs=0", "model.init_std=x"])))
    lines = str(raised.value).splitlines()
    assert lines[0] == "3 problems in the configuration:" and len(lines) == 4
    assert all(any(key in line for line in lines) for key in ("optimizer.lr", "trainer.num_epochs", "model.init_std"))


@pytest.mark.parametrize(
    ("value", "expected", "fits"),
    [
        (1, float, True),
        (True, float, False),
        (True, int, False),
        (1.0, int, False),
        (None, int | None, True),
        ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        ([1, 2], tuple[float, float], True),
        ([1], tuple[float, float], False),
        ([1, 2, 3], tuple[int, ...], True),
        ([1, "x"], list[int], False),
        ("ab", list[str], False),
        ({"x": 1}, Any, True),
    ],
)
def test_matches_type(value: object, expected: object, fits: bool) -> None:
    assert matches_type(value, expected) is fits
