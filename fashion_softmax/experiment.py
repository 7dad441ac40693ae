"""One run, from its configuration to its result: check, build, train, record."""

import hashlib
import itertools
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.checkpoint import save_checkpoint
from fashion_softmax.compiler import keep_compiler_idle
from fashion_softmax.config import build
from fashion_softmax.console import RunDisplay
from fashion_softmax.data import Batches, Dataset, Split
from fashion_softmax.errors import ConfigError, DivergedError, MachineError
from fashion_softmax.losses import Loss
from fashion_softmax.recorder import Recorder
from fashion_softmax.training import fit
from fashion_softmax.validation import validate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """Everything a run is built of."""

    dataset: Dataset
    model: nn.Module
    loss_fn: Loss
    optimizer: Optimizer
    scheduler: LRScheduler
    device: torch.device


def check(cfg: DictConfig) -> None:
    """Find out whether a configuration can be run: check it, get its data, build all its parts.

    Args:
        cfg: of the shape of `config.Config`.

    Raises:
        FashionSoftmaxError: it cannot; nothing was created but a data set that was missing.
    """
    validate(cfg)
    build_parts(cfg)


def build_parts(cfg: DictConfig) -> Parts:
    """Build a run's parts, seeded; the order is that of their dependencies.

    Args:
        cfg: a configuration that `validate` accepts.

    Raises:
        ConfigError: a constructor refuses a value, or the parts do not fit together.
        DataError: the data set is missing or corrupt.
        MachineError: the device is not there.
    """
    device = pick_device(cfg.device)
    dataset: Dataset = build(cfg.dataset, "dataset")
    torch.manual_seed(cfg.seed)
    model: nn.Module = build(cfg.model, "model", dataset.image_shape, dataset.num_classes).to(device)
    _probe(model, dataset, device)
    keep_compiler_idle()
    optimizer: Optimizer = build(cfg.optimizer, "optimizer", list(model.parameters()))
    return Parts(
        dataset=dataset,
        model=model,
        loss_fn=build(cfg.loss, "loss"),
        optimizer=optimizer,
        scheduler=build(cfg.scheduler, "scheduler", optimizer),
        device=device,
    )


def pick_device(name: str) -> torch.device:
    """Choose where to train.

    Args:
        name: a torch device, or `auto` for CUDA where there is one, else Apple's mps, else the CPU.

    Raises:
        MachineError: this machine has no such device.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device={name} is no device: {error}") from error
    if (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not mps
    ):
        raise MachineError(f"device={name} is not on this machine; device=auto takes what there is")
    return device


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
    dataset = parts.dataset
    batches = Batches(
        dataset.train, dataset.batch_size, seed=cfg.seed, num_workers=dataset.num_workers, device=parts.device
    )
    evaluation_splits = evaluation_splits_of(dataset)
    objective_name = "val/accuracy" if dataset.val else "test/accuracy"
    num_epochs: int = cfg.trainer.num_epochs
    recorder = Recorder(
        run_dir,
        config_text=OmegaConf.to_yaml(cfg),
        overrides=overrides,
        fingerprint=fingerprint(cfg),
        log_every=cfg.trainer.log_every,
    )
    display = RunDisplay(
        num_epochs=num_epochs,
        steps_per_epoch=len(batches),
        count_steps=lambda: batches.num_drawn,
        title=describe(cfg),
        brief=in_sweep,
    )
    best: dict[str, float | int] = {"epoch": 0, "objective": float("-inf")}
    training_seconds = 0.0
    with recorder, display:
        try:
            for report in fit(
                parts.model,
                parts.loss_fn,
                parts.optimizer,
                parts.scheduler,
                batches,
                evaluation_splits,
                num_epochs=num_epochs,
            ):
                recorder.log_epoch(report)
                objective = report.metrics[objective_name]
                if is_best := objective > best["objective"]:
                    best = {"epoch": report.epoch, "objective": objective}
                save_checkpoint(
                    run_dir / "checkpoints",
                    parts.model,
                    parts.optimizer,
                    parts.scheduler,
                    epoch=report.epoch,
                    step=report.step,
                    best=best,
                    is_best=is_best,
                    fingerprint=recorder.fingerprint,
                )
                training_seconds += report.training_seconds
                display.show_epoch(report)
        except BaseException as error:
            recorder.write_status(_state_after(error), error=str(error) or type(error).__name__)
            raise
        seconds = {"total": round(time.perf_counter() - start, 3), "training": round(training_seconds, 3)}
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


def evaluation_splits_of(dataset: Dataset) -> dict[str, Split]:
    """List what a model is measured on after every epoch."""
    return {"val": dataset.val, "test": dataset.test} if dataset.val else {"test": dataset.test}


def describe(cfg: DictConfig) -> str:
    """Name what is trained by the last words of its targets, such as `SoftmaxRegression, CrossEntropy, SGD`."""
    return ", ".join(str(cfg[key]._target_).rpartition(".")[2] for key in ("model", "loss", "optimizer"))


def fingerprint(cfg: DictConfig) -> str:
    """Digest a resolved configuration; equal for equal configurations, whatever their spelling."""
    content = json.dumps(OmegaConf.to_container(cfg, resolve=True), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def set_aside_earlier_run(run_dir: Path) -> None:
    """Rename a folder that already holds a run, so that two runs never mix and none is overwritten.

    Args:
        run_dir: where a run is about to be written; becomes `<name>.1`, or the next free number.
    """
    if not (run_dir / "status.json").exists():
        return
    name = run_dir.absolute()
    free = next(path for i in itertools.count(1) if not (path := name.with_name(f"{name.name}.{i}")).exists())
    name.rename(free)
    log.warning("%s held a run already; it is kept as %s", run_dir, free.name)


def _probe(model: nn.Module, dataset: Dataset, device: torch.device) -> None:
    """Send two blank images through the model: a misfit is then the configuration's error, not a traceback."""
    expected = (2, dataset.num_classes)
    try:
        with torch.no_grad():
            shape = tuple(model.eval()(torch.zeros(2, *dataset.image_shape, device=device)).shape)
    except RuntimeError as error:
        raise ConfigError(f"model: cannot take images of shape {dataset.image_shape} (C, H, W): {error}") from error
    if shape != expected:
        raise ConfigError(f"model: gives {shape} for two images, expected {expected} (images, classes)")


def _state_after(error: BaseException) -> str:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
