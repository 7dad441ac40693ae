"""One run and its records, from a checked configuration to its result; whoever trains it reports to it."""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from omegaconf import DictConfig, OmegaConf

from fashion_softmax.checkpoint import save_checkpoint
from fashion_softmax.parts import Parts, build_parts
from fashion_softmax.recorder import Recorder
from fashion_softmax.training import EpochReport
from fashion_softmax.validation import validate

log = logging.getLogger(__name__)


class Run:
    """One run and its records; a context manager that closes them whatever happens.

    Args:
        cfg: of the shape of `config.Config`.
        run_dir: the run's folder, which exists.
        overrides: of the command line, recorded.
        parts: built by `check` from the same configuration and never trained; None to check and build now.

    Attributes:
        parts: what it trains with.
        error: why it failed, None if it did not.
        has_ended: its result or its error is recorded.
        best: epoch and objective of the best epoch so far.

    Raises:
        FashionSoftmaxError: the configuration, the data or the machine does not allow it.
    """

    def __init__(
        self, cfg: DictConfig, run_dir: Path, *, overrides: Sequence[str] = (), parts: Parts | None = None
    ) -> None:
        self.parts = parts or check(cfg)
        self.run_dir = run_dir
        self.num_epochs: int = cfg.trainer.num_epochs
        self.error: BaseException | None = None
        self.has_ended = False
        self.best: dict[str, float] = {"epoch": 0, "objective": -1.0}
        self.seconds = {"total": 0.0, "training": 0.0}
        self._last: EpochReport | None = None
        self._start = time.perf_counter()
        text = OmegaConf.to_yaml(cfg)
        self._recorder = Recorder(run_dir, text, overrides, fingerprint(cfg), log_every=cfg.trainer.log_every)

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
        assert self._last is not None
        return self._last.metrics[self.parts.objective_name]

    def log_epoch(self, report: EpochReport) -> None:
        """Record an epoch and save a checkpoint."""
        self._last = report
        self._recorder.log_epoch(report)
        if is_best := self.objective > self.best["objective"]:
            self.best = {"epoch": report.epoch, "objective": self.objective}
        progress = {
            "epoch": report.epoch,
            "step": report.step,
            "best": self.best,
            "fingerprint": self._recorder.fingerprint,
        }
        member = self.parts.member
        save_checkpoint(
            self.run_dir / "checkpoints", member.model, member.optimizer, member.scheduler, progress, is_best=is_best
        )
        self.seconds["training"] += report.training_s

    def end(self, error: BaseException | None, stack_size: int) -> None:
        """Record the result, or why there is none; what is recorded stays, whatever becomes of other runs.

        Args:
            error: why the run failed, None if it did not.
            stack_size: runs that were trained as one.
        """
        if self.has_ended:
            return
        self.has_ended = True
        self.error = error
        self.seconds["total"] = time.perf_counter() - self._start
        try:
            if error is None:
                self._write_result(stack_size)
            self._recorder.close(error)
        except Exception as failure:  # its folder is gone or full: its own failure, and nobody else's
            self.error = error or failure
            with contextlib.suppress(Exception):
                self._recorder.close(self.error)

    def _write_result(self, stack_size: int) -> None:
        assert self._last is not None
        self._recorder.write_result(
            objective=self.objective,
            objective_name=self.parts.objective_name,
            num_epochs=self.num_epochs,
            metrics=self._last.metrics,
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


def check(cfg: DictConfig) -> Parts:
    """Find out whether a configuration can be run: check it, get its data, build all its parts.

    Args:
        cfg: of the shape of `config.Config`.

    Returns:
        The parts, untrained.

    Raises:
        FashionSoftmaxError: it cannot; nothing was created but a data set that was missing.
    """
    validate(cfg)
    return build_parts(cfg)


def fingerprint(cfg: DictConfig) -> str:
    """Digest a resolved configuration; equal where the same run is meant, whatever its spelling and its company."""
    content = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    content.pop("sweep", None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
