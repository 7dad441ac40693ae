"""What recorded predictions say on the page: the best run's confusions and mistakes, and which run sees what."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.config.settings import show
from fashion_softmax.errors import DataError
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.viewing.ranking import Comparison
from fashion_softmax.viewing.runs import RecordedRun
from fashion_softmax.viewing.setting import Setting, compare_pair

MAX_CLASSES = 40  # of a confusion matrix that fits a page
MAX_MISTAKES = 24
MAX_GROUPS, MAX_ALONE = 8, 8  # runs that are compared image by image, and pictures of each
MAX_SIDE = 96  # pixels; larger pictures are made smaller, since a page holds a hundred of them

Member = tuple[Setting, Predictions]  # of the setting's best run
Indices = NDArray[np.intp]  # of test images


def describe_predictions(comparison: Comparison) -> dict[str, Any]:
    """Collect what the page shows of predictions.

    Returns:
        `best`, `sees` (each None where there is nothing to show), `pictures` (data URIs by the index of the test
        image), `without_pictures` (why there are none) and `class_names` (empty where they are not known).
    """
    found = ((setting, setting.best_run.predictions) for setting in comparison.settings)
    members = [(setting, each) for setting, each in found if each is not None and len(each.labels)]
    if not members:
        return {"best": None, "sees": None, "pictures": {}, "without_pictures": "", "class_names": []}
    setting, predictions = members[0]
    run, sees = setting.best_run, _describe_groups(members, comparison.keys)
    best = {"rank": setting.rank, "run": run.name, "seed": run.seed} | _describe_best(predictions)
    lists = [best["mistakes"], *(group["images"] for group in (sees["groups"] if sees else []))]
    indices = [image["index"] for images in lists for image in images]
    return {"best": best, "sees": sees, **_describe_images(run, predictions, indices)}


def _describe_images(run: RecordedRun, predictions: Predictions, indices: Sequence[int]) -> dict[str, Any]:
    """Load a run's data set for pictures of test images and the names of its classes."""
    from fashion_softmax.data.published import PUBLISHED
    from fashion_softmax.viewing.trained import load_images  # imports torch, which takes a second

    published = PUBLISHED.get(str(run.hyperparameters.get("dataset")))  # its classes have names without its images
    names, pictures, problem = list(published.class_names) if published else [], {}, ""
    try:
        dataset = load_images(run)
        names, images = list(map(str, dataset.class_names)), dataset.test.images.numpy()
        if not np.array_equal(dataset.test.labels.numpy(), predictions.labels):
            raise DataError("it has other test labels on this machine than the run's predictions")
        pictures = {index: _encode(images[index]) for index in indices}
    except Exception as error:  # the configuration may come from other people and hold anything
        problem = f"the run's data set cannot be shown: {' '.join(str(error).split())}"
    return {"pictures": pictures, "without_pictures": problem, "class_names": names}


def _encode(pixels: NDArray[np.uint8]) -> str:
    """Encode a picture, shape (C, H, W)."""
    from PIL import Image

    from fashion_softmax.dashboard.pictures import to_pixels, to_png

    image = Image.fromarray(np.ascontiguousarray(to_pixels(pixels[None])[0]))
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return f"data:image/png;base64,{base64.b64encode(to_png(image)).decode()}"


def _describe_best(predictions: Predictions) -> dict[str, Any]:
    """Describe a run's `mistakes`, and `counts` of images by true class (row) and predicted class (column)."""
    wrong = np.flatnonzero(~predictions.is_correct)
    num_classes = int(max(predictions.labels.max(), predictions.classes.max())) + 1
    counts = None  # when the classes are too many for a page
    if num_classes <= MAX_CLASSES:
        counts = np.zeros((num_classes, num_classes), np.int64)
        np.add.at(counts, (predictions.labels, predictions.classes), 1)
    return {
        "num_images": len(predictions.labels),
        "num_wrong": len(wrong),
        "counts": None if counts is None else counts.tolist(),
        "mistakes": _list_surest(wrong, MAX_MISTAKES, predictions, predicted=predictions),
    }


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


def _describe_groups(members: Sequence[Member], keys: Sequence[str]) -> dict[str, Any] | None:
    """Compare the best runs of each loss, or of each value of the first key that differs, image by image."""
    if not keys:
        return None
    key = "loss" if "loss" in keys else keys[0]
    best: dict[str, Member] = {}
    for setting, predictions in members:
        value = show(setting.hyperparameters[key]) if key in setting.hyperparameters else ""
        if value not in best and compare_pair(members[0][0].best_run, setting.best_run):
            best[value] = setting, predictions
    groups = list(best.items())[:MAX_GROUPS]
    if len(groups) < 2:
        return None
    correct = np.stack([predictions.is_correct for _, (_, predictions) in groups])  # (R, N)
    num_right = correct.sum(0)
    described = []
    for place, (value, (setting, predictions)) in enumerate(groups):
        alone = np.flatnonzero(correct[place] & (num_right == 1))
        other = groups[0 if place else 1][1][1]  # the best of the others
        facts = {"value": value, "run": setting.best_run.name, "rank": setting.rank}
        facts |= {"num_right": int(correct[place].sum()), "num_alone": len(alone)}
        described.append(facts | {"images": _list_surest(alone, MAX_ALONE, predictions, other=other)})
    return {
        "key": key,
        "num_values": len(best),
        "num_images": correct.shape[1],
        "num_all_right": int((num_right == len(groups)).sum()),
        "num_none_right": int((num_right == 0).sum()),
        "groups": described,
    }
