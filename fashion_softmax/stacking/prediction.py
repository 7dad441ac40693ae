"""What trained models say of every image of a split.

Shapes: `R` runs, `N` images, `K` classes.
"""

import numpy as np
import torch

from fashion_softmax.data import Split, in_order
from fashion_softmax.learning.metrics import log_softmax
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.stacking import Stack


@torch.no_grad()
def predict(stack: Stack, split: Split, dtype: torch.dtype = torch.float32) -> list[Predictions]:
    """Classify every image of a split with every run of a stack.

    Args:
        stack: of one run or several.
        split: N images, at least 1, on the models' device.
        dtype: of the models.

    Returns:
        The predictions of each run.
    """
    stack.model.train(False)
    classes, confidences = [], []
    for images, _ in in_order(split, dtype):
        log_probabilities = log_softmax(stack.model(images))
        best = log_probabilities.mT.max(dim=-2)  # (R, B), the first of several that are equal, as in the metrics
        classes.append(best.indices.cpu())
        confidences.append(best.values.exp().float().cpu())
    unsigned = np.min_scalar_type(log_probabilities.shape[-1] - 1)
    labels = split.labels.cpu().numpy().astype(unsigned)
    return [
        Predictions(labels, predicted.numpy().astype(unsigned), confidence.numpy())
        for predicted, confidence in zip(torch.cat(classes, -1), torch.cat(confidences, -1), strict=True)
    ]
