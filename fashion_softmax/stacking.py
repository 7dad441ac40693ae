"""A stack: R runs trained as one, each with its own loss, optimizer and scheduler, none able to disturb another.

A run that fails (its loss diverges, its optimizer raises) leaves the stack: it keeps its place in the shared storage,
so that the others' arithmetic stays the same bit for bit, but is not updated any more.

Shapes: `R` runs, `B` images, `K` classes.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.errors import DivergedError
from fashion_softmax.losses import Loss
from fashion_softmax.stacked_models import stack_models

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """What one run of a stack trains with; nothing of it belongs to another run.

    Attributes:
        model: images (B, C, H, W) to logits (B, K).
        loss_fn: logits and labels to one loss per image.
        optimizer: over the model's parameters, which have no gradients yet.
        scheduler: of the optimizer's learning rate, stepped once an epoch.
    """

    model: nn.Module
    loss_fn: Loss
    optimizer: Optimizer
    scheduler: LRScheduler

    @property
    def lr(self) -> float:
        """The learning rate now."""
        return float(self.optimizer.param_groups[0]["lr"])


class Failures:
    """The members of a stack that left it.

    Attributes:
        errors: index of a member to the first error it had.
    """

    def __init__(self) -> None:
        self.errors: dict[int, BaseException] = {}

    def attempt(self, index: int, action: Callable[..., T], *args: Any) -> T | None:
        """Do something on behalf of a member; if it raises, the member leaves and the others never notice.

        Args:
            index: of the member; one that left already is not asked again.
            action: what to do.
            *args: of the action.

        Returns:
            What the action returns, None if it was not done.
        """
        if index in self.errors:
            return None
        try:
            return action(*args)
        except (Exception, SystemExit) as error:
            self.errors[index] = _as_divergence(error)
            return None

    def require_finite(self, values: Sequence[float], describe: Callable[[int, float], str]) -> None:
        """Let the members leave whose value is NaN or infinite.

        Args:
            values: one for each member.
            describe: makes the message of the `DivergedError` from index and value.
        """
        if not all(map(math.isfinite, values)):
            for index, value in enumerate(values):
                if not math.isfinite(value):
                    self.errors.setdefault(index, DivergedError(f"training diverged: {describe(index, value)}"))


class Stack:
    """R runs trained as one.

    Args:
        members: at least one, their models of equal architecture. Members with equal losses should be neighbours:
            their losses are then computed in one call.

    Attributes:
        members: as given.
        failures: the members that left.
        model: all models as one.
        loss_fn: all losses as one.
        optimizer: all optimizers as one.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = list(members)
        self.failures = Failures()
        self.optimizer = StackedOptimizer([member.optimizer for member in members], self.failures)
        self.model = stack_models([member.model for member in members])
        self.optimizer.parameters = self.model.parameters
        self.loss_fn = StackedLoss([member.loss_fn for member in members], self.failures)

    def __len__(self) -> int:
        """R."""
        return len(self.members)

    @property
    def active(self) -> list[int]:
        """The members still training."""
        return [index for index in range(len(self)) if index not in self.failures.errors]


class StackedLoss:
    """R losses as one: neighbours with equal losses are computed in one call.

    Args:
        losses: one for each member.
        failures: where a member goes whose loss raises.
    """

    def __init__(self, losses: Sequence[Loss], failures: Failures) -> None:
        self._losses = list(losses)
        self._failures = failures
        self._groups: list[range] = []

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute every member's losses, (R, B, K) and (B,) to (R, B); NaN for a member that left."""
        return self._compute(lambda loss, scores: (loss(scores, labels), scores), logits, labels)[0]

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute every member's losses with their gradients with respect to the logits.

        Args:
            logits: shape (R, B, K).
            labels: shape (B,).

        Returns:
            The losses (R, B) and the gradient of each image's loss, (R, B, K).
        """
        return self._compute(lambda loss, scores: loss.value_and_gradient(scores, labels), logits, labels)

    def _compute(
        self, function: Callable[[Loss, Tensor], tuple[Tensor, Tensor]], logits: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        if not self._groups:
            self._groups = _group_equal(self._losses, logits[:, :4], labels[:4])
        parts: list[tuple[Tensor, Tensor]] = []
        for group in self._groups:
            if len(group) > 1:
                try:
                    parts.append(function(self._losses[group[0]], logits[group.start : group.stop]))
                    continue
                except (Exception, SystemExit):
                    pass  # asked one by one, the member that is the cause answers for it
            for index in group:
                # A single run's loss sees (B, K), so that it is computed the same alone and in any company.
                scores = logits[index]
                found = self._failures.attempt(index, function, self._losses[index], scores)
                losses, gradient = found or (torch.full_like(scores[:, 0], math.nan), torch.zeros_like(scores))
                parts.append((losses.unsqueeze(0), gradient.unsqueeze(0)))
        if len(parts) == 1:
            return parts[0]
        all_losses, gradients = zip(*parts, strict=True)
        return torch.cat(all_losses), torch.cat([gradient.mT for gradient in gradients]).mT


class StackedOptimizer:
    """R ordinary optimizers as one: plain SGD in one operation for all runs, any other optimizer by its own step.

    The lesson's `w <- w - lr (g + weight_decay w)` is so short that calling it R times would take a fifth of the
    training. Each run's learning rate is still that of its own optimizer, where its scheduler sets it.

    Args:
        optimizers: one for each member; their parameters have no gradients yet.
        failures: where a member goes whose optimizer raises.

    Attributes:
        parameters: the shared storage of all runs, shape (R, ...) each; empty where there is none.
    """

    def __init__(self, optimizers: Sequence[Optimizer], failures: Failures) -> None:
        self.parameters: Sequence[Tensor] = ()
        self._optimizers = list(optimizers)
        self._failures = failures
        self._plain = {index for index, optimizer in enumerate(optimizers) if _is_plain_sgd(optimizer)}
        for index in self._plain:
            # Without gradients a step changes nothing, but torch's schedulers warn when there never was one.
            optimizers[index].step()
        self._settings: list[tuple[float, float]] = []
        self._rates = self._decays = torch.empty(0)

    def step(self) -> None:
        """Update the weights of the members still training."""
        for index, optimizer in enumerate(self._optimizers):
            if index not in self._plain or not self.parameters:
                self._failures.attempt(index, optimizer.step)
        if self._plain and self.parameters:
            self._step_plain_sgd()

    @torch.no_grad()
    def _step_plain_sgd(self) -> None:
        settings = [(0.0, 0.0)] * len(self._optimizers)  # of all others: w - 0 (g + 0 w) leaves them as they are
        for index in self._plain.difference(self._failures.errors):
            group = self._optimizers[index].param_groups[0]
            settings[index] = (group["lr"], group["weight_decay"])
        if settings != self._settings:
            self._settings = settings
            rates, decays = torch.tensor(settings, dtype=torch.float64).unbind(1)
            self._rates, self._decays = (values.to(self.parameters[0]) for values in (-rates, decays))
        for parameter in self.parameters:
            assert parameter.grad is not None
            shape = (-1, *[1] * (parameter.ndim - 1))
            if any(decay for _, decay in settings):
                parameter.grad.addcmul_(parameter, self._decays.view(shape))
            parameter.addcmul_(parameter.grad, self._rates.view(shape))


def _is_plain_sgd(optimizer: Optimizer) -> bool:
    if type(optimizer) is not SGD or len(optimizer.param_groups) != 1:
        return False
    return not any(optimizer.param_groups[0].get(key) for key in ("momentum", "maximize", "foreach", "fused"))


def _group_equal(losses: Sequence[Loss], logits: Tensor, labels: Tensor) -> list[range]:
    """Find the neighbours whose losses can be computed in one call, trying it on a few logits (R, B, K)."""
    groups: list[range] = []
    for index, loss in enumerate(losses):
        group = groups[-1] if groups else range(0)
        if group and _are_equal(losses[group[0]], loss) and (len(group) > 1 or _takes_runs(loss, logits, labels)):
            groups[-1] = range(group.start, index + 1)
        else:
            groups.append(range(index, index + 1))
    return groups


def _are_equal(loss: Loss, other: Loss) -> bool:
    settings = [list(vars(each).items()) for each in (loss, other)]
    plain = all(isinstance(value, bool | int | float | str | type(None)) for _, value in settings[0])
    return type(loss) is type(other) and plain and settings[0] == settings[1]


def _takes_runs(loss: Loss, logits: Tensor, labels: Tensor) -> bool:
    """Try whether a loss keeps its promise to treat leading axes as further runs."""
    try:
        together = copy.deepcopy(loss).value_and_gradient(logits[:2], labels)
        alone = [copy.deepcopy(loss).value_and_gradient(scores, labels) for scores in logits[:2]]
    except (Exception, SystemExit):
        return False
    expected = [torch.stack(parts) for parts in zip(*alone, strict=True)]
    return all(map(torch.allclose, together, expected))


def _as_divergence(error: BaseException) -> BaseException:
    """Report a number that no float can hold as what it is: torch and Python raise instead of computing infinity."""
    if isinstance(error, OverflowError) or (isinstance(error, RuntimeError) and "overflow" in str(error)):
        divergence = DivergedError(f"training diverged: {error}")
        divergence.__cause__ = error
        return divergence
    return error
