"""What is in grids of images and in the figure of a picture of one's own."""

import numpy as np
import pytest

from fashion_softmax.figures.images import MAX_BARS, MISTAKE, Caption, draw_grid, draw_own_picture
from fashion_softmax.figures.style import encode

IMAGES = np.arange(0, 2 * 5 * 6 * 4, 2, dtype=np.uint8).reshape(5, 1, 6, 4)
NAMES = [Caption((name,)) for name in ("coat", "ankle boot", "$x_1", "\u5916\u5957", "_bag_")]


def test_grid_shows_every_image_under_its_name() -> None:
    figure = draw_grid(IMAGES, NAMES, 3, "some images")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["coat", "ankle boot", "$x_1", "\u5916\u5957", "_bag_"]
    for image, drawn, text in zip(IMAGES[:, 0], axes.images, axes.texts, strict=True):
        np.testing.assert_array_equal(drawn.get_array(), image)
        assert drawn.get_clim() == (0, 255) and drawn.get_cmap().name == "gray"
        left, right, bottom, top = drawn.get_extent()
        assert left < text.get_position()[0] < right and text.get_position()[1] < top < bottom
        assert (bottom - top) / (right - left) == pytest.approx(6 / 4)
    lefts = [round(drawn.get_extent()[0], 6) for drawn in axes.images]
    assert lefts[:2] == lefts[3:] and len(set(lefts)) == 3  # two rows
    assert figure.texts[0].get_text() == "some images"
    assert encode(figure, "png").startswith(b"\x89PNG")


def test_mistakes_alone_are_red_and_framed() -> None:
    captions = [Caption(("true: coat", "bag"), " 51 %", is_mistake=True), Caption(("true: bag", "bag"), " 99 %")]
    (axes,) = draw_grid(IMAGES[:2], captions, 2, "").axes
    assert [text.get_color() for text in axes.texts] == [MISTAKE, MISTAKE, "black", "black"]
    (frame,) = axes.lines
    assert frame.get_color() == MISTAKE and max(frame.get_xdata()) == axes.images[0].get_extent()[1]


def test_colours_are_kept_and_other_channels_averaged() -> None:
    (axes,) = draw_grid(np.repeat(IMAGES, 3, 1), NAMES, 5, "").axes
    assert axes.images[0].get_array().shape == (6, 4, 3)
    (axes,) = draw_grid(np.concatenate([IMAGES, IMAGES // 2], 1), NAMES, 5, "").axes
    np.testing.assert_array_equal(axes.images[1].get_array(), 3 * IMAGES[1, 0].astype(int) // 4)


def test_grid_of_many_images_stays_of_a_size_that_can_be_drawn() -> None:
    many = np.zeros((400, 1, 2, 2), np.uint8)
    figure = draw_grid(many, [Caption(("name",))] * 400, 400, "wide")
    assert figure.get_figwidth() * figure.dpi <= 48 * 150 and len(figure.axes[0].images) == 400


def test_long_names_are_cut() -> None:
    (axes,) = draw_grid(IMAGES[:1], [Caption(("a very long name of a class\nin two lines",))], 1, "").axes
    text = axes.texts[0].get_text()
    assert text.startswith("a very long") and text.endswith("\u2026") and "\n" not in text
    (axes,) = draw_grid(IMAGES[:1], [Caption(("women's best running shoes",), " 97 %")], 1, "").axes
    text = axes.texts[0].get_text()
    assert text.startswith("women's") and text.endswith("\u2026 97 %")


def test_of_many_classes_the_most_probable_are_drawn() -> None:
    probabilities = np.linspace(0, 1, 30, dtype=np.float32)
    bars = draw_own_picture(np.zeros((9, 9, 3), np.uint8), IMAGES[0], probabilities, list(map(str, range(30)))).axes[2]
    assert [tick.get_text() for tick in bars.get_yticklabels()] == [str(29 - index) for index in range(MAX_BARS)]
    assert bars.get_title() == "what the model says (first 20 of 30)"


def test_own_picture_stands_beside_what_the_model_saw_and_says() -> None:
    picture = np.full((30, 20, 3), 200, np.uint8)
    probabilities = np.array([0.1, 0.7, 0.2], np.float32)
    figure = draw_own_picture(picture, IMAGES[0], probabilities, ["coat", "bag", "shirt"])
    own, seen, bars = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["your picture", "what the model saw", "what the model says"]
    np.testing.assert_array_equal(own.images[0].get_array(), picture)
    np.testing.assert_array_equal(seen.images[0].get_array(), IMAGES[0, 0])
    assert [tick.get_text() for tick in bars.get_yticklabels()] == ["bag", "shirt", "coat"]
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([0.7, 0.2, 0.1])
    assert [text.get_text() for text in bars.texts] == ["70.0 %", "20.0 %", "10.0 %"]
    assert figure.get_suptitle() == "bag: 70 %"
    _, seen, _ = draw_own_picture(picture, np.zeros((1, 6, 4), np.uint8), probabilities, ["a", "b", "c"]).axes
    assert seen.get_title() == "what the model saw: hardly anything"
