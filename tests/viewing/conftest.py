"""Runs written by hand: what they say is known, and a hundred of them take no time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fashion_softmax.learning.predictions import Predictions
from fashion_softmax.runs.folder import make_info
from tests.scripts.conftest import script  # noqa: F401

RecordRun = Callable[..., Path]
LABELS = np.arange(200, dtype=np.uint8) % 10


@pytest.fixture
def record_run(tmp_path: Path) -> RecordRun:
    """Write the records of a run with so many of 200 test images right; keywords such as loss="huber" are settings."""

    def record(
        name: str,
        num_correct: int = 150,
        *,
        loss: str = "ce",
        lr: float = 0.1,
        seed: int = 0,
        state: str = "completed",
        first_wrong: int | None = None,
        val_accuracy: float | None = None,
        **config: Any,
    ) -> Path:
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True)
        accuracy = num_correct / len(LABELS)
        metrics = {"train/loss": 0.5, "train/accuracy": 0.9, "train/cross_entropy": 0.5, "test/loss": 0.6}
        metrics |= {"test/accuracy": accuracy, "test/cross_entropy": 0.7, "lr": lr}
        if val_accuracy is not None:
            metrics["val/accuracy"] = val_accuracy
        rows = [{"epoch": epoch, "step": epoch, "images_seen": 100 * epoch, **metrics} for epoch in (1, 2)]
        (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        error = None if state == "completed" else "the loss is nan"
        write(folder / "status.json", {"state": state, "error": error})
        if state == "completed":
            facts = {"best": {"epoch": 1, "objective": accuracy}, "seconds": {"total": 2.0, "training": 1.5}}
            write(folder / "result.json", {"state": state, "metrics": metrics, "objective": accuracy, **facts})
            is_correct = np.ones(len(LABELS), dtype=bool)
            start = first_wrong if first_wrong is not None else num_correct
            is_correct[np.arange(start, start + len(LABELS) - num_correct) % len(LABELS)] = False
            classes = np.where(is_correct, LABELS, (LABELS + 1) % 10).astype(np.uint8)
            predictions = Predictions(LABELS, classes, np.linspace(0.5, 1, len(LABELS), dtype=np.float32))
            (folder / "predictions.npz").write_bytes(predictions.to_bytes())
        content = {
            "dataset": {"_target_": "fashion_softmax.data.load_published", "name": "mnist", "val_size": 0},
            "loss": {"_target_": "fashion_softmax.learning.losses.X"} | ({"delta": 0.5} if loss == "huber" else {}),
            "optimizer": {"_target_": "torch.optim.SGD", "lr": lr},
            "seed": seed,
            "trainer": {"num_epochs": 2, "log_every": 20},
        }
        write(folder / ".hydra" / "config.yaml", content | config)
        choices = {"dataset": (config.get("dataset") or {}).get("name", "mnist"), "loss": loss, "optimizer": "sgd"}
        (folder / "run.json").write_bytes(make_info([f"loss={loss}", f"optimizer.lr={lr}"], choices))
        return folder

    return record


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, which is YAML as well."""
    path.write_text(json.dumps(content), encoding="utf-8")
