"""The sweeper of `-m`: Hydra's own grid, but every job is checked before the first starts and none is lost.

A thin shell, since Hydra imports it at every start; the work is in `fashion_softmax.sweeps.grid`.
"""

from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser


@dataclass
class GridSweeperConf:
    """Options of `hydra/sweeper=grid`, those of Hydra's basic sweeper."""

    _target_: str = "hydra_plugins.hydra_fashion_softmax.grid_sweeper.GridSweeper"
    # Jobs handed to the launcher at once; null hands over all of them.
    max_batch_size: int | None = None
    # Sweep parameters set in a configuration instead of on the command line.
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="fashion-softmax")


class GridSweeper(BasicSweeper):
    """Expands a grid, checks all its jobs, launches them in batches, and reports every failure at the end."""

    def sweep(self, arguments: list[str]) -> Any:
        """Run the grid.

        Args:
            arguments: overrides, some with several values.

        Returns:
            One list of job results per batch, in the order of the grid.

        Raises:
            ConfigError: a job cannot be run; nothing was started.
            SweepError: all jobs were run, some failed.
        """
        from fashion_softmax.sweeps.grid import sweep

        assert self.hydra_context is not None and self.config is not None and self.launcher is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        batches = self.split_arguments(overrides, self.max_batch_size)
        return sweep(self.config, batches, self.hydra_context.config_loader, self.launcher)
