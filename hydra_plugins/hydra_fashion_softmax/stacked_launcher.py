"""The launcher of `-m`: jobs that fit together are trained as one stack.

A thin shell, since Hydra imports it at every start; the work is in `fashion_softmax.sweeps.launching`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn

if TYPE_CHECKING:
    from fashion_softmax.sweeps.preparation import Preparation


@dataclass
class StackedLauncherConf:
    """`hydra/launcher=stacked`; its options are the keys of `sweep`."""

    _target_: str = "hydra_plugins.hydra_fashion_softmax.stacked_launcher.StackedLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="stacked", node=StackedLauncherConf, provider="fashion-softmax"
)


class StackedLauncher(BasicLauncher):
    """Trains jobs of this project in stacks; the jobs of any other task function run one after another.

    Attributes:
        preparation: of the sweep, where its sweeper has made one.
    """

    preparation: "Preparation | None" = None

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs.

        Args:
            job_overrides: a list of overrides for each job.
            initial_job_idx: number of the first job.

        Returns:
            The job results, in the order of the jobs.
        """
        # Not imported here: that would set Hydra's version base in the middle of somebody else's sweep.
        cli = sys.modules.get("fashion_softmax.cli")
        if cli is None or self.task_function is not cli.train.__wrapped__:
            return super().launch(job_overrides, initial_job_idx)
        from fashion_softmax.sweeps.launching import launch
        from fashion_softmax.sweeps.preparation import Preparation

        assert self.hydra_context is not None and self.config is not None
        if self.preparation is None:
            self.preparation = Preparation(self.config, self.hydra_context.config_loader)
        return launch(self.preparation, job_overrides, initial_job_idx, self.hydra_context)
