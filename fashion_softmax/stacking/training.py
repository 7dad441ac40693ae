"""The loop: one generator that trains a stack of runs, usually one, and reports every epoch; the caller logs and saves.

Shapes: `R` runs, `B` images, `K` classes. The runs of a stack share no parameters, so that each one's gradient is its
own, as if it were trained alone.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass

import torch

from fashion_softmax.data import Batches, Split, in_order
from fashion_softmax.learning.tally import State, Tally
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


@dataclass(frozen=True)
class Pause:
    """Where one run stands inside an epoch: with its model, optimizer and scheduler, all it needs to go on.

    Attributes:
        epoch: counted from 1, the one under way.
        step: optimizer updates since the start of the run.
        step_losses: mean loss of every batch of this epoch so far.
        tally: sums over these batches, see `Tally.state`.
    """

    epoch: int
    step: int
    step_losses: list[float]
    tally: State


def fit(
    stack: Stack,
    batches: Batches,
    evaluation_splits: Mapping[str, Split],
    *,
    num_epochs: int,
    first_epoch: int = 1,
    pauses: Mapping[int, Pause] | None = None,
    wants_pause: Callable[[int], bool] = lambda step: False,
) -> Iterator[dict[int, EpochReport] | dict[int, Pause]]:
    """Train, and yield the reports of all runs after every epoch.

    A run that fails leaves the stack with its error in `stack.errors`: a `DivergedError` when a loss is NaN or
    infinite (a training loss is noticed before the optimizer uses its gradient), else whatever its loss, optimizer or
    scheduler raised. The others go on; when none is left, so does nothing.

    Args:
        stack: of one run or several.
        batches: the training batches.
        evaluation_splits: name (`val`, `test`) to the images, on the batches' device, that the runs are measured on
            after every epoch.
        num_epochs: passes over the training images, at least 1.
        first_epoch: to train, counted from 1; larger to go on with members that were trained before.
        pauses: of all runs, to go on inside the first epoch.
        wants_pause: asked after every step inside an epoch, with the steps since the start of the run, whether to
            yield where the runs stand.

    Yields:
        Index of each run still training to its report, or to its pause when one was wanted.
    """
    for epoch in range(first_epoch, num_epochs + 1):
        lrs = [member.lr for member in stack.members]
        start = time.perf_counter()
        metrics, step_losses = yield from _train_epoch(stack, batches, epoch, pauses or {}, wants_pause)
        pauses = None
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
    stack: Stack,
    batches: Batches,
    epoch: int,
    pauses: Mapping[int, Pause],
    wants_pause: Callable[[int], bool],
) -> Generator[dict[int, Pause], None, tuple[dict[str, list[float]], list[list[float]]]]:
    stack.model.train()
    known = [pauses[index] for index in sorted(pauses)]
    tally = Tally([pause.tally for pause in known])
    step_losses = [list(losses) for losses in zip(*(pause.step_losses for pause in known), strict=True)]
    for images, labels in batches.epoch(epoch - 1, first_batch=len(step_losses), reuse_buffer=True):
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
        step = (epoch - 1) * len(batches) + len(step_losses)
        if len(step_losses) < len(batches) and wants_pause(step):
            yield {
                index: Pause(epoch, step, [losses[index] for losses in step_losses], tally.state(index))
                for index in stack.active
            }
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
