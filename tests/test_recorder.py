"""Records as a third party reads them: TensorBoard's own event reader, and plain JSON."""

import contextlib
import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fashion_softmax.recorder import Recorder
from fashion_softmax.training import EpochReport

METRICS = {"train/loss": 0.5, "train/accuracy": 0.8, "test/loss": 0.6, "test/accuracy": 0.75, "lr": 0.1}


def make_recorder(run_dir: Path, log_every: int = 2) -> Recorder:
    return Recorder(run_dir, "seed: 0\n", ["seed=0"], "abc", log_every=log_every)


def make_report(epoch: int, **metrics: float) -> EpochReport:
    losses = [float(10 * epoch + index) for index in range(5)]
    return EpochReport(epoch, 5 * epoch, 100 * epoch, {**METRICS, **metrics}, losses, 0.1)


@pytest.fixture
def events(tmp_path: Path) -> EventAccumulator:
    with contextlib.closing(make_recorder(tmp_path)) as recorder:
        for epoch in (1, 2):
            recorder.log_epoch(make_report(epoch))
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    return accumulator


def test_every_metric_is_a_curve_over_images_seen(events: EventAccumulator) -> None:
    assert set(events.Tags()["scalars"]) == {*METRICS, "train/step_loss"}
    points = events.Scalars("test/accuracy")
    assert [(point.step, point.value) for point in points] == [(100, 0.75), (200, 0.75)]


def test_step_losses_are_logged_every_few_steps(events: EventAccumulator) -> None:
    points = [(point.step, point.value) for point in events.Scalars("train/step_loss")]
    # Five steps of 20 images an epoch; steps 2, 4, 6, 8 and 10 of the run.
    assert points == [(40, 11.0), (80, 13.0), (120, 20.0), (160, 22.0), (200, 24.0)]


def test_configuration_and_chart_layout_are_stored(events: EventAccumulator) -> None:
    tags = events.Tags()["tensors"]
    assert "config/text_summary" in tags and "custom_scalars__config__" in tags
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text == "    seed: 0\n"


def test_metrics_jsonl_has_an_object_an_epoch(tmp_path: Path) -> None:
    with contextlib.closing(make_recorder(tmp_path)) as recorder:
        recorder.log_epoch(make_report(1))
        recorder.log_epoch(make_report(2, **{"test/loss": float("inf")}))
        # Readable while the run still goes on.
        lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"epoch": 1, "step": 5, "images_seen": 100, **METRICS}
    assert json.loads(lines[1])["test/loss"] is None


def test_status_follows_the_run(tmp_path: Path) -> None:
    with contextlib.closing(make_recorder(tmp_path)) as recorder:
        status = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
        assert status["state"] == "running" and status["fingerprint"] == "abc" and status["error"] is None
        recorder.write_status("diverged", "the loss is nan")
        assert json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))["error"] == "the loss is nan"
        recorder.write_result(objective=0.75, objective_name="test/accuracy", num_epochs=2, metrics=METRICS)
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["state"] == "completed" and result["overrides"] == ["seed=0"] and result["metrics"] == METRICS
    assert json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))["state"] == "completed"


def test_one_event_file_per_run(tmp_path: Path) -> None:
    with contextlib.closing(make_recorder(tmp_path)) as recorder:
        recorder.log_epoch(make_report(1))
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize("last_epoch", [0, 1])
def test_curves_that_go_on_have_no_step_twice(tmp_path: Path, last_epoch: int) -> None:
    with contextlib.closing(make_recorder(tmp_path)) as recorder:
        for epoch in range(1, last_epoch + 2):  # killed after the last one's records and before its checkpoint
            recorder.log_epoch(make_report(epoch))
    recorder = Recorder(tmp_path, "seed: 0\n", [], "abc", log_every=1, last_epoch=last_epoch)
    with contextlib.closing(recorder):
        for epoch in range(last_epoch + 1, last_epoch + 3):
            recorder.log_epoch(make_report(epoch))
    # What TensorBoard itself uses without its fast loader; it forgets less than the other accumulator.
    accumulator = plugin_event_accumulator.EventAccumulator(str(tmp_path))
    accumulator.Reload()
    steps = [event.step for event in accumulator.Tensors("test/accuracy")]
    assert steps == [100 * epoch for epoch in range(1, last_epoch + 3)]
    rows = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == list(range(1, last_epoch + 3))
