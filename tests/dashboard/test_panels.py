"""What TensorBoard gets beside the metrics: each thing where it is wanted, nothing else, and no harm to the run."""

import dataclasses
import errno
import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn

from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import DashboardConfig
from fashion_softmax.dashboard.events import EventFile
from fashion_softmax.dashboard.panels import Dashboard
from fashion_softmax.data import Dataset, Split
from fashion_softmax.files import dump_yaml
from fashion_softmax.runs.checkpoint import make_checkpoint
from fashion_softmax.runs.folder import write_folder
from fashion_softmax.runs.training import train_folders
from tests.conftest import TINY

with warnings.catch_warnings():  # the copy of html5lib that TensorBoard brings warns of itself
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorboard.plugin_util import markdown_to_safe_html

NOTHING = DashboardConfig(text=False).of_a_sweep()


def blank(shape: tuple[int, int, int], num_classes: int) -> Dataset:
    split = Split(torch.zeros(1, *shape, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    return Dataset(split, None, split, tuple("0123456789"[:num_classes]), batch_size=1, num_workers=0)


def record(run_dir: Path, *overrides: str, in_sweep: bool = False) -> EventAccumulator:
    write_folder(run_dir, compose([*TINY, *overrides]), overrides, {})
    failures = train_folders([run_dir], is_shown=not in_sweep)
    if failures:
        raise failures[run_dir]
    accumulator = EventAccumulator(str(run_dir), size_guidance={"histograms": 0, "images": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def names(accumulator: EventAccumulator) -> set[str]:
    """Name what there is beside the curves: the first part of each tag."""
    tags = accumulator.Tags()
    found = {tag.removesuffix("/text_summary") for kind in ("images", "histograms", "tensors") for tag in tags[kind]}
    found = {tag.partition("/")[0] if tag.startswith("parameters") else tag for tag in found}
    return {tag for tag in found if not tag.startswith(("_hparams_", "custom_scalars"))}


PICTURES = {"test_images/confusion_matrix", "test_images/calibration", "test_images/mistakes"}
EVERYTHING = {"weights/templates", "parameters", "config", "overrides", *PICTURES}


def test_single_run_gets_everything(tmp_path: Path) -> None:
    events = record(tmp_path / "run", "trainer.num_epochs=2", "loss=huber")
    assert names(events) == EVERYTHING
    assert [image.step for image in events.Images("weights/templates")] == [256, 512]
    assert [histogram.step for histogram in events.Histograms("parameters/weight")] == [256, 512]
    assert [image.step for image in events.Images("test_images/confusion_matrix")] == [512]
    for tag in ("weights/templates", *PICTURES):
        shown = events.Images(tag)[0]
        with Image.open(io.BytesIO(shown.encoded_image_string)) as picture:
            assert picture.size == (shown.width, shown.height)


@pytest.mark.parametrize(
    ("overrides", "in_sweep", "expected"),
    [
        ([], True, {"config", "overrides"}),
        (["dashboard.in_sweeps=true"], True, EVERYTHING),
        (["model=lenet", "dashboard.histograms=false"], False, EVERYTHING - {"weights/templates", "parameters"}),
        (["dashboard.text=false", "dashboard.mistakes=false"], False,
         {"weights/templates", "parameters", "test_images/confusion_matrix", "test_images/calibration"}),
    ],
)  # fmt: skip
def test_switches_decide(tmp_path: Path, overrides: Sequence[str], in_sweep: bool, expected: set[str]) -> None:
    assert names(record(tmp_path / "run", "loss=huber", *overrides, in_sweep=in_sweep)) == expected


def test_what_cannot_be_drawn_costs_a_line_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no\nfont")

    monkeypatch.setattr(Dashboard, "_write_templates", fail)
    with caplog.at_level(logging.WARNING):
        events = record(tmp_path / "run", "trainer.num_epochs=3")
    assert names(events) >= EVERYTHING - {"weights/templates", "test_images/mistakes"}
    lines = [record.getMessage() for record in caplog.records if "TensorBoard" in record.getMessage()]
    assert len(lines) == 1 and "templates" in lines[0] and "\n" not in lines[0]
    assert json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))["state"] == "completed"


def test_full_disk_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Dashboard, "_write_confusion_matrix", fail)
    with pytest.raises(OSError, match="No space left"):
        record(tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()


def start(folder: Path, config: dict[str, Any], choices: dict[str, str], overrides: Sequence[str]) -> list[Any]:
    """Write what describes a run; returns the hyper-parameters, the trial's name, and the texts as pages show them."""
    events = EventFile(folder)
    dashboard = Dashboard(events, dataclasses.replace(NOTHING, text=True), nn.Linear(1, 1), blank((1, 1, 1), 2))
    dashboard.log_start(config, dump_yaml(config), choices, overrides)
    events.close()
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    content = accumulator.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    begin = HParamsPluginData.FromString(content).session_start_info
    kinds = {key: value.WhichOneof("kind") for key, value in begin.hparams.items()}
    values = {key: getattr(begin.hparams[key], kind) for key, kind in kinds.items()}
    texts = [accumulator.Tensors(f"{tag}/text_summary") for tag in ("config", "overrides")]
    return [values, begin.group_name, *(markdown_to_safe_html(text.tensor_proto.string_val[0]) for (text,) in texts)]


def test_f3_texts_are_shown_as_they_are(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> | `x` **b** [a](javascript:b)\n\n# c \\ &lt;\r<b>"
    for html in start(tmp_path, {"model": {"x": evil}}, {}, [f"model.x={evil}"])[2:]:
        tags = set(re.findall(r"<(\w+)", html))
        assert tags == {"pre", "code"} and "alert(1)" in html


def test_f5_secrets_of_the_environment_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2")
    overrides = ["dataset=idx", "dataset.root=${oc.env:PASSWORD}", "+dataset.x=${dataset.root}", "scheduler=cosine"]
    shown = str(start(tmp_path, compose(overrides), {"dataset": "idx", "scheduler": "cosine"}, overrides))
    assert "hunter2" not in shown and "oc.env" in shown


def test_trial_has_a_name_and_typed_values_without_the_seed(tmp_path: Path) -> None:
    overrides = ["loss=huber", "model=mlp", "model.hidden_sizes=[64]", "seed=3", "optimizer.lr=0.5"]
    values, trial, _, text = start(tmp_path, compose(overrides), {"loss": "huber", "model": "mlp"}, overrides)
    assert trial == "mlp huber lr=0.5 hidden_sizes=[64]" and "\n".join(overrides) in text
    assert values["loss"] == "huber" and values["optimizer.lr"] == 0.5 and values["model.hidden_sizes"] == "[64]"
    assert "loss.delta" not in values  # other losses have none, and parallel coordinates would leave their runs out
    assert "seed" not in values and None not in values.values()
    assert not any(key.startswith(("dashboard", "sweep")) for key in values)


def test_h4_histograms_of_an_epoch_are_on_the_disk_before_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[list[int]] = []

    def look_first(*args: Any) -> bytes:
        accumulator = EventAccumulator(str(tmp_path / "run"), size_guidance={"histograms": 0})
        accumulator.Reload()
        steps.append([histogram.step for histogram in accumulator.Histograms("parameters/weight")])
        return make_checkpoint(*args)

    monkeypatch.setattr("fashion_softmax.runs.run.make_checkpoint", look_first)
    record(tmp_path / "run", "trainer.num_epochs=2")
    assert steps == [[256], [256, 512]]


@pytest.mark.slow
def test_resumed_run_may_change_the_switches(train: Callable[..., CompletedProcess[str]], run: Path) -> None:
    result = train(f"resume={run}", "trainer.num_epochs=2", "dashboard.histograms=false")
    assert result.returncode == 0, result.stderr
    accumulator = EventAccumulator(str(run), size_guidance={"histograms": 0, "images": 0})
    accumulator.Reload()
    assert [image.step for image in accumulator.Images("weights/templates")] == [256, 512]
    assert [histogram.step for histogram in accumulator.Histograms("parameters/weight")] == [256]
