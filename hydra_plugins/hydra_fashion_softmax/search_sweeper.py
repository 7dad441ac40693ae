"""The sweeper of `hydra/sweeper=search`: a thin shell; the work is in `fashion_softmax.sweeps.search`."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from hydra_plugins.hydra_fashion_softmax.grid_sweeper import GridSweeper, GridSweeperConf


@dataclass
class SearchSweeperConf(GridSweeperConf):
    """Options of `hydra/sweeper=search`, beside those of the grid; see `sweeps.search.SearchOptions`."""

    _target_: str = "hydra_plugins.hydra_fashion_softmax.search_sweeper.SearchSweeper"
    num_trials: int = 64
    trials_at_once: int = 16
    sampler: str = "tpe"
    seed: int = 0
    # Packages of the user's own that a resumed search may name; `trust=` on the command line sets it.
    trusted: list[str] = field(default_factory=list)


ConfigStore.instance().store(group="hydra/sweeper", name="search", node=SearchSweeperConf, provider="fashion-softmax")


class SearchSweeper(GridSweeper):
    """Searches: asks for a batch of trials, trains them as a grid, and asks again.

    Args:
        max_batch_size: of stacks, see `GridSweeperConf`.
        params: see `GridSweeperConf`.
        trusted: see `SearchSweeperConf`.
        **options: `num_trials`, `trials_at_once`, `sampler` and `seed`.
    """

    def __init__(
        self, max_batch_size: int | None, params: DictConfig | None, trusted: list[str], **options: Any
    ) -> None:
        super().__init__(max_batch_size, params)
        self.trusted, self.options = list(trusted), options

    def run(self, lines: list[str], sweep_dir: Path) -> None:
        """Search in the folder, or continue the search there."""
        from fashion_softmax.errors import ConfigError

        try:
            from fashion_softmax.sweeps.search import read_options, search
            from fashion_softmax.sweeps.space import SearchOptions
        except ImportError as error:
            remedy = "pip install 'fashion-softmax[search]' brings it"
            raise ConfigError(f"hydra/sweeper=search needs Optuna ({error}); {remedy}") from error
        options, compose = SearchOptions(**self.options), self.make_composer()
        if self.is_resumed:
            lines, before = read_options(sweep_dir)
            hydras: list[str] = list(self.config.hydra.overrides.hydra)  # type: ignore[union-attr]
            given = {line.partition("=")[0].removeprefix("hydra.sweeper.") for line in hydras}
            changed = {key: value for key, value in self.options.items() if key in given}
            options = dataclasses.replace(before, **changed)
            compose = self._check(compose, sweep_dir)
        search(lines, compose, sweep_dir, self._launch, options, self.num_workers)

    def _check(self, compose: Any, sweep_dir: Path) -> Any:
        """Make what composes and checks the jobs of a journal, which may come from other people."""
        from fashion_softmax.config.trust import check_config

        def compose_checked(lines: list[str]) -> Any:
            job = compose(lines)
            check_config(job.config, self.trusted, sweep_dir)
            return job

        return compose_checked
