"""The run that a script is asked about, and the picture that stands after it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_softmax.config.schema import project_dir
from fashion_softmax.config.settings import printable
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.errors import CheckpointError, ConfigError
from fashion_softmax.files import Names
from fashion_softmax.viewing.ranking import compare
from fashion_softmax.viewing.runs import on_latest_data, read_runs

if TYPE_CHECKING:
    from photo import Photo

    from fashion_softmax.viewing.trained import TrainedRun


def load_run_and_photo(options: argparse.Namespace, *not_with_photo: str) -> "tuple[TrainedRun, Photo | None]":
    """Load what `add_run` let the user choose, and print its name.

    Args:
        options: with those of `add_run`.
        *not_with_photo: options that mean nothing for a picture.

    Returns:
        The run, and the picture if one was named, in the form of the run's images.

    Raises:
        FashionSoftmaxError: there is no such run or picture, or it cannot be used.
    """
    from fashion_softmax.config.trust import split_trust
    from fashion_softmax.viewing.trained import load_trained

    trusted, given = split_trust(options.paths)
    paths = list(map(Path, given))
    if len(paths) == 1 and paths[0].is_file():
        paths = [Path(project_dir(), "outputs"), *paths]
    folder, *pictures = paths or [Path(project_dir(), "outputs")]
    if len(pictures) > 1:
        raise ConfigError(f"{pictures[1]}: one run and one picture are expected")
    for name in not_with_photo if pictures else ():
        if getattr(options, name):
            raise ConfigError(f"--{name} means nothing for a picture of your own; leave it out")
    if not (folder.is_dir() or folder.suffix == ""):
        raise CheckpointError(f"{folder}: a run's folder is expected, and after it a picture")
    run_dir = find_run(folder, best=options.best)
    run = load_trained(run_dir, checkpoint=options.checkpoint, trusted=trusted, needs_images=not pictures)
    print(f"{shorten(run_dir)}, {count(run.epoch, 'epoch')}")
    if not pictures:
        if getattr(options, "as_is", False):
            raise ConfigError("--as-is says how a picture of your own is read; name one after the run")
        return run, None
    from photo import read_like_folder, read_photo

    if "fit" in run.folder.config["dataset"]:  # of dataset=folder, which says how pictures are read
        if getattr(options, "as_is", False):
            raise ConfigError("--as-is: the run reads pictures as it read those it was trained on; leave it out")
        photo = read_like_folder(pictures[0], run)
    else:
        images = run.parts.dataset.train.images.numpy()
        photo = read_photo(pictures[0], images, as_it_is=getattr(options, "as_is", False))
    print(f"{printable(str(pictures[0]))}: {'; '.join(photo.steps)}")
    return run, photo


def find_run(folder: Path, *, best: bool = False) -> Path:
    """Find a run that can be asked for predictions.

    Args:
        folder: of a run, of a sweep, or above them.
        best: among several take not the one that was saved last, but the one that `compare_runs.py` names: the best run
            of the best setting, among the completed runs on the data set of the latest.

    Returns:
        Its folder.

    Raises:
        CheckpointError: there is none.
        ConfigError: the completed runs have no accuracy.
    """
    if (folder / Names.CONFIG.parent).is_dir():
        return folder
    runs = [run for run in read_runs([folder]) if (run.path / Names.CHECKPOINT).is_file()]
    if not runs:
        raise CheckpointError(f"{folder}: none of its runs has a checkpoint; train one first: python train.py")
    if not best:
        return max(runs, key=lambda run: (run.path / Names.CHECKPOINT).stat().st_mtime_ns).path
    comparable = on_latest_data(runs)
    data = comparable[0].hyperparameters.get("dataset")
    complete = [run for run in comparable if run.state == "completed"]
    if not complete:
        raise CheckpointError(f"{folder}: none of its runs on {data} is complete; name a run, or leave out --best")
    found = compare(complete, is_tested=False)
    left_out = f"; {count(len(runs) - len(complete), 'other run')} left out" if len(runs) > len(complete) else ""
    settings = count(len(found.settings), "setting")
    print(f"the best run of the best of {settings} on {data} by {found.metric}{left_out}", file=sys.stderr)
    return found.settings[0].best_run.path
