"""What recorded predictions say on the page: the best run's confusions and mistakes, and which run sees what."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fashion_softmax.config.settings import printable, show
from fashion_softmax.errors import DataError, one_line
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.viewing.evidence import compare_pair
from fashion_softmax.viewing.ranking import Comparison, Setting

MAX_CLASSES = 40  # of a confusion matrix that fits a page
MAX_MISTAKES = 24
MAX_GROUPS, MAX_ALONE = 8, 8  # runs that are compared image by image, and pictures of each
MAX_SIDE = 96  # pixels; larger pictures are made smaller, since a page holds a hundred of them

Member = tuple[Setting, Predictions]  # of the setting's best run


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
    (setting, predictions), run = members[0], members[0][0].best_run
    wrong = np.flatnonzero(~predictions.is_correct)
    num_classes = int(max(predictions.labels.max(), predictions.classes.max())) + 1
    counts = predictions.count_confusions(num_classes).tolist() if num_classes <= MAX_CLASSES else None
    best = {"rank": setting.rank, "run": run.name, "seed": run.seed, "counts": counts}
    best |= {"num_images": len(predictions.labels), "num_wrong": len(wrong)}
    best["mistakes"] = _list_surest(wrong, MAX_MISTAKES, predictions, predictions)
    sees = _describe_groups(members, comparison.keys)
    lists = [best["mistakes"], *(group["images"] for group in (sees["groups"] if sees else []))]
    indices = [image["index"] for images in lists for image in images]
    return {"best": best, "sees": sees, **_describe_images(run, predictions, indices)}


def _list_surest(wanted: NDArray[np.intp], limit: int, sure: Predictions, other: Predictions) -> list[dict[str, Any]]:
    """List the images, of those wanted, that a run is surest of, and what another run, or the same, takes them for."""
    indices = sure.sort_surest(wanted)[:limit]
    columns = (indices, sure.labels[indices], sure.confidences[indices], other.classes[indices])
    names = ("index", "true", "confidence", "taken_for")
    return [dict(zip(names, row, strict=True)) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _describe_images(run: RunFolder, predictions: Predictions, indices: Sequence[int]) -> dict[str, Any]:
    """Load a run's data set for pictures of test images and the names of its classes."""
    from PIL import Image

    from fashion_softmax.dashboard.pictures import to_pixels, to_png
    from fashion_softmax.data.idx import PUBLISHED
    from fashion_softmax.viewing.trained import load_images  # imports torch, which takes a second

    published = PUBLISHED.get(str(run.hyperparameters.get("dataset")))  # its classes have names without its images
    recorded = run.result.get("class_names") or (published and published.class_names)
    names = [printable(str(name)) for name in recorded] if isinstance(recorded, list | tuple) else []
    pictures, problem = {}, ""
    try:
        dataset = load_images(run)
        names, images = names or list(map(str, dataset.class_names)), dataset.test.images.numpy()
        if names != list(map(str, dataset.class_names)):
            raise DataError("its classes have other names on this machine than the run's")
        if not np.array_equal(dataset.test.labels.numpy(), predictions.labels):
            raise DataError("it has other test labels on this machine than the run's predictions")
        for index in indices:
            image = Image.fromarray(np.ascontiguousarray(to_pixels(images[index][None])[0]))
            image.thumbnail((MAX_SIDE, MAX_SIDE))
            pictures[index] = f"data:image/png;base64,{base64.b64encode(to_png(image)).decode()}"
    except Exception as error:  # the configuration may come from other people and hold anything
        problem = f"the run's data set cannot be shown: {one_line(error, None)}"
    return {"pictures": pictures, "without_pictures": problem, "class_names": names}


def _describe_groups(members: Sequence[Member], keys: Sequence[str]) -> dict[str, Any] | None:
    """Compare the best runs of each loss, or of each value of the first key that differs, image by image."""
    key = "loss" if "loss" in keys else next(iter(keys), "")  # without a key there is one group
    best: dict[str, Member] = {}
    for setting, predictions in members:
        if compare_pair(members[0][0].best_run, setting.best_run):  # of the same images
            best.setdefault(show(setting.hyperparameters.get(key, "")), (setting, predictions))
    groups = list(best.items())[:MAX_GROUPS]
    if len(groups) < 2:
        return None
    correct = np.stack([predictions.is_correct for _, (_, predictions) in groups])  # (R, N)
    num_right = correct.sum(0)
    described = []
    for place, (value, (setting, predictions)) in enumerate(groups):
        alone = np.flatnonzero(correct[place] & (num_right == 1))
        facts = {"value": value, "run": setting.best_run.name, "rank": setting.rank}
        facts |= {"num_right": int(correct[place].sum()), "num_alone": len(alone)}
        best_other = groups[0 if place else 1][1][1]
        described.append(facts | {"images": _list_surest(alone, MAX_ALONE, predictions, best_other)})
    numbers = {"num_values": len(best), "num_images": correct.shape[1]}
    numbers |= {"num_all_right": int(correct.all(0).sum()), "num_none_right": int((num_right == 0).sum())}
    return {"key": key, "groups": described} | numbers
