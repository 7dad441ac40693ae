"""Checking a configuration before anything is loaded or created: every problem at once, each with its fix.

The project's own keys have ranges here. A component is checked against the signature of what it names, so a new
optimizer or model is checked as well without a line about it.
"""

import dataclasses
import difflib
import inspect
import math
import pkgutil
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fashion_softmax.config.schema import COMPONENTS, Config, DashboardConfig, TrainerConfig
from fashion_softmax.config.values import find_hints, matches_type, name_type, show_value
from fashion_softmax.errors import ConfigError

Check = tuple[str, Callable[[Any], bool]]  # what is allowed, in words, and whether a value is

POSITIVE: Check = ("a finite number above 0", lambda value: 0 < value < math.inf)
NOT_NEGATIVE: Check = ("a finite number, 0 or more", lambda value: 0 <= value < math.inf)
FRACTION: Check = ("a number from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_ONE: Check = ("a number from 0 to below 1", lambda value: 0 <= value < 1)
COUNT: Check = ("a whole number from 1 to 2147483647", lambda value: 1 <= value < 2**31)
COUNT_OR_ZERO: Check = ("a whole number from 0 to 2147483647", lambda value: 0 <= value < 2**31)

# Dotted key -> allowed values; of a list, each element is checked. None, where the type allows it, always passes.
RANGES: dict[str, Check] = {
    "seed": ("a whole number from 0 to 4294967295", lambda value: 0 <= value < 2**32),
    "trainer.num_epochs": COUNT,
    "trainer.log_every": COUNT,
    "trainer.save_every": COUNT,
    "sweep.max_stack_size": COUNT,
    "dataset.batch_size": COUNT,
    "dataset.num_workers": ("a whole number from 0 to 64", lambda value: 0 <= value <= 64),
    "dataset.val_size": COUNT_OR_ZERO,
    "dataset.resize": ("a number of pixels from 1 to 1024", lambda value: 1 <= value <= 1024),
    "dataset.num_classes": COUNT,
    "dataset.num_train": COUNT,
    "dataset.num_test": COUNT,
    "dataset.image_shape": COUNT,
    "dataset.noise_std": NOT_NEGATIVE,
    "dataset.data_seed": COUNT_OR_ZERO,
    "model.init_std": NOT_NEGATIVE,
    "model.hidden_sizes": COUNT,
    "model.dropout": BELOW_ONE,
    "loss.label_smoothing": FRACTION,
    "loss.delta": POSITIVE,
    "optimizer.lr": POSITIVE,
    "optimizer.momentum": BELOW_ONE,
    "optimizer.weight_decay": NOT_NEGATIVE,
    "optimizer.betas": BELOW_ONE,
    "optimizer.alpha": BELOW_ONE,
    "optimizer.eps": NOT_NEGATIVE,
    "scheduler.num_epochs": COUNT,
    "scheduler.warmup_epochs": COUNT_OR_ZERO,
    "scheduler.step_size": COUNT,
    "scheduler.gamma": POSITIVE,
    "scheduler.final_fraction": FRACTION,
}

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "float64")


def validate(cfg: DictConfig) -> None:
    """Check a composed configuration; imports what its components name, and with that torch.

    Args:
        cfg: of the shape of `config.Config`.

    Raises:
        ConfigError: lists every problem with its dotted key, the value, what is allowed and the nearest fix.
    """
    problems: list[str] = []
    try:
        config = typing.cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    known = [field.name for field in dataclasses.fields(Config)]
    problems += [f"{key} is unknown{suggest(str(key), known)}" for key in config if key not in known]
    own = {"trainer": config.get("trainer"), **{key: config.get(key, "???") for key in ("seed", "device", "dtype")}}
    if isinstance(own["trainer"], dict):
        trainer_keys = [field.name for field in dataclasses.fields(TrainerConfig) if field.default is not None]
        own |= {f"trainer.{name}": own["trainer"].get(name, "???") for name in trainer_keys}
    if missing := [f"{key} is missing from the configuration" for key, value in own.items() if value in (None, "???")]:
        raise ConfigError.from_problems(problems + missing)
    for key in COMPONENTS:
        problems += _check_component(key, config.get(key))
    problems += _check_ranges(config)
    problems += _check_switches(config.get("dashboard", {}))
    device = str(config["device"])
    if device.partition(":")[0] not in DEVICES:
        problems.append(f"device={device} is unknown; allowed: {', '.join(DEVICES)}, cuda:N{_close(device, DEVICES)}")
    if config["dtype"] not in DTYPES:
        problems.append(f"dtype={config['dtype']} is unknown; allowed: {', '.join(DTYPES)}")
    if not problems and config["scheduler"].get("warmup_epochs", 0) >= config["trainer"]["num_epochs"]:
        problems.append(
            "scheduler.warmup_epochs must be below trainer.num_epochs: the full rate would never be reached"
        )
    if problems:
        raise ConfigError.from_problems(problems)


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Word what is allowed instead of `name`: the close match, if any, then all of it."""
    allowed = sorted(allowed)
    return f"{_close(name, allowed)}; allowed: {', '.join(allowed)}" if allowed else ""


def _close(name: str, allowed: Sequence[str]) -> str:
    matches = difflib.get_close_matches(name, allowed, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def _check_component(key: str, node: Any) -> list[str]:
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        return [f"{key}: is no component (found {node!r}); choose one of the options in conf/{key}"]
    try:
        target = pkgutil.resolve_name(node["_target_"])
        signature = inspect.signature(target)
    except Exception as error:  # whatever importing foreign code raises
        return [f"{key}._target_={node['_target_']} cannot be imported ({error})"]
    runtime = COMPONENTS[key]
    parameters = list(signature.parameters.values())[len(runtime) :]
    by_name = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    hints = find_hints(target)
    problems = []
    for name, value in node.items():
        if name == "_target_":
            continue
        dotted = f"{key}.{name}"
        if name not in by_name:
            if not open_ended:
                allowed = [f"{key}.{parameter}" for parameter in by_name]
                problems.append(f"{dotted} is unknown to {node['_target_']}{suggest(dotted, allowed)}")
        elif value == "???":
            problems.append(f"{dotted} is required: add {dotted}=VALUE")
        elif not matches_type(value, expected := hints.get(name, Any)):
            problems.append(f"{dotted}={show_value(value)} has the wrong type: expected {name_type(expected)}")
    for name, parameter in by_name.items():
        if parameter.default is parameter.empty and name not in node:
            problems.append(f"{key}.{name} is required by {node['_target_']}: add +{key}.{name}=VALUE")
    return problems


def _check_ranges(config: dict[str, Any]) -> list[str]:
    problems = []
    for dotted, (allowed, is_allowed) in RANGES.items():
        section, _, name = dotted.rpartition(".")
        values = config[section] if section else config
        value = values.get(name) if isinstance(values, dict) else None
        elements = value if isinstance(value, list) else [value]
        numbers = [element for element in elements if isinstance(element, int | float)]
        if not all(map(is_allowed, numbers)):
            problems.append(f"{dotted}={show_value(value)} is out of range: must be {allowed}")
    return problems


def _check_switches(section: Any) -> list[str]:
    if not isinstance(section, dict):
        return [f"dashboard={show_value(section)} has the wrong type: expected a group of keys"]
    known = [f"dashboard.{field.name}" for field in dataclasses.fields(DashboardConfig)]
    switches = {f"dashboard.{name}": value for name, value in section.items()}
    return [f"{key} is unknown{suggest(key, known)}" for key in switches if key not in known] + [
        f"{key}={show_value(value)} has the wrong type: expected bool"
        for key, value in switches.items()
        if key in known and not isinstance(value, bool)
    ]


def check_values(resolved):
    """Temporary."""
    validate(OmegaConf.create(dict(resolved)))
