"""What recorded predictions say on the page: the best run's confusions and mistakes, and which run sees what."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.config.settings import show
from fashion_softmax.errors import FashionSoftmaxError
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.viewing.ranking import Comparison, compare_pair
from fashion_softmax.viewing.runs import RecordedRun
from fashion_softmax.viewing.setting import Setting

MAX_CLASSES = 40  # of a confusion matrix that fits a page
MAX_NAMES = 1000  # more classes are not numbered
MAX_MISTAKES = 24
MAX_GROUPS, MAX_ALONE = 8, 8  # runs that are compared image by image, and pictures of each
MAX_SIDE = 96  # pixels; larger pictures are made smaller, since a page holds a hundred of them

Member = tuple[Setting, RecordedRun, Predictions]


class Album:
    """The pictures of a page, each of them once.

    Args:
        run: whose test images are shown; its configuration may come from other people.
        predictions: of that run; images with other labels are refused.

    Attributes:
        uris: of the pictures added so far, PNG.
        names: of the classes, in label order; empty where they are not known.
        problem: why there are no pictures, empty where there are.
    """

    def __init__(self, run: RecordedRun, predictions: Predictions) -> None:
        from fashion_softmax.viewing import trained  # imports torch, which takes a second

        self.uris: list[str] = []
        self.names: list[str] = []
        self.problem = ""
        self._images: NDArray[np.uint8] | None = None
        self._places: dict[int, int] = {}
        try:
            settings = trained.read_dataset_settings(run)
            self.names = trained.find_class_names(settings)
            test = trained.load_test_split(settings)
            is_whole = test.images.ndim == 4 and len(test.images) == len(test.labels)
            if is_whole and np.array_equal(test.labels.numpy(), predictions.labels):
                self._images = test.images.numpy()
            else:
                self.problem = "the data set on this machine has other test labels than the run's predictions"
        except FashionSoftmaxError as error:
            self.problem = " ".join(str(error).split())
        except Exception as error:  # the configuration may hold anything
            self.problem = f"the run's data set cannot be read: {' '.join(str(error).split())}"

    def add(self, index: int) -> int | None:
        """Add a test image, and say where it is in `uris`; None when there are no pictures."""
        if self._images is None:
            return None
        if index not in self._places:
            self._places[index] = len(self.uris)
            self.uris.append(_encode(self._images[index]))
        return self._places[index]


def _encode(pixels: NDArray[np.uint8]) -> str:
    """Encode a picture, shape (C, H, W)."""
    from PIL import Image

    from fashion_softmax.dashboard.pictures import to_pixels, to_png

    image = Image.fromarray(np.ascontiguousarray(to_pixels(pixels[None])[0]))
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return f"data:image/png;base64,{base64.b64encode(to_png(image)).decode()}"


def describe_predictions(comparison: Comparison) -> dict[str, Any]:
    """Collect what the page shows of predictions.

    Returns:
        `best`, `sees` (each None where there is nothing to show), `pictures` (data URIs; both name a picture by its
        place in the list), `without_pictures` (why there are none) and `class_names`.
    """
    first = next((member for setting in comparison.settings if (member := _find_member(setting))), None)
    if first is None:
        return {"best": None, "sees": None, "pictures": [], "without_pictures": "", "class_names": []}
    setting, run, predictions = first
    album = Album(run, predictions)
    num_classes = _count_classes(predictions)
    names = album.names if len(album.names) >= num_classes else range(num_classes) if num_classes <= MAX_NAMES else []
    return {
        "best": {"rank": setting.rank, "run": run.name, "seed": run.seed} | _describe_best(predictions, album),
        "sees": _describe_groups(comparison, album),
        "pictures": album.uris,
        "without_pictures": album.problem,
        "class_names": [str(name) for name in names],
    }


def _find_member(setting: Setting) -> Member | None:
    """Find the best run, or the first one that has predictions."""
    for run in (setting.best_run, *setting.runs):
        if run.predictions is not None and len(run.predictions.labels):
            return setting, run, run.predictions
    return None


def _count_classes(predictions: Predictions) -> int:
    return int(max(predictions.labels.max(), predictions.classes.max())) + 1


def _describe_best(predictions: Predictions, album: Album) -> dict[str, Any]:
    wrong = np.flatnonzero(~predictions.is_correct)
    return {
        "num_images": len(predictions.labels),
        "num_wrong": len(wrong),
        "counts": _count_confusions(predictions),
        "mistakes": _list_surest(wrong, MAX_MISTAKES, predictions, album, predicted=predictions),
    }


def _count_confusions(predictions: Predictions) -> list[list[int]] | None:
    """Count images by true class (row) and predicted class (column); None when the classes are too many for a page."""
    num_classes = _count_classes(predictions)
    if num_classes > MAX_CLASSES:
        return None
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (predictions.labels, predictions.classes), 1)
    return counts.tolist()


def _list_surest(
    indices: NDArray[np.intp], limit: int, predictions: Predictions, album: Album, **others: Predictions
) -> list[dict[str, Any]]:
    """List the images that a run is surest of, with its confidence and, by name, the classes others predict."""
    order = np.argsort(-np.nan_to_num(predictions.confidences[indices]), kind="stable")
    return [
        {
            "picture": album.add(index),
            "true": int(predictions.labels[index]),
            "confidence": float(predictions.confidences[index]),
            **{name: int(other.classes[index]) for name, other in others.items()},
        }
        for index in indices[order[:limit]].tolist()
    ]


def _describe_groups(comparison: Comparison, album: Album) -> dict[str, Any] | None:
    """Compare the best runs of each loss, or of each value of the first key that differs, image by image."""
    if not comparison.keys:
        return None
    key = "loss" if "loss" in comparison.keys else comparison.keys[0]
    best: dict[str, Member] = {}
    for setting in comparison.settings:
        value = show(setting.hyperparameters[key]) if key in setting.hyperparameters else ""
        member = None if value in best else _find_member(setting)
        first = next(iter(best.values()), member)
        if member and first and (member is first or compare_pair(first[1], member[1])):
            best[value] = member
    groups = list(best.items())[:MAX_GROUPS]
    if len(groups) < 2:
        return None
    correct = np.stack([predictions.is_correct for _, (_, _, predictions) in groups])  # (R, N)
    num_right = correct.sum(0)
    content = {
        "key": key,
        "num_values": len(best),
        "num_images": correct.shape[1],
        "num_all_right": int((num_right == len(groups)).sum()),
        "num_none_right": int((num_right == 0).sum()),
    }
    return content | {
        "groups": [
            {"value": value, "run": run.name, "rank": setting.rank, "num_right": int(is_right.sum())}
            | _describe_alone(np.flatnonzero(is_right & (num_right == 1)), place, [each for _, each in groups], album)
            for place, ((value, (setting, run, _)), is_right) in enumerate(zip(groups, correct, strict=True))
        ]
    }


def _describe_alone(alone: NDArray[np.intp], place: int, members: Sequence[Member], album: Album) -> dict[str, Any]:
    """List the images that only one run classifies correctly, with what the best of the others predicts."""
    other = members[0 if place else 1][2]
    return {
        "num_alone": len(alone),
        "images": _list_surest(alone, MAX_ALONE, members[place][2], album, other=other),
    }
