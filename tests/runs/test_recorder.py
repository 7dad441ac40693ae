"""Records as a third party reads them: TensorBoard's own event reader, and plain JSON."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb

from fashion_softmax.dashboard.events import EventFile, _checksum, forget
from fashion_softmax.runs.recorder import Recorder
from fashion_softmax.stacking.training import EpochReport

METRICS = {"train/loss": 0.5, "train/accuracy": 0.8, "test/loss": 0.6, "test/accuracy": 0.75, "lr": 0.1}


def make_recorder(run_dir: Path, log_every: int = 2, last_epoch: int | None = None) -> Recorder:
    (run_dir / "status.json").touch()
    recorder = Recorder(run_dir, "abc", log_every=log_every)
    recorder.open(last_epoch)
    recorder.events.write(hparams_pb({"lr": 0.1}, trial_id="lr=0.1"))
    return recorder


@contextlib.contextmanager
def recording(run_dir: Path, log_every: int = 2, last_epoch: int | None = None) -> Iterator[Recorder]:
    recorder = make_recorder(run_dir, log_every, last_epoch)
    yield recorder
    recorder.close("interrupted")


def make_report(epoch: int, **metrics: float) -> EpochReport:
    losses = [float(10 * epoch + index) for index in range(5)]
    return EpochReport(epoch, 5 * epoch, 100 * epoch, {**METRICS, **metrics}, losses, 0.1)


@pytest.fixture
def events(tmp_path: Path) -> EventAccumulator:
    with recording(tmp_path) as recorder:
        for epoch in (1, 2):
            recorder.log_epoch(make_report(epoch), best={"test/accuracy": 0.75})
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    return accumulator


def test_every_metric_is_a_curve_over_images_seen(events: EventAccumulator) -> None:
    assert set(events.Tags()["scalars"]) == {*METRICS, "train/step_loss", "best/test_accuracy"}
    points = events.Scalars("test/accuracy")
    assert [(point.step, point.value) for point in points] == [(100, 0.75), (200, 0.75)]


def test_step_losses_are_logged_every_few_steps(events: EventAccumulator) -> None:
    points = [(point.step, point.value) for point in events.Scalars("train/step_loss")]
    # Five steps of 20 images an epoch; steps 2, 4, 6, 8 and 10 of the run.
    assert points == [(40, 11.0), (80, 13.0), (120, 20.0), (160, 22.0), (200, 24.0)]


def test_metrics_jsonl_has_an_object_an_epoch(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.log_epoch(make_report(1), best={"test/accuracy": 0.75})
        recorder.log_epoch(make_report(2, **{"test/loss": float("inf")}), best={"test/accuracy": 0.75})
        # Readable while the run still goes on.
        lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0]) == {"epoch": 1, "step": 5, "images_seen": 100, **METRICS}
    assert json.loads(lines[1])["test/loss"] is None


def test_status_follows_the_run(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    status = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
    assert status["state"] == "running" and status["fingerprint"] == "abc" and status["error"] is None
    recorder.close("diverged", "the loss is nan")
    status = json.loads((tmp_path / "status.json").read_text(encoding="utf-8"))
    assert (status["state"], status["error"]) == ("diverged", "the loss is nan")


def test_one_event_file_per_run(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        recorder.log_epoch(make_report(1), best={"test/accuracy": 0.75})
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == 1


@pytest.mark.parametrize("last_epoch", [0, 1])
def test_curves_that_go_on_have_no_step_twice(tmp_path: Path, last_epoch: int) -> None:
    with recording(tmp_path) as recorder:
        for epoch in range(1, last_epoch + 2):  # killed after the last one's records and before its checkpoint
            recorder.log_epoch(make_report(epoch), best={"test/accuracy": 0.75})
    with recording(tmp_path, log_every=1, last_epoch=last_epoch) as recorder:
        for epoch in range(last_epoch + 1, last_epoch + 3):
            recorder.log_epoch(make_report(epoch), best={"test/accuracy": 0.75})
    # What TensorBoard itself uses without its fast loader; it forgets less than the other accumulator.
    accumulator = plugin_event_accumulator.EventAccumulator(str(tmp_path))
    accumulator.Reload()
    steps = [event.step for event in accumulator.Tensors("test/accuracy")]
    assert steps == [100 * epoch for epoch in range(1, last_epoch + 3)]
    rows = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["epoch"] for row in rows] == list(range(1, last_epoch + 3))


def read_sessions(run_dir: Path) -> list[plugin_data_pb2.HParamsPluginData]:
    """Read what the files say to the HParams table, in their order."""
    files = sorted(run_dir.glob("events.out.tfevents.*"), key=lambda path: int(path.name.rpartition(".")[2]))
    events = [Event.FromString(record) for path in files for record in RawEventFileLoader(str(path)).Load()]
    values = [value for event in events for value in event.summary.value if value.tag.startswith("_hparams_/")]
    return [
        plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
        for value in values
        if value.metadata.plugin_data.plugin_name == metadata.PLUGIN_NAME
    ]


@pytest.mark.parametrize(("state", "status"), [("completed", 1), ("diverged", 2), ("failed", 2), ("interrupted", None)])
def test_table_is_told_how_a_run_ended(tmp_path: Path, state: str, status: int | None) -> None:
    recorder = make_recorder(tmp_path)
    recorder.close(state)
    start, *end = read_sessions(tmp_path)
    assert start.session_start_info.group_name == "lr=0.1"
    assert start.session_start_info.hparams["lr"].number_value == 0.1
    assert [session.session_end_info.status for session in end] == ([] if status is None else [status])


def test_resumed_run_begins_and_ends_once(tmp_path: Path) -> None:
    make_recorder(tmp_path).close("failed")
    for epoch in (1, 2):
        recorder = make_recorder(tmp_path, last_epoch=epoch - 1)
        recorder.log_epoch(make_report(epoch), best={"test/accuracy": 0.75})
        recorder.close("completed", seconds={"total": 1.5})
    start, end = read_sessions(tmp_path)
    assert start.session_start_info.hparams["lr"].number_value == 0.1 and end.session_end_info.status == 1
    accumulator = plugin_event_accumulator.EventAccumulator(str(tmp_path))
    accumulator.Reload()
    assert [event.step for event in accumulator.Tensors("best/test_accuracy")] == [100, 200]
    assert [event.step for event in accumulator.Tensors("time/total_s")] == [200]


def test_f1_forgetting_copies_what_is_whole_wherever_the_file_was_cut(tmp_path: Path) -> None:
    with contextlib.closing(EventFile(tmp_path)) as events:
        events.write(hparams_pb({"lr": 0.1}, trial_id="x"))
        events.write_scalars({"a/kept": 1.0, "b/forgotten": 2.0}, 1)
        events.flush()
        (path,) = tmp_path.iterdir()
        whole = path.read_bytes()
        events.write_scalars({"a/kept": 3.0}, 2)
    content = path.read_bytes()
    prefixes = ("_hparams_/", "b/")
    expected = forget(whole, prefixes)
    for length in range(len(whole), len(content)):
        assert forget(content[:length], prefixes) == expected
    path.write_bytes(forget(content, prefixes))
    accumulator = EventAccumulator(str(path))
    accumulator.Reload()
    assert accumulator.Tags()["scalars"] == ["a/kept"] and not accumulator.Tags()["tensors"]
    assert [(point.step, point.value) for point in accumulator.Scalars("a/kept")] == [(1, 1.0), (2, 3.0)]


def test_forgetting_leaves_alone_what_is_no_event_file() -> None:
    framed = (5).to_bytes(8, "little") + b"????" + b"_hpar" + b"????"
    assert forget(framed, ["_hp"]) == framed
    assert forget(b"no event file at all", ["no"]) == b""


def test_checksum_is_that_of_tensorboard() -> None:
    for size in (0, 1, 11, 191, 192, 193, 1000, 4099):
        data = os.urandom(size)
        assert _checksum(data) == masked_crc32c(data)
