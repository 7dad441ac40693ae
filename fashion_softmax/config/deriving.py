"""Composing the jobs of a sweep: Hydra composes each choice of config groups once, copies of it take the jobs' values.

Composing takes Hydra 60 ms or more, copying and changing values one. Whatever might turn out other than by Hydra alone
is left to Hydra.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import IConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.quick_configs import copy_config

MAX_BASES = 256  # about 0.3 MB each
MAX_OVERRIDES = 10_000  # about 1 KB each


class JobComposer:
    """Composes the jobs of a sweep, each equal to what Hydra's own `load_sweep_config` gives.

    Configuration files are read once per choice of groups: editing one does not change the later jobs of a sweep.

    Args:
        loader: Hydra's own; one of another class composes every job itself.
        master: the sweep's configuration, with Hydra's part. It may change between jobs.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        self._loader = loader
        self._master = master
        self._circumstances: tuple[object, ...] | None = None
        self._repository: IConfigRepository  # comes with the circumstances
        self._parser = OverridesParser.create()
        self._parse = functools.lru_cache(MAX_OVERRIDES)(self._parse_override)
        self._base = functools.lru_cache(MAX_BASES)(self._compose_base)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Compose a job.

        Args:
            overrides: of the job, in the order in which they apply; those of Hydra's part are in the master already.

        Returns:
            The whole configuration, Hydra's part included, shared with nobody.

        Raises:
            HydraException: an override cannot be read or applied. This and all else is raised as Hydra raises it.
        """
        job = list(overrides)
        prepared = self._prepare(job)
        if prepared is None:
            return self._loader.load_sweep_config(self._master, job)
        base, parsed, values = prepared
        config = copy_config(base)
        # What ConfigLoaderImpl._load_configuration_impl does with values; all else is in the base.
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
        config.hydra.overrides.task.extend(job)
        naming = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            parsed, exclude_keys=naming.exclude_keys, item_sep=naming.item_sep, kv_sep=naming.kv_sep
        )
        OmegaConf.copy_cache(from_config=self._master, to_config=config)
        return config

    def _prepare(self, job: Sequence[str]) -> tuple[DictConfig, list[Override], list[Override]] | None:
        """Find a job's base, its overrides, and which of them are values; None leaves the job to Hydra."""
        if not self._follow_circumstances():
            return None
        overrides: list[Override] = []
        groups: list[Override] = []
        values: list[Override] = []
        for line in job:
            parsed = self._parse(line)
            if parsed is None:
                return None
            override, is_group = parsed
            overrides.append(override)
            (groups if is_group else values).append(override)
        base = self._base(tuple(str(override.input_line) for override in groups))
        return None if base is None else (base, overrides, values)

    def _follow_circumstances(self) -> bool:
        """Forget what was composed under other circumstances; False if nothing can be derived under these."""
        if type(self._loader) is not ConfigLoaderImpl:
            return False
        name = self._master.hydra.job.config_name
        given = OmegaConf.to_container(self._master.hydra.overrides.hydra)
        circumstances = (name, given, Path.cwd())
        if circumstances != self._circumstances:
            assert isinstance(given, list)
            try:
                parsed, repository = self._loader._parse_overrides_and_create_caching_repo(name, given)
            except HydraException:
                return False
            if not all(override.is_hydra_override() for override in parsed):
                return False
            self._parse.cache_clear()
            self._base.cache_clear()
            self._circumstances, self._repository = circumstances, repository
        return True

    def _parse_override(self, line: str) -> tuple[Override, bool] | None:
        """Parse an override and tell whether it chooses from a group; None leaves its job to Hydra."""
        (override,) = self._parser.parse_overrides([line])
        # A shuffled list is another one each time Hydra reads it.
        if override.is_sweep_override() or "hydra" in override.key_or_group or _reads_hydra(line) or "shuffle(" in line:
            return None
        # The rule of Hydra's defaults list.
        is_group = self._repository.group_exists(override.key_or_group) and not isinstance(override.value(), dict)
        return override, is_group

    def _compose_base(self, groups: tuple[str, ...]) -> DictConfig | None:
        """Compose a choice of groups; None when jobs cannot be derived from it."""
        try:
            base = self._loader.load_sweep_config(self._master, list(groups))
            for _ in groups:
                base.hydra.overrides.task.pop()  # each job lists its own, in its own order
            OmegaConf.clear_cache(base)
            return base if _is_self_contained(base) else None
        except Exception:  # Hydra alone then raises it again, unless it was but for the lack of a value
            return None


def _is_self_contained(base: DictConfig) -> bool:
    """Tell whether the values of jobs and what Hydra reads and writes in its own part cannot touch each other."""
    task = OmegaConf.to_container(base)
    assert isinstance(task, dict)
    hydra = task.pop("hydra")
    written = json.dumps([hydra["runtime"], hydra["job"]["config"]])
    # The environment may have changed by the next job.
    if "${" in written or hydra["job"]["env_copy"] or isinstance(hydra["overrides"]["hydra"], str):
        return False
    lines = json.dumps(task, indent=0, default=str).splitlines()  # one for each value
    return not any(map(_reads_hydra, lines))


def _reads_hydra(text: str) -> bool:
    return "hydra" in text.partition("${")[2]
