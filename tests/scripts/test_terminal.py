"""Commands in a real terminal of 80 columns, and the pictures that are made of them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from terminal import Frame, draw, record

from tests.conftest import ROOT

LINE = re.compile(r"[━╸╺ ]{12} (\d\d:\d\d|--:--) +(\d+) % (starting|stack \d+/\d+, epoch \d+/\d+)")


@pytest.mark.slow
def test_line_of_a_sweep_fits_80_columns(tmp_path: Path) -> None:
    grid = ["loss=ce,mse", "optimizer.lr=0.1,1.0", "seed=0,1,2", "trainer.num_epochs=30"]
    data = ["dataset=synthetic", "dataset.num_train=10000", f"hydra.sweep.dir={tmp_path}/a_sweep_with_a_long_name"]
    command = [sys.executable, str(ROOT / "train.py"), "-m", *grid, *data]
    frames = record(command, tmp_path, os.environ, columns=80, rows=40)
    lines = [line for frame in frames for line in frame.to_text() if " % st" in line]
    found = [LINE.match(line) for line in lines]
    assert len(lines) > 5 and all(found), lines
    assert any(match[1] != "--:--" for match in found if match), "the time that is left was never known"
    assert [int(match[2]) for match in found if match] == sorted(int(match[2]) for match in found if match)
    assert any("…" in line for line in lines)  # of the best run's name, not of what stands before it
    end = frames[-1].to_text()
    assert any(line.startswith("4 settings, 12 runs, by test accuracy") for line in end)
    assert not [line for line in end if line.startswith(("eed", "dataset.val_siz"))]  # broken within a word


def test_recording_shows_what_the_screen_showed(tmp_path: Path) -> None:
    program = "import time; print('one'); time.sleep(0.3); print('\\x1b[31mtwo <&>\\x1b[0m \\u4e2d')"
    frames = record([sys.executable, "-c", program], tmp_path, os.environ, columns=20, rows=5)
    assert frames[0].to_text() == ["one"] and frames[-1].to_text()[1].startswith("two <&>")
    assert ("two <&>", "red", False) in frames[-1].lines[1]
    with pytest.raises(subprocess.CalledProcessError):
        record([sys.executable, "-c", "raise SystemExit(3)"], tmp_path, os.environ)


def test_picture_shows_one_frame_at_a_time_and_is_small() -> None:
    frames = [Frame(0.5, ((("one", "default", False),),)), Frame(1.5, ((("<two>", "green", True),),))]
    picture = draw(frames, "python train.py", speed=2)
    root = ElementTree.fromstring(picture)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["$ python train.py", "one", "<two>"]
    assert "animation:5.75s step-end infinite" in picture and "prefers-reduced-motion" in picture
    assert "animation" not in draw(frames[-1:], "python train.py")
    shown = ROOT / "docs" / "images" / "sweep.svg"
    assert shown.stat().st_size < 500_000
    text = shown.read_text(encoding="utf-8")
    assert "12 settings, 36 runs" in text and str(ROOT) not in text
