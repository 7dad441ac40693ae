"""The loop: one generator that trains a stack of runs, usually one, and reports every epoch; the caller logs and saves.

Shapes: `R` runs, `B` images of a batch, `N` of a split, `K` classes. The runs of a stack share no parameters, so that
each one's gradient is its own, as if it were trained alone.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from fashion_softmax.data import Batches, Split
from fashion_softmax.data.batches import in_order
from fashion_softmax.learning.metrics import Tally, log_softmax
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.stacking import Stack


@dataclass(frozen=True)
class EpochReport:
    """What happened to one run in one epoch.

    Attributes:
        epoch: counted from 1.
        step: optimizer updates since the start of the run.
        images_seen: training images since the start of the run, repetitions counted.
        metrics: tag (`train/loss`, `test/accuracy`, ..., `lr`) to value. Training metrics are means over the epoch,
            taken while the weights change; the others belong to the weights at its end.
        step_losses: mean loss of every batch, one number a step.
        training_s: wall time of the training pass alone, of all runs of the stack together.
    """

    epoch: int
    step: int
    images_seen: int
    metrics: dict[str, float]
    step_losses: list[float]
    training_s: float


def fit(
    stack: Stack,
    batches: Batches,
    evaluation_splits: Mapping[str, Split],
    *,
    num_epochs: int,
    first_epoch: int = 1,
    after_step: Callable[[], None] = lambda: None,
) -> Iterator[dict[int, EpochReport]]:
    """Train, and yield the reports of all runs after every epoch.

    A run that fails leaves the stack with its error in `stack.errors`: a `DivergedError` when a loss is NaN or
    infinite (a training loss is noticed before the optimizer uses its gradient), else whatever its loss, optimizer or
    scheduler raised. The others continue; the training ends when none is left.

    Args:
        stack: of one run or several.
        batches: the training batches.
        evaluation_splits: name (`val`, `test`) to the images, on the batches' device, that the runs are measured on
            after every epoch.
        num_epochs: passes over the training images, at least 1.
        first_epoch: to train, counted from 1; larger for members that were trained before.
        after_step: called after every step; what it raises ends the training.

    Yields:
        Index of each run still training to its report.
    """
    for epoch in range(first_epoch, num_epochs + 1):
        lrs = [member.lr for member in stack.members]
        start = time.perf_counter()
        metrics, step_losses = _train_epoch(stack, batches, epoch, after_step)
        if not stack.active:
            return
        training_s = time.perf_counter() - start
        for split_name, split in evaluation_splits.items():
            measures = evaluate(stack, split, batches.dtype)
            metrics |= {f"{split_name}/{name}": values for name, values in measures.items()}
        for tag, values in metrics.items():
            stack.require_finite(tag, values, f"after epoch {epoch}")
        for index in stack.active:
            stack.attempt(index, stack.members[index].scheduler.step)
        if not stack.active:
            return
        yield {
            index: EpochReport(
                epoch=epoch,
                step=epoch * len(batches),
                images_seen=epoch * len(batches.split),
                metrics={**{tag: values[index] for tag, values in metrics.items()}, "lr": lrs[index]},
                step_losses=[losses[index] for losses in step_losses],
                training_s=training_s,
            )
            for index in stack.active
        }


def _train_epoch(
    stack: Stack, batches: Batches, epoch: int, after_step: Callable[[], None]
) -> tuple[dict[str, list[float]], list[list[float]]]:
    """Train one epoch; returns the training metrics, a value for each run, and the mean losses of every step."""
    stack.model.train()
    tally = Tally()
    step_losses: list[list[float]] = []
    for images, labels in batches.epoch(epoch - 1, reuse_buffer=True):
        logits = stack.model(images)
        losses, gradient = stack.loss_fn.value_and_gradient(logits, labels)
        step_losses.append(losses.mean(-1).tolist())
        stack.require_finite("the loss", step_losses[-1], f"in step {len(step_losses)} of epoch {epoch}")
        for index in stack.errors:
            gradient[index] = 0
        tally.add(losses, logits, labels)  # before the gradient's product pushes the logits out of the cache
        stack.model.backward(gradient)
        stack.optimizer.step()
        if not stack.active:
            break
        after_step()
    return {f"train/{name}": values for name, values in tally.means().items()}, step_losses


@torch.no_grad()
def evaluate(stack: Stack, split: Split, dtype: torch.dtype = torch.float32) -> dict[str, list[float]]:
    """Measure every run of a stack on a split.

    Args:
        stack: of one run or several.
        split: N images, at least 1, on the models' device.
        dtype: of the models.

    Returns:
        `loss` (mean), `accuracy` (a fraction) and `cross_entropy` (mean, nats: comparable between losses), a value
        for each run.
    """
    stack.model.train(False)
    tally = Tally()
    for images, labels in in_order(split, dtype):
        logits = stack.model(images)
        tally.add(stack.loss_fn(logits, labels), logits, labels)
    return tally.means()


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
    classes, confidences, probabilities = [], [], []
    for images, _ in in_order(split, dtype):
        log_probabilities = log_softmax(stack.model(images))
        best = log_probabilities.mT.max(dim=-2)  # (R, B), the first of several that are equal, as in the metrics
        classes.append(best.indices.cpu())
        confidences.append(best.values.exp().float().cpu())
        probabilities.append(log_probabilities.exp().half().cpu())
    unsigned = np.min_scalar_type(log_probabilities.shape[-1] - 1)
    labels = split.labels.cpu().numpy().astype(unsigned)
    runs = zip(torch.cat(classes, -1), torch.cat(confidences, -1), torch.cat(probabilities, -2), strict=True)
    return [
        Predictions(labels, predicted.numpy().astype(unsigned), confidence.numpy(), all_classes.numpy())
        for predicted, confidence, all_classes in runs
    ]
