"""The lesson's figure, for one setting or several: training loss, training accuracy and test accuracy over epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from fashion_softmax.dashboard.pictures import cut
from fashion_softmax.errors import CheckpointError
from fashion_softmax.figures.style import MAX_STYLES, PALE, finish, line_style, new_figure
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
MAX_LINES = MAX_STYLES // 2  # more would be a legend that nobody reads; the rest are grey
MAX_NAME, MAX_LEGEND_LENGTH = 80, 160  # characters
LOG_SPREAD = 1000  # largest by smallest value of an axis that is logarithmic


@dataclass(frozen=True)
class _Line:
    """A setting's curve of one metric, as far as all its runs have come; values of each epoch, a list over seeds."""

    name: str
    epochs: list[int]
    values: list[list[float]]

    def draw(self, axes: "Axes", **style: Any) -> None:
        """Draw the mean over seeds, and the range of the seeds as a band."""
        marker = "o" if len(self.epochs) == 1 else None
        axes.plot(self.epochs, list(map(fmean, self.values)), marker=marker, **style)
        if self.epochs and len(self.values[0]) > 1:
            low, high = list(map(min, self.values)), list(map(max, self.values))
            axes.fill_between(self.epochs, low, high, color=style["color"], alpha=0.15)


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
    groups = [(setting.name, setting.runs) for setting in comparison.settings if setting.runs[0].rows]
    groups = groups or [(run.name, [run]) for run in comparison.unfinished if run.rows]
    if not groups:
        raise CheckpointError("there is nothing to draw: no run has finished an epoch")
    has_validation = any("val/accuracy" in run.metrics for _, runs in groups for run in runs)
    loss = "train/cross_entropy" if len(groups) > 1 and "loss" in comparison.keys else "train/loss"
    tags = [loss, "train/accuracy", *(["val/accuracy"] if has_validation else []), "test/accuracy"]
    lines = {tag: [_collect(name, runs, tag) for name, runs in groups] for tag in tags}
    max_seeds = max(len(runs) for _, runs in groups)
    if len(groups) == 1:
        figure = new_figure(5.5, 4)
        panels = [figure.subplots()]
        for index, (tag, (line,)) in enumerate(lines.items()):
            line.draw(panels[0], label=TITLES[tag], **line_style(index))
        seeds = f", mean of {max_seeds} seeds" if max_seeds > 1 else ""
        _finish(panels[0], f"{groups[0][0]}{seeds}", "loss (mean per image), accuracy (fraction)")
    else:
        figure = new_figure(3.8 * len(tags), 3.6 + 0.2 * -(-min(len(groups), MAX_LINES) // 2))
        panels = figure.subplots(1, len(tags), squeeze=False)[0]
        for axes, tag in zip(panels, tags, strict=True):
            _draw_one(axes, lines[tag], tag)
        notes = ["lines: mean over seeds, bands: lowest to highest seed"] if max_seeds > 1 else []
        notes += [f"grey: the other {len(groups) - MAX_LINES}"] if len(groups) > MAX_LINES else []
        figure.suptitle("; ".join(notes), fontsize="small", color="#555555")
    handles, labels = panels[0].get_legend_handles_labels()
    columns = min(3, max(1, MAX_LEGEND_LENGTH // max(map(len, labels))))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _collect(name: str, runs: Sequence[RecordedRun], tag: str) -> _Line:
    at_epochs = zip(*(run.rows for run in runs), strict=False)
    complete = [rows for rows in at_epochs if all(tag in row for row in rows)]
    return _Line(name, [int(rows[0]["epoch"]) for rows in complete], [[row[tag] for row in rows] for rows in complete])


def _draw_one(axes: "Axes", lines: Sequence[_Line], tag: str) -> None:
    for index, line in enumerate(lines):  # the best on top of the others
        if index < MAX_LINES:
            line.draw(axes, label=_as_text(line.name), zorder=3 - index / MAX_LINES, **line_style(index))
        else:
            axes.plot(line.epochs, list(map(fmean, line.values)), color=PALE, linewidth=0.7, zorder=0)
    drawn = [value for line in lines for values in line.values for value in values if value > 0]
    if drawn and max(drawn) > LOG_SPREAD * min(drawn):
        axes.set_yscale("log")
    words = "mean per image (nats)" if "cross" in tag else "mean per image"
    _finish(axes, TITLES[tag], "accuracy (fraction)" if is_accuracy(tag) else words)


def _finish(axes: "Axes", title: str, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_title(title, parse_math=False)
    axes.set(xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    finish(axes)


def _as_text(name: str) -> str:
    """Keep matplotlib from reading a name as a formula, and from leaving out one that begins with an underscore."""
    return f"{' ' if name.startswith('_') else ''}{cut(name, MAX_NAME)}".replace("$", r"\$")
