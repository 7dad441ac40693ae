"""Pictures for the page: the test images of a recorded run, from data that is on this machine; nothing is fetched."""

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from PIL import Image

from fashion_softmax.config.schema import register
from fashion_softmax.config.trust import CONFIG_PATH, check_config
from fashion_softmax.dashboard.pictures import to_pixels, to_png
from fashion_softmax.errors import DataError, FashionSoftmaxError
from fashion_softmax.runs.folder import Predictions
from fashion_softmax.viewing.runs import RecordedRun

MAX_SIDE = 96  # pixels; larger pictures are made smaller, since a page holds a hundred of them
MAX_TOY_PIXELS = 2**25  # of toy images, which are drawn anew for the page
TOY_FACTS = ("num_train", "num_test", "image_shape", "num_classes", "noise_std", "data_seed")

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


class Album:
    """The pictures of a page, each once.

    Args:
        run: whose test images are shown; its configuration may be somebody else's.
        predictions: of that run; images whose labels are not theirs are refused.

    Attributes:
        uris: of the pictures added so far, PNG.
        names: of the classes, in label order; empty where they are not known.
        problem: why there are no pictures, empty where there are.
    """

    def __init__(self, run: RecordedRun, predictions: Predictions) -> None:
        self.uris: list[str] = []
        self.names: list[str] = []
        self.problem = ""
        self._images: Images = np.empty((0, 1, 1, 1), np.uint8)
        self._places: dict[int, int] = {}
        try:
            node = _read_dataset_node(run)
            self.names = find_class_names(node)
            images, labels = load_test_images(node)
        except FashionSoftmaxError as error:
            self.problem = " ".join(str(error).split())
            return
        except (OmegaConfBaseException, ValueError, TypeError, LookupError, ArithmeticError, OSError) as error:
            self.problem = f"the run's data set cannot be read: {' '.join(str(error).split())}"
            return
        if images.ndim != 4 or len(images) != len(labels) or not np.array_equal(labels, predictions.labels):
            self.problem = "the data set on this machine has other test labels than the run's predictions"
            return
        self._images = images

    def add(self, index: int) -> int | None:
        """Add a test image, and say where it is in `uris`; None when there are no pictures."""
        if not len(self._images):
            return None
        if index not in self._places:
            self._places[index] = len(self.uris)
            self.uris.append(_encode(self._images[index]))
        return self._places[index]


def _read_dataset_node(run: RecordedRun) -> dict[str, Any]:
    """Take the data set out of a run's configuration; nothing else of it is looked at."""
    config = {"dataset": run.config.get("dataset")}
    if not isinstance(config["dataset"], dict):
        raise DataError("the run's configuration names no data set")
    check_config(config, (), Path(run.name) / CONFIG_PATH)
    register()
    node = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    return node["dataset"] if isinstance(node, dict) else {}


def find_class_names(node: dict[str, Any]) -> list[str]:
    """Find the names of a data set's classes; empty when it has none."""
    from fashion_softmax.data.published import PUBLISHED  # the package imports torch, which takes a second

    if _kind(node) == "load_published" and node.get("name") in PUBLISHED:
        return list(PUBLISHED[node["name"]].class_names)
    names = node.get("class_names")
    return [str(name) for name in names] if isinstance(names, list) else []


def load_test_images(node: dict[str, Any]) -> tuple[Images, Labels]:
    """Load the test images of a data set in their order, as they are before any resizing.

    Args:
        node: a checked dataset section, without interpolations.

    Returns:
        Images, shape (N, C, H, W), files mapped where they are not packed, and labels, shape (N,).

    Raises:
        DataError: they are not on this machine, are corrupt, or too large to be drawn again.
        ValueError: the section says something else than its data set understands.
    """
    from fashion_softmax.data.idx import find_idx_files, read_images, read_labels
    from fashion_softmax.data.published import PUBLISHED

    if _kind(node) == "make_synthetic":
        return _draw_toy_images(node)
    root = Path(str(node.get("root")))
    folders = [root]
    if _kind(node) == "load_published" and node.get("name") in PUBLISHED:
        folders.append(root / PUBLISHED[node["name"]].torchvision_name / "raw")
    found = [files for files in map(find_idx_files, folders) if {"test_images", "test_labels"} <= files.keys()]
    if not found:
        raise DataError(f"the run's data set ({node.get('name') or root.name}) is not on this machine")
    try:
        return read_images(found[0]["test_images"]).numpy(), read_labels(found[0]["test_labels"]).numpy()
    except DataError as error:
        # The page may be shown to others: it names the file, not the folders above it.
        raise DataError(str(error).replace(str(root), root.name)) from error


def _kind(node: dict[str, Any]) -> str:
    return str(node.get("_target_")).rpartition(".")[2]


def _draw_toy_images(node: dict[str, Any]) -> tuple[Images, Labels]:
    from fashion_softmax.data.catalog import make_synthetic

    facts = {key: node[key] for key in TOY_FACTS if key in node}
    sizes = [int(facts.get(key, default)) for key, default in (("num_train", 2048), ("num_test", 512))]
    num_images = sum(map(abs, sizes)) + abs(int(facts.get("num_classes", 10)))
    num_pixels = math.prod(int(size) for size in facts.get("image_shape", (1, 28, 28)))
    if num_images * abs(num_pixels) > MAX_TOY_PIXELS:
        raise DataError("the run's toy images are too many to be drawn again")
    test = make_synthetic(**facts).test
    return test.images.numpy(), test.labels.numpy()


def _encode(pixels: Images) -> str:
    """Encode a picture, shape (C, H, W)."""
    image = Image.fromarray(np.ascontiguousarray(to_pixels(pixels[None])[0]))
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    return f"data:image/png;base64,{base64.b64encode(to_png(image)).decode()}"
