"""Whether a YAML value fits a Python annotation, and both in words."""

import dataclasses
import functools
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal


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
    if expected in (int, float):
        return isinstance(value, int | expected) and not isinstance(value, bool)
    if expected is Any:
        return True
    if expected is None or expected is types.NoneType:
        return value is None
    if isinstance(expected, type) and not typing.get_origin(expected):
        return isinstance(value, expected)
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        return any(matches_type(value, option) for option in args)
    if origin is Literal:
        return value in args
    if isinstance(origin, type) and issubclass(origin, Sequence):  # list[int], tuple[float, float], Sequence[str]
        if origin is tuple and args[-1] is not Ellipsis and isinstance(value, list):
            return len(value) == len(args) and all(map(matches_type, value, args))
        return isinstance(value, list) and all(matches_type(element, args[0]) for element in value)
    return True


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
