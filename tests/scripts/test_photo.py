"""Pictures of one's own become images as those of a data set."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from photo import read_photo
from PIL import Image

from fashion_softmax.data import load_published
from fashion_softmax.errors import DataError

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


FASHION = draw_trousers()[None, None]


def test_dark_thing_anywhere_on_light_ground_is_found_inverted_and_scaled(tmp_path: Path) -> None:
    page = np.full((700, 900, 3), (240, 236, 230), np.uint8)
    thing = 240 - enlarge(draw_trousers()) * 240.0 / 255
    page[100:520, 300:720] = np.minimum(page[100:520, 300:720], thing[..., None]).astype(np.uint8)
    photo = read_photo(save(tmp_path / "a.jpg", page, quality=90), FASHION)
    assert is_like(photo.image, draw_trousers() * 255.0 / 230) and INVERTED in photo.steps
    assert photo.picture.shape == (700, 900, 3) and photo.image.dtype == np.uint8
    assert photo.image.flags.writeable  # torch warns of other arrays


def test_transparent_ground_becomes_white(tmp_path: Path) -> None:
    shape = enlarge(draw_trousers()) > 0
    pixels = np.dstack([np.full((*shape.shape, 3), 30, np.uint8), 255 * shape.astype(np.uint8)])
    photo = read_photo(save(tmp_path / "a.png", pixels), FASHION)
    assert is_like(photo.image, np.where(draw_trousers() > 0, 255, 0)) and INVERTED in photo.steps


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "CMYK", "LA"])
def test_every_kind_of_picture_is_read(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(enlarge(np.where(draw_trousers() > 0, 255, 0).astype(np.uint8))).convert(mode)
    photo = read_photo(save(tmp_path / f"a.{'tiff' if mode == 'CMYK' else 'png'}", picture), FASHION)
    assert is_like(photo.image, np.where(draw_trousers() > 0, 255, 0)) and INVERTED not in photo.steps


def test_turned_photo_stands_upright(tmp_path: Path) -> None:
    lying = Image.fromarray(enlarge(draw_trousers())).rotate(90, expand=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 270 degrees to view
    photo = read_photo(save(tmp_path / "a.jpg", lying, exif=exif), FASHION)
    assert is_like(photo.image, draw_trousers() * 255.0 / 230)


def test_colours_are_kept_for_a_model_of_colours(tmp_path: Path) -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:, 10:50] = (250, 20, 120)
    photo = read_photo(save(tmp_path / "a.png", pixels), FASHION.repeat(3, 1)[..., :12, :12])
    assert photo.image[:, 6, 6].tolist() == [250, 20, 120] and photo.image[:, 6, 0].tolist() == [0, 0, 0]


def test_light_thing_on_dark_ground_is_inverted_for_a_data_set_of_light_ground(tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / "a.png", enlarge(draw_trousers())), 255 - FASHION)
    assert is_like(photo.image, 255 - draw_trousers() * 255.0 / 230)
    assert "inverted: the picture is light on dark, the data set's images are dark on light" in photo.steps


def test_margin_of_the_data_set_is_kept(tmp_path: Path) -> None:
    digits = np.zeros((3, 1, 28, 28), np.uint8)
    digits[:, :, 4:24, 10:16] = 255
    digit = np.full((300, 200), 255, np.uint8)
    digit[50:250, 90:110] = 0
    photo = read_photo(save(tmp_path / "a.png", digit), digits)
    rows, columns = (photo.image[0] > 127).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 13, 14)


@pytest.mark.parametrize(("thing", "ground"), [(30, 110), (240, 145), (160, 120)])
def test_thing_is_told_from_its_ground_by_what_is_lighter_and_stretched(
    thing: int, ground: int, tmp_path: Path
) -> None:
    pixels = np.pad(np.where(enlarge(draw_trousers()) > 0, thing, ground), 20, constant_values=ground)
    photo = read_photo(save(tmp_path / "a.png", pixels.astype(np.uint8)), FASHION)
    np.testing.assert_array_equal(photo.image[0], np.where(draw_trousers() > 0, 255, 0))
    assert (INVERTED in photo.steps) == (thing < ground)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (50, 40)])
def test_picture_of_nothing_is_said_to_be_one(size: tuple[int, int], tmp_path: Path) -> None:
    photo = read_photo(save(tmp_path / "a.png", np.full(size, 255, np.uint8)), FASHION)
    assert photo.image.max() == 0 and photo.steps[-1] == "hardly anything is to be seen on it"


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"<svg></svg>"])
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png: cannot be read as a picture"):
        read_photo(path, FASHION)


def test_cut_missing_and_huge_pictures_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="truncated"):
        read_photo(path, FASHION)
    with pytest.raises(DataError, match="No such file"):
        read_photo(tmp_path / "none.png", FASHION)
    with pytest.raises(DataError, match="2 channels"):
        read_photo(path, FASHION.repeat(2, 1))
    for size in ((10_000, 9_000), (20_000, 10_000)):  # Pillow warns of the first and refuses the second
        with pytest.raises(DataError, match="exceeds limit"):
            read_photo(save(tmp_path / "b.png", Image.new("1", size)), FASHION)


@pytest.mark.slow
@pytest.mark.real_data
def test_enlarged_inverted_images_come_back(fashion_mnist_root: Path, tmp_path: Path) -> None:
    dataset = load_published(name="fashion_mnist", root=str(fashion_mnist_root))
    images = dataset.test.images.numpy()[:20, 0]
    errors = []
    for image in images:
        page = np.full((600, 640), 255, np.uint8)
        page[90:510, 110:530] = 255 - enlarge(image)
        photo = read_photo(save(tmp_path / "a.png", page), images[:, None])
        errors.append(np.abs(photo.image[0].astype(float) - image).mean())
    # Where the faint edge of a thing is taken for ground, it is scaled up by a pixel of 28, and moved by half a pixel.
    assert np.median(errors) < 5 and np.mean(errors) < 10
