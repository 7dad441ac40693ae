"""Training runs, alone or in a stack."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from fashion_softmax.config.building import Parts, seed_torch
from fashion_softmax.data import Batches
from fashion_softmax.errors import Interrupted
from fashion_softmax.runs.console import resume_command
from fashion_softmax.runs.display import RunDisplay
from fashion_softmax.runs.interruption import Interruption
from fashion_softmax.runs.progress import find_objective
from fashion_softmax.runs.run import Run
from fashion_softmax.stacking import Stack
from fashion_softmax.stacking.prediction import predict
from fashion_softmax.stacking.training import EpochReport, Pause, fit


def run(
    cfg: DictConfig, run_dir: Path, *, overrides: Sequence[str] = (), in_sweep: bool = False, resume: bool = False
) -> float:
    """Train one run and record it.

    Args:
        cfg: of the shape of `config.Config`.
        run_dir: the run's folder, which exists.
        overrides: of the command line, recorded.
        in_sweep: a run among many, which shows and records less.
        resume: go on from the folder's last checkpoint, if there is one.

    Returns:
        The objective, see `Run.objective`.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it, or training diverged.
        Interrupted: by a signal; what was trained is saved.
    """
    if resume and (objective := find_objective(run_dir, cfg)) is not None:
        return objective
    with (
        _say_how_to_go_on(run_dir),
        Run(cfg, run_dir, overrides=overrides, resume=resume, in_sweep=in_sweep) as single,
    ):
        batches = single.parts.make_batches()
        display = RunDisplay(describe(cfg, single.parts), single.num_epochs, batches, brief=in_sweep)
        with display:
            for reports in train([single], batches):
                display.show_epoch(reports[0])
        objective = single.result()
        display.show_result(single.metrics, run_dir, single.seconds)
        return objective


@contextmanager
def _say_how_to_go_on(run_dir: Path) -> Iterator[None]:
    try:
        yield
    except Interrupted as error:
        saved = (
            "its state is saved" if (run_dir / "checkpoints" / "last.pt").exists() else "there was nothing to save yet"
        )
        raise Interrupted(
            error.signal_number, f"interrupted, {saved}; go on with: {resume_command(run_dir)}"
        ) from error


def train(runs: Sequence[Run], batches: Batches) -> Iterator[dict[int, EpochReport]]:
    """Train runs as one stack, recording each; afterwards every run has ended, with its result or its error.

    Args:
        runs: whose data sets, devices, seeds, numbers of epochs, and epochs and steps trained so far agree.
        batches: of that data set and seed.

    Yields:
        After every epoch, index of each run still training to its report.

    Raises:
        Interrupted: by a signal; every run is saved where it stands, and none of those still training has ended.
    """
    first = runs[0]
    # What a model draws while it trains (dropout) depends on its seed, not on what was built before.
    seed_torch(first.parts.seed, first.parts.device)
    first.restore_random_state()
    stack = Stack([run.parts.member for run in runs])
    failures = stack.failures
    with Interruption() as interruption:
        try:
            for reports in _fit(stack, runs, batches, interruption):
                for index, report in reports.items():
                    failures.attempt(index, runs[index].log, report)
                _end_failed(runs, failures.errors)
                epochs = {index: report for index, report in reports.items() if isinstance(report, EpochReport)}
                if epochs:
                    yield epochs
                interruption.raise_if_any()
        except (Exception, SystemExit) as error:  # of what they share, such as the model, memory or the data's workers
            interruption.raise_if_any()  # Ctrl-C reaches the workers, too
            for index in stack.active:
                failures.errors[index] = error
    _end_failed(runs, failures.errors)
    if stack.active:
        predictions = predict(
            stack,
            first.parts.dataset.test.to(first.parts.device),
            first.parts.dtype,
            keep_probabilities=any(run.wants_probabilities for run in runs),
        )
        for index in stack.active:
            runs[index].end(None, len(runs), predictions[index])


def _fit(
    stack: Stack, runs: Sequence[Run], batches: Batches, interruption: Interruption
) -> Iterator[dict[int, EpochReport] | dict[int, Pause]]:
    first = runs[0]
    batches.num_drawn = first.epoch * len(batches) + (len(first.pause.step_losses) if first.pause else 0)
    save_every = [run.save_every for run in runs if run.save_every]
    return fit(
        stack,
        batches,
        first.parts.evaluation_splits(),
        num_epochs=first.num_epochs,
        first_epoch=first.epoch + 1,
        pauses={index: run.pause for index, run in enumerate(runs) if run.pause},
        wants_pause=lambda step: (
            interruption.signal_number is not None or any(step % every == 0 for every in save_every)
        ),
    )


def _end_failed(runs: Sequence[Run], errors: dict[int, BaseException]) -> None:
    for index, error in errors.items():
        runs[index].end(error, len(runs))


def describe(cfg: DictConfig, parts: Parts) -> str:
    """Say what is trained, such as `SoftmaxRegression, CrossEntropy, SGD on 60000 images of 1 x 28 x 28`."""
    names = ", ".join(str(cfg[key]._target_).rpartition(".")[2] for key in ("model", "loss", "optimizer"))
    dataset = parts.dataset
    return f"{names} on {len(dataset.train)} images of {' x '.join(map(str, dataset.image_shape))}"
