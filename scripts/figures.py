"""Figures: what all share (colours, sizes, files), and the lesson's own, the curves of one setting or several.

Colour-blind readers can tell the colours apart, and a phone can show the sizes.
"""

import io
import logging
import sys
import warnings
from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fashion_softmax.dashboard.console import cut
from fashion_softmax.errors import CheckpointError
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.viewing.ranking import Comparison

if TYPE_CHECKING:  # a third of a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart, without the yellow that white paper swallows.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE = COLORS[0]
GREY, PALE = "#666666", "#CCCCCC"
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*", "p", "d")  # of many lines
MANY = 6  # lines, from which on colours and dashes alone are hard to follow
MAX_STYLES = len(COLORS) * len(LINES)  # the numbers of colours and lines have no common divisor
DPI = 150
PAGE_WIDTH = 6.5  # inches: text of 9 points is then 8 pixels high on a phone
# Matplotlib's own font has hardly a Chinese or other Asian character.
ASIAN_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
    *("PingFang SC", "Heiti SC", "Microsoft YaHei", "SimHei"),
)
CURVES = {  # their names, and what their axis shows
    "train/loss": ("training loss", "mean per image"),
    "train/cross_entropy": ("training cross-entropy", "mean per image (nats)"),
    "train/accuracy": ("training accuracy", "accuracy (fraction)"),
    "val/accuracy": ("validation accuracy", "accuracy (fraction)"),
    "test/accuracy": ("test accuracy", "accuracy (fraction)"),
}
OTHERS = {"color": PALE, "linewidth": 0.7, "zorder": 0}
MAX_LINES = MAX_STYLES // 2  # more would be a legend that nobody reads; the rest are grey
MAX_NAME = 60  # characters


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
        suffix: png, svg or pdf.

    Returns:
        The file's content, the same for the same figure.
    """
    from matplotlib import get_cachedir, rc_context
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    installed = set(get_font_names())
    fonts = ["DejaVu Sans", *(name for name in ASIAN_FONTS if name in installed)]
    for text in figure.findobj(Text):
        text.set_fontfamily(fonts)
    content = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font in another weight does as well
    # Composing the images of an SVG into one takes minutes where there are a thousand.
    with (
        warnings.catch_warnings(record=True) as caught,
        rc_context({"svg.hashsalt": "fashion-softmax", "image.composite_image": False}),
    ):
        warnings.filterwarnings("always", message="Glyph")
        figure.savefig(content, format=suffix, metadata=metadata)
        figure.set_layout_engine("none")  # it has its places now, also in the next file
    others = [each for each in caught if "Glyph" not in str(each.message)]
    for each in others:
        warnings.warn(each.message, each.category, stacklevel=2)
    if len(others) < len(caught):
        remedy = f"install one, such as Noto Sans CJK, and delete {get_cachedir()}"
        print(f"characters that no font of this machine has are drawn as boxes; {remedy}", file=sys.stderr)
    return content.getvalue()


def make_figure(comparison: Comparison) -> "Figure":
    """Draw the curves of all settings, or of the runs that did not complete where there is no other.

    Args:
        comparison: of the runs.

    Returns:
        The figure. One setting has one panel with all its curves, several have a panel for each curve. Where their
        losses differ, cross-entropy takes the place of the training loss: losses cannot be compared with each other.

    Raises:
        CheckpointError: no run has finished an epoch.
    """
    from matplotlib.ticker import MaxNLocator

    groups = [(setting.name, setting.runs) for setting in comparison.settings if setting.runs[0].rows]
    groups = groups or [(run.name, [run]) for run in comparison.unfinished if run.rows]
    if not groups:
        raise CheckpointError("there is nothing to draw: no run has finished an epoch")
    has_validation = any("val/accuracy" in run.metrics for _, runs in groups for run in runs)
    loss = "train/cross_entropy" if len(groups) > 1 and "loss" in comparison.keys else "train/loss"
    tags = [loss, "train/accuracy", *(["val/accuracy"] if has_validation else []), "test/accuracy"]
    has_seeds = any(len(runs) > 1 for _, runs in groups)
    if len(groups) == 1:
        ((name, runs),) = groups
        title = f"{name}, mean of {len(runs)} seeds" if has_seeds else name
        # By title and label of the axis: name, runs and tag of each curve.
        panels = {(title, "loss (mean per image), accuracy (fraction)"): [(CURVES[tag][0], runs, tag) for tag in tags]}
        figure = new_figure(5.5, 4)
    else:
        panels = {CURVES[tag]: [(_as_text(name), runs, tag) for name, runs in groups] for tag in tags}
        is_large = len(groups) > MANY
        figure = new_figure(3.8 * len(tags), (4.6 if is_large else 3.6) + 0.2 * -(-min(len(groups), MAX_LINES) // 4))
        bands = "; bands, of the best three: lowest to highest seed" if is_large else "; bands: lowest to highest seed"
        notes = [f"lines: mean over seeds{bands}"] * has_seeds
        notes += [f"grey: the other {len(groups) - MAX_LINES}"] * (len(groups) > MAX_LINES)
        figure.suptitle("; ".join(notes), fontsize="small", color="#555555")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, ((title, label), curves) in zip(all_axes, panels.items(), strict=True):
        for index, (name, runs, tag) in enumerate(curves):  # the best on top of the others
            style = {"label": name, "zorder": 3 - index / MAX_LINES, **line_style(index)}
            if len(curves) > MANY:
                style |= {"marker": MARKERS[index % len(MARKERS)], "markevery": (index % 3 / 10, 0.3), "markersize": 6}
            _draw_curve(
                axes,
                runs,
                tag,
                has_band=index < len(curves) <= MANY or index < 3,
                **(style if index < MAX_LINES else OTHERS),
            )
        axes.set_title(title, parse_math=False)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        finish(axes)
    ncols = 4 if len(groups) > MANY else 2
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=ncols, frameon=False)
    return figure


def _draw_curve(axes: "Axes", runs: Sequence[RunFolder], tag: str, *, has_band: bool, **style: Any) -> None:
    """Draw the mean over seeds and, if asked, their range behind it, as far as all runs have come."""
    rows = [each for each in zip(*(run.rows for run in runs), strict=False) if all(tag in row for row in each)]
    epochs, values = [each[0]["epoch"] for each in rows], [[row[tag] for row in each] for each in rows]
    style |= {"marker": style.get("marker", "o"), "markevery": None} if len(epochs) == 1 else {}
    axes.plot(epochs, list(map(fmean, values)), **style)
    if len(runs) > 1 and has_band:
        axes.fill_between(epochs, list(map(min, values)), list(map(max, values)), color=style["color"], alpha=0.15)


def _as_text(name: str) -> str:
    """Keep matplotlib from reading a name as a formula, and from leaving out one that begins with an underscore."""
    return f"{' ' if name.startswith('_') else ''}{cut(name, MAX_NAME)}".replace("$", r"\$")
