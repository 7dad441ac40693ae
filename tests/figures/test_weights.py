"""What is in the figure of a model's weights."""

import numpy as np

from fashion_softmax.figures.style import encode
from fashion_softmax.figures.weights import Explanation, draw_inspection

RNG = np.random.default_rng(0)
NAMES = [str(index) for index in range(7)]
EXPLANATION = Explanation(
    RNG.integers(0, 256, (4, 4), np.uint8),
    "an image",
    RNG.dirichlet(np.ones(7)),
    {"for 1": RNG.normal(size=(4, 4)), "for 1 over 2": RNG.normal(size=(4, 4))},
)


def test_every_class_has_its_template_on_one_scale() -> None:
    templates = RNG.normal(size=(7, 4, 4))
    figure = draw_inspection(templates, NAMES, EXPLANATION)
    drawn = [axes for axes in figure.axes if axes.get_title() in NAMES]
    assert [axes.get_title() for axes in drawn] == NAMES
    for axes, template in zip(drawn, templates, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), template)
        assert axes.images[0].get_clim() == (-np.abs(templates).max(), np.abs(templates).max())
        assert axes.images[0].get_cmap().name == "RdBu_r"  # red is above 0
    assert encode(figure, "png").startswith(b"\x89PNG")


def test_weights_of_zero_and_many_classes_are_drawn() -> None:
    explanation = Explanation(EXPLANATION.pixels, "an image", np.full(60, 1 / 60), {"for 1": np.zeros((4, 4))})
    figure = draw_inspection(np.zeros((60, 4, 4)), list(map(str, range(60))), explanation)
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert titles == ["What the model looks for, the first 50 of 60 classes", "an image"]


def test_image_bars_and_evidence_are_drawn_without_templates_as_well() -> None:
    figure = draw_inspection(None, NAMES, EXPLANATION)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title for title in titles if title] == [
        "what the model saw",
        "what the model says",
        "for 1",
        "for 1 over 2",
    ]
    evidence = [axes for axes in figure.axes if axes.get_title().startswith("for 1")]
    limit = max(np.abs(shares).max() for shares in EXPLANATION.evidence.values())
    for axes, shares in zip(evidence, EXPLANATION.evidence.values(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), shares)
        assert axes.images[0].get_clim() == (-limit, limit)
