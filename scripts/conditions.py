"""Which runs `compare_runs.py` compares: those that meet conditions, of one data set unless these say otherwise."""

import operator
import re
from collections import Counter
from collections.abc import Callable, Sequence

from fashion_softmax.config.checking import suggest
from fashion_softmax.config.settings import Value, printable, shorten_keys, show
from fashion_softmax.dashboard.console import count
from fashion_softmax.errors import ConfigError
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.viewing.runs import on_latest_data

CONDITION = re.compile(r"\s*([\w./]+)\s*(>=|<=|!=|=|>|<)\s*(.+?)\s*")
ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def select(runs: Sequence[RunFolder], conditions: Sequence[str]) -> tuple[list[RunFolder], str]:
    """Choose runs.

    Args:
        runs: at least one.
        conditions: all of which a run has to meet, such as `loss=mse,huber`, `optimizer.lr>=0.1`, `test/accuracy>0.8`
            or `state!=failed`; `seed` and the last word of a key, such as `lr`, work as well. If none is about the data
            set, only the runs on the data set of the latest run are chosen, as in `predict.py --best`.

    Returns:
        The runs, and what was left out, in a line; empty if nothing was.

    Raises:
        ConfigError: a condition cannot be read, names a key that no run has, or no run meets them.
    """
    facts = [{"state": run.state, "name": run.name, **run.hyperparameters, **run.metrics} for run in runs]
    for each in facts:
        each.pop("lr", None)  # that of the last step; `lr` means optimizer.lr
    keys = list(dict.fromkeys(key for each in facts for key in each))
    tests = [_read(condition, keys) for condition in conditions]
    chosen = [
        run
        for run, each in zip(runs, facts, strict=True)
        if all(key in each and test(each[key]) for key, test in tests)
    ]
    if not chosen:
        known = {key: ", ".join(sorted({show(each[key]) for each in facts if key in each})[:8]) for key, _ in tests}
        there = "; ".join(f"{key} is {values}" for key, values in known.items())
        raise ConfigError(f"--where {' '.join(conditions)}: none of {count(len(runs), 'run')} is so; {there}")
    if any(key.partition(".")[0] == "dataset" for key, _ in tests):
        return chosen, ""
    kept = on_latest_data(chosen)
    others = Counter(map(_word, chosen)) - Counter(map(_word, kept))
    words = ", ".join(f"{count(number, 'run')} on {name}" for name, number in others.items())
    line = f"left out: {words}; --where dataset={next(iter(others)).partition(' ')[0]} compares these" if others else ""
    return kept, line


def find_key(name: str, keys: Sequence[str], option: str) -> str:
    """Find a key by its whole name or its last word.

    Raises:
        ConfigError: no run has it.
    """
    if name in keys:
        return name
    for key, short in zip(keys, shorten_keys(keys), strict=True):
        if name == short:
            return key
    raise ConfigError(f"{option}: no run has the key {name}{suggest(name, keys)}")


def _read(condition: str, keys: Sequence[str]) -> tuple[str, Callable[[Value], bool]]:
    if not (found := CONDITION.fullmatch(condition)):
        raise ConfigError(
            f"--where {condition}: is no condition, such as loss=mse,huber or 'optimizer.lr>=0.1' "
            "(with quotes, or the shell takes > for the name of a file)"
        )
    name, sign, text = found.groups()
    key = find_key(name, keys, f"--where {condition}")
    if sign in ORDERS:
        if (limit := _number(text)) is None:
            raise ConfigError(f"--where {condition}: {text} is no number")
        return key, lambda value: (number := _number(value)) is not None and ORDERS[sign](number, limit)
    options = [option.strip() for option in text.split(",")]
    return key, lambda value: any(_equals(value, option) for option in options) == (sign == "=")


def _equals(value: Value, option: str) -> bool:
    words = show(value)
    if _number(value) is not None and _number(value) == _number(option):
        return True
    return option in (words, words.partition(" ")[0])  # `folder my_pictures` is a folder


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _word(run: RunFolder) -> str:
    return printable(show(run.hyperparameters.get("dataset", "an unknown data set")))
