"""The sweeper of `-m`: checks every job before the first starts, and trains jobs that fit together as one stack.

A thin shell, since Hydra imports it at every start; the work is in `fashion_softmax.sweeps`.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

SUBDIR = "${job_name:${hydra.job.num},${hydra.overrides.task}}"  # in conf/config.yaml, for sweepers of other people


@dataclass
class GridSweeperConf:
    """Options of `hydra/sweeper=grid`, those of Hydra's basic sweeper."""

    _target_: str = "hydra_plugins.hydra_fashion_softmax.grid_sweeper.GridSweeper"
    # Stacks handed to the launcher at once; null hands over all of them.
    max_batch_size: int | None = None
    # Sweep parameters set in a configuration instead of on the command line.
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="fashion-softmax")


class GridSweeper(Sweeper):
    """Runs a grid: one Hydra job for each stack, by whatever launcher is chosen.

    Args:
        max_batch_size: see `GridSweeperConf`.
        params: see `GridSweeperConf`.
    """

    def __init__(self, max_batch_size: int | None, params: DictConfig | None) -> None:
        self.max_batch_size = max_batch_size
        self.params: dict[str, str] = {str(key): str(value) for key, value in (params or {}).items()}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives; called by Hydra."""
        self.hydra_context = hydra_context
        self.config = config

    def sweep(self, arguments: list[str]) -> None:
        """Run the grid, or complete the one in the folder.

        Args:
            arguments: overrides, some with several values.

        Raises:
            ConfigError: a job cannot be run; nothing was started.
            SweepError: all jobs were run, some failed.
        """
        gc.freeze()  # what was imported stays; looking through it again and again would take as long as launching
        from fashion_softmax.errors import ConfigError
        from fashion_softmax.sweeps.engines import count_workers

        assert self.config is not None and self.hydra_context is not None
        if self.config.hydra.job.chdir:
            raise ConfigError(
                "hydra.job.chdir=true cannot be used with -m: many runs train in one process; leave it out"
            )
        if OmegaConf.to_container(self.config.hydra.sweep, resolve=False)["subdir"] != SUBDIR:  # type: ignore[index,call-overload]
            remedy = "hydra.sweep.dir=FOLDER chooses the sweep's folder"
            raise ConfigError(f"hydra.sweep.subdir cannot be used with -m; {remedy}")
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise ConfigError(f"hydra.sweeper.max_batch_size={self.max_batch_size}: must be 1 or more, or null")
        engine = self.config.hydra.launcher
        if "ray" in engine:
            with open_dict(engine):  # a dashboard nobody asked for; memory that an existing cluster does not let us set
                key, value = ("object_store_memory", None) if engine.ray.init.address else ("include_dashboard", False)
                engine.ray.init.setdefault(key, value)
        options: Any = OmegaConf.to_container(engine)
        self.num_workers = count_workers(options)
        # Submitit starts all that it is given at once, with all cores for each.
        self.at_once = self.num_workers if options["_target_"].endswith("LocalLauncher") else None
        self.is_resumed = bool(OmegaConf.select(self.config, "sweep.resume"))
        params = [] if self.is_resumed else [f"{key}={value}" for key, value in self.params.items()]
        lines = [*params, *arguments]
        self.run(lines, Path(self.config.hydra.sweep.dir).absolute())

    def run(self, lines: list[str], sweep_dir: Path) -> None:
        """Run the grid of all overrides, or complete what is in the folder."""
        from fashion_softmax.config.jobs import expand_grid
        from fashion_softmax.sweeps.grid import resume, sweep

        if self.is_resumed:
            # Of the command only if that has more jobs than the folder, see `sweeps/resume.py`.
            own = [line for line in lines if not line.startswith(("sweep.resume=", "sweep.fail_fast="))]
            resume(sweep_dir, self._launch, expand_grid(own) if own else (), self.make_composer(), self.num_workers)
        else:
            sweep(expand_grid(lines), self.make_composer(), sweep_dir, self._launch, self.num_workers)

    def make_composer(self) -> Any:
        """Make what composes a job of its overrides."""
        from fashion_softmax.config.jobs import make_composer, read_job

        assert self.config is not None and self.hydra_context is not None
        load, config = self.hydra_context.config_loader.load_sweep_config, self.config
        return make_composer(lambda lines: read_job(load(config, list(lines))))

    def _launch(self, sweep_dir: Path, stacks: Sequence[int]) -> None:
        """Run a Hydra job for each stack; it carries nothing but the sweep's folder and the stack's number there."""
        from fashion_softmax.config.schema import STACK_CONFIG, quote
        from fashion_softmax.sweeps.grid import count_failed, train_stack

        assert self.config is not None and self.hydra_context is not None
        loader, hydra = self.hydra_context.config_loader, self.config.hydra
        given: Any = OmegaConf.to_container(hydra.overrides.hydra, resolve=False)
        kept = [line for line in given if not line.startswith(("hydra.sweep.", "hydra.run."))]
        # Hydra 1.4 wants the same launcher and sweeper in each job as here, also where a file chooses them.
        for group in ("hydra/launcher", "hydra/sweeper"):
            if not any(line.startswith(f"{group}=") for line in kept):
                kept.append(f"{group}={hydra.runtime.choices[group]}")
        place = f"sweep_dir={quote(str(sweep_dir))}"
        config = loader.load_configuration(
            config_name=STACK_CONFIG, overrides=[*kept, place], run_mode=RunMode.MULTIRUN
        )
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=train_stack, config=self.config
        )
        launcher.setup(hydra_context=self.hydra_context, task_function=train_stack, config=config)
        is_fast = OmegaConf.select(self.config, "sweep.fail_fast") is True
        options = [place, f"num_workers={self.at_once or 1}", f"fails_fast={is_fast}"]
        jobs = [[*options, f"stack={number}"] for number in stacks]
        size = self.max_batch_size or self.at_once or (self.num_workers if is_fast else len(jobs))
        num_failed = count_failed(sweep_dir) if is_fast else 0
        for start in range(0, len(jobs), size):
            launcher.launch(jobs[start : start + size], initial_job_idx=start)
            if is_fast and count_failed(sweep_dir) > num_failed:
                break
