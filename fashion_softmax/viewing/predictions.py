"""What recorded predictions say on the page: the best run's confusions and mistakes, and which run sees what."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.config.settings import show
from fashion_softmax.errors import DataError, FashionSoftmaxError
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
Indices = NDArray[np.intp]  # of test images


def describe_predictions(comparison: Comparison) -> dict[str, Any]:
    """Collect what the page shows of predictions.

    Returns:
        `best`, `sees` (each None where there is nothing to show), `pictures` (data URIs by the index of the test
        image), `without_pictures` (why there are none) and `class_names`.
    """
    first = next((member for setting in comparison.settings if (member := _find_member(setting))), None)
    if first is None:
        return {"best": None, "sees": None, "pictures": {}, "without_pictures": "", "class_names": []}
    setting, run, predictions = first
    sees = _describe_groups(comparison)
    best = {"rank": setting.rank, "run": run.name, "seed": run.seed} | _describe_best(predictions)
    lists = [best["mistakes"], *(group["images"] for group in (sees["groups"] if sees else []))]
    indices = [image["index"] for images in lists for image in images]
    return {"best": best, "sees": sees, **_describe_images(run, predictions, indices)}


def _describe_images(run: RecordedRun, predictions: Predictions, indices: Sequence[int]) -> dict[str, Any]:
    """Load a run's data set for pictures of test images and the names of its classes."""
    from fashion_softmax.viewing import trained  # imports torch, which takes a second

    num_classes = _count_classes(predictions)
    names = [str(label) for label in range(num_classes)] if num_classes <= MAX_NAMES else []
    pictures, problem = {}, ""
    try:
        settings = trained.read_dataset_settings(run)
        known = trained.find_class_names(settings)
        names = known if len(known) >= num_classes else names
        test = trained.load_test_split(settings)
        images, labels = test.images.numpy(), test.labels.numpy()
        if images.ndim != 4 or len(images) != len(labels) or not np.array_equal(labels, predictions.labels):
            raise DataError("the data set on this machine has other test labels than the run's predictions")
        pictures = {index: _encode(images[index]) for index in indices}
    except FashionSoftmaxError as error:
        problem = " ".join(str(error).split())
    except Exception as error:  # the configuration may come from other people and hold anything
        problem = f"the run's data set cannot be read: {' '.join(str(error).split())}"
    return {"pictures": pictures, "without_pictures": problem, "class_names": names}


def _encode(pixels: NDArray[np.uint8]) -> str:
    """Encode a picture, shape (C, H, W)."""
    from PIL import Image

    from fashion_softmax.dashboard.pictures import to_pixels, to_png

    image = Image.fromarray(np.ascontiguousarray(to_pixels(pixels[None])[0]))
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return f"data:image/png;base64,{base64.b64encode(to_png(image)).decode()}"


def _find_member(setting: Setting) -> Member | None:
    """Find the best run, or the first one that has predictions."""
    for run in (setting.best_run, *setting.runs):
        if run.predictions is not None and len(run.predictions.labels):
            return setting, run, run.predictions
    return None


def _count_classes(predictions: Predictions) -> int:
    return int(max(predictions.labels.max(), predictions.classes.max())) + 1


def _describe_best(predictions: Predictions) -> dict[str, Any]:
    wrong = np.flatnonzero(~predictions.is_correct)
    return {
        "num_images": len(predictions.labels),
        "num_wrong": len(wrong),
        "counts": _count_confusions(predictions),
        "mistakes": _list_surest(wrong, MAX_MISTAKES, predictions, predicted=predictions),
    }


def _count_confusions(predictions: Predictions) -> list[list[int]] | None:
    """Count images by true class (row) and predicted class (column); None when the classes are too many for a page."""
    num_classes = _count_classes(predictions)
    if num_classes > MAX_CLASSES:
        return None
    counts = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts, (predictions.labels, predictions.classes), 1)
    return counts.tolist()


def _list_surest(indices: Indices, limit: int, predictions: Predictions, **others: Predictions) -> list[dict[str, Any]]:
    """List the images that a run is surest of, with its confidence and, by name, the classes others predict."""
    order = np.argsort(-np.nan_to_num(predictions.confidences[indices]), kind="stable")
    return [
        {
            "index": index,
            "true": int(predictions.labels[index]),
            "confidence": float(predictions.confidences[index]),
            **{name: int(other.classes[index]) for name, other in others.items()},
        }
        for index in indices[order[:limit]].tolist()
    ]


def _describe_groups(comparison: Comparison) -> dict[str, Any] | None:
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
            | _describe_alone(np.flatnonzero(is_right & (num_right == 1)), place, [each for _, each in groups])
            for place, ((value, (setting, run, _)), is_right) in enumerate(zip(groups, correct, strict=True))
        ]
    }


def _describe_alone(alone: Indices, place: int, members: Sequence[Member]) -> dict[str, Any]:
    """List the images that only one run classifies correctly, with what the best of the others predicts."""
    other = members[0 if place else 1][2]
    return {"num_alone": len(alone), "images": _list_surest(alone, MAX_ALONE, members[place][2], other=other)}
