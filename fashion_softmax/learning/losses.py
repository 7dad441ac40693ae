"""The lesson's losses: one number per image, never reduced, with the gradient written out beside the formula.

Shapes: `B` images, `K` classes, `*R` any leading axes (none for one run, one for runs trained together).
In the formulas `o` are the logits of one image, `p = softmax(o)` its probabilities and `y` its one-hot label.

References:
    Dive into Deep Learning, chapters 3.1 and 4.1, https://d2l.ai
"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from fashion_softmax.learning.metrics import cross_entropies, log_softmax, one_hot, softmax, take_true_class


class Loss(ABC):
    """A loss per image. A subclass writes `__call__`; its gradient comes from autograd unless it is written too.

    Attributes:
        formula: for the titles of figures, as matplotlib reads mathematics; may be empty.
    """

    formula = ""

    def __init_subclass__(cls) -> None:
        # A subclass that changes the loss but not its gradient must not inherit the gradient of another loss.
        if "__call__" in vars(cls) and "value_and_gradient" not in vars(cls):
            cls.value_and_gradient = Loss.value_and_gradient  # type: ignore[method-assign]

    @abstractmethod
    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Measure each prediction against its label.

        Args:
            logits: scores, shape (*R, B, K).
            labels: true classes, int64, shape (B,).

        Returns:
            The loss of each image, shape (*R, B).
        """

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the losses (*R, B), and with respect to the logits the gradient of each, (*R, B, K)."""
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            losses = self(leaf, labels)
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), gradient


class CrossEntropy(Loss):
    """Cross-entropy `L = -sum_i y_i log p_i`, which is `-log p_y` for a one-hot label; gradient `p - y`.

    Args:
        label_smoothing: share of the label spread evenly over all classes, in [0, 1];
            the label becomes `(1 - s) y + s / K`. The lesson uses 0.

    References:
        Szegedy et al., Rethinking the Inception Architecture (label smoothing), https://arxiv.org/abs/1512.00567
    """

    formula = r"$L = -\Sigma_i\, y_i \log p_i$"

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.label_smoothing == 0:
            return cross_entropies(logits, labels)
        return -(log_softmax(logits) * self._smooth(logits, labels)).sum(dim=-1)

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        log_probabilities = log_softmax(logits)
        if self.label_smoothing == 0:
            losses = take_true_class(log_probabilities, labels).squeeze(-1).neg_()
            return losses, log_probabilities.exp_().sub_(one_hot(labels, logits))
        targets = self._smooth(logits, labels)
        return -(log_probabilities * targets).sum(dim=-1), log_probabilities.exp() - targets

    def _smooth(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (1 - self.label_smoothing) * one_hot(labels, logits) + self.label_smoothing / logits.shape[-1]


class RegressionLoss(Loss):
    """A classic regression loss against the one-hot label, `L = sum_i f(q_i - y_i)`, summed over the classes.

    On probabilities (`q = p`) an error is at most 1 and training is stable at large learning rates. On logits
    (`q = o`) the loss punishes scores that are *too* right, and plain SGD diverges at learning rates above about 0.01.

    Args:
        input: what is compared with the one-hot label, `probabilities` or `logits`.
    """

    def __init__(self, input: Literal["probabilities", "logits"] = "probabilities") -> None:
        self.input = input

    @abstractmethod
    def penalty(self, error: Tensor) -> Tensor:
        """Compute `f`, element by element, same shape as `error`."""

    @abstractmethod
    def penalty_gradient(self, error: Tensor) -> Tensor:
        """Compute `df / d error`, element by element, same shape as `error`."""

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        predictions = softmax(logits) if self.input == "probabilities" else logits
        return self.penalty(predictions - one_hot(labels, logits)).sum(dim=-1)

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if self.input == "logits":
            error = logits - one_hot(labels, logits)
            return self.penalty(error).sum(dim=-1), self.penalty_gradient(error)
        probabilities = softmax(logits)
        error = probabilities - one_hot(labels, logits)
        # Through softmax: dL/do_i = p_i (g_i - sum_j p_j g_j), with g = df/d error.
        weighted = probabilities * self.penalty_gradient(error)
        gradient = weighted.sub_(probabilities.mul_(weighted.sum(dim=-1, keepdim=True)))
        return self.penalty(error).sum(dim=-1), gradient


class SquaredError(RegressionLoss):
    """Squared error (L2) `f(e) = e^2 / 2`, gradient `e`. `torch.nn.MSELoss` does not have the half."""

    formula = r"$f(e) = e^2 / 2$"

    def penalty(self, error: Tensor) -> Tensor:
        return error.square().div_(2)

    def penalty_gradient(self, error: Tensor) -> Tensor:
        return error


class AbsoluteError(RegressionLoss):
    """Absolute error (L1) `f(e) = |e|`, gradient `sign(e)`, 0 at the kink.

    On probabilities it learns badly on purpose: an image the model is sure to get wrong has a vanishing softmax
    gradient and a bounded one from the loss, so whole classes are given up (about 0.73 to 0.76 on Fashion-MNIST).
    """

    formula = r"$f(e) = |e|$"

    def penalty(self, error: Tensor) -> Tensor:
        return error.abs()

    def penalty_gradient(self, error: Tensor) -> Tensor:
        return error.sign()


class Huber(RegressionLoss):
    """Huber's loss: squared where `|e| <= delta`, linear beyond; gradient `clip(e, -delta, delta)`.

    Args:
        delta: where the square becomes a line, above 0. An error of probabilities never exceeds 1, so there a delta
            of 1 or more *is* the squared error; the default 0.5 keeps both branches in use.
        input: what is compared with the one-hot label, `probabilities` or `logits`.

    References:
        Huber, Robust Estimation of a Location Parameter, https://doi.org/10.1214/aoms/1177703732
    """

    formula = r"$e^2 / 2$ if $|e| \leq \delta$, else $\delta |e| - \delta^2 / 2$"

    def __init__(self, delta: float = 0.5, input: Literal["probabilities", "logits"] = "probabilities") -> None:
        super().__init__(input)
        self.delta = delta

    def penalty(self, error: Tensor) -> Tensor:
        clipped = self.penalty_gradient(error)
        return (error - clipped / 2).mul_(clipped)  # e^2 / 2 inside, delta |e| - delta^2 / 2 beyond

    def penalty_gradient(self, error: Tensor) -> Tensor:
        return error.clamp(-self.delta, self.delta)


class Margin(Loss):
    """The lesson's margin criterion `o_y - o_i > delta`: `L = 1/K sum_{i != y} max(0, delta - (o_y - o_i))`.

    The gradient counts the violations: `1/K` for each class that comes too close, minus their sum for the true class.
    The average over the classes is that of `torch.nn.MultiMarginLoss`, and lets the lesson's learning rate train.

    Args:
        delta: the lead the true class must have, in logits, above 0.

    References:
        Weston and Watkins, Support Vector Machines for Multi-Class Pattern Recognition (ESANN 1999)
    """

    formula = r"$L = \Sigma_{i \neq y} \max(0,\, \delta - o_y + o_i) \,/\, K$"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = delta

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self._average(self._shortfalls(logits, labels))

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        shortfalls = self._shortfalls(logits, labels)
        violations = (shortfalls > 0).to(logits.dtype).div_(logits.shape[-1])
        gradient = violations.sub_(one_hot(labels, logits) * violations.sum(dim=-1, keepdim=True))
        return self._average(shortfalls), gradient

    def _shortfalls(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What each class lacks to its margin, (*R, B, K); the true class always lacks delta against itself."""
        return (logits + (self.delta - take_true_class(logits, labels))).clamp_(min=0)

    def _average(self, shortfalls: Tensor) -> Tensor:
        return (shortfalls.sum(dim=-1) - self.delta) / shortfalls.shape[-1]
