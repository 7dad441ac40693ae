"""Whether a YAML value fits a Python annotation, and both in words."""

import inspect
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal


def find_hints(target: Any) -> dict[str, Any]:
    """Read the annotations of a class's constructor or a function, by parameter; empty where they cannot be read."""
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


def name_type(expected: Any) -> str:
    """Name an annotation in the words of a YAML author: torch's classes cannot be written there."""
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        names = [name_type(option) for option in args]
        return " or ".join(name for name in names if name != "Tensor") or "Tensor"
    if origin is Literal:
        return " or ".join(map(str, args))
    if expected is type(None):
        return "null"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"[{', '.join(name_type(arg) for arg in args if arg is not Ellipsis)}]"
    return getattr(expected, "__name__", str(expected))


def show_value(value: Any) -> str:
    """Word a value so that a text and a number that look alike can be told apart."""
    return "null" if value is None else repr(value) if isinstance(value, str) else str(value)
