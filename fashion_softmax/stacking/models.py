"""Many models as one: R models of the same kind see a batch together, (B, C, H, W) to (R, B, K).

Softmax regressions become one matrix product. Any other model is trained alone, R = 1, by the same loop.

Shapes: `R` models, `B` images, `D` features, `K` classes.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fashion_softmax.learning.models import SoftmaxRegression


def is_stackable(model: nn.Module) -> bool:
    """Tell whether a model can be one of several; a subclass of softmax regression may compute something else."""
    return type(model) is SoftmaxRegression


def stack_models(models: Sequence[nn.Module]) -> "StackedSoftmaxRegression | SingleModel":
    """Make one of several models.

    Args:
        models: softmax regressions of equal shapes, or a single model of any kind.
    """
    if all(map(is_stackable, models)):
        return StackedSoftmaxRegression(cast(Sequence[SoftmaxRegression], models))
    (model,) = models
    return SingleModel(model)


class StackedSoftmaxRegression:
    """R softmax regressions as one matrix product `(R * K, D) x (D, B)`, with the gradient written out.

    Autograd's bookkeeping costs more than the arithmetic of a model this small, so the one product that it would make
    on the way back, `(R * K, B) x (B, D)`, stands here.

    The stack owns the storage, with one more axis in front; each model's parameters become views into it, so that a
    model can be saved, measured and stepped by its own optimizer as if it were alone.

    Args:
        models: R of equal shapes, at least one.

    Attributes:
        parameters: the storage, shape (R, ...) each, with the gradients in `.grad` after `backward`.
    """

    def __init__(self, models: Sequence[SoftmaxRegression]) -> None:
        weight = torch.stack([model.weight.detach() for model in models])  # (R, K, D)
        bias = torch.stack([model.bias.detach() for model in models])  # (R, K)
        weight.grad, bias.grad = torch.zeros_like(weight), torch.zeros_like(bias)
        for index, model in enumerate(models):
            for own, shared in ((model.weight, weight), (model.bias, bias)):
                own.data, own.grad = shared[index], shared.grad[index]  # type: ignore[index]
        self.parameters = weight, bias
        self._shape = (*bias.shape, -1)
        self._weight, self._bias = weight.flatten(0, 1), bias.view(-1, 1)
        self._weight_gradient, self._bias_gradient = weight.grad.flatten(0, 1), bias.grad.view(-1, 1)
        self._features = torch.empty(0, weight.shape[-1])

    def __call__(self, images: Tensor) -> Tensor:
        """Compute every model's logits, images (B, C, H, W) to (R, B, K), without gradient."""
        self._features = images.flatten(1)
        # weight @ features.T is the same product as features @ weight.T, but with the long side last it is
        # two to three times faster on a CPU, and leaves the classes where the losses are fastest.
        return torch.addmm(self._bias, self._weight, self._features.T).view(self._shape).mT

    def backward(self, logits_gradient: Tensor) -> None:
        """Leave the gradients of the mean losses in `.grad` of every model's parameters.

        Args:
            logits_gradient: gradient of each image's loss of the latest call, shape (R, B, K).
        """
        gradient = logits_gradient.mT.reshape(len(self._weight), -1)  # (R * K, B)
        scale = 1 / len(self._features)
        torch.addmm(self._weight_gradient, gradient, self._features, beta=0, alpha=scale, out=self._weight_gradient)
        torch.mean(gradient, dim=1, keepdim=True, out=self._bias_gradient)

    def train(self, mode: bool = True) -> None:
        """Do nothing: softmax regression computes the same in training and in evaluation."""


class SingleModel:
    """Any one model, differentiated by autograd; R is 1, and the model keeps its own parameters."""

    parameters: Sequence[Tensor] = ()

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.train = model.train  # switches between training and evaluation
        self._logits = torch.empty(0)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute the logits, images (B, C, H, W) to (1, B, K), without gradient."""
        self._logits = self.model(images)
        return self._logits.detach().unsqueeze(0)

    def backward(self, logits_gradient: Tensor) -> None:
        """Let autograd carry the gradient of each image's loss, (1, B, K), on to the parameters, for the mean loss."""
        self.model.zero_grad(set_to_none=True)
        self._logits.backward(logits_gradient[0] / len(self._logits))
