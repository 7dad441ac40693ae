"""Measure speed and memory against the bars, side by side with the lesson's own pipeline.

python scripts/benchmark.py
python scripts/benchmark.py --quick --json figures.json

Times are the best of several rounds in which the candidates take turns, since machines are shared and noisy; only the
ratios mean something. Needs Fashion-MNIST (`make data`).
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from benchmark_timers import (
    best_of,
    cold_dashboard_share,
    epoch,
    floor_epoch,
    lesson_epoch,
    run_python,
    stack_epoch,
    stack_floor,
    time_decoding,
    time_files,
    time_sweeps,
)
from rich.console import Console
from rich.table import Table

from fashion_softmax.cli import exit_on_error
from fashion_softmax.config.building import Parts, build_parts
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.stacking import Stack

TRAIN = Path(__file__).parent.parent / "train.py"
LESSON_WORKERS = (0, 2, 4)
STACK_SIZE = 64
STACK_LOSSES = ("ce", "mse", "huber", "margin")
TINY = ["dataset=synthetic", "dataset.num_train=256", "dataset.num_test=64", "trainer.num_epochs=1"]
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


@dataclass(frozen=True)
class Figure:
    """A measured figure beside what it has to reach; `lower` tells which side of the bar is the good one."""

    key: str
    what: str
    value: float
    bar: float
    aim: float
    lower: bool

    @property
    def passes(self) -> bool:
        """Whether the bar is reached."""
        return self.value <= self.bar if self.lower else self.value >= self.bar

    @property
    def verdict(self) -> str:
        """`aim reached`, `bar reached` or `MISSED`."""
        reaches_aim = self.value <= self.aim if self.lower else self.value >= self.aim
        return "aim reached" if reaches_aim else "bar reached" if self.passes else "MISSED"


def main() -> None:
    """Measure, print the table, write the JSON file; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, within 90 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    arguments = parser.parse_args()
    with exit_on_error():
        figures = list(measure(quick=arguments.quick))
    table = Table("figure", "key", title="Speed and memory", title_justify="left")
    for column in ("measured", "bar", "aim"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for figure in figures:
        sign = "<=" if figure.lower else ">="
        bounds = (f"{sign} {bound:g}" for bound in (figure.bar, figure.aim))
        table.add_row(figure.what, figure.key, f"{figure.value:.2f}", *bounds, figure.verdict)
    console.print(table)
    if arguments.json:
        content = {figure.key: round(figure.value, 4) for figure in figures}
        arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(figure.passes for figure in figures) else 1)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Measure every figure.

    Args:
        quick: finish within 90 seconds.
    """
    warnings.filterwarnings("ignore", message="This DataLoader will create")  # four workers, whatever the machine
    parts = build_parts(resolve(compose()))
    console.print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {parts.device}")
    yield Figure(
        "dashboard_share",
        "pictures and histograms / training",
        min(cold_dashboard_share() for _ in range(1 if quick else 3)),
        0.1,
        0.05,
        lower=True,
    )
    rounds = []
    for _ in range(1 if quick else 4):
        workers_tried, share = ((0,), 3) if quick else (LESSON_WORKERS, 1)
        lesson = min(lesson_epoch(workers, parts.dataset, share) for workers in workers_tried)
        rounds.append((lesson, *best_of(12 if quick else 8, lambda: epoch(parts), lambda: floor_epoch(parts.dataset))))
    lesson, ours, floor = map(min, zip(*rounds, strict=True))
    console.print(f"one epoch: lesson {lesson:.2f} s, ours {ours:.4f} s, floor {floor:.4f} s")
    yield Figure("speedup_epoch", "lesson's epoch / ours", lesson / ours, 25, 40, lower=False)
    yield Figure("floor_ratio_epoch", "our epoch / gather + two products", ours / floor, 2.0, 1.3, lower=True)
    train_memory: list[float] = []
    torch_memory: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train = [str(TRAIN), f"hydra.run.dir={folder}/run"]
        run, bare = best_of(
            2 if quick else 7,
            lambda: run_python(train, train_memory),
            lambda: run_python(["-c", "import torch"], torch_memory),
        )
    console.print(f"ten epochs, whole command {run:.2f} s, import torch {bare:.2f} s")
    yield Figure("startup_ratio", "python train.py / import torch", run / bare, 2.5, 1.8, lower=True)
    extra_memory = max(train_memory) - min(torch_memory)
    yield Figure("peak_memory_mb", "peak memory above import torch, MB", extra_memory, 400, 200, lower=True)
    yield from stack_cost(parts, lesson, quick=quick)
    yield from sweep_cost(parts, quick=quick)
    ours, bare = time_decoding(3_000 if quick else 10_000)
    yield Figure("decoding_ratio", "decoding pictures / Pillow alone", ours / bare, 1.2, 1.05, lower=True)
    if not quick:
        yield pixel_cost(parts)


def stack_cost(parts: Parts, lesson: float, *, quick: bool) -> Iterator[Figure]:
    """Compare 64 runs trained as one, four losses with sixteen rates, with the lesson's epoch and the floor."""
    runs = []
    for loss in STACK_LOSSES:
        config = resolve(compose([f"loss={loss}"]))
        for index in range(STACK_SIZE // len(STACK_LOSSES)):
            config["optimizer"]["lr"] = 0.01 * (1 + index)
            runs.append(build_parts(config))
    stack = Stack([run.member for run in runs])
    ours, floor = best_of(
        3 if quick else 6,
        lambda: stack_epoch(stack, parts) / STACK_SIZE,
        lambda: stack_floor(parts.dataset, STACK_SIZE) / STACK_SIZE,
    )
    console.print(
        f"one of {STACK_SIZE} stacked runs, one epoch: ours {1000 * ours:.1f} ms, floor {1000 * floor:.1f} ms"
    )
    yield Figure("speedup_stacked", "lesson's epoch / ours, 64 stacked runs", lesson / ours, 150, 300, lower=False)
    yield Figure("floor_ratio_stacked", "our epoch / two products, 64 runs", ours / floor, 2.5, 1.5, lower=True)


def sweep_cost(parts: Parts, *, quick: bool) -> Iterator[Figure]:
    """Time a whole command, a grid of 64 runs and ten epochs; and sweeps of one job and of many, which hardly train.

    A command of twenty seconds cannot be as lucky as the fastest of many single epochs, so the grid is compared with
    the mean of the lesson's epochs beside it: before, between and after, and about as many seconds of them unless
    quick.
    """
    rates = ",".join(f"{0.01 * (1 + index):.2f}" for index in range(STACK_SIZE // len(STACK_LOSSES)))
    grid = [str(TRAIN), "-m", f"loss={','.join(STACK_LOSSES)}", f"optimizer.lr={rates}"]
    num_jobs = 256
    few = ["-m", *TINY, "optimizer.lr=0.1"]
    sweeps = [few]  # the first pays what a process starts with
    for turn in range(3 if quick else 5):
        some_rates = (0.001 * (1 + index) + 0.0001 * turn for index in range(num_jobs))  # new ones: nothing is cached
        sweeps += [few, [*few[:-1], "optimizer.lr=" + ",".join(f"{rate:.4f}" for rate in some_rates)]]
    hydras_own = ["hydra/launcher=basic", "hydra/sweeper=basic"]
    outputs = TRAIN.parent / "outputs"
    outputs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=outputs) as folder:
        # Where runs land, and every time a new folder: near many deleted files ext4 takes ten times as long to make new
        # ones, for five minutes.
        places = (f"hydra.sweep.dir={folder}/{number}" for number in itertools.count())
        share = 3 if quick else 1
        lessons = [lesson_epoch(0, parts.dataset, share) for _ in range(3 // share)]
        wholes = []
        for _ in range(3 // share):
            wholes.append(run_python([*grid, next(places)], []))
            lessons += [lesson_epoch(0, parts.dataset, share) for _ in range(3 // share)]
        lesson, whole = statistics.mean(lessons), statistics.mean(wholes)
        times = time_sweeps(*([*sweep, next(places)] for sweep in sweeps))
        start, ours = min(times[1::2]), min(times[2::2])
        files = 1000 * time_files(Path(folder, "files"))
        nine = [*few[:-1], "optimizer.lr=0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"]
        commands = [] if quick else [[str(TRAIN), *sweep, *hydras_own, next(places)] for sweep in (nine, few)]
        own, own_start = [run_python(command, []) for command in commands] or (0.0, 0.0)
    overhead, own_overhead = 1000 * (ours - start) / (num_jobs - 1), 1000 * (own - own_start) / 8
    console.print(
        f"grid of {STACK_SIZE} runs x 10 epochs, whole command {whole:.1f} s, beside it the lesson's epoch "
        f"{lesson:.2f} s; a job's overhead {overhead:.1f} ms, where twelve files alone take {files:.1f} ms"
    )
    yield Figure(
        "grid_speedup", "lesson's 640 epochs / whole grid command", 640 * lesson / whole, 150, 250, lower=False
    )
    yield Figure("launch_overhead_ms", f"launching a job, {num_jobs} jobs, ms", overhead, 8, 5, lower=True)
    if not quick:
        yield Figure("launch_ratio", "the same with Hydra's own / ours", own_overhead / overhead, 3.75, 30, lower=False)


def pixel_cost(parts: Parts) -> Figure:
    """Compare an epoch at 64 x 64 with one at 28 x 28: what it costs more, per pixel."""
    large_parts = build_parts(resolve(compose(["dataset.resize=64"])))
    large, small = best_of(6, lambda: epoch(large_parts), lambda: epoch(parts))
    growth = large / small / (64 * 64 / (28 * 28))
    return Figure("resize_growth", "64 x 64 epoch / 28 x 28 epoch, per pixel", growth, 1.5, 1.0, lower=True)


if __name__ == "__main__":
    main()
