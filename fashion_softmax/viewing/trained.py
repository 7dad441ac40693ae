"""A run's data set and its trained model; the folder may come from other people, and nothing in it is executed.

In `viewing`, only this module builds what a configuration names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
from fashion_softmax.data.idx import FILES, find_idx_files
from fashion_softmax.errors import CheckpointError, DataError
from fashion_softmax.files import Names
from fashion_softmax.learning.metrics import log_softmax
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.checkpoint import load_checkpoint, restore
from fashion_softmax.runs.folder import require_whole
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.stacking import Stack
from fashion_softmax.stacking.training import predict


@dataclass(frozen=True)
class TrainedRun:
    """A run as it was when a checkpoint was written.

    Attributes:
        parts: its data set, and its model on the CPU.
        epoch: finished epochs.
    """

    parts: Parts
    epoch: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """In label order, safe to print: a name in a run from other people may hold anything."""
        return tuple(map(printable, self.parts.dataset.class_names))

    def predict(self, images: Tensor, labels: Tensor) -> Predictions:
        """Classify images: bytes (N, C, H, W), N at least 1. The labels (N,) are only kept beside the answers."""
        stack = Stack([self.parts.member])
        split = Split(images, labels, self.parts.dataset.train.normalization)
        return predict(stack, split, self.parts.dtype)[0]

    def to_float(self, image: Tensor) -> Tensor:
        """Convert an image, bytes (C, H, W), to what the model is given."""
        return to_float(image, self.parts.dtype, self.parts.dataset.train.normalization)

    def predict_probabilities(self, image: Tensor) -> NDArray[np.float32]:
        """Give the probability of each class, shape (K,), for an image that has no label, bytes (C, H, W)."""
        with torch.no_grad():
            logits = self.parts.member.model.eval()(self.to_float(image)[None])
        return log_softmax(logits).exp()[0].float().numpy()


def load_trained(run_dir: Path, *, checkpoint: str = "last", trusted: Sequence[str] = ()) -> TrainedRun:
    """Load a run's data set and its trained model.

    Args:
        run_dir: the run's folder.
        checkpoint: `last` or `best`.
        trusted: packages of the user's own that the configuration may name.

    Returns:
        The run, its model on the CPU.

    Raises:
        CheckpointError: the folder is no run's, or its checkpoint is missing, damaged or another run's.
        FashionSoftmaxError: the configuration or the data does not allow it.
    """
    require_whole(run_dir)
    refuse_links_out(run_dir)
    path = (run_dir / Names.CHECKPOINT).with_name(f"{checkpoint}.pt")
    if not path.is_file():
        raise CheckpointError(f"{run_dir}: has no checkpoint yet ({path.name} is missing); let it train an epoch")
    config = read_trusted_config(run_dir, trusted)
    state = load_checkpoint(path, fingerprint(config))
    parts = build_parts(resolve(config | {"device": "cpu"}))  # wherever it was trained; a few images need no more
    restore(parts.member, state, path)
    if not all(parameter.isfinite().all() for parameter in parts.member.model.parameters()):
        raise CheckpointError(f"{path}: its weights are not finite, so it can predict nothing")
    # As it was trained, also where pictures have been added since.
    dataset = parts.dataset.normalize(state.get("normalization"))
    return TrainedRun(replace(parts, dataset=dataset), state["epoch"])


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
    node = resolve(config)["dataset"] | {"resize": None, "val_size": 0}
    root = Path(str(node.get("root")))
    if "root" in node and len(find_idx_files(root)) < len(FILES):
        raise DataError(f"{node.get('name') or root.name} is not on this machine")
    try:
        return build_as(Dataset, {"dataset": node}, "dataset")
    except DataError as error:  # a page may be shown to others: it names the file, not the folders above it
        raise DataError(str(error).replace(str(root), root.name)) from error
