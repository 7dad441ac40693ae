"""Pictures are looked at by people; here: their shapes and colours, and that no data set breaks them."""

import io

import numpy as np
import pytest
from PIL import Image

from fashion_softmax.dashboard.pictures import draw_confusion, draw_mistakes, draw_templates, to_png

LONG_NAMES = ["a very long name of a class that fits nowhere", "<b>|`\n", "类别", ""]


def make_names(count: int) -> list[str]:
    return [LONG_NAMES[index % 4] for index in range(count)]


def to_rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize(
    ("count", "height", "width"),
    [(1, 1, 1), (2, 28, 28), (10, 28, 28), (47, 8, 3), (130, 5, 5), (3, 300, 1), (2, 224, 400)],
)
def test_templates_of_any_size_are_drawn(count: int, height: int, width: int) -> None:
    weights = np.random.default_rng(0).normal(size=(count, height, width))
    image = draw_templates(weights, make_names(count))
    assert 84 < image.width < 2500 and 84 < image.height < 2500


def test_template_is_red_above_zero_blue_below_and_white_between() -> None:
    weights = np.array([[[1.0, -1.0], [0.0, 0.0]]])
    pixels = to_rgb(draw_templates(weights, ["x"]))[12:96, 12:96]
    red, blue, white = pixels[10, 10], pixels[10, 70], pixels[70, 10]
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50 and white.min() > 240


def test_templates_without_contrast_or_numbers_are_white() -> None:
    for value in (0.0, np.nan, np.inf):
        pixels = to_rgb(draw_templates(np.full((1, 4, 4), value), ["x"]))[12:96, 12:96]
        assert pixels.min() > 240


@pytest.mark.parametrize("count", [1, 2, 10, 21, 50, 51, 300])
def test_confusion_of_any_number_of_classes_is_drawn(count: int) -> None:
    counts = np.random.default_rng(0).integers(0, 99999, (count, count))
    counts[0] = 0  # a class without images
    image = draw_confusion(counts, make_names(count))
    assert 84 < image.width < 2500 and image.height < 2500


def test_confusion_is_dark_where_a_class_goes() -> None:
    pixels = to_rgb(draw_confusion(np.array([[9, 0], [1, 0]]), ["a", "b"]))
    bottom, right = pixels.shape[0] - 12, pixels.shape[1] - 12
    corners = [pixels[bottom - 46 * row + 3, right - 46 * column + 3] for row in (2, 1) for column in (2, 1)]
    assert [corner.mean() < 128 for corner in corners] == [True, False, True, False]


@pytest.mark.parametrize("shape", [(0, 1, 28, 28), (1, 1, 1, 1), (24, 3, 32, 32), (5, 2, 300, 100)])
def test_mistakes_of_any_shape_are_drawn(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    image = draw_mistakes(images, make_names(shape[0]), make_names(shape[0]), [0.5] * shape[0], "a title")
    assert image.mode == ("RGB" if shape[1] == 3 else "L") and image.width < 2500


def test_mistakes_show_the_images_as_they_are() -> None:
    images = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2) * 10
    pixels = to_rgb(draw_mistakes(images, ["a", "b"], ["b", "a"], [1.0, 0.5]))
    assert pixels[45, 15].tolist() == images[0, :, 0, 0].tolist()


def test_png_is_read_back_as_it_was() -> None:
    counts = np.eye(3, dtype=int)
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 28, 28)).astype(np.uint8)
    two = ["a", "b"]
    for image in (
        draw_templates(np.random.default_rng(0).normal(size=(2, 9, 9)), two),
        draw_confusion(counts, ["a", "b", "c"]),
        draw_mistakes(images, two, two, [1.0, 1.0]),
        draw_mistakes(images[:, :1], two, two, [1.0, 1.0]),
    ):
        with Image.open(io.BytesIO(to_png(image))) as read:
            assert read.mode == image.mode and np.array_equal(to_rgb(read), to_rgb(image))
