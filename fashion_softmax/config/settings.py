"""A run's settings as facts to compare, dotted key to plain value; the names that are made of them; its fingerprint."""

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from fashion_softmax.errors import printable as printable

Value = bool | int | float | str | None

# Each is named by its option alone, such as huber.
GROUPS = ("experiment", "dataset", "model", "loss", "optimizer", "scheduler")

NEUTRAL_SECTIONS = ("sweep", "dashboard")
ALWAYS_NAMED = ("loss", "optimizer.lr")
SHARED_BY_OPTIONS = ("dataset.batch_size", "dataset.val_size", "optimizer.lr")
NAMED_FIRST = ("experiment", "model", "loss", "optimizer", "scheduler", "optimizer.lr")  # a table may cut the rest
# What a run may change when it is resumed, with a value that stands for all. Except for the number of epochs, it says
# where a run was trained and what was recorded, which does not change the result.
CHANGEABLE: dict[str, Any] = {
    "trainer.num_epochs": 1,
    "trainer.log_every": 1,
    "device": "auto",
    "dataset.root": "",
    "dataset.mirror": None,
    "dataset.cache_dir": "",
    "dataset.num_workers": 0,
}
MAX_INT, MAX_TEXT = 2**63, 10_000


def find_hyperparameters(config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Value]:
    """List what decides a run's result.

    Args:
        config: plain values, of the shape of `schema.Config`; may be a part or somebody else's.
        choices: group to option; a group without one is named by its class.

    Returns:
        Groups first (`loss` to `huber`), then dotted keys (`optimizer.lr` to 0.1) and `seed`; lists as text.
    """
    flat = {key: value for key, value in flatten(config) if key == "dataset.root" or not is_neutral(key)}
    named: dict[str, Value] = {}
    for group in GROUPS:
        target = flat.pop(f"{group}._target_", None)
        option = choices.get(group) or (str(target).rpartition(".")[2] if target else None)
        if option:
            named[group] = option
    if "dataset.name" in flat:  # a published data set is the same in every folder
        del flat["dataset.name"]
        flat.pop("dataset.root", None)
    place = PurePath(str(flat.get("dataset.root") or "")).name
    if "dataset" in named and place not in ("", named["dataset"]):
        named["dataset"] = f"{named['dataset']} {printable(place)}"  # such as `folder my_pictures`
    return named | {printable(key): _plain(value) for key, value in flat.items()}


def is_neutral(override: str) -> bool:
    """Tell whether an override, or a dotted key however it is set, leaves a run's result as it is."""
    key = _key(override)
    is_changeable = key in CHANGEABLE and key != "trainer.num_epochs"
    return is_changeable or key.partition(".")[0] in NEUTRAL_SECTIONS


def _plain(value: Any) -> Value:
    if isinstance(value, int) and abs(value) >= MAX_INT:
        return float("inf") if value > 0 else float("-inf")  # Python refuses to write out all digits of a larger one
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)[:MAX_TEXT]


def is_comparable(key: str, overrides: Sequence[str]) -> bool:
    """Tell whether a hyper-parameter belongs into a table of many runs: all have it, or this one's command set it.

    Args:
        key: of the hyper-parameter.
        overrides: of the run's command line.
    """
    section, _, name = key.partition(".")
    return section not in GROUPS or not name or key in SHARED_BY_OPTIONS or key in map(_key, overrides)


def name_trial(hyperparameters: Mapping[str, Value], overrides: Sequence[str]) -> str:
    """Name what distinguishes a run, whatever its seed, such as `huber lr=0.1`.

    Args:
        hyperparameters: from `find_hyperparameters`.
        overrides: of its command line.
    """
    given = {*ALWAYS_NAMED, *map(_key, overrides)}
    return word(hyperparameters, [key for key in hyperparameters if key in given])


@functools.lru_cache(maxsize=4096)  # all runs have the same keys
def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def word(hyperparameters: Mapping[str, Value], keys: Sequence[str]) -> str:
    """Word some of a run's hyper-parameters, without its seed, such as `huber lr=0.1`."""
    keys = [key for key in keys if key in hyperparameters and key != "seed"]
    keys.sort(key=lambda key: NAMED_FIRST.index(key) if key in NAMED_FIRST else len(NAMED_FIRST))
    pairs = zip(keys, shorten_keys(keys), strict=True)
    return " ".join(("" if key in GROUPS else f"{name}=") + show(hyperparameters[key]) for key, name in pairs)


def shorten_keys(keys: Sequence[str]) -> list[str]:
    """Name dotted keys by their last words, such as `lr`, where that distinguishes them."""
    short = [key.rpartition(".")[2] for key in keys]
    return [name if short.count(name) == 1 else key for key, name in zip(keys, short, strict=True)]


def show(value: Value) -> str:
    """Word a value as YAML would, on one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value or value != value else repr(value)
    return printable(str(value))


def flatten(value: Any, key: str = "", *, into_lists: bool = False) -> Iterator[tuple[str, Any]]:
    """Walk through nested dictionaries, and lists if asked: every leaf value, with its dotted key."""
    if isinstance(value, dict):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif into_lists and isinstance(value, list):
        pairs = enumerate(value)
    else:
        yield key, value
        return
    for name, item in pairs:
        yield from flatten(item, f"{key}.{name}" if key else str(name), into_lists=into_lists)


def fingerprint(config: Mapping[str, Any]) -> str:
    """Digest a configuration; equal where the same run is meant, whatever its spelling and its company.

    Args:
        config: plain values. What may change when a run is resumed, such as its number of epochs, leaves the digest as
            it is, also where another key takes its value from it.
    """
    from fashion_softmax.config.schema import resolve, with_defaults  # imports Hydra: reading runs need not

    neutral = with_defaults(config)
    for key, value in CHANGEABLE.items():
        section, _, name = key.rpartition(".")
        node = neutral.get(section) if section else neutral
        if isinstance(node, dict) and node.get(name) is not None:
            node[name] = value
    content = {key: value for key, value in resolve(neutral).items() if key not in NEUTRAL_SECTIONS}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def name_folder(start: str, overrides: Iterable[str]) -> str:
    """Name a run's folder by what sets it apart, such as `007_huber_lr0.1_seed1`.

    Args:
        start: of the name, such as the number of a job, which makes it unique within its sweep.
        overrides: `key=value` pairs; anything may be in them.

    Returns:
        A path component, at most 101 bytes longer than `start`, which it is where nothing else is left.
    """
    words = []
    for override in sorted(overrides):
        key, _, value = override.partition("=")
        words.append(value if key in GROUPS else key.lstrip("+").rpartition(".")[2] + value)
    text = re.sub(r"[^\w.+-]+", "-", "_".join(words)).encode()[:100].decode(errors="ignore")
    return f"{start}_{text}".rstrip("_-.")
