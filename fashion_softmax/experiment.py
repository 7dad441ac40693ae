"""One run, from its configuration to its result: check, build, train, record."""

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fashion_softmax.checkpoint import save_checkpoint
from fashion_softmax.console import RunDisplay
from fashion_softmax.data import Batches, Dataset
from fashion_softmax.parts import build_parts
from fashion_softmax.recorder import Recorder
from fashion_softmax.training import fit
from fashion_softmax.validation import validate

log = logging.getLogger(__name__)


def check(cfg: DictConfig) -> None:
    """Find out whether a configuration can be run: check it, get its data, build all its parts.

    Args:
        cfg: of the shape of `config.Config`.

    Raises:
        FashionSoftmaxError: it cannot; nothing was created but a data set that was missing.
    """
    validate(cfg)
    build_parts(cfg)


def run(cfg: DictConfig, run_dir: Path, *, overrides: Sequence[str] = (), in_sweep: bool = False) -> float:
    """Train one run and record it.

    Args:
        cfg: of the shape of `config.Config`.
        run_dir: the run's folder, which exists.
        overrides: of the command line, recorded.
        in_sweep: a run among many, which shows less.

    Returns:
        The objective after the last epoch: validation accuracy if there is a validation split, else test accuracy.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it, or training diverged.
    """
    start = time.perf_counter()
    validate(cfg)
    parts = build_parts(cfg)
    dataset, device, num_epochs = parts.dataset, parts.device, cfg.trainer.num_epochs
    batches = Batches(dataset.train, dataset.batch_size, seed=cfg.seed, num_workers=dataset.num_workers, device=device)
    evaluation_splits = {name: split.to(device) for name, split in dataset.evaluation_splits.items()}
    objective_name = f"{next(iter(evaluation_splits))}/accuracy"
    recorder = Recorder(run_dir, OmegaConf.to_yaml(cfg), overrides, fingerprint(cfg), log_every=cfg.trainer.log_every)
    display = RunDisplay(describe(cfg, dataset), num_epochs, batches, brief=in_sweep)
    best: dict[str, float] = {"epoch": 0, "objective": -1.0}
    training_s = 0.0
    with recorder, display:
        training = (parts.model, parts.loss_fn, parts.optimizer, parts.scheduler, batches, evaluation_splits)
        for report in fit(*training, num_epochs=num_epochs):
            recorder.log_epoch(report)
            objective = report.metrics[objective_name]
            if is_best := objective > best["objective"]:
                best = {"epoch": report.epoch, "objective": objective}
            progress = {"epoch": report.epoch, "step": report.step, "best": best, "fingerprint": recorder.fingerprint}
            save_checkpoint(
                run_dir / "checkpoints", parts.model, parts.optimizer, parts.scheduler, progress, is_best=is_best
            )
            training_s += report.training_s
            display.show_epoch(report)
        seconds = {"total": round(time.perf_counter() - start, 3), "training": round(training_s, 3)}
        recorder.write_result(
            objective=objective,
            objective_name=objective_name,
            num_epochs=num_epochs,
            metrics=report.metrics,
            best=best,
            seconds=seconds,
        )
    log.info("%s %.4f after %d epochs in %.1f s", objective_name, objective, num_epochs, seconds["total"])
    display.show_result(report.metrics, run_dir, seconds)
    return objective


def describe(cfg: DictConfig, dataset: Dataset) -> str:
    """Say what is trained, such as `SoftmaxRegression, CrossEntropy, SGD on 60000 images of 1 x 28 x 28`."""
    names = ", ".join(str(cfg[key]._target_).rpartition(".")[2] for key in ("model", "loss", "optimizer"))
    return f"{names} on {len(dataset.train)} images of {' x '.join(map(str, dataset.image_shape))}"


def fingerprint(cfg: DictConfig) -> str:
    """Digest a resolved configuration; equal for equal configurations, whatever their spelling."""
    content = json.dumps(OmegaConf.to_container(cfg, resolve=True), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
