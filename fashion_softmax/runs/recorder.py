"""What a run leaves behind for people and programs: TensorBoard events, JSON, predictions.

Facts are read from the JSON files; the event file is for looking. Steps on TensorBoard's axis are images seen, so
that runs with different batch sizes line up.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch.utils.tensorboard.summary import custom_scalars, text

from fashion_softmax.dashboard.events import HPARAMS_TAGS, EventFile, forget
from fashion_softmax.errors import DivergedError
from fashion_softmax.files import finite_or_none, write_atomically, write_json
from fashion_softmax.runs.folder import describe_process
from fashion_softmax.runs.records import PREDICTIONS_NAME, Predictions, read_rows
from fashion_softmax.stacking.training import EpochReport

# One chart per measure with all splits in it; without this TensorBoard draws a chart per tag.
LAYOUT = {
    "train beside test": {
        name: ["Multiline", [f"^(train|val|test)/{name}$"]] for name in ("loss", "accuracy", "cross_entropy")
    }
}
# Tags of what is written once a run has ended, and of what its beginning says; a run that goes on writes them anew.
OF_THE_END = TIME, TEST_IMAGES, CURVES = "time/", "test_images/", "precision_recall/"
TEXTS = ("config", "differences")


class Recorder:
    """Writes one run's records, until it is closed.

    Args:
        run_dir: the run's folder, which exists.
        overrides: of the command line, for `result.json`.
        fingerprint: of the configuration, for `status.json`.
        log_every: steps between two points of `train/step_loss`, at least 1.
        last_epoch: whose records are kept where a run goes on, those after it are recorded again; 0 for a new run.
        hyperparameters: for TensorBoard's table, by name; without any the run is not in it.
        trial: names its row there, which runs of the same name share.
        texts: Markdown for TensorBoard, by tag, one of `TEXTS`.

    Attributes:
        events: for whoever has more to show.
    """

    def __init__(
        self,
        run_dir: Path,
        overrides: Sequence[str],
        fingerprint: str,
        *,
        log_every: int,
        last_epoch: int = 0,
        hyperparameters: Mapping[str, bool | int | float | str] | None = None,
        trial: str = "",
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.overrides = list(overrides)
        self.fingerprint = fingerprint
        self.log_every = log_every
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [row for row in read_rows(run_dir) if row["epoch"] <= last_epoch]
        self._images_seen = rows[-1]["images_seen"] if rows else 0
        _forget_beginning_and_end(run_dir)
        self.events = EventFile(run_dir, first_step=self._images_seen + 1 if rows else 0)
        if hyperparameters:
            self.events.write_start(hyperparameters, trial)
        self.events.write(custom_scalars(LAYOUT))
        for tag, markdown in (texts or {}).items():
            self.events.write(text(tag, markdown))
        if (run_dir / "metrics.jsonl").exists():
            write_atomically(run_dir / "metrics.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())
        self._metrics = (run_dir / "metrics.jsonl").open("a", encoding="utf-8")
        self.write_status("running")

    def close(self, error: BaseException | None = None) -> None:
        """Close the files, and note an error in `status.json` and in TensorBoard's table; once is enough.

        A run that was interrupted may go on, and has no end in the table.
        """
        if self._metrics.closed:
            return
        self._metrics.close()
        state = None if error is None else _state_after(error)
        try:
            if state in ("failed", "diverged"):
                self.events.write_end(succeeded=False)
            self.events.close()
        finally:
            if state:
                self.write_status(state, str(error) or type(error).__name__)

    def log_epoch(self, report: EpochReport, best: Mapping[str, float]) -> None:
        """Write an epoch's metrics and its training losses along the steps, and flush.

        Args:
            report: of the epoch.
            best: objective so far, by its name.
        """
        self._images_seen = images_seen = report.images_seen
        num_steps = len(report.step_losses)
        first_step = report.step - num_steps
        # Steps line up with the epoch: its last step has seen as many images as the epoch's own metrics.
        images_per_step = (images_seen // report.epoch) / num_steps
        for index in range(num_steps):
            if (first_step + index + 1) % self.log_every == 0:
                position = images_seen - round((num_steps - 1 - index) * images_per_step)
                self.events.write_scalars({"train/step_loss": report.step_losses[index]}, position)
        best_so_far = {f"best/{name.replace('/', '_')}": value for name, value in best.items()}
        self.events.write_scalars(report.metrics | best_so_far, images_seen)
        self.events.flush()
        row = {"epoch": report.epoch, "step": report.step, "images_seen": images_seen, **report.metrics}
        self._metrics.write(json.dumps(finite_or_none(row)) + "\n")
        self._metrics.flush()

    def write_status(self, state: str, error: str | None = None) -> None:
        """Write `status.json`.

        Args:
            state: running, completed, diverged, failed or interrupted.
            error: why, where there is a reason.
        """
        status = {"state": state, "error": error, "started": self.started, "fingerprint": self.fingerprint}
        status |= describe_process()
        write_json(self.run_dir / "status.json", status)

    def write_predictions(self, predictions: Predictions) -> None:
        """Write `predictions.npz`."""
        write_atomically(self.run_dir / PREDICTIONS_NAME, predictions.to_bytes())

    def write_result(self, *, seconds: Mapping[str, float], **facts: Any) -> None:
        """Write `result.json` of a completed run, and its status.

        Args:
            seconds: `total` and `training`.
            **facts: objective, objective_name, num_epochs, metrics and best.
        """
        self.events.write_scalars({f"{TIME}{name}_s": value for name, value in seconds.items()}, self._images_seen)
        self.events.write_end(succeeded=True)
        self.events.flush()
        facts["seconds"] = dict(seconds)
        result = {"state": "completed", **facts, "overrides": self.overrides}
        write_json(self.run_dir / "result.json", result)
        self.write_status("completed")


def _forget_beginning_and_end(run_dir: Path) -> None:
    """Take out of earlier event files what is written anew: of some of it TensorBoard would keep the first."""
    for path in run_dir.glob("events.out.tfevents.*"):
        before = path.read_bytes()
        after = forget(before, (HPARAMS_TAGS, *OF_THE_END, *(f"{tag}/text_summary" for tag in TEXTS)))
        if after != before:
            write_atomically(path, after)


def _state_after(error: BaseException) -> str:
    if isinstance(error, DivergedError):
        return "diverged"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
