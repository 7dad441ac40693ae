"""One run while it trains: what it trains with, how far it is, and its records."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Iterable
from pathlib import Path

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.schema import DashboardConfig, SweepConfig, resolve
from fashion_softmax.config.settings import fingerprint
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.dashboard.panels import Dashboard
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import Names, link_atomically, remove_temporary_files, to_json
from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.checkpoint import Progress, find_checkpoint, load_checkpoint, make_checkpoint, restore
from fashion_softmax.runs.recorder import Recorder
from fashion_softmax.runs.records import RunFolder
from fashion_softmax.stacking import Facts
from fashion_softmax.stacking.training import EpochReport


class Run:
    """One run: built from its folder, restored to its last checkpoint, and recorded while it trains.

    Args:
        folder: as read.
        is_trained: not only built to keep its place in a stack.

    Attributes:
        path, checkpoint_path: of the folder and of its last checkpoint.
        parts: what it trains with.
        num_epochs: that it is asked to train.
        epoch: finished epochs, of the checkpoint before `begin`.
        progress: how far it is, from `begin` on.
        recorder: of its records.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it; a checkpoint is damaged or
            belongs to another configuration.
    """

    def __init__(self, folder: RunFolder, *, is_trained: bool = True) -> None:
        self.folder = folder
        self.path, self.checkpoint_path = folder.path, folder.path / Names.CHECKPOINT
        resolved = resolve(folder.config)
        self.parts = build_parts(resolved)
        self.num_epochs: int = resolved["trainer"]["num_epochs"]
        self._root: str | None = resolved["dataset"].get("root")  # of the data set
        self._sweep = SweepConfig(**resolved.get("sweep", {}))
        self._switches = DashboardConfig(**resolved.get("dashboard", {}))
        self._fingerprint = fingerprint(folder.config)
        self._data = self.parts.dataset.description
        self.progress = Progress()
        log_every, started = resolved["trainer"]["log_every"], folder.started or None
        self.recorder = Recorder(self.path, self._fingerprint, log_every=log_every, started=started)
        self._saved = find_checkpoint(folder, self._fingerprint) if is_trained else None
        if self._saved and self._saved.get("data") not in (None, self._data):
            problem = "the data set has changed since (its classes, splits or images)"
            raise CheckpointError(f"{self.path}: {problem}; start the run anew")

    @property
    def epoch(self) -> int:
        """Finished epochs; before `begin` those of the checkpoint."""
        return self.progress.epoch or (self._saved or {}).get("epoch", 0)

    @property
    def title(self) -> str:
        """What is trained, such as `SoftmaxRegression, CrossEntropy, SGD on 60000 images of 1 x 28 x 28` of what."""
        member, dataset = self.parts.member, self.parts.dataset
        names = ", ".join(type(part).__name__ for part in (member.model, member.loss_fn, member.optimizer))
        images = f"{len(dataset.train)} images of {' x '.join(map(str, dataset.image_shape))}"
        source = f"{self.folder.hyperparameters['dataset']}, {dataset.num_classes} classes"
        return f"{names} on {images}\ndata set     {source}{f', {shorten(self._root)}' if self._root else ''}"

    @property
    def advice(self) -> str | None:
        """What to try if the finished run is no better than guessing."""
        name, split = next(iter(self.parts.dataset.evaluation_splits.items()))
        share = float(split.labels.bincount().max()) / len(split)
        if self.objective > (limit := share + 2 * math.sqrt(share * (1 - share) / len(split))):
            return None
        if limit >= 1:
            why = "are of one class" if share == 1 else "are too few"
            return f"all {len(split)} {name} images {why}, so their accuracy says nothing"
        group = self.parts.member.optimizer.param_groups[0]
        # Far worse than equal probabilities for all classes: the steps are too large.
        is_far_off = self.progress.metrics["train/cross_entropy"] > 2 * math.log(self.parts.dataset.num_classes)
        factors = (0.1, 0.01) if is_far_off else (0.1, 10)
        rates = " or ".join(f"{group.get('initial_lr', group['lr']) * factor:g}" for factor in factors)
        is_scaled = self.parts.dataset.train.normalization is not None
        reason = "too few epochs or images" if is_scaled else "images not normalized; add dataset.normalize=mean_std"
        return (
            f"{name} accuracy {100 * self.objective:.2f} % is not clearly better than guessing ({100 * share:.2f} %). "
            f"The two likeliest reasons: a learning rate that does not fit; try optimizer.lr={rates}; or {reason}"
        )

    @property
    def facts_now(self) -> Facts:
        """What it must have in common with its company, and the epoch: all must be equally far."""
        facts = self.parts.facts
        return dataclasses.replace(facts, shared={**facts.shared, "epochs so far": str(self.epoch)})

    @property
    def discard_value(self) -> float:
        """The accuracy that decides whether it stays in its stack, after the last epoch."""
        return self.progress.metrics[f"{self._sweep.discard_on}/accuracy"]

    def count_kept(self, size: int) -> int:
        """Count the runs that stay after this epoch in a stack that had so many at first, see `SweepConfig`."""
        return count_kept(self._sweep.discard, self.epoch, self.num_epochs, size)

    def discard(self, reason: str) -> None:
        """Let it leave its stack; from its checkpoint it can be resumed alone."""
        value = f"{self._sweep.discard_on} accuracy {100 * self.discard_value:.2f} %"
        self.recorder.close("discarded", f"{value} after {count(self.epoch, 'epoch')}; {reason}")

    @property
    def objective(self) -> float:
        """Validation accuracy after the last epoch if there is a validation split, else test accuracy."""
        return self.progress.metrics[self.parts.objective_name]

    def catch_up(self, epoch: int) -> None:
        """Take the checkpoint that a kill left unfinished, if it is of this epoch: the rest of the stack has it."""
        for path in self.checkpoint_path.parent.glob(f".{self.checkpoint_path.name}.*.tmp"):
            with contextlib.suppress(CheckpointError):
                saved = load_checkpoint(path, self._fingerprint)
                if saved["epoch"] == epoch:
                    path.replace(self.checkpoint_path)
                    self._saved = saved

    def begin(self, *, in_sweep: bool) -> None:
        """Restore the run and what torch draws next, and open its records.

        Args:
            in_sweep: one run among several, which records less unless `dashboard.in_sweeps` is set.

        Raises:
            CheckpointError: the checkpoint is not one of this run.
            OSError: the folder may not be written.
        """
        self.checkpoint_path.parent.mkdir(exist_ok=True)
        # After a power cut one that has trained may still say that it is planned.
        if not (is_new := self.folder.state == "planned" and not (self.path / Names.METRICS).exists()):
            remove_temporary_files(self.path)
            remove_temporary_files(self.checkpoint_path.parent)
        if self._saved:
            self.progress = restore(self.parts.member, self._saved, self.checkpoint_path)
            if self.epoch and self.parts.objective_name not in self.progress.metrics:
                raise CheckpointError(f"{self.checkpoint_path}: has no {self.parts.objective_name}")
            self.keep_best()  # it may have been killed between the two files
        self._start = time.perf_counter() - self.progress.seconds["total"]
        self.recorder.open(None if is_new else self.epoch)
        switches = self._switches.of_a_sweep() if in_sweep else self._switches
        self._dashboard = Dashboard(self.recorder.events, switches, self.parts.member.model, self.parts.dataset)
        yaml_text = (self.path / Names.CONFIG).read_text(encoding="utf-8")
        self._dashboard.log_start(self.folder.config, yaml_text, self.folder.choices, self.folder.overrides)

    def record(self, report: EpochReport) -> dict[Path, bytes | None]:
        """Record an epoch.

        Returns:
            What has to be on the disk before the epoch counts, see `write_together`: the metrics and the checkpoint.
            What the run was planned with is there after half a minute: a power cut before takes no more than that.
        """
        progress = self.progress
        progress.epoch, progress.metrics = report.epoch, report.metrics
        loss_name = self.parts.objective_name.replace("accuracy", "loss")
        if self.objective > progress.best["objective"]:
            progress.best = {"epoch": report.epoch, "objective": self.objective, "loss": report.metrics[loss_name]}
        progress.seconds["training"] += report.training_s
        progress.seconds["total"] = time.perf_counter() - self._start
        self._dashboard.log_epoch(report.images_seen)
        best = {self.parts.objective_name: progress.best["objective"], loss_name: progress.best.get("loss", math.nan)}
        self.recorder.log_epoch(report, best)
        content = make_checkpoint(self.parts.member, progress, self._fingerprint, self._data)
        return {self.path / Names.METRICS: None, self.checkpoint_path: content}

    def keep_best(self) -> None:
        """Let `best.pt` be the last checkpoint as well when that is of the best epoch so far."""
        if self.progress.best["epoch"] == self.epoch:
            link_atomically(self.checkpoint_path, self.checkpoint_path.with_name("best.pt"))

    def finish(self, predictions: Predictions, stack_size: int) -> None:
        """Complete a run that has trained all its epochs: write its predictions and its result, close its records.

        Nothing is flushed: what a power cut takes, resuming makes anew, see `RunFolder.is_finished`.

        Args:
            predictions: of the test images.
            stack_size: runs that were trained as one.
        """
        self._dashboard.log_end(self.recorder.images_seen, predictions)
        progress = self.progress
        progress.seconds["total"] = time.perf_counter() - self._start
        seconds = {name: round(value, 3) for name, value in progress.seconds.items()}
        result = {
            "state": "completed",
            "objective": self.objective,
            "objective_name": self.parts.objective_name,
            "num_epochs": self.num_epochs,
            "metrics": progress.metrics,
            "best": progress.best,
            "stack_size": stack_size,
            "num_images": {name: len(split) for name, split in self.parts.dataset.evaluation_splits.items()},
            "seconds": seconds,
            "class_names": list(self.parts.dataset.class_names),
            "overrides": self.folder.overrides,
        }
        (self.path / Names.PREDICTIONS).write_bytes(predictions.to_bytes())
        (self.path / Names.RESULT).write_bytes(to_json(result))
        self.recorder.close("completed", seconds=seconds)


def count_kept(rungs: Iterable[tuple[int, float]], epoch: int, num_epochs: int, size: int) -> int:
    """Count the runs that stay after an epoch in a stack that had `size` at first; `rungs` as `SweepConfig.discard`."""
    limits = [limit for rung, limit in rungs if rung <= epoch < num_epochs]
    return min((int(limit) if limit >= 1 else math.ceil(limit * size - 1e-9) for limit in limits), default=size)
