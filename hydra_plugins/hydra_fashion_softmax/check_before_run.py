"""Hydra's hook before a single run gets its folder: what cannot be run is refused with nothing created."""

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class CheckBeforeRun(Callback):
    """Checks a single run; the jobs of a sweep are checked by its sweeper."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the configuration, and become the only writer of the run's folder; called by Hydra."""
        from fashion_softmax.cli import check_before_run

        check_before_run(config)
