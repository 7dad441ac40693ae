"""One run and its records, from a checked configuration to its result; whoever trains it reports to it."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from omegaconf import DictConfig

from fashion_softmax.config.building import Parts, check
from fashion_softmax.config.resumable import fingerprint
from fashion_softmax.config.schema import DashboardConfig
from fashion_softmax.dashboard.description import Description
from fashion_softmax.dashboard.panels import NOTHING, Dashboard
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import remove_temporary_files, write_atomically
from fashion_softmax.runs.checkpoint import restore, restore_random_state, save_checkpoint
from fashion_softmax.runs.progress import check_progress, find_progress
from fashion_softmax.runs.recorder import Recorder
from fashion_softmax.runs.records import Predictions
from fashion_softmax.stacking.training import EpochReport, Pause

log = logging.getLogger(__name__)


class Run:
    """One run and its records; a context manager that closes them whatever happens.

    Args:
        cfg: of the shape of `config.Config`.
        run_dir: the run's folder, which exists.
        overrides: of the command line, recorded.
        parts: built by `check` from the same configuration and never trained; None to check and build now.
        resume: go on from the folder's last checkpoint, if there is one.
        in_sweep: one run among many, which records less.

    Attributes:
        parts: what it trains with.
        error: why it failed, None if it did not.
        has_ended: its result or its error is recorded.
        epoch: finished epochs.
        best: epoch and objective of the best epoch so far.
        pause: where it stands inside the next epoch, None at its beginning.
        dashboard: writes what TensorBoard gets beside the metrics.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it; a checkpoint is damaged or
            belongs to another configuration.
    """

    def __init__(
        self,
        cfg: DictConfig,
        run_dir: Path,
        *,
        overrides: Sequence[str] = (),
        parts: Parts | None = None,
        resume: bool = False,
        in_sweep: bool = False,
    ) -> None:
        self.parts = parts or check(cfg)
        self.run_dir = run_dir
        self.num_epochs: int = cfg.trainer.num_epochs
        self.save_every: int | None = cfg.trainer.save_every
        self.error: BaseException | None = None
        self.has_ended = False
        self.epoch = 0
        self.best: dict[str, float] = {"epoch": 0, "objective": -1.0}
        self.metrics: dict[str, float] = {}
        self.pause: Pause | None = None
        self.seconds = {"total": 0.0, "training": 0.0}
        self._fingerprint = fingerprint(cfg)
        self._saved: dict[str, Any] | None = None
        if resume:
            for folder in (run_dir, run_dir / "checkpoints"):
                remove_temporary_files(folder)
            self._saved = find_progress(run_dir, self._fingerprint)
        if self._saved:
            self._restore(self._saved)
        self._start = time.perf_counter() - self.seconds["total"]
        own_overrides = [line for line in overrides if not line.startswith("sweep.")]  # not those of its company
        switches = DashboardConfig(**cfg.get("dashboard", {}))
        description = Description(cfg, run_dir, own_overrides)
        self._recorder = Recorder(
            run_dir,
            own_overrides,
            self._fingerprint,
            log_every=cfg.trainer.log_every,
            last_epoch=self.epoch,
            hyperparameters=description.hyperparameters,
            trial=description.trial,
            texts=description.texts() if switches.text else {},
        )
        if in_sweep and not switches.in_sweeps:
            switches = NOTHING
        self.dashboard = Dashboard(self._recorder.events, switches, self.parts.member.model, self.parts.dataset)
        if not self.epoch:
            self.dashboard.log_graph()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.has_ended:
            with contextlib.suppress(Exception):  # must not hide the error that is on its way
                self._recorder.close(error)

    @property
    def objective(self) -> float:
        """Validation accuracy after the last epoch if there is a validation split, else test accuracy."""
        return self.metrics[self.parts.objective_name]

    @property
    def wants_probabilities(self) -> bool:
        """Whether its records need what the model says of every class, not of the predicted ones alone."""
        return self.dashboard.switches.pr_curves

    def restore_random_state(self) -> None:
        """Let torch draw what it would have drawn next, had the run not been interrupted."""
        if self._saved:
            restore_random_state(self._saved)

    def log(self, report: EpochReport | Pause) -> None:
        """Record an epoch and save a checkpoint, or save one inside an epoch."""
        if isinstance(report, Pause):
            self._save(report.step, pause=dataclasses.asdict(report), is_best=False)
            return
        self.epoch, self.metrics = report.epoch, report.metrics
        if is_best := self.objective > self.best["objective"]:
            self.best = {"epoch": report.epoch, "objective": self.objective}
        self._recorder.log_epoch(report, {self.parts.objective_name: self.best["objective"]})
        self.dashboard.log_epoch(report.images_seen)
        self.seconds["training"] += report.training_s
        self._save(report.step, pause=None, is_best=is_best)

    def _save(self, step: int, *, pause: dict[str, Any] | None, is_best: bool) -> None:
        progress = {
            "epoch": self.epoch,
            "step": step,
            "best": self.best,
            "metrics": self.metrics,
            "seconds": self.seconds | {"total": time.perf_counter() - self._start},
            "fingerprint": self._fingerprint,
            "pause": pause,
        }
        save_checkpoint(self.run_dir / "checkpoints", self.parts.member, progress, is_best=is_best)

    def _restore(self, saved: dict[str, Any]) -> None:
        path = self.run_dir / "checkpoints" / "last.pt"
        restore(self.parts.member, saved, path)
        try:
            check_progress(saved, self.parts.objective_name, len(self.parts.make_batches()))
            self.pause = Pause(**saved["pause"]) if saved["pause"] else None
            restore_random_state(saved)
        except Exception as error:  # of a checkpoint that somebody made up
            raise CheckpointError(f"{path}: does not say where the run stood ({error!r})") from error
        self.epoch, self.best, self.metrics = saved["epoch"], saved["best"], saved["metrics"]
        self.seconds = saved["seconds"]
        if self.epoch + (self.pause is not None) > self.num_epochs:
            raise CheckpointError(
                f"{self.run_dir}: has trained {self.epoch} epochs or more; "
                f"trainer.num_epochs={self.num_epochs} asks for less"
            )
        if self.pause is None and self.best["epoch"] == self.epoch:  # it may have been killed between the two files
            write_atomically(path.with_name("best.pt"), path.read_bytes())

    def end(self, error: BaseException | None, stack_size: int, predictions: Predictions | None = None) -> None:
        """Record the result, or why there is none; what is recorded stays, whatever becomes of other runs.

        Args:
            error: why the run failed, None if it did not.
            stack_size: runs that were trained as one.
            predictions: of a run that did not fail, of the test images.
        """
        if self.has_ended:
            return
        self.has_ended = True
        self.error = error
        try:
            if predictions is not None:
                self._recorder.write_predictions(predictions)
                self.dashboard.log_end(self.epoch * len(self.parts.dataset.train), predictions)
            self.seconds["total"] = time.perf_counter() - self._start
            if error is None:
                self._write_result(stack_size)
            self._recorder.close(error)
        except Exception as failure:  # its folder is gone or full: its own failure, and nobody else's
            self.error = error or failure
            with contextlib.suppress(Exception):
                self._recorder.close(self.error)

    def _write_result(self, stack_size: int) -> None:
        self._recorder.write_result(
            objective=self.objective,
            objective_name=self.parts.objective_name,
            num_epochs=self.num_epochs,
            metrics=self.metrics,
            best=self.best,
            seconds={name: round(value, 3) for name, value in self.seconds.items()},
            stack_size=stack_size,
        )

    def result(self) -> float:
        """Return the objective of a run that has ended, or raise its error."""
        if self.error is not None:
            raise self.error
        if not self.has_ended:
            raise RuntimeError("the run was not trained to its end")
        seconds = self.seconds["total"]
        name = self.parts.objective_name
        log.info("%s %.4f after %d epochs in %.1f s", name, self.objective, self.num_epochs, seconds)
        return self.objective
