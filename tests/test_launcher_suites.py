"""Hydra's own tests of a launcher, which come with hydra-core."""

import pytest
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)

# The suites look for a job's files in its working folder, which is the job's own only below version base 1.2; any
# earlier `@hydra.main` of this process may have raised that.
CHDIR = "hydra.job.chdir=True"


@pytest.mark.parametrize(("launcher_name", "overrides"), [("stacked", [CHDIR])])
class TestLauncher(LauncherTestSuite):
    """In this process."""


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("stacked", ["hydra/sweeper=basic", "hydra.sweeper.max_batch_size=2", CHDIR])],
)
class TestLauncherInBatches(BatchedSweeperTestSuite):
    """Asked batch by batch."""


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({}, ["-m", "hydra/launcher=stacked", "hydra/hydra_logging=disabled", "hydra/job_logging=disabled"])],
)
class TestLauncherIntegration(IntegrationTestSuite):
    """As commands of their own."""
