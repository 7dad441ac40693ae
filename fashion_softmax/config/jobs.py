"""Jobs: what a run's folder is written from. Hydra composes them; from here on configurations are plain dictionaries.

The jobs of a grid differ in a few plain values. Hydra composes what else is asked for once (60 ms), and the jobs take
copies of it with their own values (0.1 ms).
"""

import functools
import itertools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, OverrideType, RangeSweep
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.checking import suggest
from fashion_softmax.config.private import VERSION_BASE
from fashion_softmax.config.schema import CONFIG_DIR, PlainConfig, register
from fashion_softmax.config.settings import GROUPS, Value, flatten
from fashion_softmax.errors import ConfigError

NUMBER = re.compile(r"([a-z][\w.]*)=((?:0|[1-9]\d{0,15})(?:\.\d+)?)")  # such as optimizer.lr=0.1


@dataclass(frozen=True)
class Job:
    """What one run is asked to be.

    Attributes:
        config: of the shape of `schema.Config`, interpolations unresolved.
        overrides: of its command line.
        choices: group to option, such as `loss` to `huber`; a group whose class is overridden is left out.
    """

    config: PlainConfig
    overrides: list[str]
    choices: dict[str, str]


_one_at_a_time = threading.RLock()  # Hydra is one for all threads


def read_job(config: DictConfig, hydra: Any = None) -> Job:
    """Take a job out of what Hydra composed.

    Args:
        config: of the shape of `schema.Config`.
        hydra: Hydra's part, if `config` does not have it.
    """
    plain = cast(PlainConfig, OmegaConf.to_container(config, resolve=False))
    part = cast(dict[str, Any], OmegaConf.to_container(hydra or config.hydra, resolve=False))
    plain.pop("hydra", None)
    overrides = part["overrides"]["task"]
    return Job(plain, overrides, _own_choices(part["runtime"]["choices"], overrides))


def compose_with_hydra(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a configuration as the command line would, with Hydra's part; beside a Hydra that others have set up."""
    register()
    with _one_at_a_time:
        theirs = GlobalHydra.instance().hydra
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(config_dir=str(CONFIG_DIR), **VERSION_BASE):
                return hydra_compose("config", overrides=list(overrides), return_hydra_config=True)
        finally:
            if theirs is not None:
                GlobalHydra.instance().initialize(theirs)


def compose(overrides: Sequence[str] = ()) -> PlainConfig:
    """Compose a configuration as the command line would, for scripts and tests.

    Args:
        overrides: such as `loss=huber` and `optimizer.lr=0.5`.

    Returns:
        A configuration of the shape of `schema.Config`, interpolations unresolved.
    """
    return read_job(compose_with_hydra(overrides)).config


def expand_grid(lines: Sequence[str]) -> list[list[str]]:
    """List the jobs of a grid.

    Args:
        lines: overrides, some with several values.

    Returns:
        The overrides of each job, in Hydra's own order: the last key changes fastest.

    Raises:
        ConfigError: a search space such as `interval(0, 1)`, or no jobs at all.
        HydraException: an override cannot be read.
    """
    axes = []
    for line, override in zip(lines, OverridesParser.create().parse_overrides(list(lines)), strict=True):
        if not override.is_sweep_override():
            axes.append([line])
        elif override.is_discrete_sweep():
            key = override.get_key_element()
            axes.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            raise ConfigError(f"{line} names no values of a grid; list them, such as key=0.1,0.3,1.0 or range(0,5)")
    # experiment=null is the default, which Hydra refuses to be told.
    jobs = [[line for line in job if line != "experiment=null"] for job in itertools.product(*axes)]
    if not jobs:
        raise ConfigError("the sweep has no jobs: one of its keys has no values")
    return jobs


class Interval(NamedTuple):
    """Numbers from `low` to `high`, both included; integers if both are."""

    low: float
    high: float
    step: float | None = None
    is_log: bool = False


def read_space(lines: Sequence[str]) -> tuple[list[str], dict[str, Interval | list[str]]]:
    """Part overrides into those that are fixed and, by key, what is searched.

    Options are texts of Hydra's command line, so that they keep their types. `range` excludes its stop, as in a grid.
    """
    fixed: list[str] = []
    space: dict[str, Interval | list[str]] = {}
    for line, override in zip(lines, OverridesParser.create().parse_overrides(list(lines)), strict=True):
        key, value = override.get_key_element(), cast(Any, override.value())
        if not override.is_sweep_override():
            fixed.append(line)
        elif isinstance(value, IntervalSweep):
            space[key] = Interval(cast(float, value.start), cast(float, value.end), None, "log" in value.tags)
        elif isinstance(value, RangeSweep) and not value.shuffle:
            if not (values := list(value.range())):
                raise ConfigError(f"{line}: has no values")
            space[key] = Interval(min(values), max(values), abs(value.step), "log" in value.tags)
        else:
            texts = list(override.sweep_string_iterator())
            space[key] = sorted(texts) if getattr(value, "shuffle", False) else texts  # the same when it is resumed
    return fixed, space


def make_composer(compose_one: Callable[[Sequence[str]], Job]) -> Callable[[Sequence[str]], Job]:
    """Make what composes the jobs of a sweep, each equal to what Hydra alone gives.

    Args:
        compose_one: lets Hydra compose a job of its overrides.

    Returns:
        A function of a job's overrides, in the order in which they apply. What cannot be read or applied is raised as
        Hydra raises it.
    """

    @functools.cache
    def compose_by_hydra(lines: tuple[str, ...]) -> Job:
        return compose_one(lines)

    def compose_job(lines: Sequence[str]) -> Job:
        base = compose_by_hydra(tuple(line for line in lines if not read_value(line)))
        try:
            config = set_values(base.config, list(filter(read_value, lines)))
        except ConfigError:  # Hydra says what is wrong
            return compose_by_hydra(tuple(lines))
        return Job(config, list(lines), _own_choices(base.choices, lines))

    return compose_job


def set_values(config: PlainConfig, lines: Sequence[str]) -> PlainConfig:
    """Copy a configuration with other values.

    Args:
        config: it is not changed.
        lines: overrides such as `seed=1` and `optimizer.lr=0.1`.

    Raises:
        ConfigError: an override names no key of the configuration, or something else than one plain value.
        HydraException: it cannot be read.
    """
    changed = dict(config)
    known = dict(flatten(config))
    for line in lines:
        key = line.partition("=")[0]
        if key not in known:
            raise ConfigError(f"{key} is unknown{suggest(key, known)}")
        if not (read := read_value(line)):
            raise ConfigError(f"{line}: expected one plain value")
        *sections, name = key.split(".")
        node = changed
        for section in sections:  # only what changes is copied
            node[section] = node = dict(node[section])
        node[name] = read[1]
    return changed


@functools.lru_cache(maxsize=4096)
def read_value(line: str) -> tuple[str, Any] | None:
    """Read `key=value` with a plain value; None for what only Hydra can apply."""
    if number := NUMBER.fullmatch(line):  # the parser takes a millisecond
        return number[1], float(number[2]) if "." in number[2] else int(number[2])
    (override,) = OverridesParser.create().parse_overrides([line])
    key, value = override.key_or_group, override.value()
    is_plain = override.type == OverrideType.CHANGE and key not in GROUPS and isinstance(value, Value)
    return (key, value) if is_plain else None


def _own_choices(choices: dict[str, str], overrides: Sequence[str]) -> dict[str, str]:
    """Keep the options of the project's groups; one whose class was overridden has a name that would be wrong."""
    replaced = {line.lstrip("+").partition("._target_=")[0] for line in overrides if "._target_=" in line}
    own = {group for group, option in choices.items() if isinstance(option, str) and not group.startswith("hydra/")}
    return {group: choices[group] for group in choices if group in own - replaced}
