"""What is in grids of images and in figures of predictions."""

import numpy as np
import pytest
from figures import encode, new_figure
from image_figures import MAX_BARS, MISTAKE, draw_grid, draw_prediction

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


def test_characters_that_no_font_has_are_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("figures.ASIAN_FONTS", ())
    for names, told in ((NAMES, "no font of this machine has are drawn as boxes; install one"), ([("bag",)] * 5, "")):
        encode(draw_grid(IMAGES, names, 3, "some images"), "png")
        err = capsys.readouterr().err
        assert told in err and bool(err) == bool(told) and err.count("\n") <= 1


def test_mistakes_alone_are_red_and_framed() -> None:
    captions = [("true: coat", "51 % bag"), ("true: bag", "99 % women's best running shoes")]
    (axes,) = draw_grid(IMAGES[:2], captions, 2, "", [0]).axes
    assert [text.get_color() for text in axes.texts] == [MISTAKE, MISTAKE, "black", "black"]
    (frame,) = axes.lines
    assert frame.get_color() == MISTAKE and max(frame.get_xdata()) == axes.images[0].get_extent()[1]
    assert axes.texts[3].get_text() == "99 % women's best\u2026"


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
