"""The lesson's figure, for one setting or several: training loss, training accuracy and test accuracy over epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fashion_softmax.errors import CheckpointError
from fashion_softmax.figures.style import COLORS, PALE, encode, finish, new_figure
from fashion_softmax.viewing.ranking import Comparison
from fashion_softmax.viewing.runs import RecordedRun, is_accuracy

if TYPE_CHECKING:  # a third of a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "train/loss": "training loss",
    "train/cross_entropy": "training cross-entropy",
    "train/accuracy": "training accuracy",
    "val/accuracy": "validation accuracy",
    "test/accuracy": "test accuracy",
}
STYLES = ("-", "--", ":")
MAX_LINES = len(COLORS) * 2  # beyond, nobody finds a line in the legend; the rest are grey
MAX_NAME, MAX_LEGEND_LENGTH = 80, 160  # characters
LOG_SPREAD = 1000  # largest by smallest value of an axis that is logarithmic


@dataclass(frozen=True)
class _Line:
    name: str
    runs: Sequence[RecordedRun]

    def points(self, tag: str) -> tuple[list[int], list[list[float]]]:
        """Collect an epoch's values of all runs, as far as all have come."""
        epochs, values = [], []
        for rows in zip(*(run.rows for run in self.runs), strict=False):
            found = [values[tag] for values in rows if tag in values]
            if len(found) == len(self.runs):
                epochs.append(int(rows[0]["epoch"]))
                values.append(found)
        return epochs, values


def draw_curves(comparison: Comparison) -> bytes:
    """Draw the figure of `make_figure` as a PNG."""
    return encode(make_figure(comparison), "png")


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
    lines = [_Line(comparison.name(setting), setting.runs) for setting in comparison.settings if setting.runs[0].rows]
    lines = lines or [_Line(run.name, [run]) for run in comparison.unfinished if run.rows]
    if not lines:
        raise CheckpointError("there is nothing to draw: no run has finished an epoch")
    has_validation = any("val/accuracy" in run.metrics for line in lines for run in line.runs)
    tags = ["train/loss", "train/accuracy", *(["val/accuracy"] if has_validation else []), "test/accuracy"]
    if len(lines) == 1:
        figure = new_figure(5.5, 4)
        panels = [figure.subplots()]
        _draw_together(panels[0], lines[0], tags)
    else:
        if "loss" in comparison.keys:
            tags[0] = "train/cross_entropy"
        height = 3.6 + 0.2 * -(-min(len(lines), MAX_LINES) // 2)
        figure = new_figure(3.8 * len(tags), height)
        panels = figure.subplots(1, len(tags), squeeze=False)[0]
        for axes, tag in zip(panels, tags, strict=True):
            _draw_one(axes, lines, tag)
        has_bands = any(len(line.runs) > 1 for line in lines)
        notes = ["lines: mean over seeds, bands: lowest to highest seed"] if has_bands else []
        notes += [f"grey: the other {len(lines) - MAX_LINES}"] if len(lines) > MAX_LINES else []
        figure.suptitle("; ".join(notes), fontsize="small", color="#555555")
    legend = panels[0].get_legend_handles_labels()
    if legend[1]:
        columns = min(3, max(1, MAX_LEGEND_LENGTH // max(map(len, legend[1]))))
        figure.legend(*legend, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _draw_together(axes: "Axes", line: _Line, tags: Sequence[str]) -> None:
    for tag, style, color in zip(tags, ("-", "--", "-.", ":"), COLORS, strict=False):
        epochs, values = line.points(tag)
        _draw(axes, epochs, values, color=color, linestyle=style, label=TITLES[tag])
    num_seeds = f", mean of {len(line.runs)} seeds" if len(line.runs) > 1 else ""
    axes.set_title(f"{line.name}{num_seeds}", parse_math=False)
    axes.set_ylabel("loss (mean per image), accuracy (fraction)")
    _finish(axes)


def _draw_one(axes: "Axes", lines: Sequence[_Line], tag: str) -> None:
    for index in reversed(range(len(lines))):  # the best last, on top of the others
        epochs, values = lines[index].points(tag)
        if index < MAX_LINES:
            color, style = COLORS[index % len(COLORS)], STYLES[index // len(COLORS)]
            _draw(axes, epochs, values, color=color, linestyle=style)
        elif epochs:
            axes.plot(epochs, [fmean(each) for each in values], color=PALE, linewidth=0.7, zorder=0)
    for index, line in enumerate(lines[:MAX_LINES]):  # named in their order, best first
        color, style = COLORS[index % len(COLORS)], STYLES[index // len(COLORS)]
        axes.plot([], [], color=color, linestyle=style, label=_as_text(line.name))
    drawn = [value for line in lines for found in line.points(tag)[1] for value in found if value > 0]
    if drawn and max(drawn) > LOG_SPREAD * min(drawn):
        axes.set_yscale("log")
    axes.set_title(TITLES[tag])
    axes.set_ylabel(
        "accuracy (fraction)" if is_accuracy(tag) else "mean per image (nats)" if "cross" in tag else "mean per image"
    )
    _finish(axes)


def _draw(axes: "Axes", epochs: Sequence[int], values: Sequence[Sequence[float]], **style: Any) -> None:
    """Draw the mean over seeds, and the range of the seeds as a band."""
    if not epochs:
        return
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, [fmean(each) for each in values], marker=marker, linewidth=1.6, **style)
    if len(values[0]) > 1:
        axes.fill_between(
            epochs, [min(each) for each in values], [max(each) for each in values], color=style["color"], alpha=0.15
        )


def _finish(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    finish(axes)


def _as_text(name: str) -> str:
    """Keep matplotlib from reading a name as a formula, and from leaving out one that begins with an underscore."""
    name = name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 3]}..."
    return f" {name}".replace("$", r"\$") if name.startswith("_") else name.replace("$", r"\$")
