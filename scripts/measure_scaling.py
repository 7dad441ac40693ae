"""Measure how sweeps grow with their runs and workers, and fit what a run, a stack and an epoch cost.

python scripts/measure_scaling.py                     64 to 4 096 runs, one and two workers: 10 minutes
python scripts/measure_scaling.py --engine ray        another engine
python scripts/measure_scaling.py --json FILE         also writes what was measured
"""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import make_parser, script
from rich.console import Console
from rich.table import Column, Table

from fashion_softmax.files import read_json

TRAIN = Path(__file__).parent.parent / "train.py"
SIZES = (64, 256, 1024, 4096)
COLUMNS = ("data x epochs", "engine", "runs", "stacks", "seconds", "ms a run", "peak MB")
ENGINES = {
    "one process": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_local": ["hydra/launcher=submitit_local"],
    "ray": ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"],
}
CASES = {  # of these the fit is made; Fashion-MNIST is what a sweep really costs
    "synthetic x 1": ["dataset=synthetic", "trainer.num_epochs=1"],
    "Fashion-MNIST x 2": ["trainer.num_epochs=2"],
}


@dataclass(frozen=True)
class Sweep:
    """What one sweep took.

    Attributes:
        case: what was trained.
        engine: that carried it.
        num_runs: of the sweep.
        num_stacks: of the sweep.
        seconds: of the whole command.
        memory_mb: peak of its largest process.
    """

    case: str
    engine: str
    num_runs: int
    num_stacks: int
    seconds: float
    memory_mb: float


def main() -> None:
    """Measure every case, print the table and the fit."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--engine", choices=[*ENGINES][1:], default="joblib", help="of several workers (default: joblib)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the sweeps to FILE")
    options = parser.parse_args()
    with script():
        engines = ["one process", options.engine]
        sweeps = [
            measure(case, engine, size)
            for case in CASES
            for size in SIZES
            for engine in engines
            if size < max(SIZES) or case.startswith("synthetic")
        ]
        table = Table(*(Column(name, no_wrap=True) for name in COLUMNS))
        for sweep in sweeps:
            own = [f"{sweep.seconds:.1f}", f"{1000 * sweep.seconds / sweep.num_runs:.1f}", f"{sweep.memory_mb:.0f}"]
            table.add_row(sweep.case, sweep.engine, str(sweep.num_runs), str(sweep.num_stacks), *own)
        console = Console()
        console.print(table)
        start, per_run = fit([sweep for sweep in sweeps if sweep.engine == "one process" and "synth" in sweep.case])
        _, per_real = fit([sweep for sweep in sweeps if sweep.engine == "one process" and "synth" not in sweep.case])
        epoch = (per_real - per_run) / 2
        console.print(
            f"fit: {start:.1f} s for the command, {1000 * per_run:.1f} ms for each run, "
            f"{1000 * epoch:.1f} ms for each of its epochs of Fashion-MNIST"
        )
        if options.json:
            options.json.write_text(json.dumps(list(map(asdict, sweeps)), indent=1) + "\n", encoding="utf-8")


def measure(case: str, engine: str, num_runs: int) -> Sweep:
    """Run one sweep, of two losses and many learning rates."""
    from benchmark_timers import run_python  # and torch

    rates = ",".join(f"{0.001 * (1 + index):.3f}" for index in range(num_runs // 2))
    outputs = TRAIN.parent / "outputs"
    outputs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=outputs) as folder:
        grid = ["-m", *CASES[case], "loss=ce,mse", f"optimizer.lr={rates}", *ENGINES[engine]]
        memory: list[float] = []
        seconds = run_python([str(TRAIN), *grid, f"hydra.sweep.dir={folder}/sweep"], memory)
        stacks: Any = read_json(Path(folder, "sweep", "sweep.json"))["stacks"]
    print(f"{case}, {engine}, {num_runs} runs: {seconds:.1f} s", file=sys.stderr)
    return Sweep(case, engine, num_runs, len(stacks), seconds, max(memory))


def fit(sweeps: list[Sweep]) -> tuple[float, float]:
    """Fit seconds = start + per_run x runs by least squares; returns both."""
    mean_runs = sum(sweep.num_runs for sweep in sweeps) / len(sweeps)
    mean_s = sum(sweep.seconds for sweep in sweeps) / len(sweeps)
    covariance = sum((sweep.num_runs - mean_runs) * (sweep.seconds - mean_s) for sweep in sweeps)
    per_run = covariance / sum((sweep.num_runs - mean_runs) ** 2 for sweep in sweeps)
    return mean_s - per_run * mean_runs, per_run


if __name__ == "__main__":
    main()
