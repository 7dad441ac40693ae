"""What all figures share: colours that colour-blind readers can tell apart, sizes that a phone can show, files."""

import io
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a third of a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart, without the yellow that white paper swallows.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE = COLORS[0]
GREY, PALE = "#666666", "#CCCCCC"
LINES = ("-", "--", "-.", ":")
MAX_STYLES = len(COLORS) * len(LINES)  # the numbers of colours and lines have no common divisor
DPI = 150
PAGE_WIDTH = 6.5  # inches: text of 9 points is then 8 pixels high on a phone
FORMATS = ("png", "svg", "pdf")
# Matplotlib's own font has hardly a Chinese or other Asian character.
ASIAN_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Heiti SC", "Microsoft YaHei", "SimHei"),
)


def new_figure(width: float, height: float, *, dpi: float = DPI) -> "Figure":
    """Make an empty figure, sizes in inches, that finds room for its labels and legends by itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def line_style(index: int) -> dict[str, Any]:
    """Choose the look of one line among several; the first `MAX_STYLES` all differ."""
    return {"color": COLORS[index % len(COLORS)], "linestyle": LINES[index % len(LINES)], "linewidth": 1.7}


def finish(axes: "Axes") -> None:
    """Give axes the grid and the two spines that all have."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def encode(figure: "Figure", suffix: str) -> bytes:
    """Draw a figure as a file.

    Args:
        figure: of matplotlib; its labels get their places and their fonts here.
        suffix: one of `FORMATS`.

    Returns:
        The file's content, the same for the same figure.
    """
    from matplotlib import rc_context
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    installed = set(get_font_names())
    fonts = ["DejaVu Sans", *(name for name in ASIAN_FONTS if name in installed)]
    for text in figure.findobj(Text):
        text.set_fontfamily(fonts)
    content = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
    # Composing the images of an SVG into one takes minutes where there are a thousand.
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "fashion-softmax", "image.composite_image": False}):
        warnings.filterwarnings("ignore", message="Glyph")  # a character that no font has becomes a box
        figure.savefig(content, format=suffix, metadata=metadata)
        figure.set_layout_engine("none")  # it has its places now, also in the next file
    return content.getvalue()
