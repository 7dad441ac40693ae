"""Colours of the pictures, as palettes: a picture of palette entries is a third of the size, and as fast to make."""

import functools

import numpy as np
from numpy.typing import NDArray

INK = 34  # a grey, of text
# ColorBrewer's RdBu and Blues, https://colorbrewer2.org
DIVERGING = ((5, 48, 97), (67, 147, 195), (247, 247, 247), (214, 96, 77), (103, 0, 31))
SEQUENTIAL = ((255, 255, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 48, 107))
NUM_COLOURS = 241  # of a palette's 256, odd so that 0 has the middle one; the other 15 are greys, for text
NUM_LEVELS, NUM_STRENGTHS = 31, 8  # of blue, and of the text upon each, which is what makes its edges smooth
GRID_LINE = 255


@functools.cache
def _colours(anchors: tuple[tuple[int, int, int], ...], count: int) -> NDArray[np.uint8]:
    """Blend colours into a scale, shape (count, 3)."""
    places = np.linspace(0, len(anchors) - 1, count)
    channels = [np.interp(places, range(len(anchors)), channel) for channel in zip(*anchors, strict=True)]
    return np.stack(channels, 1).round().astype(np.uint8)


@functools.cache
def make_palette() -> bytes:
    """Make a palette of 256 colours: red above the middle of `NUM_COLOURS`, blue below, and greys at the end."""
    greys = np.linspace(0, 255, 256 - NUM_COLOURS).round().astype(np.uint8)
    return _colours(DIVERGING, NUM_COLOURS).tobytes() + greys.repeat(3).tobytes()


@functools.cache
def make_text_palette() -> bytes:
    """Mix every level of blue with the colour of the text upon it; the rest is for lines."""
    levels = _colours(SEQUENTIAL, NUM_LEVELS)[:, None].astype(float)
    on_dark = (np.arange(NUM_LEVELS) > NUM_LEVELS // 2)[:, None, None]
    strengths = np.linspace(0, 1, NUM_STRENGTHS)[:, None]
    mixed = levels + (np.where(on_dark, 255, INK) - levels) * strengths
    colours: bytes = mixed.round().astype(np.uint8).tobytes()
    return colours.ljust(3 * 256, b"\xdc")


def to_greys(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn greys from 0 to 255 into entries of the diverging palette, shape (rows, columns)."""
    steps = 255 - NUM_COLOURS
    return (NUM_COLOURS + pixels.astype(np.uint16) * steps // 255).astype(np.uint8)
