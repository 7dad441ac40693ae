"""What an attack found: refusals that change nothing, components that misbehave, errors with strange texts."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from fashion_softmax.config.building import build_parts
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.dashboard.events import EventFile
from fashion_softmax.errors import CheckpointError, DataError, MachineError
from fashion_softmax.learning.losses import CrossEntropy
from fashion_softmax.learning.models import ImageShape, SoftmaxRegression
from fashion_softmax.runs.folder import write_sweep
from fashion_softmax.runs.lock import claim
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.training import train_folders
from fashion_softmax.sweeps.resume import prepare
from tests.conftest import TINY, write_planned

HERE = "tests.runs.test_attack"


class Odd(CrossEntropy):
    """Misbehaves once it sees a whole batch."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def value_and_gradient(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        losses, gradient = super().value_and_gradient(logits, labels)
        if len(labels) == 2:
            return losses, gradient
        if self.how == "surrogate":
            raise ValueError("cannot read \udcff")
        if self.how == "long":
            raise ValueError("x" * 3_000_000)
        if self.how == "float64":
            return losses.double(), gradient.double()
        return losses, gradient.requires_grad_()


class CosineOfNumPy(LRScheduler):
    """Sets a learning rate that is no plain number."""

    def get_lr(self) -> Any:
        return [base * np.cos(self.last_epoch / 10) for base in self.base_lrs]


def write(folder: Path, *overrides: str) -> Path:
    return write_planned(folder, *TINY, *overrides)


def read_all(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_refused_resume_changes_nothing(run: Path) -> None:
    before = read_all(run)
    with pytest.raises(MachineError):
        prepare([f"resume={run}", "trainer.num_epochs=4", "device=cuda:99"])
    assert read_all(run) == before


def test_data_that_is_gone_refuses_a_resume(tmp_path: Path, idx_folder: Path) -> None:
    run = write_planned(tmp_path / "run", "dataset=idx", f"dataset.root={idx_folder}", "trainer.num_epochs=1")
    assert not train_folders([run])
    idx_folder.rename(tmp_path / "moved")
    before = read_all(run)
    with pytest.raises(DataError):
        prepare([f"resume={run}", "trainer.num_epochs=2", f"dataset.root={tmp_path}/gone"])
    assert read_all(run) == before


def test_folder_without_a_state_is_refused(run: Path) -> None:
    (run / "status.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no status\.json"):
        prepare([f"resume={run}", "trainer.num_epochs=2"])


def test_run_that_another_process_trains_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [write(tmp_path / name, f"loss={name}") for name in ("ce", "mse")]
    write_sweep(tmp_path, [["ce", "mse"]])
    holder = [path for path in runs if path.name == "mse"]

    def claim_of_another(folder: Path) -> Any:
        if folder in holder:
            raise CheckpointError(f"{folder}: process 7 is writing there")
        return claim(folder)

    monkeypatch.setattr("fashion_softmax.sweeps.resume.claim", claim_of_another)
    before = read_all(tmp_path)
    with pytest.raises(CheckpointError, match="mse: process 7"):
        prepare([f"resume={tmp_path}", "trainer.num_epochs=4"])
    assert {path: content for path, content in read_all(tmp_path).items() if path.name != ".lock"} == before


@pytest.mark.slow
@pytest.mark.parametrize(("how", "fails"), [("surrogate", True), ("long", True), ("float64", False), ("graph", False)])
def test_odd_loss_is_alone_with_its_trouble(tmp_path: Path, how: str, fails: bool) -> None:
    odd = write(tmp_path / "odd", f"loss._target_={HERE}.Odd", f"+loss.how={how}", "~loss.label_smoothing")
    runs = [write(tmp_path / "ce"), odd, write(tmp_path / "mse", "loss=mse")]
    alone = write(tmp_path / "alone", "loss=mse")
    assert set(train_folders(runs)) == ({odd} if fails else set())
    assert not train_folders([alone])
    assert read_folder(runs[2]).metrics == pytest.approx(read_folder(alone).metrics, rel=1e-5)
    folder = read_folder(odd)
    assert folder.state == ("failed" if fails else "completed") and bool(folder.error) == fails
    assert not fails or "ValueError" in (odd / "train.log").read_text(encoding="utf-8")


def test_damaged_checkpoint_of_one_run_leaves_the_others_bit_for_bit(tmp_path: Path) -> None:
    jobs = [("dataset.num_train=2000", f"loss={loss}", "trainer.num_epochs=2") for loss in ("ce", "mse")]
    whole = [write(tmp_path / f"whole{n}", *job, "trainer.num_epochs=4") for n, job in enumerate(jobs)]
    runs = [write(tmp_path / f"run{n}", *job) for n, job in enumerate(jobs)]
    assert not train_folders(whole) and not train_folders(runs)
    for run in runs:
        prepare([f"resume={run}", "trainer.num_epochs=4"])
    last = runs[1] / "checkpoints" / "last.pt"
    last.write_bytes(last.read_bytes() + b"x")
    assert set(train_folders(runs)) == {runs[1]}
    assert (runs[0] / "metrics.jsonl").read_bytes() == (whole[0] / "metrics.jsonl").read_bytes()
    assert read_folder(runs[1]).state == "completed"  # what it had trained before


def test_schedule_of_numpys_numbers_can_be_resumed(tmp_path: Path) -> None:
    schedule = (f"scheduler._target_={HERE}.CosineOfNumPy", "~scheduler.warmup_epochs")
    run, whole = write(tmp_path / "run", *schedule), write(tmp_path / "whole", *schedule, "trainer.num_epochs=3")
    assert not train_folders([run]) and not train_folders([whole])
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    assert state["optimizer"]["param_groups"][0]["lr"] == pytest.approx(0.1 * math.cos(0.1))
    config = json.dumps(compose([*TINY, *schedule, "trainer.num_epochs=3"]))  # JSON is YAML
    (run / ".hydra" / "config.yaml").write_text(config, encoding="utf-8")
    assert not train_folders([run])
    assert (run / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


class Widths(SoftmaxRegression):
    """Asks for a mapping with a key that is no text."""

    def __init__(self, image_shape: ImageShape, num_classes: int, *, widths: dict[int, int]) -> None:
        assert widths[0] == 16
        super().__init__(image_shape, num_classes)


def test_model_gets_its_settings_as_they_are_written(tmp_path: Path) -> None:
    config = compose([*TINY, f"model._target_={HERE}.Widths", "~model.init_std", "+model.widths={0: 16}"])
    for is_trained in (False, True):
        model = build_parts(resolve(config), is_trained=is_trained).member.model
        assert isinstance(model, Widths)


def test_models_that_are_trained_are_their_own() -> None:
    config = resolve(compose(TINY))
    checked, again = (build_parts(config, is_trained=False).member.model for _ in range(2))
    trained, other = (build_parts(config).member.model for _ in range(2))
    assert checked is again and len({id(checked), id(trained), id(other)}) == 3


def test_run_that_trained_but_says_it_is_planned_keeps_one_row_an_epoch(tmp_path: Path) -> None:
    run = write(tmp_path / "run", "trainer.num_epochs=2")
    (run / "metrics.jsonl").write_text(json.dumps({"epoch": 1, "step": 1, "images_seen": 64}) + "\n")
    assert not train_folders([run])
    assert [row["epoch"] for row in read_folder(run).rows] == [1, 2] and read_folder(run).is_finished


def test_run_whose_records_cannot_be_closed_is_not_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: EventFile, *, succeeded: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EventFile, "write_end", fail)
    run = write(tmp_path / "run")
    assert set(train_folders([run])) == {run}
    assert read_folder(run).state != "completed" and not read_folder(run).is_finished
