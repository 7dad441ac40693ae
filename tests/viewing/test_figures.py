"""What is in the figure."""

from pathlib import Path

import pytest
from figures import MAX_LINES, encode, make_figure

from fashion_softmax.errors import CheckpointError
from fashion_softmax.viewing.ranking import Comparison, compare
from fashion_softmax.viewing.runs import read_runs
from tests.viewing.conftest import RecordRun


@pytest.fixture
def folder(record_run: RecordRun, tmp_path: Path) -> Path:
    for seed, num_correct in enumerate([150, 160]):
        record_run(f"ce{seed}", num_correct, seed=seed)
    return tmp_path


def read(folder: Path) -> Comparison:
    return compare(read_runs([folder]))


def test_one_setting_is_the_lessons_figure(folder: Path) -> None:
    (axes,) = make_figure(read(folder)).axes
    curves = {str(line.get_label()): list(line.get_ydata()) for line in axes.lines}
    assert curves == {"training loss": [0.5, 0.5], "training accuracy": [0.9, 0.9], "test accuracy": [0.775, 0.775]}
    assert list(axes.lines[0].get_xdata()) == [1, 2] and axes.get_xlabel() == "epoch"
    assert axes.get_title() == "ce lr=0.1, mean of 2 seeds"


def test_several_settings_have_a_panel_for_each_curve(folder: Path, record_run: RecordRun) -> None:
    record_run("huber", 120, loss="huber", val_accuracy=0.7)
    figure = make_figure(read(folder))
    titles = ["training cross-entropy", "training accuracy", "validation accuracy", "test accuracy"]
    assert [axes.get_title() for axes in figure.axes] == titles  # losses of two kinds cannot be compared
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ce", "huber"]


def test_many_settings_are_drawn_whatever_their_names_hold(record_run: RecordRun, tmp_path: Path) -> None:
    for index in range(MAX_LINES + 1):  # the last one is grey
        record_run(f"{index}", 100 + index, loss=["$x^2$", "_b_$"][index % 2], lr=0.1 * (index + 1))
    assert encode(make_figure(read(tmp_path)), "png").startswith(b"\x89PNG")


def test_unfinished_runs_are_drawn_where_there_is_no_other(record_run: RecordRun, tmp_path: Path) -> None:
    folder = record_run("a", state="interrupted")
    assert len(make_figure(read(tmp_path)).axes) == 1
    (folder / "metrics.jsonl").unlink()
    with pytest.raises(CheckpointError, match="nothing to draw"):
        make_figure(read(tmp_path))
