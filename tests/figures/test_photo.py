"""Pictures of one's own become images as those of a data set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fashion_softmax.data.idx import read_images
from fashion_softmax.errors import DataError
from fashion_softmax.figures.photo import Habits, read_photo, study

FASHION = Habits(background=0, extent=1.0)
GREY = (1, 28, 28)
INVERTED = "inverted: the picture is dark on light, the data set's images are light on dark"


def draw_trousers() -> np.ndarray:
    """Draw an image as Fashion-MNIST has them: two bright legs that fill the height."""
    image = np.zeros((28, 28), np.uint8)
    image[:, 9:13] = image[:, 15:19] = 200
    image[:6, 9:19] = 230
    return image


def enlarge(image: np.ndarray, times: int = 15) -> np.ndarray:
    return image.repeat(times, 0).repeat(times, 1)


def save(path: Path, pixels: Any, **options: Any) -> Path:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)
    return path


def is_like(found: np.ndarray, expected: np.ndarray) -> bool:
    """Compare after scaling up and down, of which edges keep a trace."""
    return float(np.abs(found[0].astype(float) - expected).mean()) < 4


def test_picture_of_the_right_size_is_taken_as_it_is_or_inverted_exactly(tmp_path: Path) -> None:
    image = draw_trousers()
    bag = np.random.default_rng(0).integers(60, 180, (28, 28), np.uint8)  # fills its frame
    for pixels, expected, step in (
        (image, image, "taken as it is"),
        (255 - image, image, INVERTED),
        (bag, bag, "taken as it is"),
    ):
        photo = read_photo(save(tmp_path / "a.png", pixels), FASHION, GREY)
        np.testing.assert_array_equal(photo.image, expected[None])
        assert photo.steps == [step]


def test_dark_thing_anywhere_on_light_ground_is_found_inverted_and_scaled(tmp_path: Path) -> None:
    image = draw_trousers()
    page = np.full((700, 900, 3), (240, 236, 230), np.uint8)
    thing = 240 - enlarge(image) * 240.0 / 255
    page[100:520, 300:720] = np.minimum(page[100:520, 300:720], thing[..., None]).astype(np.uint8)
    photo = read_photo(save(tmp_path / "a.jpg", page, quality=90), FASHION, GREY)
    assert is_like(photo.image, image) and INVERTED in photo.steps
    assert photo.picture.shape == (700, 900, 3) and photo.image.dtype == np.uint8


@pytest.mark.parametrize("brightness", [30, 230])
def test_transparent_ground_takes_the_colour_that_shows_the_thing(brightness: int, tmp_path: Path) -> None:
    shape = enlarge(draw_trousers()) > 0
    pixels = np.dstack([np.full((*shape.shape, 3), brightness, np.uint8), 255 * shape.astype(np.uint8)])
    photo = read_photo(save(tmp_path / "a.png", pixels), FASHION, GREY)
    assert is_like(photo.image, np.where(draw_trousers() > 0, 255 - 30 if brightness == 30 else 230, 0))
    ground = "white" if brightness == 30 else "black"
    assert f"transparent parts became {ground}" in photo.steps


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "CMYK", "I;16", "LA"])
def test_every_kind_of_picture_is_read(mode: str, tmp_path: Path) -> None:
    pixels = enlarge(draw_trousers())
    if mode == "I;16":
        picture = Image.fromarray(pixels.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(pixels).convert(mode)
    suffix = "tiff" if mode == "CMYK" else "png"
    photo = read_photo(save(tmp_path / f"a.{suffix}", picture), FASHION, GREY)
    assert is_like(photo.image, draw_trousers())  # "1" is dithered: as many white points as make the grey


def test_turned_photo_stands_upright(tmp_path: Path) -> None:
    lying = Image.fromarray(enlarge(draw_trousers())).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 270 degrees to view
    photo = read_photo(save(tmp_path / "a.jpg", lying, exif=exif), FASHION, GREY)
    assert is_like(photo.image, draw_trousers())


def test_colours_are_kept_for_a_model_of_colours(tmp_path: Path) -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, 10:50] = (250, 20, 120)
    photo = read_photo(save(tmp_path / "a.png", pixels), FASHION, (3, 12, 12))
    assert photo.image[:, 6, 6].tolist() == [250, 20, 120] and photo.image[:, 6, 0].tolist() == [0, 0, 0]


def test_light_thing_on_dark_ground_is_inverted_for_a_data_set_of_light_ground_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", enlarge(draw_trousers()))
    photo = read_photo(path, FASHION, GREY)
    assert is_like(photo.image, draw_trousers()) and INVERTED not in photo.steps
    photo = read_photo(path, Habits(background=255, extent=1.0), GREY)
    assert is_like(photo.image, 255 - draw_trousers())
    assert "inverted: the picture is light on dark, the data set's images are dark on light" in photo.steps


def test_habits_are_those_of_the_images() -> None:
    fashion = np.stack([draw_trousers()] * 3)[:, None]
    assert study(fashion) == Habits(0, 1.0)
    digits = np.zeros((3, 1, 28, 28), np.uint8)
    digits[:, :, 4:24, 10:16] = 255
    assert study(digits) == Habits(0, 20 / 28) and study(255 - digits) == Habits(255, 20 / 28)


def test_margin_of_the_data_set_is_kept(tmp_path: Path) -> None:
    digit = np.full((300, 200), 255, np.uint8)
    digit[50:250, 90:110] = 0
    photo = read_photo(save(tmp_path / "a.png", digit), Habits(0, 20 / 28), GREY)
    rows, columns = (photo.image[0] > 127).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 13, 14)


@pytest.mark.parametrize(("thing", "ground"), [(30, 110), (240, 145), (160, 120)])
def test_thing_is_told_from_its_ground_by_what_is_lighter(thing: int, ground: int, tmp_path: Path) -> None:
    shape = enlarge(draw_trousers()) > 0
    photo = read_photo(save(tmp_path / "a.png", np.where(shape, thing, ground).astype(np.uint8)), FASHION, GREY)
    seen = photo.image[0] > 20
    np.testing.assert_array_equal(seen, draw_trousers() > 0)
    assert (INVERTED in photo.steps) == (thing < ground)


def test_light_from_one_side_is_not_taken_for_a_thing(tmp_path: Path) -> None:
    page = np.full((600, 800), 1.0)
    page[90:510, 190:610] = 1 - enlarge(draw_trousers()) / 255 * 0.8
    page *= np.linspace(130, 250, 800) * np.linspace(0.85, 1, 600)[:, None]
    photo = read_photo(save(tmp_path / "a.png", page.astype(np.uint8)), FASHION, GREY)
    np.testing.assert_array_equal(photo.image[0] > 40, draw_trousers() > 0)
    assert photo.image[0][draw_trousers() == 0].max() < 10


def test_thing_that_reaches_the_border_does_not_tilt_the_ground(tmp_path: Path) -> None:
    page = np.full((420, 700), 230, np.uint8)
    page[:, 140:560] = 230 - (enlarge(draw_trousers()) * 0.9).astype(np.uint8)  # as high as the picture
    photo = read_photo(save(tmp_path / "a.png", page), FASHION, GREY)
    np.testing.assert_array_equal(photo.image[0] > 40, draw_trousers() > 0)


def test_uneven_ground_is_said_to_be_one(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 80), np.uint8)
    assert any("uneven" in step for step in read_photo(save(tmp_path / "a.png", noise), FASHION, GREY).steps)


@pytest.mark.parametrize("ground", [(0, 0, 255), (255, 255, 0), (255, 255, 255)])
@pytest.mark.parametrize("background", [0, 255])
def test_saturated_grounds_are_no_trouble(ground: tuple[int, ...], background: int, tmp_path: Path) -> None:
    shape = enlarge(draw_trousers()) > 0
    pixels = np.where(shape[..., None], np.uint8(128), np.array(ground, np.uint8))
    photo = read_photo(save(tmp_path / "a.png", pixels), Habits(background, 1.0), (3, 28, 28))  # warnings are errors
    assert (photo.image[:, 0, 0] == background).all() and np.ptp(photo.image) > 50


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (50, 40)])
def test_picture_of_nothing_is_said_to_be_one(size: tuple[int, int], tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / "a.png", np.full(size, 255, np.uint8)), FASHION, GREY)
    assert photo.image.max() == 0 and photo.steps[-1] == "hardly anything is to be seen on it"


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"<svg></svg>"])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: (is no picture that can be read|cannot be read)"):
        read_photo(path, FASHION, GREY)


def test_cut_missing_and_huge_pictures_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="truncated"):
        read_photo(path, FASHION, GREY)
    with pytest.raises(DataError, match="No such file"):
        read_photo(tmp_path / "none.png", FASHION, GREY)
    with pytest.raises(DataError, match="2 channels"):
        read_photo(path, FASHION, (2, 28, 28))
    for size in ((10_000, 9_000), (20_000, 10_000)):  # Pillow warns of the first and refuses the second
        with pytest.raises(DataError, match="too large"):
            read_photo(save(tmp_path / "b.png", Image.new("1", size)), FASHION, GREY)


@pytest.mark.real_data
def test_enlarged_inverted_images_come_back(fashion_mnist_root: Path, tmp_path: Path) -> None:
    images = read_images(fashion_mnist_root / "t10k-images-idx3-ubyte").numpy()[:20, 0]
    habits = study(images[:, None])
    assert habits == FASHION
    errors = []
    for image in images:
        page = np.full((600, 640), 255, np.uint8)
        page[90:510, 110:530] = 255 - enlarge(image)
        photo = read_photo(save(tmp_path / "a.png", page), habits, GREY)
        errors.append(np.abs(photo.image[0].astype(float) - image).mean())
    # Where the faint edge of a thing is taken for ground, it is scaled up by a pixel of 28, and moved by half a pixel.
    assert np.median(errors) < 5 and np.mean(errors) < 10
