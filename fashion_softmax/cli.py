"""The command: hands the composed configuration to an experiment, and turns every error into a line and an exit code.

`train.py` and the installed command `fashion-softmax` are this module's `main`. Nothing here imports torch before a
run is really wanted, so that `--help`, `--cfg job` and completion stay fast.
"""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.composition import explain, refuse_alias_bombs
from fashion_softmax.config import CONFIG_DIR, register
from fashion_softmax.errors import ConfigError, FashionSoftmaxError, MachineError

log = logging.getLogger(__name__)

# What the machine refuses, as opposed to a file our own code should have found.
MACHINE_ERRNOS = (errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EROFS, errno.EDQUOT)


def main() -> None:
    """Run the command line; exits with the codes of `errors.py`."""
    register()
    # Hydra prints what it knows of an error and exits with 1; with this setting it lets errors through to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = _order_arguments(sys.argv[1:])
    with exit_on_error():
        refuse_alias_bombs(_config_folders())
        train()


@hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")
def train(cfg: DictConfig) -> float | None:
    """Train one run in the folder Hydra made for it; in a sweep, an error is left to the sweeper.

    Args:
        cfg: of the shape of `config.Config`.

    Returns:
        The objective, for sweepers that maximize it.
    """
    from fashion_softmax.experiment import run

    job = HydraConfig.get()
    in_sweep = job.mode == RunMode.MULTIRUN
    try:
        return run(cfg, Path(job.runtime.output_dir), overrides=list(job.overrides.task), in_sweep=in_sweep)
    except Exception as error:
        known = _translate(error)
        if known:
            log.error("%s", known)
        else:
            log.exception("a bug; please report it with this traceback")
        if in_sweep:
            raise known or error from error
        sys.exit(known.exit_code if known else 1)


class CheckBeforeRun(Callback):
    """Hydra's hook before a single run gets its folder: what cannot be run is refused with nothing created.

    A sweep's jobs are checked by its sweeper.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the configuration, get the data and build every component once."""
        from fashion_softmax.experiment import check, set_aside_earlier_run

        with exit_on_error():
            check(without_hydra(config))
            set_aside_earlier_run(Path(config.hydra.run.dir))


def without_hydra(config: DictConfig) -> DictConfig:
    """Copy what belongs to the job out of a full configuration."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error into one line on standard error and its exit code; a bug keeps its traceback and exits with 1."""
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        known = _translate(error)
        if known is None:
            raise
        print(f"ERROR: {known}", file=sys.stderr)
        sys.exit(known.exit_code)


def _translate(error: Exception) -> FashionSoftmaxError | None:
    """Find the user's error in an exception; None for a bug."""
    if isinstance(error, FashionSoftmaxError):
        return error
    if isinstance(error, OSError) and error.errno in MACHINE_ERRNOS:
        return MachineError(str(error))
    message = explain(error, _config_folders())
    return ConfigError(message) if message else None


def _order_arguments(arguments: list[str]) -> list[str]:
    """Move -m to the front: Hydra's parser accepts overrides on one side of it only.

    Raises:
        SystemExit: `--experimental-rerun`, which would unpickle a file.
    """
    if any(argument.startswith("--experimental-rerun") for argument in arguments):
        print("ERROR: --experimental-rerun is refused: it executes what is in the file", file=sys.stderr)
        sys.exit(ConfigError.exit_code)
    multirun = [argument for argument in arguments if argument in ("-m", "--multirun")]
    return multirun[:1] + [argument for argument in arguments if argument not in multirun]


def _config_folders() -> list[Path]:
    """List the folders of configuration files: ours, and those named on the command line."""
    folders = [CONFIG_DIR]
    for flag, value in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, _, attached = flag.partition("=")
        if name in ("--config-dir", "-cd", "--config-path", "-cp"):
            folders.append(Path(attached or value))
    return [folder for folder in folders if folder.is_dir()]
