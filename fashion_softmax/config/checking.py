"""Checking a configuration before anything is loaded or created: every problem at once, each with its fix.

The project's own keys have types in `schema.py` and ranges here. A component is checked against the signature of what
it names, so a new optimizer or model is checked as well without a line about it.
"""

import dataclasses
import difflib
import functools
import inspect
import math
import pickle
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from fashion_softmax.config.schema import COMPONENTS, DEFAULTS, Config
from fashion_softmax.errors import ConfigError

Check = tuple[str, Callable[[Any], Any]]  # what is allowed, in words, and whether a number, or a device, is

POSITIVE: Check = ("a finite number above 0", lambda value: 0 < value < math.inf)
NOT_NEGATIVE: Check = ("a finite number, 0 or more", lambda value: 0 <= value < math.inf)
FRACTION: Check = ("a number from 0 to 1", lambda value: 0 <= value <= 1)
BELOW_ONE: Check = ("a number from 0 to below 1", lambda value: 0 <= value < 1)
COUNT: Check = ("a whole number from 1 to 2147483647", lambda value: 1 <= value < 2**31)
COUNT_OR_ZERO: Check = ("a whole number from 0 to 2147483647", lambda value: 0 <= value < 2**31)
# Of a list, each element is checked.
RANGES: dict[str, Check] = {
    "device": ("auto, cpu, cuda, cuda:N or mps", re.compile(r"auto|cpu|cuda|cuda:(0|[1-9]\d?)|mps").fullmatch),
    "seed": ("a whole number from 0 to 4294967295", lambda value: 0 <= value < 2**32),
    "dataset.num_workers": ("a whole number from 0 to 64", lambda value: 0 <= value <= 64),
    "dataset.val_size": (
        "a whole number, 0 or more, or a fraction below 1",
        lambda value: 0 <= value < (2**31 if isinstance(value, int) else 1),
    ),
    "dataset.test_fraction": ("a number above 0 and below 1", lambda value: 0 < value < 1),
    "dataset.resize": ("a number of pixels from 1 to 1024", lambda value: 1 <= value <= 1024),
    **dict.fromkeys(("trainer.num_epochs", "trainer.log_every", "sweep.max_stack_size"), COUNT),
    **dict.fromkeys(("dataset.batch_size", "dataset.num_classes", "dataset.num_train", "dataset.num_test"), COUNT),
    **dict.fromkeys(
        ("dataset.image_shape", "model.hidden_sizes", "scheduler.num_epochs", "scheduler.step_size"), COUNT
    ),
    **dict.fromkeys(("dataset.data_seed", "dataset.split_seed", "scheduler.warmup_epochs"), COUNT_OR_ZERO),
    **dict.fromkeys(("dataset.noise_std", "model.init_std", "optimizer.weight_decay", "optimizer.eps"), NOT_NEGATIVE),
    **dict.fromkeys(("loss.delta", "optimizer.lr", "scheduler.gamma"), POSITIVE),
    **dict.fromkeys(("loss.label_smoothing", "scheduler.final_fraction"), FRACTION),
    **dict.fromkeys(("model.dropout", "optimizer.momentum", "optimizer.betas", "optimizer.alpha"), BELOW_ONE),
}
find_target = functools.lru_cache(maxsize=256)(pkgutil.resolve_name)  # imports what a `_target_` names


def check_values(config: Mapping[str, Any]) -> None:
    """Check a configuration; imports what its components name, and with that torch.

    Args:
        config: plain values of the shape of `schema.Config`, without interpolations.

    Raises:
        ConfigError: lists every problem with its dotted key, the value, what is allowed and the nearest fix.
    """
    own = {key: value for key, value in config.items() if key not in COMPONENTS}
    parts = {"": own, **{key: config.get(key) for key in COMPONENTS}}
    problems = [line for key, part in parts.items() for line in _check_part(key, pickle.dumps(part))]
    warmup = None if problems else config["scheduler"].get("warmup_epochs")
    if isinstance(warmup, int) and warmup >= config["trainer"]["num_epochs"]:
        problems = ["scheduler.warmup_epochs must be below trainer.num_epochs: the full rate would never be reached"]
    if problems:
        raise ConfigError.from_problems(problems)


def suggest(name: str, allowed: Iterable[str], keys: Iterable[str] = ()) -> str:
    """Word what is allowed instead of `name`: the close match, or the key that ends like it, if any, then all of it."""
    allowed, short = sorted(allowed), name.lstrip("-").partition("=")[0]  # --lr=0.1 is how other programs are told
    ends = {key.rpartition(".")[2]: key for key in reversed(list(keys))}
    matches = [ends[short]] if short in ends else difflib.get_close_matches(name, allowed, n=1)
    matches = matches or [ends[near] for near in difflib.get_close_matches(short, ends, n=1, cutoff=0.75)]
    close = "".join(f"; did you mean {match}?" for match in matches)
    return f"{close}; allowed: {', '.join(allowed)}" if allowed else ""


@functools.lru_cache(maxsize=256)  # the runs of a grid differ in few of their parts
def _check_part(key: str, pickled: bytes) -> list[str]:
    """Check a component, or the project's own keys, which have no key."""
    node = pickle.loads(pickled)
    if not key:
        return _check_keys("", node, find_hints(Config), DEFAULTS)
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        return [f"{key}: is no component (found {show_value(node)}); choose one of the options in conf/{key}"]
    target, values = node["_target_"], {name: value for name, value in node.items() if name != "_target_"}
    try:
        hints, required, open_ended = _read_signature(target, len(COMPONENTS[key]))
    except Exception as error:  # whatever importing foreign code raises
        hint = "; its folder has to be on PYTHONPATH" if isinstance(error, ModuleNotFoundError) else ""
        return [f"{key}._target_={target} cannot be imported ({error}){hint}"]
    hints = {**dict.fromkeys(values, Any), **hints} if open_ended else hints
    return _check_keys(f"{key}.", values, hints, required, f" to {target}")


def _check_keys(
    prefix: str, values: Mapping[Any, Any], hints: Mapping[str, Any], required: Iterable[str], owner: str = ""
) -> list[str]:
    problems = []
    for name in dict.fromkeys((*values, *required)):
        key, value, expected = f"{prefix}{name}", values.get(name), hints.get(name)
        if name not in hints:
            problems.append(f"{key} is unknown{owner}{suggest(key, [prefix + each for each in hints])}")
        elif name not in values:
            problems.append(f"{key} is required: add +{key}=VALUE")
        elif isinstance(expected, type) and dataclasses.is_dataclass(expected) and isinstance(value, dict):
            inner = find_hints(expected)
            problems += _check_keys(f"{key}.", value, inner, inner)
        else:
            problems += _check_value(key, value, expected)
    return problems


@functools.lru_cache(maxsize=256)
def _read_signature(target: str, num_runtime: int) -> tuple[dict[str, Any], list[str], bool]:
    """Import a component: the types of its parameters after the runtime facts, the required ones, whether any fit."""
    component = find_target(target)
    parameters = list(inspect.signature(component).parameters.values())[num_runtime:]
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    hints = find_hints(component.__init__ if inspect.isclass(component) else component)
    required = [each.name for each in named if each.default is each.empty]
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters)
    types_by_name = {each.name: hints.get(each.name, Any) for each in named}
    options = hints.get(parameters[-1].name) if open_ended else None
    if typing.get_origin(options) is typing.Unpack:  # `**options: Unpack[Options]` names them all
        return types_by_name | find_hints(typing.get_args(options)[0]), required, False
    return types_by_name, required, open_ended


def _check_value(key: str, value: Any, expected: Any) -> list[str]:
    if value == "???":
        return [f"{key} is required: add {key}=VALUE"]
    if not matches_type(value, expected):
        return [f"{key}={show_value(value)} has the wrong type: expected {name_type(expected)}"]
    allowed, is_allowed = RANGES.get(key, ("", lambda _: True))
    values = value if isinstance(value, list) else [value]
    checked = [each for each in values if isinstance(each, int | float) or key == "device"]
    return [] if all(map(is_allowed, checked)) else [f"{key}={show_value(value)} is out of range: must be {allowed}"]


@functools.lru_cache(maxsize=256)
def find_hints(target: Any) -> dict[str, Any]:
    """Read the annotations of a class's attributes or a function's parameters; empty where they cannot be read."""
    try:
        return typing.get_type_hints(target)
    except Exception:  # a name that only exists for the type checker; such a component goes without type checks
        return {}


def matches_type(value: Any, expected: Any) -> bool:
    """Tell whether a value read from YAML fits an annotation; unlike `isinstance`, True is no number and 1 is a float.

    Args:
        value: None, bool, int, float, str, list or dict.
        expected: an annotation; one that no YAML value could fit, such as a class of torch, accepts nothing.
    """
    if expected is Any:
        return True
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        return any(matches_type(value, option) for option in args)
    if origin is Literal:
        return value in args
    if isinstance(origin, type) and issubclass(origin, Sequence):  # list[int], tuple[float, float], Sequence[str]
        if not isinstance(value, list):
            return False
        kinds = args if origin is tuple and args[-1] is not Ellipsis else args[:1] * len(value)
        return len(value) == len(kinds) and all(map(matches_type, value, kinds))
    if expected in (int, float):
        return isinstance(value, int | expected) and not isinstance(value, bool)
    return isinstance(value, expected) if isinstance(expected, type) else True


def name_type(expected: Any) -> str:
    """Name an annotation in the words of a YAML author: torch's classes cannot be written there."""
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        names = [name_type(option) for option in args]
        return " or ".join(name for name in names if name != "Tensor") or "Tensor"
    if origin is Literal:
        return " or ".join(map(str, args))
    if expected is types.NoneType:
        return "null"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"[{', '.join(name_type(arg) for arg in args if arg is not Ellipsis)}]"
    return "a group of keys" if dataclasses.is_dataclass(expected) else getattr(expected, "__name__", str(expected))


def show_value(value: Any) -> str:
    """Word a value so that a text and a number that look alike can be told apart."""
    try:
        return "null" if value is None else repr(value)[:200]
    except ValueError:  # Python refuses to write out all digits of a very long number
        return "a number of several thousand digits"


REMEMBERED = (find_target, find_hints, _check_part, _read_signature)  # in a live process, a class may be defined anew
