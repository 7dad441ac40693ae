"""What recorded predictions say on the page: the best run's confusions and mistakes, and which run sees what."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.config.settings import show
from fashion_softmax.runs.folder import Predictions
from fashion_softmax.viewing.ranking import Comparison, compare_pair
from fashion_softmax.viewing.report_images import Album
from fashion_softmax.viewing.runs import RecordedRun
from fashion_softmax.viewing.setting import Setting

MAX_CLASSES = 40  # of a confusion matrix that fits a page
MAX_MISTAKES = 24
MAX_GROUPS, MAX_ALONE = 8, 8  # runs that are compared image by image, and pictures of each

Member = tuple[Setting, RecordedRun, Predictions]


def describe_predictions(comparison: Comparison) -> dict[str, Any]:
    """Gather what the page shows of predictions.

    Returns:
        `best`, `sees` (each None where there is nothing to show), `pictures` (data URIs that both refer to by their
        place), `without_pictures` (why there are none) and `class_names`.
    """
    content: dict[str, Any] = {"best": None, "sees": None, "pictures": [], "without_pictures": "", "class_names": []}
    first = next((member for setting in comparison.settings if (member := _find_member(setting))), None)
    if first is None:
        return content
    setting, run, predictions = first
    album = Album(run, predictions)
    num_classes = int(max(predictions.labels.max(initial=0), predictions.classes.max(initial=0))) + 1
    names = album.names if len(album.names) >= num_classes else [] if num_classes > 1000 else range(num_classes)
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


def _describe_best(predictions: Predictions, album: Album) -> dict[str, Any]:
    labels, classes = predictions.labels, predictions.classes
    wrong = np.flatnonzero(~predictions.is_correct)
    surest = wrong[np.argsort(-np.nan_to_num(predictions.confidences[wrong]), kind="stable")][:MAX_MISTAKES]
    return {
        "num_images": len(labels),
        "num_wrong": len(wrong),
        "counts": count_confusions(predictions),
        "mistakes": [
            {
                "picture": album.add(index),
                "true": int(labels[index]),
                "predicted": int(classes[index]),
                "confidence": float(predictions.confidences[index]),
            }
            for index in surest.tolist()
        ],
    }


def count_confusions(predictions: Predictions) -> list[list[int]] | None:
    """Count images by true class (row) and predicted class (column); None when the classes are too many for a page."""
    labels, classes = predictions.labels, predictions.classes
    num_classes = int(max(labels.max(initial=0), classes.max(initial=0))) + 1
    if num_classes > MAX_CLASSES:
        return None
    pairs = labels.astype(np.int64) * num_classes + classes.astype(np.int64)
    counts: list[list[int]] = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes).tolist()
    return counts


def _describe_groups(comparison: Comparison, album: Album) -> dict[str, Any] | None:
    """Compare the best runs of each loss, or of each value of the first key that differs, image by image."""
    if not comparison.keys:
        return None
    key = "loss" if "loss" in comparison.keys else comparison.keys[0]
    best: dict[str, Member] = {}
    for setting in comparison.settings:
        value = show(setting.hyperparameters[key]) if key in setting.hyperparameters else ""
        member = None if value in best else _find_member(setting)
        if member and all(compare_pair(other[1], member[1]) for other in list(best.values())[:1]):
            best[value] = member
    members = list(best.values())[:MAX_GROUPS]
    if len(members) < 2:
        return None
    correct = np.stack([predictions.is_correct for _, _, predictions in members])  # (R, N)
    num_right = correct.sum(0)
    return {
        "key": key,
        "num_values": len(best),
        "num_images": correct.shape[1],
        "num_all_right": int((num_right == len(members)).sum()),
        "num_none_right": int((num_right == 0).sum()),
        "groups": [
            {"value": value, "run": run.name, "rank": setting.rank, "num_right": int(correct[place].sum())}
            | _describe_alone(members, place, correct[place] & (num_right == 1), album)
            for place, (value, (setting, run, _)) in enumerate(list(best.items())[:MAX_GROUPS])
        ],
    }


def _describe_alone(members: Sequence[Member], place: int, alone: NDArray[np.bool_], album: Album) -> dict[str, Any]:
    """List the images that one run alone gets right, those it is surest of first, and what the best other run says."""
    predictions = members[place][2]
    other = members[0 if place else 1][2]
    indices = np.flatnonzero(alone)
    surest = indices[np.argsort(-np.nan_to_num(predictions.confidences[indices]), kind="stable")][:MAX_ALONE]
    return {
        "num_alone": len(indices),
        "images": [
            {
                "picture": album.add(index),
                "true": int(predictions.labels[index]),
                "confidence": float(predictions.confidences[index]),
                "other": int(other.classes[index]),
            }
            for index in surest.tolist()
        ],
    }
