"""The command: hands the composed configuration to an experiment, and turns every error into a line and an exit code.

`train.py` and the installed command `fashion-softmax` are this module's `main`. Nothing here imports torch before a
run is really wanted, so that `--help`, `--cfg job` and completion stay fast.
"""

import atexit
import gc
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.checking import suggest
from fashion_softmax.config.explain import refuse_alias_bombs
from fashion_softmax.config.reporting import job_errors, translate
from fashion_softmax.config.schema import CONFIG_DIR, register, without_hydra
from fashion_softmax.errors import ConfigError, FashionSoftmaxError, Interrupted
from fashion_softmax.runs.interruption import raise_on_sigterm

CONFIG_PATH_FLAGS = ("--config-path", "-cp")


def main() -> None:
    """Run the command line; exits with the codes of `errors.py`."""
    register()
    # Hydra prints what it knows of an error and exits with 1; with this setting it lets errors through to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # How long an idle thread of torch's (GNU OpenMP) spins before it sleeps. Beside other busy programs the default
    # makes an epoch 20 to 200 times slower, this 10 times; alone it costs 3 %. Has to be set before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # What is alive at the end may stay so: looking through all of torch's objects once more would take half a second.
    atexit.register(gc.freeze)
    logging.raiseExceptions = False  # a log that cannot be written is no reason to print tracebacks
    with exit_on_error():
        raise_on_sigterm()
        sys.argv[1:] = _prepare_arguments(sys.argv[1:])
        refuse_alias_bombs(_config_folders())
        if any(argument.startswith("resume=") for argument in sys.argv[1:]):
            _resume()
        else:
            train()


def _resume() -> None:
    from fashion_softmax.runs.resuming import read_request, resume_run, sweep_arguments

    request = read_request(sys.argv[1:])
    assert request is not None
    if request.is_sweep:
        sys.argv[1:] = sweep_arguments(request)
        train()
    else:
        resume_run(request)


@hydra.main(version_base="1.3", config_path=str(CONFIG_DIR), config_name="config")
def train(cfg: DictConfig) -> float | None:
    """Train one run in the folder Hydra made for it; in a sweep, an error is left to the sweeper.

    Args:
        cfg: of the shape of `config.Config`.

    Returns:
        The objective, for sweepers that maximize it.
    """
    from fashion_softmax.runs.experiment import run

    job = HydraConfig.get()
    in_sweep = job.mode == RunMode.MULTIRUN
    # Unresolved: an override may read a secret from the environment, and is written into result.json.
    overrides = cast(list[str], OmegaConf.to_container(job.overrides.task, resolve=False))
    try:
        with job_errors(in_sweep=in_sweep):
            folder = Path(job.runtime.output_dir)
            return run(cfg, folder, overrides=overrides, in_sweep=in_sweep, resume=cfg.sweep.resume)
    except Exception as error:
        if in_sweep:
            raise
        sys.exit(error.exit_code if isinstance(error, FashionSoftmaxError) else 1)


class CheckBeforeRun(Callback):
    """Hydra's hook before a single run gets its folder: what cannot be run is refused with nothing created.

    A sweep's jobs are checked by its sweeper.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the configuration, get the data and build every component once."""
        from fashion_softmax.config.building import check
        from fashion_softmax.runs.folder import set_aside_earlier_run

        with exit_on_error():
            check(without_hydra(config))
            if config.sweep.dry_run:
                print("a dry run: this can be trained; nothing was trained, nothing created")
                sys.exit(0)
            set_aside_earlier_run(Path(config.hydra.run.dir))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error into one line on standard error and its exit code; a bug keeps its traceback and exits with 1."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        print(interruption if isinstance(interruption, Interrupted) else "interrupted", file=sys.stderr)
        sys.exit(interruption.exit_code if isinstance(interruption, Interrupted) else 130)
    except BrokenPipeError:  # `--help | head`: what is left of the output goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        known = translate(error, _config_folders())
        if known is None:
            # Printed here: Hydra would turn an exception of its callback into a warning, and go on.
            traceback.print_exc()
            sys.exit(1)
        print(f"ERROR: {known}", file=sys.stderr)
        sys.exit(known.exit_code)


def _prepare_arguments(arguments: list[str]) -> list[str]:
    """Make arguments mean what a user expects where Hydra's parser would not.

    -m goes to the front, since overrides are accepted on one side of it only; a relative --config-path is relative to
    the working folder, not to this file; options cannot be abbreviated, so that none slips past the checks here.

    Raises:
        ConfigError: an unknown option, or `--experimental-rerun`, which would unpickle a file.
    """
    known = get_args_parser()._option_string_actions
    prepared: list[str] = []
    for argument, previous in zip(arguments, ["", *arguments], strict=False):
        name, separator, value = argument.partition("=")
        if name.startswith("--experimental-rerun"):
            raise ConfigError("--experimental-rerun is refused: it executes what is in the file")
        if name.startswith("--") and name not in known:
            raise ConfigError(f"{name} is no option{suggest(name, [option for option in known if option[:2] == '--'])}")
        if name in CONFIG_PATH_FLAGS and separator:
            argument = f"{name}={_absolute_folder(value)}"
        elif previous in CONFIG_PATH_FLAGS:
            argument = _absolute_folder(argument)
        if argument != "experiment=null":  # the default; Hydra refuses its own spelling of it
            prepared.append(argument)
    multirun = [argument for argument in prepared if argument in ("-m", "--multirun")]
    return multirun[:1] + [argument for argument in prepared if argument not in multirun]


def _absolute_folder(path: str) -> str:
    return str(Path(path).absolute()) if Path(path).is_dir() else path


def _config_folders() -> list[Path]:
    """List the folders of configuration files: ours, and those named on the command line."""
    folders = [CONFIG_DIR]
    for argument, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, _, attached = argument.partition("=")
        if name in (*CONFIG_PATH_FLAGS, "--config-dir", "-cd"):
            folders.append(Path(attached or following))
        elif name == "hydra.searchpath":
            folders += [Path(entry.removeprefix("file://")) for entry in re.split(r"[\[\],'\"\s]+", attached) if entry]
    return [folder for folder in folders if folder.is_dir()]
