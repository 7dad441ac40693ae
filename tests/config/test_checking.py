"""Checks of a configuration: every problem at once, each with its key, its value and what is allowed."""

import copy
import functools
import math
from typing import Any, Literal

import pytest

from fashion_softmax.config.checking import check_values, matches_type
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.errors import ConfigError

MISSING = object()


@functools.cache
def composed(*overrides: str) -> dict[str, Any]:
    return resolve(compose(overrides))


def find_problems(options: str, changes: dict[str, Any]) -> str:
    """Check the configuration of some options with values changed, added or taken away; the message."""
    config = copy.deepcopy(composed(*options.split()))
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        node = config[section] if section else config
        if value is MISSING:
            del node[name]
        else:
            node[name] = value
    with pytest.raises(ConfigError) as raised:
        check_values(config)
    return str(raised.value)


def test_value_out_of_range_is_refused() -> None:
    for key, values in {
        "optimizer.lr": (-1, 0, math.nan, math.inf),
        "dataset.batch_size": (0, 10**19),
        "dataset.num_workers": (-1, 65),
        "dataset.val_size": (-1,),
        "dataset.resize": (0, [28, 0]),
        "trainer.num_epochs": (-1, 0),
        "trainer.log_every": (0,),
        "seed": (-1, 2**32),
        "loss.label_smoothing": (1.5,),
        "model.init_std": (-0.1,),
        "optimizer.weight_decay": (-1,),
        "scheduler.warmup_epochs": (-1,),
    }.items():
        for value in values:
            assert find_problems("", {key: value}).startswith(f"{key}={value} is out of range: must be ")


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ("loss=huber", {"loss.delta": 0}, "loss.delta=0 is out of range: must be a finite number above 0"),
        ("optimizer=momentum", {"optimizer.momentum": 1.5}, "optimizer.momentum=1.5 is out of range"),
        ("optimizer=adam", {"optimizer.betas": [0.9, 1]}, "optimizer.betas=[0.9, 1] is out of range"),
        ("optimizer=adam", {"optimizer.betas": [0.9]}, "optimizer.betas=[0.9] has the wrong type"),
        ("", {"optimizer.lr": "abc"}, "optimizer.lr='abc' has the wrong type: expected float"),
        ("", {"optimizer.lr": True}, "optimizer.lr=True has the wrong type: expected float"),
        ("", {"dataset.batch_size": 1.5}, "dataset.batch_size=1.5 has the wrong type: expected int"),
        ("loss=mse", {"loss.input": "logit"}, "expected probabilities or logits"),
        (
            "",
            {"optimizer.lrr": 1},
            "optimizer.lrr is unknown to fashion_softmax.learning.optimizers.SGD; did you mean optimizer.lr?",
        ),
        ("", {"optimizer.params": 1}, "optimizer.params is unknown"),
        ("", {"extra": 1}, "extra is unknown"),
        ("", {"trainer.num_epochs": "???"}, "trainer.num_epochs is required: add trainer.num_epochs=VALUE"),
        ("", {"model._partial_": True}, "model._partial_ is unknown"),
        ("", {"scheduler.warmup_epochs": 10}, "scheduler.warmup_epochs must be below trainer.num_epochs"),
        ("", {"dataset.resize": [28]}, "dataset.resize=[28] has the wrong type: expected int or [int, int] or null"),
        ("dataset=synthetic", {"dataset.image_shape": [28, 28]}, "expected [int, int, int]"),
        ("", {"device": "gpu"}, "device='gpu' is out of range: must be auto, cpu, cuda, cuda:N or mps"),
        ("", {"device": "cuda:01"}, "device='cuda:01' is out of range"),
        ("", {"dtype": "float16"}, "dtype='float16' has the wrong type: expected float32 or float64"),
        ("dataset=idx", {}, "dataset.root is required: add dataset.root=VALUE"),
        ("scheduler=step", {"scheduler.step_size": MISSING}, "scheduler.step_size is required"),
        ("", {"optimizer._target_": "torch.optim.SDG"}, "optimizer._target_=torch.optim.SDG cannot be imported"),
        ("", {"model": MISSING}, "model: is no component (found null)"),
        ("", {"dashboard.templates": "yes"}, "dashboard.templates='yes' has the wrong type: expected bool"),
        ("", {"dashboard.templates": None}, "dashboard.templates=null has the wrong type: expected bool"),
        ("", {"dashboard.template": True}, "dashboard.template is unknown; did you mean dashboard.templates?"),
        ("", {"dashboard": 3}, "dashboard=3 has the wrong type: expected a group of keys"),
    ],
)
def test_problem_is_named(options: str, changes: dict[str, Any], message: str) -> None:
    assert message in find_problems(options, changes)


def test_all_problems_are_reported_at_once() -> None:
    wrong = {"optimizer.lr": -1, "trainer.num_epochs": 0, "model.init_std": "x"}
    lines = find_problems("", wrong).splitlines()
    assert lines[0] == "3 problems in the configuration:" and len(lines) == 4
    assert all(any(key in line for line in lines) for key in wrong)


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
