"""Compare ways to search: the full grid, discarding, random search, TPE; passes over the images against accuracy.

python scripts/compare_searches.py                                a grid of 64 runs x 20 epochs, five seeds: 10 minutes
python scripts/compare_searches.py --seeds 2 scheduler=cosine     fewer seeds; others for all
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from common import add_output, make_parser, save_figure, script, whole_number
from rich.console import Console
from rich.table import Column, Table

from fashion_softmax.errors import SweepError
from fashion_softmax.runs.records import read_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAIN = Path(__file__).parent.parent / "train.py"
NUM_EPOCHS = 20
SETTINGS = ["dataset.val_size=10000", f"trainer.num_epochs={NUM_EPOCHS}"]
RATES = [f"{10 ** (-4 + index / 3):.3g}" for index in range(16)]  # 0.0001 to 10
LOSSES = "loss=ce,mse,huber,margin"
GRID = [LOSSES, f"optimizer.lr={','.join(RATES)}"]
SPACE = [LOSSES, "optimizer.lr=tag(log,interval(0.0001,10))"]
RULES = ("[[1,5]]", "[[1,4],[3,1]]", "[[1,12],[3,6],[5,4]]", "[[1,32],[4,12],[8,6]]")  # of sweep.discard
NUM_TRIALS = (8, 16, 32)  # of the other searches, each with all epochs


@dataclass(frozen=True)
class Search:
    """What one search of one seed took and found.

    Attributes:
        name: of the way.
        num_epochs: passes over the training images, of all its runs.
        accuracy: of the best run, on the validation images, after its last epoch.
        seconds: of the whole command.
    """

    name: str
    num_epochs: int
    accuracy: float
    seconds: float


def main() -> None:
    """Search with each seed in each way, print the table, draw the figure."""
    parser = make_parser(__doc__)
    parser.add_argument("overrides", nargs="*", help="for all searches, such as model=mlp")
    parser.add_argument("--seeds", type=whole_number(1, 99), default=5, metavar="N", help="how many (default: 5)")
    parser.add_argument("--first", type=whole_number(0), default=0, metavar="SEED", help="the first (default: 0)")
    add_output(parser, "searches.png")
    options = parser.parse_intermixed_args()
    with script():
        seeds = range(options.first, options.first + options.seeds)
        found = [search for seed in seeds for search in compare(seed, options.overrides)]
        show(found)
        save_figure(draw(found), options, "searches.png")


def compare(seed: int, overrides: Sequence[str]) -> list[Search]:
    """Search in every way with a seed, of the models and of the sampler."""
    settings = [*SETTINGS, *overrides, f"seed={seed}"]
    found = [make_search("full grid", *run([*settings, *GRID]))]
    for rule in RULES:
        found.append(make_search(f"discarding {rule}", *run([*settings, *GRID, f"sweep.discard={rule}"])))
    for name, sampler in {"random search": "random", "TPE": "tpe"}.items():
        hydra = ["hydra/sweeper=search", f"hydra.sweeper.sampler={sampler}", f"hydra.sweeper.seed={seed}"]
        counts = [f"hydra.sweeper.num_trials={max(NUM_TRIALS)}", f"hydra.sweeper.trials_at_once={min(NUM_TRIALS)}"]
        runs, seconds = run([*settings, *SPACE, *hydra, *counts])
        for number in NUM_TRIALS:
            share = seconds * number / max(NUM_TRIALS)
            found.append(make_search(f"{name}, {number} trials", runs[:number], share))
    return found


def run(arguments: Sequence[str]) -> tuple[list[tuple[int, float]], float]:
    """Run a sweep; returns each run's epochs and accuracy, 0 if it has none, and the command's seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(TRAIN), "-m", *arguments, f"hydra.sweep.dir={folder}/sweep"]
        start = time.perf_counter()
        result = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if result.returncode not in (0, 6):  # 6: some runs diverged
            raise SweepError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr.strip()}")
        runs = [read_folder(path) for path in sorted(Path(folder, "sweep").glob("[0-9]*"))]
        return [
            (len(run.rows), float(run.result["objective"]) if run.state == "completed" else 0.0) for run in runs
        ], seconds


def make_search(name: str, runs: Sequence[tuple[int, float]], seconds: float) -> Search:
    """Sum up the runs of a search."""
    return Search(name, sum(epochs for epochs, _ in runs), max(accuracy for _, accuracy in runs), seconds)


def show(found: Sequence[Search]) -> None:
    """Print a line for each way: medians over the seeds; below the grid of the same seed, the median and the most."""
    table = Table(*(Column(name, no_wrap=True) for name in ("search", "epochs", "accuracy", "below grid", "seconds")))
    grids = [search.accuracy for search in found if search.name == "full grid"]
    for name in dict.fromkeys(search.name for search in found):
        own = [search for search in found if search.name == name]
        losses = [grid - search.accuracy for grid, search in zip(grids, own, strict=True)]
        table.add_row(
            name,
            f"{median(search.num_epochs for search in own):.0f}",
            f"{100 * median(search.accuracy for search in own):.2f} %",
            f"{100 * median(losses):.2f} ({100 * max(losses):.2f})",
            f"{median(search.seconds for search in own):.1f}",
        )
    Console().print(table)


def draw(found: Sequence[Search]) -> "Figure":
    """Draw the medians: passes over the images against accuracy, a colour for each kind of search."""
    from figures import PAGE_WIDTH, finish, line_style, new_figure

    figure = new_figure(PAGE_WIDTH, 4.2)
    axes = figure.add_subplot()
    names = list(dict.fromkeys(search.name for search in found))
    kinds = list(dict.fromkeys(name_kind(name) for name in names))
    for index, kind in enumerate(kinds):
        points = []
        for name in (name for name in names if name_kind(name) == kind):
            own = [search for search in found if search.name == name]
            points.append((median(s.num_epochs for s in own), median(s.accuracy for s in own)))
        axes.plot(*zip(*sorted(points), strict=True), marker="o", label=kind, **line_style(index))
    axes.set_xscale("log")
    axes.set_xlabel("epochs of all runs together (log scale)")
    axes.set_ylabel("validation accuracy of the best run")
    finish(axes)
    axes.legend(frameon=False)
    return figure


def name_kind(name: str) -> str:
    """Name the kind of search, without its numbers."""
    return re.split(r"[\[,]", name)[0].strip()


if __name__ == "__main__":
    main()
