"""R optimizers as one."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from fashion_softmax.learning.optimizers import SGD
from fashion_softmax.stacking.losses import Attempt


class StackedOptimizer:
    """R ordinary optimizers as one: plain SGD in one operation for all runs, any other optimizer by its own step.

    The lesson's `w <- w - lr (g + weight_decay w)` is so short that calling it R times would take a fifth of the
    training. Each run's learning rate is still that of its own optimizer, where its scheduler sets it.

    Args:
        optimizers: one for each member; what gradients there are is forgotten.
        attempt: calls a member's optimizer, which may raise.
        left: has the indices of the members that left.

    Attributes:
        parameters: the shared storage of all runs, shape (R, ...) each; empty where there is none.
    """

    def __init__(self, optimizers: Sequence[Optimizer], attempt: Attempt, left: Mapping[int, object]) -> None:
        self.parameters: Sequence[Tensor] = ()
        self._optimizers = list(optimizers)
        self._attempt, self._left = attempt, left
        self._plain = {index for index, optimizer in enumerate(optimizers) if _is_plain_sgd(optimizer)}
        for index in self._plain:
            # Without gradients a step changes nothing, but torch's schedulers warn when there never was one.
            optimizers[index].zero_grad()
            optimizers[index].step()
        self._settings: list[tuple[float, float]] = []
        self._rates = self._decays = torch.empty(0)

    def step(self) -> None:
        """Update the weights of the members still training."""
        for index, optimizer in enumerate(self._optimizers):
            if index not in self._plain or not self.parameters:
                self._attempt(index, optimizer.step)
        if self._plain and self.parameters:
            self._step_plain_sgd()

    @torch.no_grad()
    def _step_plain_sgd(self) -> None:
        settings = [(0.0, 0.0)] * len(self._optimizers)  # of all others: w - 0 (g + 0 w) leaves them as they are
        for index in self._plain.difference(self._left):
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
    if type(optimizer) not in (SGD, torch.optim.SGD) or len(optimizer.param_groups) != 1:
        return False
    return not any(optimizer.param_groups[0].get(key) for key in ("momentum", "maximize", "foreach", "fused"))
