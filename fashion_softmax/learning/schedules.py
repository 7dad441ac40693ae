"""Learning-rate schedules: plain functions of the epoch, given to torch's `LambdaLR`.

`epoch` counts from 0; the learning rate of an epoch is the optimizer's `lr` times the factor. Before each schedule
there may be `warmup_epochs`, 0 or more, that rise in equal steps to the full rate. Any other scheduler of torch that
steps once an epoch works as well: name it in a YAML file of `conf/scheduler`.
"""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, *, warmup_epochs: int = 0) -> LambdaLR:
    """Keep the learning rate, as in the lesson."""
    return _schedule(optimizer, lambda epoch: 1.0, warmup_epochs)


def step(optimizer: Optimizer, *, step_size: int, gamma: float = 0.1, warmup_epochs: int = 0) -> LambdaLR:
    """Multiply the learning rate by `gamma`, above 0, after every `step_size` epochs, at least 1."""
    return _schedule(optimizer, lambda epoch: gamma ** (epoch // step_size), warmup_epochs)


def exponential(optimizer: Optimizer, *, gamma: float = 0.9, warmup_epochs: int = 0) -> LambdaLR:
    """Multiply the learning rate by `gamma`, above 0, after every epoch."""
    return _schedule(optimizer, lambda epoch: gamma**epoch, warmup_epochs)


def cosine(optimizer: Optimizer, *, num_epochs: int, final_fraction: float = 0.0, warmup_epochs: int = 0) -> LambdaLR:
    """Lower the learning rate along half a cosine, from full to `final_fraction` of it after the last epoch.

    Args:
        optimizer: whose learning rates are scheduled.
        num_epochs: length of the training in epochs, warm-up included, at least 1.
        final_fraction: what is left of the learning rate at the end, in [0, 1].
        warmup_epochs: epochs of linear warm-up before, 0 or more.

    References:
        Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, https://arxiv.org/abs/1608.03983
    """
    length = max(1, num_epochs - warmup_epochs)

    def factor(epoch: int) -> float:
        progress = min(1.0, epoch / length)
        return final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * progress)) / 2

    return _schedule(optimizer, factor, warmup_epochs)


def _schedule(optimizer: Optimizer, factor: Callable[[int], float], warmup_epochs: int) -> LambdaLR:
    def with_warmup(epoch: int) -> float:
        if epoch < warmup_epochs:
            return (epoch + 1) / (warmup_epochs + 1)
        return factor(epoch - warmup_epochs)

    return LambdaLR(optimizer, with_warmup)
