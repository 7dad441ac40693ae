"""Many models as one: R models of the same architecture see a batch together, (B, C, H, W) to (R, B, K).

The stack owns the storage, with one more axis in front; each model's parameters become views into it, so that a
model can be saved, measured and stepped by its own optimizer as if it were alone.

Shapes: `R` models, `B` images, `D` features, `K` classes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from fashion_softmax.learning.models import SoftmaxRegression


class StackedModel(ABC):
    """R models that compute together.

    Args:
        models: at least one; their parameters are moved into shared storage.

    Attributes:
        parameters: the shared storage, shape (R, ...) each, with the gradients in `.grad` after `backward`. Empty
            where a single model keeps its own.
    """

    parameters: Sequence[Tensor] = ()

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.models = [model.train() for model in models]  # all in one mode: torch.func stacks no others

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """Compute every model's logits, images (B, C, H, W) to (R, B, K), without gradient."""

    @abstractmethod
    def backward(self, logits_gradient: Tensor) -> None:
        """Leave the gradients of the mean losses in `.grad` of every model's parameters.

        Args:
            logits_gradient: gradient of each image's loss of the latest call, shape (R, B, K).
        """

    def train(self, mode: bool = True) -> None:
        """Switch all models between training and evaluation."""
        for model in self.models:
            model.train(mode)


def stack_models(models: Sequence[nn.Module]) -> StackedModel:
    """Make one of several models.

    Args:
        models: of equal `stacking.architecture`; more than one only where `stacking.why_alone` has no objection.

    Returns:
        Softmax regressions as one matrix product; a single other model as it is, several by `torch.func.vmap`.
    """
    if all(type(model) is SoftmaxRegression for model in models):  # a subclass may compute something else
        return StackedSoftmaxRegression(models)
    return SingleModel(models) if len(models) == 1 else StackedModule(models)


class StackedSoftmaxRegression(StackedModel):
    """R softmax regressions as one matrix product `(R * K, D) x (D, B)`, with the gradient written out.

    Autograd's bookkeeping costs more than the arithmetic of a model this small, so the one product that it would make
    on the way back, `(R * K, B) x (B, D)`, stands here.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__(models)
        named, _ = _share(models)
        self.parameters = weight, bias = named["weight"], named["bias"]
        num_runs, num_classes, num_features = weight.shape
        self._shape = (num_runs, num_classes, -1)
        self._weight, self._bias = weight.detach().view(-1, num_features), bias.detach().view(-1, 1)
        self._weight_gradient, self._bias_gradient = torch.zeros_like(self._weight), torch.zeros_like(self._bias)
        weight.grad, bias.grad = self._weight_gradient.view_as(weight), self._bias_gradient.view_as(bias)
        _hand_out_gradients(models, named)
        self._features = torch.empty(0, num_features)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute every model's logits, images (B, C, H, W) to (R, B, K)."""
        self._features = images.flatten(1)
        # weight @ features.T is the same product as features @ weight.T, but with the long side last it is
        # two to three times faster on a CPU, and leaves the classes where the losses are fastest.
        return torch.addmm(self._bias, self._weight, self._features.T).view(self._shape).mT

    def backward(self, logits_gradient: Tensor) -> None:
        """Write the gradients: each is a sum over the batch, divided by B."""
        gradient = logits_gradient.mT.reshape(len(self._weight), -1)  # (R * K, B)
        scale = 1 / len(self._features)
        torch.addmm(self._weight_gradient, gradient, self._features, beta=0, alpha=scale, out=self._weight_gradient)
        torch.mean(gradient, dim=1, keepdim=True, out=self._bias_gradient)


class SingleModel(StackedModel):
    """Any one model, differentiated by autograd; R is 1."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__(models)
        (self.model,) = models
        self._logits = torch.empty(0)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute the logits, images (B, C, H, W) to (1, B, K)."""
        self._logits = self.model(images)
        return self._logits.detach().unsqueeze(0)

    def backward(self, logits_gradient: Tensor) -> None:
        """Let autograd carry the gradient on to the parameters."""
        self.model.zero_grad(set_to_none=True)
        self._logits.backward(logits_gradient[0] / len(self._logits))


class StackedModule(StackedModel):
    """R modules of any kind, by `torch.func.vmap` over their stacked parameters, differentiated by autograd."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__(models)
        self._parameters, self._buffers = _share(models)
        self.parameters = list(self._parameters.values())
        self._compute = torch.vmap(self._compute_one, in_dims=(0, 0, None), randomness="error")
        self._logits = torch.empty(0)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute every model's logits, images (B, C, H, W) to (R, B, K)."""
        self._logits = self._compute(self._parameters, self._buffers, images)
        return self._logits.detach()

    def backward(self, logits_gradient: Tensor) -> None:
        """Let autograd carry the gradients on to the storage, and hand each model its part."""
        for parameter in self.parameters:
            parameter.grad = None
        self._logits.backward(logits_gradient / logits_gradient.shape[1])
        _hand_out_gradients(self.models, self._parameters)

    def _compute_one(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> Tensor:
        # Of the first model only the structure is used: the values come with each call.
        logits: Tensor = functional_call(self.models[0], (parameters, buffers), (images,))
        return logits


def _share(models: Sequence[nn.Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Move parameters and buffers, by name, into tensors with a leading axis, and leave views in their places."""
    parameters, buffers = stack_module_state(list(models))
    for index, model in enumerate(models):
        for name, own in (*model.named_parameters(), *model.named_buffers()):
            own.data = (parameters | buffers)[name].detach()[index]
    return parameters, buffers


def _hand_out_gradients(models: Sequence[nn.Module], parameters: Mapping[str, Tensor]) -> None:
    for name, stacked in parameters.items():
        if stacked.grad is not None:
            for model, gradient in zip(models, stacked.grad, strict=True):
                model.get_parameter(name).grad = gradient
