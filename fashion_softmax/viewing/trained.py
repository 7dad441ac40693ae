"""A run's data set and its trained model; the folder may come from other people, and nothing in it is executed.

In `viewing`, only this module builds what a configuration names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fashion_softmax.config.building import Parts, build_as, build_parts
from fashion_softmax.config.schema import COMPONENTS, register, resolve
from fashion_softmax.config.settings import fingerprint, printable
from fashion_softmax.config.trust import check_config, read_trusted_config, refuse_links_out
from fashion_softmax.data import Dataset, Split
from fashion_softmax.data.batches import to_float
from fashion_softmax.data.decoding import Recipe, decode
from fashion_softmax.data.idx import FILES, find_idx_files
from fashion_softmax.errors import CheckpointError, ConfigError, DataError, one_line
from fashion_softmax.files import Names
from fashion_softmax.learning.metrics import log_softmax
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.checkpoint import load_checkpoint, restore
from fashion_softmax.runs.folder import require_whole
from fashion_softmax.runs.records import RunFolder, read_folder
from fashion_softmax.stacking import Stack
from fashion_softmax.stacking.models import is_stackable
from fashion_softmax.stacking.training import predict

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class TrainedRun:
    """A run as it was when a checkpoint was written.

    Attributes:
        folder: what its folder says.
        parts: its data set, and its model on the CPU.
        epoch: finished epochs.
        metrics: of that epoch, by tag such as `test/accuracy`, a fraction.
    """

    folder: RunFolder
    parts: Parts
    epoch: int
    metrics: dict[str, float]

    def __repr__(self) -> str:
        numbers = ", ".join(f"{tag} {value:.4g}" for tag, value in self.metrics.items() if tag.endswith("accuracy"))
        return f"<run {self.folder.path}, epoch {self.epoch}: {numbers}>"

    @property
    def curves(self) -> list[dict[str, float]]:
        """Metrics of each epoch, by tag, with `epoch`; `pandas.DataFrame` takes them."""
        return self.folder.rows

    @property
    def weights(self) -> NDArray[Any]:
        """Of softmax regression, as an image for each class: shape (K, C, H, W).

        Raises:
            TypeError: it is another model; see `parts.member.model`.
        """
        if not is_stackable(self.parts.member.model):
            raise TypeError(f"{type(self.parts.member.model).__name__} has no template for each class")
        (weight, *_) = self.parts.member.model.parameters()
        return weight.detach().numpy().reshape(-1, *self.parts.dataset.image_shape)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In label order, safe to print: a name in a run from other people may hold anything."""
        return tuple(map(printable, self.parts.dataset.class_names))

    def predict(self, images: Tensor, labels: Tensor) -> Predictions:
        """Classify images: bytes (N, C, H, W), N at least 1. The labels (N,) are only kept beside the answers."""
        stack = Stack([self.parts.member])
        split = Split(images, labels, self.parts.dataset.train.normalization)
        return predict(stack, split, self.parts.dtype)[0]

    def draw_weights(self) -> "Image":
        """Draw what softmax regression looks for, see `draw_templates`; a notebook shows the picture."""
        from fashion_softmax.dashboard.pictures import draw_templates

        return draw_templates(self.weights.mean(1), self.class_names)

    def draw_curves(self) -> "Image":
        """Draw loss and accuracies over the epochs, as the lesson does; a notebook shows the picture."""
        from fashion_softmax.dashboard.pictures import draw_curves

        return draw_curves(self.curves)

    def read_picture(self, path: str | Path) -> Tensor:
        """Read a picture, bytes (C, H, W), as `dataset=folder` reads those that the run was trained on.

        Raises:
            ConfigError: the run was trained on another data set, for which `scripts/predict.py` prepares pictures.
            DataError: it cannot be read.
        """
        (channels, *size), node = self.parts.dataset.image_shape, self.folder.config["dataset"]
        if "fit" not in node:
            raise ConfigError(f"{node.get('_target_')} does not read pictures; use scripts/predict.py {path}")
        mode, background = "grey" if channels == 1 else "rgb", str(node.get("background", "white"))
        recipe = Recipe((size[0], size[1]), str(node.get("fit", "crop")), mode, background)
        if isinstance(image := decode(str(path), recipe), str):
            raise DataError(f"{path}: cannot be read as a picture: {image}")
        return torch.from_numpy(image.copy())

    def to_float(self, image: Tensor) -> Tensor:
        """Convert an image, bytes (C, H, W), to what the model is given."""
        return to_float(image, self.parts.dtype, self.parts.dataset.train.normalization)

    def predict_probabilities(self, image: Tensor | str | Path) -> NDArray[np.float32]:
        """Give the probability of each class, shape (K,), for an image, bytes (C, H, W), or a picture's path."""
        if not isinstance(image, Tensor):
            image = self.read_picture(image)
        with torch.no_grad():
            logits = self.parts.member.model.eval()(self.to_float(image)[None])
        return log_softmax(logits).exp()[0].float().numpy()


def _use_own_cache(config: dict[str, Any]) -> dict[str, Any]:
    """Decode pictures into this project's cache, wherever a configuration of other people would like them to be."""
    dataset = config.get("dataset")
    if not isinstance(dataset, dict) or "cache_dir" not in dataset:
        return config
    return config | {"dataset": dataset | {"cache_dir": "${project_dir:}/data/pictures"}}


def load_trained(
    run_dir: Path,
    *,
    checkpoint: str = "last",
    trusted: Sequence[str] = (),
    needs_images: bool = True,
    config: dict[str, Any] | None = None,
) -> TrainedRun:
    """Load a run's data set and its trained model.

    Args:
        run_dir: the run's folder.
        checkpoint: `last` or `best`.
        trusted: packages of the user's own that the configuration may name.
        config: its configuration, of which all is trusted; None reads it.
        needs_images: if not, a run on pictures in folders is loaded without them; its data set has a black image.

    Returns:
        The run, its model on the CPU.

    Raises:
        CheckpointError: the folder is no run's, or its checkpoint is missing, damaged or another run's.
        FashionSoftmaxError: the configuration or the data does not allow it.
    """
    require_whole(run_dir)
    refuse_links_out(run_dir)
    path = run_dir / Names.CHECKPOINT.parent / f"{checkpoint}.pt"
    if not path.is_file():
        raise CheckpointError(f"{run_dir}: has no checkpoint yet ({path.name} is missing); let it train an epoch")
    config = config or _use_own_cache(read_trusted_config(run_dir, trusted))
    state = load_checkpoint(path, fingerprint(config))
    try:
        blank = Dataset.from_description(state["data"])
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: does not say what it was trained on: {one_line(error)}") from error
    is_blank = "fit" in config["dataset"] and not needs_images
    # On the CPU, wherever it was trained: a few images need no more.
    resolved = resolve(config | {"device": "cpu"})
    parts = build_parts(resolved, dataset=blank if is_blank else None)
    if parts.dataset.class_names != blank.class_names:
        before, now = (", ".join(map(printable, each.class_names)) for each in (blank, parts.dataset))
        raise CheckpointError(f"{run_dir}: was trained on the classes {before}; its data set has others now: {now}")
    progress = restore(parts.member, state, path)
    if not all(parameter.isfinite().all() for parameter in parts.member.model.parameters()):
        raise CheckpointError(f"{path}: its weights are not finite, so it can predict nothing")
    # As it was trained, also where pictures have changed since.
    parts = replace(parts, dataset=parts.dataset.normalize(blank.train.normalization))
    return TrainedRun(read_folder(run_dir), parts, progress.epoch, progress.metrics)


def load_images(run: RunFolder) -> Dataset:
    """Load a run's data set with its images as they are before any resizing; nothing is fetched.

    The other components of the run are not looked at: they may be the user's own.

    Raises:
        FashionSoftmaxError: the configuration names no data set or one that is refused, or it is not on this machine,
            or corrupt.
        ValueError: an interpolation cannot be resolved.
    """
    config = {key: value for key, value in run.config.items() if key == "dataset" or key not in COMPONENTS}
    check_config(config, (), Path(run.name) / Names.CONFIG)
    dataset = config.get("dataset")
    if not isinstance(dataset, dict) or not str(dataset.get("_target_")).startswith("fashion_softmax.data."):
        raise DataError("its data set is not one of fashion_softmax.data")
    register()
    node = resolve(_use_own_cache(config))["dataset"] | {"val_size": 0}
    root, has_pictures = Path(str(node.get("root"))), str(node["_target_"]).endswith(".load_folder")
    node |= {} if has_pictures else {"resize": None}  # pictures have no size before
    if "root" in node and not (root.is_dir() if has_pictures else len(find_idx_files(root)) == len(FILES)):
        raise DataError(f"{node.get('name') or root.name} is not on this machine")
    try:
        return build_as(Dataset, {"dataset": node}, "dataset")
    except DataError as error:  # a page may be shown to others: it names the file, not the folders above it
        raise DataError(str(error).replace(str(root), root.name)) from error
