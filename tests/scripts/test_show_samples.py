"""`scripts/show_samples.py`: what it says of a data set and which images it shows."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from common import take_turns

from tests.conftest import write_idx, write_idx_folder
from tests.scripts.conftest import RunScript

TOY = ["dataset=synthetic", "dataset.num_train=100", "dataset.num_test=30"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a script gives to `draw_grid`: images, captions, columns, title."""
    import image_figures as images

    given: list[Any] = []
    draw = images.draw_grid

    def keep(*arguments: Any) -> object:
        given.extend(arguments)
        return draw(*arguments)

    monkeypatch.setattr(images, "draw_grid", keep)
    return given


def names(captions: list[Any]) -> list[str]:
    return [name for (name,) in captions]


def test_lessons_grid_is_the_default(script: RunScript, drawn: list[Any], tmp_path: Path) -> None:
    outcome = script("show_samples", *TOY)
    assert outcome.code == 0, outcome.err
    images, captions, columns, title = drawn
    assert len(images) == len(captions) == 18 and columns == 9
    assert names(captions) == [str(index % 10) for index in range(18)]
    assert title == "synthetic: training images 0 to 17 of 100"
    assert (tmp_path / "outputs" / "figures" / "samples.png").exists()


def test_facts_are_those_of_the_data_set(script: RunScript) -> None:
    settings = ["dataset.val_size=20", "dataset.batch_size=32", "dataset.resize=14"]
    printed = script("show_samples", *TOY, *settings).out
    assert "80 training images, 20 validation images, 30 test images" in printed
    assert "an image: 1 x 14 x 14 (channels, height, width)" in printed
    assert "a batch: images [32, 1, 14, 14] float32, labels [32] int64" in printed
    counts = [list(map(int, row)) for row in re.findall(r"(\d+)\s*│\s*(\d+)\s*│\s*(\d+) │$", printed, re.MULTILINE)]
    assert np.sum(counts, 0).tolist() == [80, 20, 30] and all(test == 3 for _, _, test in counts)


def test_split_size_start_and_classes_are_honoured(script: RunScript, drawn: list[Any]) -> None:
    arguments = ["--split", "test", "--rows", 1, "--columns", 3, "--start", 5, "--only", "7", "--only", "2"]
    assert script("show_samples", *TOY, *arguments).code == 0
    images, captions, _, title = drawn
    assert names(captions) == ["7", "2", "7"] and len(images) == 3  # test images 7, 12 and 17
    assert title == "synthetic: 3 test images of 7, 2"


def test_own_colour_images_are_shown(script: RunScript, drawn: list[Any], tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "data", shape=(3, 6, 5))
    outcome = script("show_samples", "dataset=idx", f"dataset.root={folder}", "dataset.class_names=[a,b,c]")
    assert outcome.code == 0, outcome.err
    assert drawn[0].shape == (18, 3, 6, 5) and names(drawn[1])[:4] == ["a", "b", "c", "a"]


def test_more_images_than_there_are_shows_all(script: RunScript, drawn: list[Any]) -> None:
    assert script("show_samples", *TOY, "--split", "test", "--rows", 9, "--columns", 9).code == 0
    assert len(drawn[0]) == 30


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--split", "val"], "there are no validation images; hold some out with dataset.val_size", 2),
        (["--start", "100"], "--start 100: there are training images 0 to 99", 2),
        (["--only", "shrit"], "--only shrit: there is no such class; allowed: 0, 1", 2),
        (["--only", "9", "--start", "99", "--split", "test"], "--start 99: there are test images 0 to 29", 2),
        (["--only", "7", "--start", "28", "--split", "test"], "from 28 on there is no image of 7", 2),
        (["--rows", "100", "--columns", "100"], "--rows 100 --columns 100: at most 5000 images", 2),
        (["--columns", "101"], "101 is no whole number from 1 to 100", 2),
        (["--rows", "0"], "0 is no whole number from 1 to 1000", 2),
        (["dataset.num_train=0"], "dataset.num_train=0", 2),
        (["dataset=idx", "dataset.root=nowhere"], "no data set in nowhere", 3),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, code: int, script: RunScript) -> None:
    toy = TOY if "dataset=idx" not in arguments else []
    outcome = script("show_samples", *toy, *arguments)
    assert outcome.code == code and message in outcome.err and "Traceback" not in outcome.err


def test_classes_take_turns_where_images_come_class_by_class(
    script: RunScript, drawn: list[Any], tmp_path: Path
) -> None:
    write_idx_folder(tmp_path / "sorted", sizes=(60, 60))
    for path in (tmp_path / "sorted").glob("*-labels-idx1-ubyte"):
        write_idx(path, np.repeat(np.arange(3), 20))
    outcome = script("show_samples", "dataset=idx", f"dataset.root={tmp_path}/sorted", "--columns", "6")
    assert outcome.code == 0, outcome.err
    _, captions, _, title = drawn
    assert names(captions) == ["0", "1", "2"] * 4 and title.endswith("12 training images of all classes")
    assert take_turns([5, 0, 3], [1, 0, 0, 0, 0, 0]) == [5, 0, 3] == take_turns([5, 0, 3], [1, 0, 0, 2, 0, 0])
    assert take_turns(range(6), [0, 0, 0, 0, 1, 2]) == [0, 4, 5, 1, 2, 3]
