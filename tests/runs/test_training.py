"""Folders that are trained in one call: what fits together is trained as one, whatever else is among them."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from fashion_softmax.config import building
from fashion_softmax.errors import CheckpointError, Interrupted
from fashion_softmax.runs import training
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.training import train_folders
from fashion_softmax.sweeps.resume import prepare
from fashion_softmax.viewing.trained import load_trained
from tests.conftest import TINY, write_idx, write_planned

MLP = "model=mlp model.hidden_sizes=[4]"
JOBS = ["loss=ce", MLP, "loss=mse optimizer.weight_decay=0.1", "dataset.batch_size=64", f"{MLP} loss=mse", "seed=1"]


def write(folder: Path, job: str) -> Path:
    return write_planned(folder, *TINY, *job.split())


def test_runs_of_all_kinds_are_trained_as_if_they_were_alone(tmp_path: Path) -> None:
    together = [write(tmp_path / f"together{index}", job) for index, job in enumerate(JOBS)]
    assert train_folders(together) == {}
    for index, job in enumerate(JOBS):
        alone = write(tmp_path / f"alone{index}", job)
        assert train_folders([alone]) == {}
        run, expected = read_folder(together[index]), read_folder(alone)
        assert run.metrics == pytest.approx(expected.metrics, rel=1e-5), job
    assert [read_folder(path).stack_size for path in together] == [2, 1, 2, 1, 1, 1]
    assert train_folders(together) == {}  # nothing is left to do


def test_signal_while_a_stack_is_completed_stops_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [write(tmp_path / f"run{seed}", f"seed={seed}") for seed in (0, 1)]
    predict = training.predict

    def interrupt(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return predict(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "predict", interrupt)
    with pytest.raises(Interrupted):
        train_folders(runs)
    assert [read_folder(path).state for path in runs] == ["completed", "planned"]


def test_signal_that_spoils_something_shared_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write(tmp_path / "run", "seed=0")

    def die(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)  # as it reaches the data's workers, too
        raise RuntimeError("DataLoader worker exited unexpectedly")

    monkeypatch.setattr(training, "predict", die)
    with pytest.raises(Interrupted):
        train_folders([run])
    assert read_folder(run).state == "interrupted"
    monkeypatch.undo()
    assert train_folders([run]) == {}
    assert read_folder(run).is_finished


def test_normalization_is_kept_in_the_checkpoint(tmp_path: Path, idx_folder: Path) -> None:
    options = ["dataset=idx", f"dataset.root={idx_folder}", "dataset.normalize=mean_std", "trainer.num_epochs=2"]
    run = write_planned(tmp_path / "run", *options)
    assert train_folders([run]) == {}
    recorded = read_folder(run).predictions
    trained = load_trained(run)
    assert recorded is not None and trained.parts.dataset.train.normalization is not None
    test = trained.parts.dataset.test
    assert trained.predict(test.images, test.labels).confidences == pytest.approx(recorded.confidences, rel=1e-6)
    probabilities = trained.predict_probabilities(test.images[0])
    assert probabilities.max() == pytest.approx(recorded.confidences[0], rel=1e-5)

    write_idx(idx_folder / "train-images-idx3-ubyte", np.zeros((96, 8, 8)))  # other images have come since
    building.forget_data()
    after = load_trained(run)
    assert after.parts.dataset.train.normalization == trained.parts.dataset.train.normalization
    assert after.predict(test.images, test.labels).confidences == pytest.approx(recorded.confidences, rel=1e-6)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError, match="the data set has changed since"):
        prepare([f"resume={run}", "trainer.num_epochs=3"])
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    change = (run / ".hydra" / "config.yaml").read_text(encoding="utf-8").replace("num_epochs: 2", "num_epochs: 3")
    (run / ".hydra" / "config.yaml").write_text(change, encoding="utf-8")
    (failure,) = train_folders([run]).values()
    assert "the data set has changed since (its classes, splits or images)" in str(failure)
    assert read_folder(run).state == "completed"  # a refusal spoils nothing


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("dataset.noise_std=100", ["is not clearly better than guessing (10.94 %)", "optimizer.lr=0.01 or 1;"]),
        ("dataset.noise_std=100 dataset.normalize=mean_std", ["too few epochs or images"]),
        ("optimizer.lr=0.1", []),
    ],
)
def test_a_run_that_is_no_better_than_guessing_says_so(
    tmp_path: Path, job: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_folders([write(tmp_path / "run", job)], is_shown=True) == {}
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith(
        "SoftmaxRegression, CrossEntropy, SGD on 256 images of 1 x 28 x 28 data set make_synthetic,"
    )
    assert all(each in shown for each in words)
    assert ("guessing" in shown) == bool(words)
    assert ("add dataset.normalize=mean_std" in shown) == (bool(words) and "mean_std" not in job)


def test_a_run_with_hardly_a_validation_image_says_that_these_say_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_folders([write(tmp_path / "run", "dataset.val_size=2")], is_shown=True) == {}
    shown = " ".join(capsys.readouterr().out.split())
    assert "all 2 val images are too few, so their accuracy says nothing" in shown and "guessing" not in shown
