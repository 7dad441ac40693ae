"""What speaks for a prediction adds up to it."""

import torch
from torch import nn

from fashion_softmax.learning.evidence import explain
from fashion_softmax.learning.models import MLP, SoftmaxRegression


def test_linear_evidence_is_weight_times_pixel() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((1, 3, 4), 5, init_std=1.0)
    nn.init.normal_(model.bias)
    image = torch.rand(1, 3, 4)
    logits = model(image[None])[0].detach()
    over_rival = explain(model, image, 2, 4)
    weights = (model.weight[2] - model.weight[4]).detach().reshape(3, 4)
    torch.testing.assert_close(over_rival.pixels, weights * image[0])
    torch.testing.assert_close(torch.tensor(over_rival.lead), logits[2] - logits[4])
    torch.testing.assert_close(torch.tensor(over_rival.rest), (model.bias[2] - model.bias[4]).detach())
    over_all = explain(model, image, 2)
    torch.testing.assert_close(torch.tensor(over_all.lead), logits[2] - logits.mean())
    torch.testing.assert_close(torch.tensor(over_all.rest), (model.bias[2] - model.bias.mean()).detach())


def test_channels_are_summed_and_black_pixels_say_nothing() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((3, 2, 2), 3)
    image = torch.rand(3, 2, 2)
    image[:, 0, 0] = 0
    pixels = explain(model, image, 0, 1).pixels
    weights = (model.weight[0] - model.weight[1]).detach().reshape(3, 2, 2)
    torch.testing.assert_close(pixels, (weights * image).sum(0))
    assert pixels[0, 0] == 0 and pixels[1, 1] != 0


def test_other_models_are_accounted_for_to_first_order_without_dropout() -> None:
    torch.manual_seed(0)
    model = MLP((1, 3, 3), 4, hidden_sizes=[8], dropout=0.5).train()
    image = torch.rand(1, 3, 3)
    first, second = explain(model, image, 1), explain(model, image, 1)
    assert torch.equal(first.pixels, second.pixels) and not model.training
    step = 1e-4 * image  # brighter by a hair: the lead changes by the pixels' shares
    logits = model((image + step)[None])[0].detach()
    change = (logits[1] - logits.mean()) - first.lead
    torch.testing.assert_close(change, 1e-4 * first.pixels.sum(), rtol=0.02, atol=1e-7)
    assert all(parameter.grad is None for parameter in model.parameters())
