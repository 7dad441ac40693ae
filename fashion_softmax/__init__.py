"""Softmax regression as a framework for experiments; what stands here is its interface for Python.

Runs have the same folders, checks and messages as those of the command. What the command prints as an error is raised:
one of the classes in `fashion_softmax.errors`.

>>> import fashion_softmax as fs
>>> run = fs.train("dataset=synthetic", "trainer.num_epochs=3")  # doctest: +ELLIPSIS
SoftmaxRegression, CrossEntropy, SGD on 2048 images of 1 x 28 x 28...
>>> run.metrics["test/accuracy"] > 0.9
True
>>> run.weights.shape
(10, 1, 28, 28)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fashion_softmax import runs

if TYPE_CHECKING:  # torch, Hydra and matplotlib take seconds to import
    from fashion_softmax.viewing.runs import Runs
    from fashion_softmax.viewing.trained import TrainedRun

__version__ = "0.2.0"
__all__ = ["list_runs", "load", "report", "runs", "sweep", "train"]


class _Callable(ModuleType):
    """The package `fashion_softmax.runs`, which has the name that a function wants, and can be called as one."""

    def __call__(self, *folders: str | Path) -> "Runs":
        return list_runs(*folders)


runs.__class__ = _Callable


def train(*overrides: str) -> "TrainedRun":
    """Train a run, as `python train.py` does.

    Args:
        *overrides: such as `"loss=huber"` and `"optimizer.lr=0.5"`; `hydra.run.dir=FOLDER` chooses the folder.

    Returns:
        The run, which can predict.

    Raises:
        FashionSoftmaxError: with the command's message.
        Interrupted: by Ctrl-C; the last finished epoch is saved.

    Examples:
        >>> run = fs.train("dataset=synthetic", "loss=huber", "trainer.num_epochs=1")  # doctest: +ELLIPSIS
        SoftmaxRegression, Huber, SGD...
        >>> [row["epoch"] for row in run.curves]
        [1]
    """
    import torch

    from fashion_softmax.cli import prepare_run, train_folder
    from fashion_softmax.config.jobs import compose_with_hydra, expand_grid, read_job
    from fashion_softmax.errors import ConfigError
    from fashion_softmax.runs.folder import write_folder
    from fashion_softmax.viewing.trained import load_trained

    with _plain_errors(), torch.random.fork_rng():  # the caller's random numbers stay theirs
        lines, place = _split_place(overrides, "hydra.run.dir=")
        for line in lines:
            if len(expand_grid([line])) > 1:
                raise ConfigError(f"{line} has several values; fs.sweep trains a run for each")
        config = compose_with_hydra([*lines, *place])
        with prepare_run(config) as run_dir:
            job = read_job(config)
            write_folder(run_dir, job.config, job.overrides, job.choices)
            train_folder(run_dir, is_shown=True)
        return load_trained(run_dir, config=job.config)


def sweep(*overrides: str) -> "Runs":
    """Train a grid of runs, as `python train.py -m` does with its own launcher.

    Args:
        *overrides: some with several values, such as `"loss=ce,mse"`; `hydra.sweep.dir=FOLDER` chooses the folder.

    Returns:
        Its runs, those of the best setting first.

    Raises:
        FashionSoftmaxError: with the command's message; of a sweep some of whose runs failed the others are complete.
        Interrupted: by Ctrl-C; finished epochs are saved.

    Examples:
        >>> table = fs.sweep("dataset=synthetic", "loss=ce,mse", "trainer.num_epochs=1")  # doctest: +ELLIPSIS
        2 jobs: 1 stack of 2, each trained as one...
        >>> sorted(run["loss"] for run in table)
        ['ce', 'mse']
    """
    from types import SimpleNamespace

    import torch

    from fashion_softmax.config.jobs import compose_with_hydra, expand_grid, make_composer, read_job
    from fashion_softmax.sweeps.grid import count_failed, train_stack
    from fashion_softmax.sweeps.grid import sweep as sweep_grid

    fails_fast = "sweep.fail_fast=true" in overrides

    def launch(sweep_dir: Path, stacks: Any) -> None:
        for number in stacks:
            if not (fails_fast and count_failed(sweep_dir)):
                train_stack(SimpleNamespace(sweep_dir=sweep_dir, stack=number, num_workers=1, fails_fast=fails_fast))

    with _plain_errors(), torch.random.fork_rng():
        lines, place = _split_place(overrides, "hydra.sweep.dir=")
        jobs = expand_grid(lines)
        sweep_dir = Path(compose_with_hydra([*jobs[0], *place]).hydra.sweep.dir).absolute()
        sweep_grid(jobs, make_composer(lambda lines: read_job(compose_with_hydra(lines))), sweep_dir, launch)
    return list_runs(sweep_dir)


def load(folder: str | Path, *, checkpoint: str = "last", trusted: Sequence[str] = ()) -> "TrainedRun":
    """Load a run: its metrics and curves, its weights, and its model, which can predict.

    Args:
        folder: of the run.
        checkpoint: `last` or `best`.
        trusted: packages of your own that its configuration may name.

    Raises:
        CheckpointError: the folder is no run's, or its checkpoint is missing, damaged or another run's.
        FashionSoftmaxError: the configuration or the data does not allow it.
    """
    import warnings

    import torch

    from fashion_softmax.config.building import forget_data
    from fashion_softmax.errors import CheckpointError, DataError
    from fashion_softmax.viewing.trained import load_trained

    with _plain_errors(), torch.random.fork_rng():
        forget_data()
        try:
            return load_trained(Path(folder), checkpoint=checkpoint, trusted=trusted)
        except (DataError, CheckpointError) as error:  # without its pictures it can still predict others
            run = load_trained(Path(folder), checkpoint=checkpoint, trusted=trusted, needs_images=False)
            warnings.warn(f"{error}; the run is loaded without its own images", stacklevel=4)
            return run


def list_runs(*folders: str | Path) -> "Runs":
    """Read runs, also as `fs.runs`: those of the best setting first, of these the best; unfinished ones last.

    Args:
        *folders: of runs, of sweeps, or above them; `outputs` if none is given.
    """
    from fashion_softmax.viewing.runs import Runs

    found = _compare(folders)
    ranked = [run for each in found.settings for run in sorted(each.runs, key=lambda run: run is not each.best_run)]
    return Runs(
        {"name": run.name, "state": run.state, **run.hyperparameters, **run.metrics, "path": str(run.path)}
        for run in (*ranked, *found.unfinished)
    )


def report(*folders: str | Path, path: str | Path = "report.html") -> Path:
    """Write the page of `compare_runs.py --html`, of the runs on the data set of the latest; return its path."""
    from fashion_softmax.files import write_atomically
    from fashion_softmax.viewing.report import make_report
    from fashion_softmax.viewing.runs import on_latest_data

    with _plain_errors():
        Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(path), make_report(_compare(folders, on_latest_data)).encode())
    return Path(path).absolute()


def _split_place(overrides: Sequence[str], key: str) -> tuple[list[str], list[str]]:
    """Part the override that chooses the folder from the others, and refuse what only the command can do."""
    from fashion_softmax.config.building import forget_data
    from fashion_softmax.errors import ConfigError

    if wrong := [line for line in overrides if not isinstance(line, str)]:
        raise ConfigError(f"{wrong[0]!r}: each override is a text of its own, such as fs.train('loss=huber', 'seed=1')")
    place = [line for line in overrides if line.startswith(key)]
    lines = [line for line in overrides if not line.startswith(key)]
    for line in lines:
        if line.lstrip("+~").startswith(("hydra", "resume=", "sweep.dry_run=")):
            raise ConfigError(f"{line}: is for the command, python train.py; leave it out")
    forget_data()
    return lines, place


def _compare(folders: tuple[str | Path, ...], choose: Callable[[Any], Any] = list) -> Any:
    from fashion_softmax.config.schema import project_dir
    from fashion_softmax.viewing.ranking import compare
    from fashion_softmax.viewing.runs import read_runs

    with _plain_errors():
        return compare(choose(read_runs([Path(folder) for folder in folders or (Path(project_dir(), "outputs"),)])))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what the command would say, not what Hydra or OmegaConf says."""
    from fashion_softmax.config.explain import translate

    try:
        yield
    except Exception as error:
        if (known := translate(error)) is None or known is error:
            raise
        raise known from None
