"""One run while it trains: what it trains with, how far it is, and its records."""

import contextlib
import dataclasses
import math
import time
from pathlib import Path
from typing import Any

from fashion_softmax.config.building import build_parts, facts_of
from fashion_softmax.config.schema import DashboardConfig, resolve
from fashion_softmax.config.settings import fingerprint
from fashion_softmax.dashboard.panels import Dashboard, switch_off
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import link_atomically, remove_temporary_files, to_json
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.learning.tally import Tally
from fashion_softmax.runs.checkpoint import (
    CHECKPOINT_PATH,
    find_checkpoint,
    load_checkpoint,
    make_checkpoint,
    restore,
    restore_random_state,
)
from fashion_softmax.runs.folder import CONFIG_PATH, PREDICTIONS_NAME, RunFolder, require_whole
from fashion_softmax.runs.recorder import Recorder
from fashion_softmax.stacking import Facts
from fashion_softmax.stacking.training import EpochReport, Pause


class Run:
    """One run: built from its folder, restored to its last checkpoint, and recorded while it trains.

    Args:
        folder: as read.

    Attributes:
        path: of the folder.
        parts: what it trains with.
        facts: what it must have in common with the runs it is trained together with.
        epoch: finished epochs.
        step: optimizer updates so far.
        best: epoch and objective of the best epoch so far.
        pause: where it stands inside the next epoch, None at its beginning.
        recorder: of its records.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it; a checkpoint is damaged or
            belongs to another configuration.
    """

    def __init__(self, folder: RunFolder) -> None:
        require_whole(folder.path)
        self.folder = folder
        self.path = folder.path
        resolved = resolve(folder.config)
        self.parts = build_parts(resolved)
        self.facts = facts_of(resolved, self.parts)
        trainer = resolved["trainer"]
        self.num_epochs: int = trainer["num_epochs"]
        self.save_every: int | None = trainer["save_every"]
        self._switches = DashboardConfig(**resolved.get("dashboard", {}))
        self._fingerprint = fingerprint(folder.config)
        self.epoch = self.step = 0
        self.best: dict[str, float] = {"epoch": 0, "objective": -1.0}
        self.metrics: dict[str, float] = {}
        self.pause: Pause | None = None
        self.seconds = {"total": 0.0, "training": 0.0}
        self.recorder = Recorder(self.path, self._fingerprint, log_every=trainer["log_every"])
        self._saved = find_checkpoint(folder, self._fingerprint)
        if self._saved:
            self.step = self._saved["step"]

    @property
    def checkpoint_path(self) -> Path:
        """Of the last checkpoint."""
        return self.path / CHECKPOINT_PATH

    @property
    def facts_now(self) -> Facts:
        """The facts, and the step: only runs that are equally far can be trained together."""
        return dataclasses.replace(self.facts, shared={**self.facts.shared, "steps so far": str(self.step)})

    @property
    def objective(self) -> float:
        """Validation accuracy after the last epoch if there is a validation split, else test accuracy."""
        return self.metrics[self.parts.objective_name]

    def catch_up(self, step: int) -> None:
        """Take the checkpoint that a kill left unfinished, if it is of this step: the rest of the stack has it."""
        for path in self.checkpoint_path.parent.glob(f".{self.checkpoint_path.name}.*.tmp"):
            with contextlib.suppress(CheckpointError):
                saved = load_checkpoint(path, self._fingerprint)
                if saved["step"] == step:
                    path.replace(self.checkpoint_path)
                    self._saved, self.step = saved, step

    def begin(self, *, in_sweep: bool) -> None:
        """Restore the run and open its records.

        Args:
            in_sweep: one run among several, which records less unless `dashboard.in_sweeps` is set.

        Raises:
            CheckpointError: the checkpoint is not one of this run.
            OSError: the folder may not be written.
        """
        self.checkpoint_path.parent.mkdir(exist_ok=True)
        remove_temporary_files(self.path)
        if self.folder.state != "planned":
            remove_temporary_files(self.checkpoint_path.parent)
        if self._saved:
            self._restore(self._saved)
        self._start = time.perf_counter() - self.seconds["total"]
        last_epoch = None if self.folder.state == "planned" else self.epoch
        self.recorder.open(last_epoch)
        switches = switch_off(self._switches) if in_sweep and not self._switches.in_sweeps else self._switches
        self._dashboard = Dashboard(self.recorder.events, switches, self.parts.member.model, self.parts.dataset)
        yaml_text = (self.path / CONFIG_PATH).read_text(encoding="utf-8")
        folder = self.folder
        self._dashboard.log_start(folder.config, yaml_text, folder.choices, folder.overrides)

    def restore_random_state(self) -> None:
        """Let torch draw what it would have drawn next, had the run not been interrupted."""
        if self._saved:
            restore_random_state(self._saved)

    def record(self, report: EpochReport | Pause) -> None:
        """Record an epoch, or note where the run stands inside one; the checkpoint is saved after it."""
        self.step = report.step
        if isinstance(report, Pause):
            self.pause = report
            return
        self.pause, self.epoch, self.metrics = None, report.epoch, report.metrics
        if self.objective > self.best["objective"]:
            self.best = {"epoch": report.epoch, "objective": self.objective}
        self.seconds["training"] += report.training_s
        self._dashboard.log_epoch(report.images_seen)
        self.recorder.log_epoch(report, {self.parts.objective_name: self.best["objective"]})

    def make_checkpoint(self) -> dict[Path, bytes]:
        """Make the checkpoint of where the run stands: its path and its content."""
        progress = {
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
            "metrics": self.metrics,
            "seconds": self.seconds | {"total": time.perf_counter() - self._start},
            "fingerprint": self._fingerprint,
            "pause": self.pause and dataclasses.asdict(self.pause),
        }
        return {self.checkpoint_path: make_checkpoint(self.parts.member, progress)}

    def keep_best(self) -> None:
        """Let `best.pt` be the last checkpoint as well when that is of the best epoch so far."""
        if self.pause is None and self.best["epoch"] == self.epoch:
            link_atomically(self.checkpoint_path, self.checkpoint_path.with_name("best.pt"))

    def finish(self, predictions: Predictions, stack_size: int) -> dict[Path, bytes]:
        """Close the records of a run that has trained all its epochs.

        Args:
            predictions: of the test images.
            stack_size: runs that were trained as one.

        Returns:
            What has to be written to complete it, in this order.
        """
        self._dashboard.log_end(self.recorder.images_seen, predictions)
        self.seconds["total"] = time.perf_counter() - self._start
        seconds = {name: round(value, 3) for name, value in self.seconds.items()}
        self.recorder.close("completed", seconds=seconds)
        result = {
            "state": "completed",
            "objective": self.objective,
            "objective_name": self.parts.objective_name,
            "num_epochs": self.num_epochs,
            "metrics": self.metrics,
            "best": self.best,
            "stack_size": stack_size,
            "seconds": seconds,
            "overrides": self.folder.overrides,
        }
        return {
            self.path / PREDICTIONS_NAME: predictions.to_bytes(),
            self.path / "result.json": to_json(result),
            self.path / "status.json": self.recorder.status("completed"),
        }

    def _restore(self, saved: dict[str, Any]) -> None:
        restore(self.parts.member, saved, self.checkpoint_path)
        self.epoch, self.best, self.metrics, self.seconds = (
            saved[key] for key in ("epoch", "best", "metrics", "seconds")
        )
        try:
            numbers = [self.best["epoch"], self.best["objective"], self.seconds["total"], self.seconds["training"]]
            numbers += [self.objective] if self.epoch else []
            if self.epoch < 0 or not all(map(math.isfinite, numbers)):
                raise ValueError("a number is not what it can be")
            self.pause = Pause(**saved["pause"]) if saved["pause"] else None
            if self.pause:
                Tally([self.pause.tally]).means()
                if not 0 < len(self.pause.step_losses) < len(self.parts.make_batches()):
                    raise ValueError("no such step in an epoch")
            restore_random_state(saved)
        except Exception as error:  # of a checkpoint that was made up
            raise CheckpointError(f"{self.checkpoint_path}: does not say where the run stood ({error!r})") from error
        if self.epoch + (self.pause is not None) > self.num_epochs:
            raise CheckpointError(
                f"{self.path}: has trained {self.epoch} epochs or more; "
                f"trainer.num_epochs={self.num_epochs} asks for less"
            )
        self.keep_best()  # it may have been killed between the two files
