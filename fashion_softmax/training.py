"""The loop: one generator that trains a model and reports every epoch; the caller logs, saves and stops.

Shapes: `B` images, `K` classes, `*R` any leading axes (none for one run, one for runs trained together). The runs of
a stack share no parameters, so the gradient of the sum of their losses is each run's own.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.data import Batches, Split, in_order
from fashion_softmax.errors import DivergedError
from fashion_softmax.losses import Loss
from fashion_softmax.metrics import count_correct, cross_entropies
from fashion_softmax.models import SoftmaxRegression

TALLY_EVERY = 32  # steps between two counts; counting many batches at once costs little more than counting one


@dataclass(frozen=True)
class EpochReport:
    """What happened in one epoch.

    Attributes:
        epoch: counted from 1.
        step: optimizer updates since the start of the run.
        images_seen: training images since the start of the run, repetitions counted.
        metrics: tag (`train/loss`, `test/accuracy`, ..., `lr`) to value. Training metrics are means over the epoch,
            taken while the weights change; the others belong to the weights at its end.
        step_losses: mean loss of every batch, one number a step.
        training_s: wall time of the training pass alone.
    """

    epoch: int
    step: int
    images_seen: int
    metrics: dict[str, float]
    step_losses: list[float]
    training_s: float


def fit(
    model: nn.Module,
    loss_fn: Loss,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    batches: Batches,
    evaluation_splits: Mapping[str, Split],
    *,
    num_epochs: int,
) -> Iterator[EpochReport]:
    """Train, and yield a report after every epoch.

    Args:
        model: images (B, C, H, W) to logits (B, K).
        loss_fn: logits and labels to one loss per image.
        optimizer: over the model's parameters.
        scheduler: of the optimizer's learning rate; stepped once an epoch.
        batches: the training batches.
        evaluation_splits: name (`val`, `test`) to the images, on the model's device, that it is measured on after
            every epoch.
        num_epochs: passes over the training images, at least 1.

    Raises:
        DivergedError: a loss is NaN or infinite; a training loss is noticed before the optimizer uses its gradient.
    """
    for epoch in range(1, num_epochs + 1):
        lr = float(optimizer.param_groups[0]["lr"])
        start = time.perf_counter()
        with _overflow_is_divergence(epoch, lr):
            train_metrics, step_losses = _train_epoch(model, loss_fn, optimizer, batches, epoch)
        training_s = time.perf_counter() - start
        metrics = {f"train/{name}": value for name, value in train_metrics.items()}
        for split_name, split in evaluation_splits.items():
            values = evaluate(model, loss_fn, split)
            metrics |= {f"{split_name}/{name}": value for name, value in values.items()}
        if bad := [f"{tag} is {value}" for tag, value in metrics.items() if not math.isfinite(value)]:
            raise DivergedError(f"training diverged: {', '.join(bad)} after epoch {epoch} (lr {lr:g})")
        with _overflow_is_divergence(epoch, lr):
            scheduler.step()
        yield EpochReport(
            epoch=epoch,
            step=epoch * len(batches),
            images_seen=epoch * len(batches.split),
            metrics={**metrics, "lr": lr},
            step_losses=step_losses,
            training_s=training_s,
        )


@contextlib.contextmanager
def _overflow_is_divergence(epoch: int, lr: float) -> Iterator[None]:
    """Report a number that no float can hold as what it is: torch and Python raise instead of computing infinity."""
    try:
        yield
    except (OverflowError, RuntimeError) as error:
        if not isinstance(error, OverflowError) and "overflow" not in str(error):
            raise
        raise DivergedError(f"training diverged: {error} in epoch {epoch} (lr {lr:g})") from error


def _train_epoch(
    model: nn.Module, loss_fn: Loss, optimizer: Optimizer, batches: Batches, epoch: int
) -> tuple[dict[str, float], list[float]]:
    model.train()
    tally = _Tally()
    step_losses: list[float] = []
    for images, labels in batches.epoch(epoch - 1, reuse_buffer=True):
        losses, logits = backward(model, loss_fn, images, labels)
        step_loss = losses.mean(-1).item()
        if not math.isfinite(step_loss):
            raise DivergedError(
                f"training diverged: the loss is {step_loss} in step {len(step_losses) + 1} of epoch {epoch} "
                f"(lr {optimizer.param_groups[0]['lr']:g}); a smaller optimizer.lr may help"
            )
        optimizer.step()
        step_losses.append(step_loss)
        tally.add(losses, logits, labels)
    return tally.means(), step_losses


def backward(model: nn.Module, loss_fn: Loss, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Leave the gradient of the mean loss in the parameters' `.grad`.

    For softmax regression the gradient is written out, as in the lesson; for any other model autograd finds it.
    The two agree (`tests/test_training.py`).

    Args:
        model: images to logits.
        loss_fn: one loss per image.
        images: shape (B, C, H, W).
        labels: shape (B,).

    Returns:
        The losses (*R, B) and the logits (*R, B, K), both without gradient.
    """
    if type(model) is SoftmaxRegression:  # a subclass may compute something else
        with torch.no_grad():
            logits = model(images)
            losses, logits_gradient = loss_fn.value_and_gradient(logits, labels)
            model.backward(images, logits_gradient)
            return losses, logits
    model.zero_grad(set_to_none=True)
    logits = model(images)
    losses = loss_fn(logits, labels)
    losses.mean(-1).sum().backward()
    return losses.detach(), logits.detach()


@torch.no_grad()
def evaluate(model: nn.Module, loss_fn: Loss, split: Split) -> dict[str, float]:
    """Measure a model on a split.

    Args:
        model: images to logits.
        loss_fn: one loss per image.
        split: N images, at least 1, on the model's device.

    Returns:
        `loss` (mean), `accuracy` (a fraction) and `cross_entropy` (mean, nats: comparable between losses).
    """
    model.eval()
    tally = _Tally()
    for images, labels in in_order(split):
        logits = model(images)
        tally.add(loss_fn(logits, labels), logits, labels)
    return tally.means()


class _Tally:
    """Sums over many batches, taken on a few of them at a time."""

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self._sums: list[Tensor] = []
        self._num_images = 0

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: losses (*R, B), logits (*R, B, K), labels (B,)."""
        self._pending.append((losses, logits, labels))
        if len(self._pending) == TALLY_EVERY:
            self._count()

    def means(self) -> dict[str, float]:
        """Average over all images added."""
        self._count()
        loss, accuracy, cross_entropy = (torch.stack(self._sums).sum(0) / self._num_images).tolist()
        return {"loss": loss, "accuracy": accuracy, "cross_entropy": cross_entropy}

    def _count(self) -> None:
        if not self._pending:
            return
        losses, logits, labels = zip(*self._pending, strict=True)
        all_labels = torch.cat(labels)
        # Joined with the images innermost, the order in which the metrics are fastest.
        all_logits = torch.cat([part.mT for part in logits], dim=-1).mT
        # Sums in double precision: the mean of equal numbers is then that number, whatever the batch size. On the
        # CPU, since Apple's mps has no doubles.
        sums = (
            torch.cat(losses, dim=-1).cpu().sum(-1, dtype=torch.float64),
            count_correct(all_logits, all_labels).cpu().double(),
            cross_entropies(all_logits, all_labels).cpu().sum(-1, dtype=torch.float64),
        )
        self._sums.append(torch.stack(sums))
        self._num_images += len(all_labels)
        self._pending.clear()
