"""What is in the figure of an inspected model; what speaks for a prediction adds up to it."""

import inspection_figures as figures
import numpy as np
import torch
from figures import encode
from torch import nn

from fashion_softmax.learning.models import MLP, SoftmaxRegression

RNG = np.random.default_rng(0)
CLASSES = [str(index) for index in range(7)]
EVIDENCE = {"for 1": RNG.normal(size=(4, 4)), "for 1 over 2": RNG.normal(size=(4, 4))}
PIXELS = RNG.integers(0, 256, (4, 4), np.uint8)
EXPLANATION = ("an image", PIXELS, RNG.dirichlet(np.ones(7)), CLASSES, EVIDENCE)


def test_every_class_has_its_template_on_one_scale() -> None:
    templates = RNG.normal(size=(7, 4, 4))
    figure = figures.draw_inspection(*EXPLANATION, templates)
    drawn = [axes for axes in figure.axes if axes.get_title() in CLASSES]
    assert [axes.get_title() for axes in drawn] == CLASSES
    for axes, template in zip(drawn, templates, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), template)
        assert axes.images[0].get_clim() == (-np.abs(templates).max(), np.abs(templates).max())
        assert axes.images[0].get_cmap().name == "RdBu_r"  # red is above 0
    assert encode(figure, "png").startswith(b"\x89PNG")


def test_weights_of_zero_and_many_classes_are_drawn() -> None:
    names, evidence = list(map(str, range(60))), {"for 1": np.zeros((4, 4))}
    figure = figures.draw_inspection("an image", PIXELS, np.full(60, 1 / 60), names, evidence, np.zeros((60, 4, 4)))
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert titles[:2] == ["What the model looks for, the first 50 of 60 classes", "an image"]


def test_image_bars_and_evidence_are_drawn_without_templates_as_well() -> None:
    figure = figures.draw_inspection(*EXPLANATION, None)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title for title in titles if title] == [
        "what the model saw",
        "what the model says",
        "for 1",
        "for 1 over 2",
    ]
    evidence = [axes for axes in figure.axes if axes.get_title().startswith("for 1")]
    limit = max(np.abs(shares).max() for shares in EVIDENCE.values())
    for axes, shares in zip(evidence, EVIDENCE.values(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), shares)
        assert axes.images[0].get_clim() == (-limit, limit)


def test_linear_evidence_is_weight_times_pixel() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((1, 3, 4), 5, init_std=1.0)
    nn.init.normal_(model.bias)
    image = torch.rand(1, 3, 4)
    logits = model(image[None])[0].detach()
    pixels, lead = figures.explain(model, image, 2, 4)
    weights = (model.weight[2] - model.weight[4]).detach().reshape(3, 4)
    torch.testing.assert_close(pixels, weights * image[0])
    torch.testing.assert_close(torch.tensor(lead), logits[2] - logits[4])
    torch.testing.assert_close(lead - pixels.sum(), (model.bias[2] - model.bias[4]).detach())
    pixels, lead = figures.explain(model, image, 2)
    torch.testing.assert_close(torch.tensor(lead), logits[2] - logits.mean())
    torch.testing.assert_close(lead - pixels.sum(), (model.bias[2] - model.bias.mean()).detach())


def test_channels_are_summed_and_black_pixels_say_nothing() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((3, 2, 2), 3)
    image = torch.rand(3, 2, 2)
    image[:, 0, 0] = 0
    pixels, _ = figures.explain(model, image, 0, 1)
    weights = (model.weight[0] - model.weight[1]).detach().reshape(3, 2, 2)
    torch.testing.assert_close(pixels, (weights * image).sum(0))
    assert pixels[0, 0] == 0 and pixels[1, 1] != 0


def test_other_models_are_accounted_for_to_first_order_without_dropout() -> None:
    torch.manual_seed(0)
    model = MLP((1, 3, 3), 4, hidden_sizes=[8], dropout=0.5).train()
    image = torch.rand(1, 3, 3)
    (pixels, lead), (again, _) = figures.explain(model, image, 1), figures.explain(model, image, 1)
    assert torch.equal(pixels, again) and not model.training
    step = 1e-4 * image  # brighter by a hair: the lead changes by the pixels' shares
    logits = model((image + step)[None])[0].detach()
    change = (logits[1] - logits.mean()) - lead
    torch.testing.assert_close(change, 1e-4 * pixels.sum(), rtol=0.02, atol=1e-7)
    assert all(parameter.grad is None for parameter in model.parameters())
