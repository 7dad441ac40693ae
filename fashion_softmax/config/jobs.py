"""Jobs: what a run's folder is written from. Hydra composes them; from here on configurations are plain dictionaries.

The jobs of a grid differ in a few values. Hydra composes each choice of config groups once (60 ms), and the jobs take
copies of it with their own values (0.1 ms); a job with any other kind of override is composed by Hydra alone.
"""

import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.private import VERSION_BASE
from fashion_softmax.config.schema import COMPONENTS, CONFIG_DIR, PlainConfig, SweepConfig, copy_plain, register
from fashion_softmax.errors import ConfigError

SUBDIR = "${job_name:${hydra.job.num},${hydra.overrides.task}}"  # in conf/config.yaml, for sweepers of other people
KEY = re.compile(r"[a-zA-Z_]\w*(\.\w+)*")
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?")
PLAIN = (bool, int, float, str, type(None))


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


def read_job(config: DictConfig) -> Job:
    """Take a job out of what Hydra composed.

    Args:
        config: with Hydra's part.
    """
    task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return make_job(task, config.hydra)


def make_job(task: DictConfig, hydra: Any) -> Job:
    """Make a job of its two parts.

    Args:
        task: of the shape of `schema.Config`.
        hydra: what Hydra adds to it.
    """
    overrides = cast(list[str], OmegaConf.to_container(hydra.overrides.task, resolve=False))
    choices = cast(dict[str, str], OmegaConf.to_container(hydra.runtime.choices, resolve=False))
    plain = cast(PlainConfig, OmegaConf.to_container(task, resolve=False))
    return Job(plain, overrides, _own_choices(choices, overrides))


def compose(overrides: Sequence[str] = ()) -> PlainConfig:
    """Compose a configuration as the command line would, for scripts and tests.

    Args:
        overrides: such as `loss=huber` and `optimizer.lr=0.5`.

    Returns:
        A configuration of the shape of `schema.Config`, interpolations unresolved.
    """
    register()
    with initialize_config_dir(config_dir=str(CONFIG_DIR), **VERSION_BASE):
        return cast(PlainConfig, OmegaConf.to_container(hydra_compose("config", overrides=list(overrides))))


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
    jobs = [list(job) for job in itertools.product(*axes)]
    if not jobs:
        raise ConfigError("the sweep has no jobs: one of its keys has no values")
    return jobs


class JobComposer:
    """Composes the jobs of a sweep, each equal to what Hydra alone gives.

    Args:
        loader: Hydra's.
        master: the sweep's configuration, with Hydra's part.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._parser = OverridesParser.create()
        self._read: dict[str, tuple[str, Any] | None] = {}
        self._bases: dict[tuple[str, ...], tuple[DictConfig, Job]] = {}
        self._converted: dict[tuple[int, str, str], Any] = {}

    def compose(self, lines: Sequence[str]) -> Job:
        """Compose a job.

        Args:
            lines: its overrides, in the order in which they apply.

        Raises:
            HydraException: an override cannot be read or applied. This and all else is raised as Hydra raises it.
        """
        values = {line: value for line in lines if (value := self._read_value(line))}
        groups = tuple(line for line in lines if line not in values)
        try:
            composed, base = self._base(groups)
            config = copy_plain(base.config)
            for line in lines:
                if line in values:
                    *path, name = values[line][0].split(".")
                    node = functools.reduce(dict.__getitem__, path, config)
                    if isinstance(node[name], dict):
                        raise LookupError(line)
                    node[name] = self._convert(composed, *values[line])
        except Exception:  # Hydra does it, or says what is wrong
            return read_job(self._loader.load_sweep_config(self._master, list(lines)))
        return Job(config, list(lines), _own_choices(base.choices, lines))

    def _read_value(self, line: str) -> tuple[str, Any] | None:
        """Read a single value, such as `seed=1` or `optimizer.lr=0.1`; None for an option of a group and all else."""
        if line not in self._read:
            value: Any
            key, _, text = line.partition("=")
            if number := NUMBER.fullmatch(text):  # which takes Hydra's parser a millisecond
                override, value = None, float(text) if number[1] else int(text)
            else:
                (override,) = self._parser.parse_overrides([line])
                key, value = override.key_or_group, override.value()
            is_own = key in self._master and not OmegaConf.is_config(OmegaConf.select(self._master, key))
            is_change = override is None or override.type == OverrideType.CHANGE
            is_value = is_change and KEY.fullmatch(key) and ("." in key or is_own)
            self._read[line] = (key, value) if is_value else None
        return self._read[line]

    def _base(self, groups: tuple[str, ...]) -> tuple[DictConfig, Job]:
        if groups not in self._bases:
            composed = self._loader.load_sweep_config(self._master, list(groups))
            self._bases[groups] = (composed, read_job(composed))
        return self._bases[groups]

    def _convert(self, composed: DictConfig, key: str, value: Any) -> Any:
        """Find what a value becomes in a configuration, whose keys may have types."""
        known = (id(composed), key, repr(value))
        if known not in self._converted:
            if not all(isinstance(item, PLAIN) for item in (value if isinstance(value, list) else [value])):
                raise LookupError(key)
            OmegaConf.update(composed, key, value)
            parent, _, name = key.rpartition(".")
            node = OmegaConf.masked_copy(OmegaConf.select(composed, parent) if parent else composed, [name])
            self._converted[known] = cast(dict[str, Any], OmegaConf.to_container(node, resolve=False))[name]
        return copy_plain(self._converted[known])


def apply_overrides(config: PlainConfig, lines: Sequence[str]) -> PlainConfig:
    """Apply overrides to a run's own configuration, as the command line does when the run is resumed.

    Args:
        config: it is not changed.
        lines: an option of a group replaces the whole component; keys of Hydra and of `sweep` are left out.

    Raises:
        ConfigError: an override is an option such as `-m`, has several values, or takes a key away.
        HydraException: it cannot be read or applied.
    """
    if flags := [line for line in lines if line.startswith("-")]:
        raise ConfigError(f"resume= takes no options: leave out {' '.join(flags)}")
    applied = OmegaConf.create(copy_plain(config))
    for override in OverridesParser.create().parse_overrides(list(lines)):
        key = override.key_or_group
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line} has several values, but a run is resumed with one")
        if override.is_hydra_override() or key.partition(".")[0] == "sweep":
            continue  # the folder is given by resume=
        if override.is_delete():
            raise ConfigError(f"{override.input_line} takes a key away; a run is resumed with the keys it has")
        if key in COMPONENTS:
            OmegaConf.update(applied, key, compose([str(override.input_line)])[key], merge=False)
            continue
        OmegaConf.set_struct(applied, not (override.is_add() or override.is_force_add()))
        OmegaConf.update(applied, key, override.value())
    return cast(PlainConfig, OmegaConf.to_container(applied, resolve=False))


def _own_choices(choices: dict[str, str], overrides: Sequence[str]) -> dict[str, str]:
    """Keep the options of the project's groups; one whose class was overridden has a name that would be wrong."""
    replaced = {line.lstrip("+").partition("._target_=")[0] for line in overrides if "._target_=" in line}
    return {
        group: option
        for group, option in choices.items()
        if isinstance(option, str) and not group.startswith("hydra/") and group not in replaced
    }


def find_options(config: DictConfig) -> SweepConfig:
    """Read the options of a sweep, and refuse what cannot hold where one job of Hydra trains many runs.

    Args:
        config: the sweep's, with Hydra's part.

    Raises:
        ConfigError: names the key and what to do instead.
    """
    hydra = config.hydra
    if hydra.job.chdir:
        raise ConfigError("hydra.job.chdir=true cannot be used with -m: many runs train in one process; leave it out")
    if OmegaConf.to_container(hydra.sweep, resolve=False)["subdir"] != SUBDIR:  # type: ignore[index, call-overload]
        raise ConfigError(
            "hydra.sweep.subdir cannot be used with -m: each run's folder is named by its number and what makes it "
            "different; choose the sweep's folder with hydra.sweep.dir=FOLDER"
        )
    return SweepConfig(**cast(dict[str, Any], OmegaConf.to_container(config.sweep, resolve=True)))
