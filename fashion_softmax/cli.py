"""The command: hands what Hydra composed to a run's folder, and turns every error into a line and an exit code.

`train.py` and the installed command `fashion-softmax` are this module's `main`. Nothing here imports Hydra before
signals are handled, nor torch before a run is really wanted, so that `--help`, `--cfg job` and completion stay fast.
"""

import atexit
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from fashion_softmax.errors import ConfigError, FashionSoftmaxError, Interrupted

if TYPE_CHECKING:
    from omegaconf import DictConfig

_until_the_end = ExitStack()  # of the command; Python's own end would be too late, modules are gone then


def main() -> None:
    """Run the command line; exits with the codes of `errors.py`."""
    end_on_signals()
    # Hydra prints what it knows of an error and exits with 1; with this setting it lets errors through to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # How long an idle thread of torch's (GNU OpenMP) spins before it sleeps. Beside other busy programs the default
    # makes an epoch 20 to 200 times slower, this 10 times; alone it costs 3 %. Has to be set before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # What is alive at the end may stay so: looking through all of torch's objects once more would take half a second.
    atexit.register(gc.freeze)
    logging.raiseExceptions = False  # a log that cannot be written is no reason to print tracebacks
    with exit_on_error(), _until_the_end:
        import hydra

        from fashion_softmax.config.private import TRUSTED_MAIN, VERSION_BASE
        from fashion_softmax.config.schema import CONFIG_DIR, register

        register()
        sys.argv[1:] = _prepare_arguments(sys.argv[1:])
        if any(argument.startswith("resume=") for argument in sys.argv) and not _resume():
            return
        hydra.main(config_path=str(CONFIG_DIR), config_name="config", **VERSION_BASE, **TRUSTED_MAIN)(train)()


def train(cfg: "DictConfig") -> float | None:
    """Train one run in the folder that Hydra made: a command of its own, or a job of another sweeper than ours.

    Args:
        cfg: of the shape of `config.schema.Config`.

    Returns:
        The objective, for sweepers that maximize it.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from fashion_softmax.config.jobs import read_job
    from fashion_softmax.files import Names
    from fashion_softmax.runs.folder import set_aside_earlier, write_folder
    from fashion_softmax.runs.lock import claim
    from fashion_softmax.runs.records import read_folder

    hydra = HydraConfig.get()
    job, run_dir = read_job(cfg, hydra), Path(hydra.runtime.output_dir)
    with claim(run_dir):
        if (run_dir / Names.STATUS).exists():  # an earlier run of another sweeper than ours
            set_aside_earlier(run_dir)
        write_folder(run_dir, job.config, job.overrides, job.choices)
        train_folder(run_dir, is_shown=hydra.mode == RunMode.RUN)
        return float(read_folder(run_dir).result["objective"])


def train_folder(run_dir: Path, *, is_shown: bool) -> None:
    """Train the run in a folder, and raise why it did not get to its end; see `train_folders`."""
    from fashion_softmax.config.explain import translate
    from fashion_softmax.dashboard.console import resume_command
    from fashion_softmax.files import Names
    from fashion_softmax.runs.training import train_folders

    try:
        failures = train_folders([run_dir], is_shown=is_shown)
    except Interrupted as error:
        has_state = (run_dir / Names.CHECKPOINT).exists()
        saved = "its last finished epoch is saved" if has_state else "there was nothing to save yet"
        message = f"interrupted, {saved}; resume with: {resume_command(run_dir)}"
        raise Interrupted(error.signal_number, message) from error
    for failure in failures.values():
        # A component may call `sys.exit(0)`, and a closed terminal is no reason to end with 0.
        raise translate(failure) or RuntimeError(f"the run ended with {failure!r}") from failure


def _resume() -> bool:
    """Resume what `resume=` names; tells whether Hydra has to continue, which launches the stacks of a sweep."""
    from fashion_softmax.sweeps.resume import prepare

    if not (prepared := prepare(sys.argv[1:])):
        return False
    folder, sys.argv[1:] = prepared
    if not sys.argv[1:]:
        logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
        logging.getLogger().handlers[0].setLevel(logging.WARNING)
        train_folder(folder, is_shown=True)
    return bool(sys.argv[1:])


def check_before_run(config: "DictConfig") -> None:
    """Check a single run, of a configuration with Hydra's part, before Hydra makes its folder."""
    with exit_on_error():
        _until_the_end.enter_context(prepare_run(config))


@contextmanager
def prepare_run(config: "DictConfig") -> Iterator[Path]:
    """Get the data, build every component once, then be the only writer of the run's folder, which is empty.

    Args:
        config: with Hydra's part.

    Yields:
        The folder.

    Raises:
        FashionSoftmaxError: the run cannot be trained, or somebody else writes there; nothing was created.
        SystemExit: only a check was asked for.
    """
    from fashion_softmax.config.building import build_parts
    from fashion_softmax.config.jobs import read_job
    from fashion_softmax.config.schema import resolve
    from fashion_softmax.runs.folder import is_sweep, list_runs, set_aside_earlier
    from fashion_softmax.runs.lock import claim

    try:
        build_parts(resolved := resolve(read_job(config).config))
    except SystemExit as error:
        raise ConfigError(f"a component of the configuration ended the program: {error!r}") from error
    if resolved["sweep"]["dry_run"]:
        print("a dry run: this can be trained; nothing was trained, nothing created")
        sys.exit(0)
    run_dir = Path(config.hydra.run.dir).absolute()
    with claim(run_dir):
        set_aside_earlier(run_dir, list_runs(run_dir) if is_sweep(run_dir) else ())
        yield run_dir


def end_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end the process at once, with 130 or 143, whatever is being imported.

    An exception would be swallowed by an import that copes with errors, or leave a traceback. While runs are trained,
    `runs/interruption.py` lets the step under way end.
    """

    def end(number: int, frame: FrameType | None) -> NoReturn:
        os.write(2, b"interrupted\n")
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error into one line on standard error and its exit code; a bug keeps its traceback and exits with 1."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        print(str(interruption) or "interrupted", file=sys.stderr)
        sys.exit(getattr(interruption, "exit_code", 130))
    except BrokenPipeError:  # `--help | head`: what is left of the output goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        from fashion_softmax.config.explain import translate

        known = error if isinstance(error, FashionSoftmaxError) else translate(error)
        if known is None:
            # Printed here: Hydra would turn an exception of its callback into a warning, and continue.
            traceback.print_exc()
            sys.exit(1)
        print(f"ERROR: {known}", file=sys.stderr)
        sys.exit(known.exit_code)


def _prepare_arguments(arguments: list[str]) -> list[str]:
    """Make arguments mean what a user expects where Hydra would not, and check the files that they lead to.

    Options go to the front, since Hydra accepts overrides on one side of them only; --config-path is relative to the
    working folder; `+experiment=mlp` is other projects' way; experiment=null is the default, and refused by Hydra.

    Raises:
        ConfigError: an unknown option, one that does not go with `resume=`, a file that cannot be used, or
            `--experimental-rerun`, which would unpickle one.
    """
    from fashion_softmax.config.checking import RANGES, suggest
    from fashion_softmax.config.explain import check_files
    from fashion_softmax.config.private import parse_arguments
    from fashion_softmax.config.schema import CONFIG_DIR

    options, unknown, known = parse_arguments(arguments)
    if unknown:
        raise ConfigError(f"{unknown[0]} is no option{suggest(unknown[0], known, RANGES)}")
    if options.experimental_rerun:
        raise ConfigError("--experimental-rerun is refused: it executes what is in the file")
    if any(line.startswith("sweep.resume") for line in options.overrides):
        raise ConfigError("sweep.resume is set by resume=FOLDER; give that")
    if any(line.startswith("resume=") for line in options.overrides):
        for name in ("cfg", "info", "help", "hydra_help", "shell_completion"):
            if getattr(options, name):
                raise ConfigError(f"--{name.replace('_', '-')} does not go with resume=; leave one of them out")
    check_files(filter(None, (str(CONFIG_DIR), options.config_path, options.config_dir)), options.overrides)
    flags = [argument for argument in arguments if argument not in options.overrides]
    if options.config_path and Path(options.config_path).is_dir():
        flags.append(f"--config-path={Path(options.config_path).absolute()}")
    return flags + [line[line.startswith("+experiment=") :] for line in options.overrides if line != "experiment=null"]
