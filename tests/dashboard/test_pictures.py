"""Pictures are looked at by people; here: their shapes and colours, and that no data set breaks them."""

import io

import numpy as np
import pytest
from PIL import Image

from fashion_softmax.dashboard.pictures import (
    GAP,
    LINE,
    WIDTH,
    cut,
    draw_confusion,
    draw_reliability,
    draw_sheet,
    draw_templates,
    to_png,
)
from fashion_softmax.learning.predictions import Predictions

LONG_NAMES = ["a very long name of a class that fits nowhere", "<b>|`\n", "类别", ""]


def make_names(count: int) -> list[str]:
    return [LONG_NAMES[index % 4] for index in range(count)]


def to_rgb(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize(("count", "height", "width"), [(1, 1, 1), (10, 28, 28), (130, 5, 3), (3, 300, 1)])
def test_templates_and_confusions_of_any_size_are_drawn(count: int, height: int, width: int) -> None:
    weights = np.random.default_rng(0).normal(size=(count, height, width))
    counts = np.random.default_rng(0).integers(0, 99999, (count, count))
    counts[0] = 0  # a class without images
    names = make_names(count)
    for image in (draw_templates(weights, names), draw_confusion(counts, names, "a title")):
        assert 84 < image.width < 2500 and 84 < image.height < 2500


def test_template_is_red_above_zero_blue_below_and_white_between() -> None:
    pixels = to_rgb(draw_templates(np.array([[[1.0, -1.0], [0.0, 0.0]]]), ["x"]))[-56 - GAP - LINE : -GAP - LINE, GAP:]
    red, blue, white = pixels[10, 10], pixels[10, 46], pixels[46, 10]
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50 and white.min() > 240
    for value in (0.0, np.nan, np.inf):
        pixels = to_rgb(draw_templates(np.full((1, 4, 4), value), ["x"]))[-56 - GAP - LINE : -GAP - LINE]
        assert pixels.min() > 240


def test_confusion_is_dark_where_a_class_goes() -> None:
    counts = np.zeros((12, 12), int)
    counts[-2:, -2:] = [[9, 0], [1, 0]]
    pixels = to_rgb(draw_confusion(counts, [*"abcdefghijkl"], ""))
    bottom, right = pixels.shape[0] - GAP, pixels.shape[1] - GAP
    corners = [pixels[bottom - 26 * row + 3, right - 26 * column + 3] for row in (2, 1) for column in (2, 1)]
    assert [corner.mean() < 128 for corner in corners] == [True, False, True, False]


@pytest.mark.parametrize("shape", [(1, 1, 1), (24, 32, 32, 3), (5, 84, 30)])
def test_sheet_shows_images_of_any_shape_as_they_are(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    sheet = draw_sheet(images, [make_names(2)] * len(images), "a title")
    assert sheet.mode == ("RGB" if len(shape) == 4 else "L") and sheet.width < 2500
    np.testing.assert_array_equal(np.asarray(sheet)[LINE + 2 * GAP, GAP], images[0, 0, 0])


def test_pictures_of_ten_classes_have_the_width_that_tensorboard_shows() -> None:
    names = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
    images = np.zeros((15, 28, 28), np.uint8)
    labels = np.arange(10)
    predictions = Predictions(labels, labels, np.full(10, 0.9, np.float32))
    pictures = [
        draw_templates(np.zeros((10, 28, 28)), names),
        draw_confusion(np.full((10, 10), 1000), names, "10000 test images, 83.1% correct"),
        draw_sheet(images, [("true: ankle boot", "ankle boot (100 %)")] * 15, "the most confident mistakes " * 5),
        draw_reliability(predictions),
    ]
    assert [picture.width for picture in pictures] == [WIDTH] * 4
    assert draw_reliability(predictions, scale=3).width == 3 * WIDTH


def test_png_is_read_back_as_it_was() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 28, 28)).astype(np.uint8)
    for image in (draw_confusion(np.eye(3, dtype=int), ["a", "b", "c"], ""), draw_sheet(images, [["a"]] * 2, "")):
        with Image.open(io.BytesIO(to_png(image))) as read:
            assert read.mode == image.mode and np.array_equal(to_rgb(read), to_rgb(image))


def test_texts_are_cut_to_one_line_of_so_many_letters() -> None:
    assert cut("ankle boot", 10) == "ankle boot" and cut("two\nlines", 20) == "two lines"
    assert cut("ankle boots", 10) == "ankle boo\u2026" and cut("\u5916\u5957\u88e4", 5) == "\u5916\u5957\u2026"
