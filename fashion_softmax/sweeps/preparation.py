"""The jobs of a sweep before they start: composed, checked, their parts built, each once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from fashion_softmax.config.building import Parts, check
from fashion_softmax.config.deriving import JobComposer
from fashion_softmax.config.explain import explain
from fashion_softmax.config.schema import without_hydra
from fashion_softmax.errors import ConfigError, FashionSoftmaxError
from fashion_softmax.sweeps.plan import FactFinder, Facts

KEPT_BYTES = 2**28  # of parts that wait for their stack; what does not fit is built again


class Preparation:
    """Composes and checks jobs, and remembers what planning and training need of them.

    Args:
        master: the sweep's configuration, with Hydra's part.
        loader: composes a job's configuration.
    """

    def __init__(self, master: DictConfig, loader: ConfigLoader) -> None:
        self.master = master
        self._composer = JobComposer(loader, master)
        self._finder = FactFinder()
        self._facts: dict[tuple[str, ...], Facts | None] = {}
        self._parts: dict[tuple[str, ...], Parts] = {}
        self._num_bytes = 0

    def check(self, job: Sequence[str]) -> Facts | None:
        """Find out whether a job can be run, and what it must share with its company.

        Args:
            job: its overrides.

        Returns:
            Its facts; None when something in it fails in a way that only running it can show, in its own folder.

        Raises:
            ConfigError: its configuration cannot be composed or run.
            DataError: its data cannot be had.
            MachineError: the machine does not allow it.
        """
        key = tuple(job)
        if key not in self._facts:
            try:
                config = self._composer.compose(job)
                cfg = without_hydra(config)
                parts = check(cfg)
                facts = self._finder.find(cfg, parts)
                own_process_state = bool(config.hydra.job.chdir or config.hydra.job.env_set)
                if own_process_state:
                    reason = facts.alone or "hydra.job.chdir and hydra.job.env_set hold for one job at a time"
                    facts = dataclasses.replace(facts, alone=reason)
                self._facts[key] = facts
                if not own_process_state and self._num_bytes + facts.num_bytes <= KEPT_BYTES:
                    self._num_bytes += facts.num_bytes
                    self._parts[key] = parts
            except FashionSoftmaxError:
                raise
            except (HydraException, OmegaConfBaseException) as error:
                raise ConfigError(explain(error, []) or str(error)) from error
            except (Exception, SystemExit):  # whatever a component of the user's does when it is built
                self._facts[key] = None
        return self._facts[key]

    def compose(self, job: Sequence[str], number: int) -> DictConfig:
        """Compose a job's configuration, with Hydra's part.

        Args:
            job: its overrides.
            number: of the job in the sweep, from 0.
        """
        config = self._composer.compose(job)
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        return config

    def place(self, job: Sequence[str], number: int) -> tuple[Path, DictConfig]:
        """Find the folder that Hydra makes for a job, or made when the sweep was begun, and the job's configuration."""
        config = self.compose(job, number)
        return Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir)), without_hydra(config)

    def take_parts(self, job: Sequence[str]) -> Parts | None:
        """Hand over the parts built by `check`, which can be trained only once; None if they must be built again."""
        parts = self._parts.pop(tuple(job), None)
        if parts is not None and (facts := self._facts[tuple(job)]) is not None:
            self._num_bytes -= facts.num_bytes
        return parts
