"""Evidence for a prediction: how much each pixel of an image adds to the lead of one class over others.

Adding the same number to all logits does not change softmax, so only differences of logits mean something. For softmax
regression the sum is exact: `o_k - o_j = sum_d (w_kd - w_jd) x_d + (b_k - b_j)`. Other models are not linear; for them
a pixel's share is gradient times value, which is exact for their linear part around the image.

References:
    Simonyan et al., Deep Inside Convolutional Networks (gradients as saliency), https://arxiv.org/abs/1312.6034
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Evidence:
    """What the pixels of an image say for one class.

    Attributes:
        pixels: share of each pixel in the lead, summed over the channels, shape (H, W).
        lead: of the class's logit.
    """

    pixels: Tensor
    lead: float

    @property
    def rest(self) -> float:
        """What no pixel explains: the bias, and in a model that is not linear also what its linear part misses."""
        return self.lead - float(self.pixels.sum())


def explain(model: nn.Module, image: Tensor, label: int, rival: int | None = None) -> Evidence:
    """Explain the lead of one class by the pixels of an image.

    Args:
        model: images (B, C, H, W) to logits (B, K); it is put into evaluation mode.
        image: floats in [0, 1], shape (C, H, W).
        label: the class.
        rival: the class it leads over; None for the mean of all classes.
    """
    leaf = image.clone().requires_grad_()
    with torch.enable_grad():
        logits = model.eval()(leaf[None])[0]
        lead = logits[label] - (logits.mean() if rival is None else logits[rival])
        (gradient,) = torch.autograd.grad(lead, leaf)
    return Evidence((gradient * image).sum(0), float(lead.detach()))
