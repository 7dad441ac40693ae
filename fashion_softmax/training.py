"""The loop: one generator that trains a stack of runs, usually one, and reports every epoch; the caller logs and saves.

Shapes: `R` runs, `B` images, `K` classes. The runs of a stack share no parameters, so that each one's gradient is its
own, as if it were trained alone.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fashion_softmax.data import Batches, Split, in_order
from fashion_softmax.metrics import count_correct, cross_entropies
from fashion_softmax.stacking import Stack

COUNT_TOGETHER = 2**17  # logits; counting several small batches at once costs little more than counting one


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
    stack: Stack, batches: Batches, evaluation_splits: Mapping[str, Split], *, num_epochs: int
) -> Iterator[dict[int, EpochReport]]:
    """Train, and yield the reports of all runs after every epoch.

    A run that fails leaves the stack with its error in `stack.failures`: a `DivergedError` when a loss is NaN or
    infinite (a training loss is noticed before the optimizer uses its gradient), else whatever its loss, optimizer or
    scheduler raised. The others go on; when none is left, so does nothing.

    Args:
        stack: of one run or several.
        batches: the training batches.
        evaluation_splits: name (`val`, `test`) to the images, on the batches' device, that the runs are measured on
            after every epoch.
        num_epochs: passes over the training images, at least 1.

    Yields:
        Index of each run still training to its report.
    """
    for epoch in range(1, num_epochs + 1):
        lrs = [member.lr for member in stack.members]
        start = time.perf_counter()
        metrics, step_losses = _train_epoch(stack, batches, epoch, lrs)
        training_s = time.perf_counter() - start
        for split_name, split in evaluation_splits.items():
            measures = evaluate(stack, split, batches.dtype)
            metrics |= {f"{split_name}/{name}": values for name, values in measures.items()}
        _require_finite(stack, metrics, epoch, lrs)
        for index in stack.active:
            stack.failures.attempt(index, stack.members[index].scheduler.step)
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
    stack: Stack, batches: Batches, epoch: int, lrs: list[float]
) -> tuple[dict[str, list[float]], list[list[float]]]:
    stack.model.train()
    tally = _Tally()
    step_losses: list[list[float]] = []
    for images, labels in batches.epoch(epoch - 1, reuse_buffer=True):
        logits = stack.model(images)
        losses, gradient = stack.loss_fn.value_and_gradient(logits, labels)
        step_losses.append(losses.mean(-1).tolist())
        stack.failures.require_finite(
            step_losses[-1],
            lambda index, loss: (
                f"the loss is {loss} in step {len(step_losses)} of epoch {epoch} "
                f"(lr {lrs[index]:g}); a smaller optimizer.lr may help"
            ),
        )
        for index in stack.failures.errors:
            gradient[index] = 0
        tally.add(losses, logits, labels)  # before the gradient's product pushes the logits out of the cache
        stack.model.backward(gradient)
        stack.optimizer.step()
        if not stack.active:
            break
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
    tally = _Tally()
    for images, labels in in_order(split, dtype):
        logits = stack.model(images)
        tally.add(stack.loss_fn(logits, labels), logits, labels)
    return tally.means()


def _require_finite(stack: Stack, metrics: Mapping[str, list[float]], epoch: int, lrs: list[float]) -> None:
    def describe(index: int, _: float) -> str:
        bad = [f"{tag} is {values[index]}" for tag, values in metrics.items() if not math.isfinite(values[index])]
        return f"{', '.join(bad)} after epoch {epoch} (lr {lrs[index]:g})"

    for values in metrics.values():
        stack.failures.require_finite(values, describe)


class _Tally:
    """Sums over many batches, taken on a few of them at a time."""

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self._sums: list[Tensor] = []
        self._num_images = 0

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: losses (R, B), logits (R, B, K), labels (B,)."""
        self._pending.append((losses, logits, labels))
        if len(self._pending) * logits.numel() >= COUNT_TOGETHER:
            self._count()

    def means(self) -> dict[str, list[float]]:
        """Average over all images added, a value for each run."""
        self._count()
        loss, accuracy, cross_entropy = (torch.stack(self._sums).sum(0) / self._num_images).tolist()
        return {"loss": loss, "accuracy": accuracy, "cross_entropy": cross_entropy}

    def _count(self) -> None:
        if not self._pending:
            return
        all_losses, all_logits, all_labels = self._pending[0]
        if len(self._pending) > 1:
            losses, logits, labels = zip(*self._pending, strict=True)
            all_losses, all_labels = torch.cat(losses, dim=-1), torch.cat(labels)
            # Joined with the images innermost, the order in which the metrics are fastest.
            all_logits = torch.cat([part.mT for part in logits], dim=-1).mT
        # Sums in double precision: the mean of equal numbers is then that number, whatever the batch size. On the
        # CPU, since Apple's mps has no doubles.
        sums = (
            all_losses.cpu().sum(-1, dtype=torch.float64),
            count_correct(all_logits, all_labels).cpu().double(),
            cross_entropies(all_logits, all_labels).cpu().sum(-1, dtype=torch.float64),
        )
        self._sums.append(torch.stack(sums))
        self._num_images += len(all_labels)
        self._pending.clear()
