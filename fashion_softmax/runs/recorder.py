"""What a run leaves behind while it trains: TensorBoard events, and the facts in JSON.

Facts are read from the JSON files; the event file is for looking. Steps on TensorBoard's axis are images seen, so
that runs with different batch sizes line up.
"""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from fashion_softmax.config.explain import describe
from fashion_softmax.dashboard.events import EventFile, forget
from fashion_softmax.dashboard.panels import WRITTEN_ANEW
from fashion_softmax.errors import DivergedError
from fashion_softmax.files import Names, finite_or_none, overwrite, to_json, write_atomically
from fashion_softmax.runs.lock import make_status
from fashion_softmax.runs.records import read_rows
from fashion_softmax.stacking.training import EpochReport

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Recorder:
    """Writes one run's records, from when it is opened until it is closed.

    Args:
        run_dir: the run's folder.
        fingerprint: of the configuration, for `status.json`.
        log_every: steps between two points of `train/step_loss`, at least 1.
        started: when training began, of a run that is resumed, in ISO 8601 and UTC.

    Attributes:
        events: the event file, where others may add what they have to show.
        images_seen: training images so far, repetitions counted.
    """

    events: EventFile

    def __init__(
        self, run_dir: Path, fingerprint: str | None, *, log_every: int = 1, started: str | None = None
    ) -> None:
        self.run_dir = run_dir
        self.fingerprint = fingerprint
        self.log_every = log_every
        self.images_seen = 0
        self.started = started
        self._metrics: TextIO | None = None

    def open(self, last_epoch: int | None) -> None:
        """Open the records.

        Args:
            last_epoch: of a resumed run; records up to it are kept, later ones are made again. None for a new run.
        """
        self.started = self.started or datetime.now(UTC).isoformat(timespec="seconds")
        rows = [] if last_epoch is None else _keep_until(self.run_dir, last_epoch)
        self.images_seen = rows[-1]["images_seen"] if rows else 0
        self.events = EventFile(self.run_dir, first_step=self.images_seen + 1 if rows else 0)
        self._metrics = (self.run_dir / Names.METRICS).open("a", encoding="utf-8")
        overwrite(self.run_dir / Names.STATUS, self._status("running"))

    def _status(self, state: str, error: str | None = None) -> bytes:
        return to_json(make_status(state, self.fingerprint, started=self.started, error=error))

    def log_epoch(self, report: EpochReport, best: Mapping[str, float]) -> None:
        """Write an epoch's metrics and its training losses along the steps, and flush all records.

        Args:
            report: of the epoch.
            best: what the best epoch so far has, by tag.
        """
        assert self._metrics is not None
        self.images_seen = images_seen = report.images_seen
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

    def close(self, state: str, error: str | None = None, seconds: Mapping[str, float] | None = None) -> None:
        """Close the files, and say in `status.json` what became of the run.

        Args:
            state: of the run from now on; TensorBoard's table gets it unless the run is to be resumed.
            error: why the run ended early.
            seconds: what a completed run took, by name.
        """
        try:
            if self._metrics and not self._metrics.closed:
                self._metrics.close()
                with contextlib.closing(self.events):
                    taken = {f"time/{name}_s": value for name, value in (seconds or {}).items()}
                    self.events.write_scalars(taken, self.images_seen)
                    if state != "interrupted":
                        self.events.write_end(succeeded=state == "completed")
        finally:
            if state != "completed":
                write_atomically(self.run_dir / Names.STATUS, self._status(state, error))
        if state == "completed":
            overwrite(self.run_dir / Names.STATUS, self._status(state))

    def fail(self, error: BaseException) -> None:
        """Record why the run ended early; what fails while recording is ignored."""
        states = {DivergedError: "diverged", KeyboardInterrupt: "interrupted"}
        state = next((state for kind, state in states.items() if isinstance(error, kind)), "failed")
        with contextlib.suppress(Exception):
            log_into(self.run_dir, f"{state}: {describe(error)}", error)
            self.close(state, describe(error))


def _keep_until(run_dir: Path, last_epoch: int) -> list[dict[str, Any]]:
    """Forget what is recorded anew when a run is resumed; returns the rows of the epochs that are kept.

    TensorBoard keeps the first value of some tags, so old ones are removed from the event files.
    """
    rows = [row for row in read_rows(run_dir) if row["epoch"] <= last_epoch]
    if (run_dir / Names.METRICS).exists():
        write_atomically(run_dir / Names.METRICS, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    for path in run_dir.glob("events.out.tfevents.*"):
        before = path.read_bytes()
        after = forget(before, WRITTEN_ANEW)
        if after != before:
            write_atomically(path, after)
    return rows


def log_into(run_dir: Path, message: str, error: BaseException | None = None) -> None:
    """Write into a run's own log; of a sweep's runs the terminal gets a table at the end."""
    handler, level, details = _make_handler(run_dir), logging.INFO, None
    try:
        if error:
            raise error  # one that nobody raised has no traceback yet
    except BaseException:
        level, details = logging.ERROR, sys.exc_info()
    with contextlib.suppress(OSError), contextlib.closing(handler):
        handler.handle(logging.LogRecord(__name__, level, __file__, 0, message, None, details))


@contextlib.contextmanager
def log_all(run_dir: Path) -> Iterator[None]:
    """Also write all other log messages, such as warnings, into a single run's log."""
    handler, root = _make_handler(run_dir), logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def _make_handler(run_dir: Path) -> logging.Handler:
    formatter = logging.Formatter(LOG_FORMAT, "%Y-%m-%dT%H:%M:%S+00:00")
    formatter.converter = time.gmtime
    handler = logging.FileHandler(run_dir / "train.log", encoding="utf-8", delay=True, errors="replace")
    handler.setFormatter(formatter)
    return handler
