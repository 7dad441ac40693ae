"""What is in grids of images and in figures of predictions; what speaks for a prediction adds up to it."""

import numpy as np
import pytest
import torch
from torch import nn

from fashion_softmax.figures.images import MAX_BARS, MISTAKE, draw_grid, draw_inspection, draw_prediction, explain
from fashion_softmax.figures.style import encode, new_figure
from fashion_softmax.learning.models import MLP, SoftmaxRegression

IMAGES = np.arange(0, 2 * 5 * 6 * 4, 2, dtype=np.uint8).reshape(5, 1, 6, 4)
NAMES = [("coat",), ("ankle boot",), ("$x_1",), ("\u5916\u5957",), ("_bag_",)]


def test_grid_shows_every_image_under_its_name() -> None:
    figure = draw_grid(IMAGES, NAMES, 3, "some images")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [name for (name,) in NAMES]
    for image, drawn, text in zip(IMAGES[:, 0], axes.images, axes.texts, strict=True):
        np.testing.assert_array_equal(drawn.get_array(), image)
        assert drawn.get_clim() == (0, 255) and drawn.get_cmap().name == "gray"
        left, right, bottom, top = drawn.get_extent()
        assert left < text.get_position()[0] < right and text.get_position()[1] < top < bottom
        assert (bottom - top) / (right - left) == pytest.approx(6 / 4)
    lefts = [round(drawn.get_extent()[0], 6) for drawn in axes.images]
    assert lefts[:2] == lefts[3:] and len(set(lefts)) == 3  # two rows
    assert axes.get_title() == "some images"
    assert encode(figure, "png").startswith(b"\x89PNG")


def test_mistakes_alone_are_red_and_framed() -> None:
    captions = [("true: coat", "51 % bag"), ("true: bag", "99 % women's best running shoes")]
    (axes,) = draw_grid(IMAGES[:2], captions, 2, "", [0]).axes
    assert [text.get_color() for text in axes.texts] == [MISTAKE, MISTAKE, "black", "black"]
    (frame,) = axes.lines
    assert frame.get_color() == MISTAKE and max(frame.get_xdata()) == axes.images[0].get_extent()[1]
    assert axes.texts[3].get_text() == "99 % women's be\u2026"


def test_colours_are_kept_and_other_channels_averaged() -> None:
    (axes,) = draw_grid(np.repeat(IMAGES, 3, 1), NAMES, 5, "").axes
    assert axes.images[0].get_array().shape == (6, 4, 3)
    (axes,) = draw_grid(np.concatenate([IMAGES, IMAGES // 2], 1), NAMES, 5, "").axes
    np.testing.assert_array_equal(axes.images[1].get_array(), 3 * IMAGES[1, 0].astype(int) // 4)


def test_grid_of_many_images_stays_of_a_size_that_can_be_drawn() -> None:
    figure = draw_grid(np.zeros((200, 1, 2, 2), np.uint8), [("name",)] * 200, 200, "wide")
    assert figure.get_figwidth() * figure.dpi <= 48 * 150 + 1 and len(figure.axes[0].images) == 200


def test_images_stand_beside_what_the_model_says() -> None:
    images = {"your picture": np.full((30, 20, 3), 200, np.uint8), "what the model saw": IMAGES[0, 0]}
    figure = new_figure(6, 4)
    draw_prediction(figure, "bag: 70 %", images, np.array([0.1, 0.7, 0.2], np.float32), ["coat", "bag", "shirt"])
    panels = {axes.get_title(): axes for axes in figure.axes}
    for title, pixels in images.items():
        np.testing.assert_array_equal(panels[title].images[0].get_array(), pixels)
    bars = panels["what the model says"]
    assert [tick.get_text() for tick in bars.get_yticklabels()] == ["bag", "shirt", "coat"]
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([0.7, 0.2, 0.1])
    assert [text.get_text() for text in bars.texts] == ["70.0 %", "20.0 %", "10.0 %"]
    assert figure.get_suptitle() == "bag: 70 %"


def test_of_many_classes_the_most_probable_are_drawn() -> None:
    figure, probabilities = new_figure(6, 4), np.linspace(0, 1, 30, dtype=np.float32)
    draw_prediction(figure, "29", {"seen": IMAGES[0, 0]}, probabilities, list(map(str, range(30))))
    (bars,) = [axes for axes in figure.axes if axes.get_title() == "what the model says (first 20 of 30)"]
    assert [tick.get_text() for tick in bars.get_yticklabels()] == [str(29 - index) for index in range(MAX_BARS)]


RNG = np.random.default_rng(0)
CLASSES = [str(index) for index in range(7)]
EVIDENCE = {"for 1": RNG.normal(size=(4, 4)), "for 1 over 2": RNG.normal(size=(4, 4))}
PIXELS = RNG.integers(0, 256, (4, 4), np.uint8)
EXPLANATION = ("an image", PIXELS, RNG.dirichlet(np.ones(7)), CLASSES, EVIDENCE)


def test_every_class_has_its_template_on_one_scale() -> None:
    templates = RNG.normal(size=(7, 4, 4))
    figure = draw_inspection(*EXPLANATION, templates)
    drawn = [axes for axes in figure.axes if axes.get_title() in CLASSES]
    assert [axes.get_title() for axes in drawn] == CLASSES
    for axes, template in zip(drawn, templates, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), template)
        assert axes.images[0].get_clim() == (-np.abs(templates).max(), np.abs(templates).max())
        assert axes.images[0].get_cmap().name == "RdBu_r"  # red is above 0
    assert encode(figure, "png").startswith(b"\x89PNG")


def test_weights_of_zero_and_many_classes_are_drawn() -> None:
    names, evidence = list(map(str, range(60))), {"for 1": np.zeros((4, 4))}
    figure = draw_inspection("an image", PIXELS, np.full(60, 1 / 60), names, evidence, np.zeros((60, 4, 4)))
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert titles[:2] == ["What the model looks for, the first 50 of 60 classes", "an image"]


def test_image_bars_and_evidence_are_drawn_without_templates_as_well() -> None:
    figure = draw_inspection(*EXPLANATION, None)
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
    pixels, lead = explain(model, image, 2, 4)
    weights = (model.weight[2] - model.weight[4]).detach().reshape(3, 4)
    torch.testing.assert_close(pixels, weights * image[0])
    torch.testing.assert_close(torch.tensor(lead), logits[2] - logits[4])
    torch.testing.assert_close(lead - pixels.sum(), (model.bias[2] - model.bias[4]).detach())
    pixels, lead = explain(model, image, 2)
    torch.testing.assert_close(torch.tensor(lead), logits[2] - logits.mean())
    torch.testing.assert_close(lead - pixels.sum(), (model.bias[2] - model.bias.mean()).detach())


def test_channels_are_summed_and_black_pixels_say_nothing() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((3, 2, 2), 3)
    image = torch.rand(3, 2, 2)
    image[:, 0, 0] = 0
    pixels, _ = explain(model, image, 0, 1)
    weights = (model.weight[0] - model.weight[1]).detach().reshape(3, 2, 2)
    torch.testing.assert_close(pixels, (weights * image).sum(0))
    assert pixels[0, 0] == 0 and pixels[1, 1] != 0


def test_other_models_are_accounted_for_to_first_order_without_dropout() -> None:
    torch.manual_seed(0)
    model = MLP((1, 3, 3), 4, hidden_sizes=[8], dropout=0.5).train()
    image = torch.rand(1, 3, 3)
    (pixels, lead), (again, _) = explain(model, image, 1), explain(model, image, 1)
    assert torch.equal(pixels, again) and not model.training
    step = 1e-4 * image  # brighter by a hair: the lead changes by the pixels' shares
    logits = model((image + step)[None])[0].detach()
    change = (logits[1] - logits.mean()) - lead
    torch.testing.assert_close(change, 1e-4 * pixels.sum(), rtol=0.02, atol=1e-7)
    assert all(parameter.grad is None for parameter in model.parameters())
