"""Training runs, alone or in a stack."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from fashion_softmax.console import RunDisplay
from fashion_softmax.data import Batches
from fashion_softmax.parts import Parts, seed_torch
from fashion_softmax.single_run import Run
from fashion_softmax.stacking import Stack
from fashion_softmax.training import EpochReport, fit


def run(cfg: DictConfig, run_dir: Path, *, overrides: Sequence[str] = (), in_sweep: bool = False) -> float:
    """Train one run and record it.

    Args:
        cfg: of the shape of `config.Config`.
        run_dir: the run's folder, which exists.
        overrides: of the command line, recorded.
        in_sweep: a run among many, which shows less.

    Returns:
        The objective, see `Run.objective`.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it, or training diverged.
    """
    with Run(cfg, run_dir, overrides=overrides) as single:
        batches = single.parts.make_batches()
        display = RunDisplay(describe(cfg, single.parts), single.num_epochs, batches, brief=in_sweep)
        with display:
            for reports in train([single], batches):
                display.show_epoch(reports[0])
        objective = single.result()
        display.show_result(reports[0].metrics, run_dir, single.seconds)
        return objective


def train(runs: Sequence[Run], batches: Batches) -> Iterator[dict[int, EpochReport]]:
    """Train runs as one stack, recording each; afterwards every run has ended, with its result or its error.

    Args:
        runs: whose data sets, devices, seeds and numbers of epochs agree.
        batches: of that data set and seed.

    Yields:
        After every epoch, index of each run still training to its report.
    """
    # What a model draws while it trains (dropout) depends on its seed, not on what was built before.
    seed_torch(runs[0].parts.seed, runs[0].parts.device)
    stack = Stack([run.parts.member for run in runs])
    failures = stack.failures
    splits = runs[0].parts.evaluation_splits()
    try:
        for reports in fit(stack, batches, splits, num_epochs=runs[0].num_epochs):
            for index, report in reports.items():
                failures.attempt(index, runs[index].log_epoch, report)
            _end_failed(runs, failures.errors)
            yield reports
    except (Exception, SystemExit) as error:  # of what they share, such as the model, memory or the data's workers
        for index in stack.active:
            failures.errors[index] = error
    _end_failed(runs, failures.errors)
    for index in stack.active:
        runs[index].end(None, len(runs))


def _end_failed(runs: Sequence[Run], errors: dict[int, BaseException]) -> None:
    for index, error in errors.items():
        runs[index].end(error, len(runs))


def describe(cfg: DictConfig, parts: Parts) -> str:
    """Say what is trained, such as `SoftmaxRegression, CrossEntropy, SGD on 60000 images of 1 x 28 x 28`."""
    names = ", ".join(str(cfg[key]._target_).rpartition(".")[2] for key in ("model", "loss", "optimizer"))
    dataset = parts.dataset
    return f"{names} on {len(dataset.train)} images of {' x '.join(map(str, dataset.image_shape))}"
