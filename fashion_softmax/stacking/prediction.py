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
def predict(
    stack: Stack, split: Split, dtype: torch.dtype = torch.float32, *, keep_probabilities: bool = False
) -> list[Predictions]:
    """Classify every image of a split with every run of a stack.

    Args:
        stack: of one run or several.
        split: N images, at least 1, on the models' device.
        dtype: of the models.
        keep_probabilities: of all classes, not of the predicted ones alone.

    Returns:
        The predictions of each run.
    """
    stack.model.train(False)
    classes, confidences, probabilities = [], [], []
    for images, _ in in_order(split, dtype):
        logits = stack.model(images)
        log_probabilities = log_softmax(logits)
        best = log_probabilities.mT.max(dim=-2)  # (R, B), the first of several that are equal, as in the metrics
        classes.append(best.indices.cpu())
        confidences.append(best.values.exp().float().cpu())
        if keep_probabilities:
            probabilities.append(log_probabilities.exp().float().cpu())
        num_classes = logits.shape[-1]
    unsigned = np.min_scalar_type(num_classes - 1)
    labels = split.labels.cpu().numpy().astype(unsigned)
    kept = torch.cat(probabilities, -2).numpy() if probabilities else [None] * len(stack.members)
    return [
        Predictions(labels, of_run.numpy().astype(unsigned), confidence.numpy(), of_classes)
        for of_run, confidence, of_classes in zip(torch.cat(classes, -1), torch.cat(confidences, -1), kept, strict=True)
    ]
