"""Checking a configuration before anything is loaded or created: every problem at once, each with its fix.

The project's own keys have ranges here. A component is checked against the signature of what it names, so a new
optimizer or model is checked as well without a line about it.
"""

import dataclasses
import difflib
import inspect
import math
import pkgutil
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fashion_softmax.config import COMPONENTS, Config, TrainerConfig
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
    hints = _hints(target)
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
            problems.append(f"{dotted}={_show(value)} has the wrong type: expected {_name_type(expected)}")
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
            problems.append(f"{dotted}={_show(value)} is out of range: must be {allowed}")
    return problems


def _hints(target: Any) -> dict[str, Any]:
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name that only exists for the type checker; such a component goes without type checks
        return {}


def matches_type(value: Any, expected: Any) -> bool:
    """Tell whether a value read from YAML fits an annotation; unlike `isinstance`, True is no number and 1 is a float.

    Args:
        value: None, bool, int, float, str, list or dict.
        expected: an annotation; one that no YAML value could fit, such as a class of torch, accepts nothing.
    """
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if expected is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(matches_type(value, option) for option in args)
    if origin is Literal:
        return value in args
    if expected is None or expected is type(None):
        return value is None
    if isinstance(origin, type) and issubclass(origin, Sequence):  # list[int], tuple[float, float], Sequence[str]
        if not isinstance(value, list):
            return False
        if origin is tuple and args[-1] is not Ellipsis:
            return len(value) == len(args) and all(map(matches_type, value, args))
        return all(matches_type(element, args[0]) for element in value)
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(expected, type) or isinstance(value, expected)


def _name_type(expected: Any) -> str:
    """Name an annotation in the words of a YAML author: torch's classes cannot be written there."""
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        names = [_name_type(option) for option in args]
        return " or ".join(name for name in names if name != "Tensor") or "Tensor"
    if origin is Literal:
        return " or ".join(map(str, args))
    if expected is type(None):
        return "null"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"[{', '.join(_name_type(arg) for arg in args if arg is not Ellipsis)}]"
    return getattr(expected, "__name__", str(expected))


def _show(value: Any) -> str:
    return "null" if value is None else repr(value) if isinstance(value, str) else str(value)
