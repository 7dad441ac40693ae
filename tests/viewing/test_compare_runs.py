"""The command, on runs written by hand and on a sweep that was really trained."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import COMMAND_TIMEOUT_S, ROOT, TINY
from tests.scripts.conftest import Outcome, RunScript
from tests.viewing.conftest import RecordRun

Compare = Callable[..., Outcome]


@pytest.fixture
def compare(script: RunScript, monkeypatch: pytest.MonkeyPatch) -> Compare:
    def run(*arguments: str, columns: int = 160) -> Outcome:
        monkeypatch.setenv("COLUMNS", str(columns))
        return script("compare_runs", *arguments)

    return run


@pytest.mark.slow
def test_a_real_sweep(train: Callable[..., subprocess.CompletedProcess[str]], compare: Compare, tmp_path: Path) -> None:
    assert train("-m", *TINY, "loss=ce,huber", "seed=0,1", "optimizer.lr=0.1,1e9").returncode == 0
    answer = compare("sweep", "--json")
    assert answer.code == 0 and answer.err == ""
    comparison = json.loads(answer.out)
    assert comparison["keys"] == ["loss", "optimizer.lr"] and len(comparison["settings"]) == 4
    for setting in comparison["settings"]:
        assert [run["seed"] for run in setting["runs"]] == [0, 1] and setting["num_images"] == 64
        accuracies = []
        for run in setting["runs"]:
            result_json = json.loads((Path(run["path"]) / "result.json").read_text(encoding="utf-8"))
            assert run["metrics"] == result_json["metrics"] and run["best"] == result_json["best"]
            assert run["seconds"] == result_json["seconds"]
            accuracies.append(result_json["metrics"]["test/accuracy"])
        assert setting["mean"] == sum(accuracies) / 2
    rows = list(csv.DictReader(io.StringIO(compare("--csv", "sweep").out)))
    assert len(rows) == 8 and {row["loss"] for row in rows} == {"ce", "huber"}
    means = {setting["rank"]: setting["mean"] for setting in comparison["settings"]}
    assert all(float(row["mean"]) == means[int(row["rank"])] for row in rows)


def test_leaderboard_fits_the_terminal(record_run: RecordRun, compare: Compare) -> None:
    for index, loss in enumerate(["ce", "huber", "margin"]):
        for seed in (0, 1):
            record_run(f"{loss}{seed}", 150 + 10 * index + seed, loss=loss, seed=seed)
    record_run("[bold]broken[/]\x1b[31m", lr=9.0, state="diverged")
    wide, narrow = compare(".").out, compare(".", columns=70).out
    assert "3 settings, 6 runs, by test accuracy" in wide and "85.25 ± 0.35 %" in wide
    assert "seconds" in wide and "seconds" not in narrow and "85.25 ± 0.35 %" in narrow
    assert "no run held out validation images" in wide and "best run: margin1" in wide
    assert "1 run not ranked" in wide and "the loss is nan" in wide
    assert "[bold]broken[/]" in wide and "\x1b[31m" not in wide  # shown as text, whatever it holds
    assert max(map(len, narrow.splitlines()[:8])) <= 70
    assert "and 2 more" in compare(".", "--limit", "1").out


def test_by_a_key(record_run: RecordRun, compare: Compare) -> None:
    for loss in ("ce", "huber"):
        for lr in (0.1, 0.5):
            record_run(f"{loss}{lr}", 150 + (loss == "huber") * 10, loss=loss, lr=lr)
    both = compare(".", "--by", "loss,lr").out
    assert "test accuracy by loss, optimizer.lr" in both and both.count("│ ce ") == 2 and both.count("│ 0.5 ") == 2
    answer = compare(".", "--by", "loss").out
    assert "80.00 ± 0.00 %" in answer and "lr=0.1" in answer
    wrong = compare(".", "--by", "los")
    assert wrong.code == 2 and "did you mean loss?" in wrong.err
    seeds = compare(".", "--by", "seed")
    assert seeds.code == 2 and "--where seed=0 compares those of one seed" in seeds.err
    assert "not ranked" not in answer
    record_run("bad", loss="huber", state="diverged")
    assert "not ranked: runs that diverged" in compare(".", "--by", "loss").out


def test_two_runs_side_by_side(record_run: RecordRun, compare: Compare, tmp_path: Path) -> None:
    record_run("a", 150)
    record_run("b", 160, loss="huber")
    differing, _, results = compare("--diff", "a", "b").out.partition("their results")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in differing.splitlines() if "│" in line]
    assert rows == [["loss", "ce", "huber"], ["loss.delta", "-", "0.5"]]
    assert any("75.00 %" in line and "80.00 %" in line for line in results.splitlines())
    wrong = compare("--diff", "a", "nowhere")
    assert wrong.code == 4 and "is no run folder" in wrong.err


def test_files_are_written(record_run: RecordRun, compare: Compare, tmp_path: Path) -> None:
    record_run("a")
    answer = compare("a", "--png", "new/curves.png", "--csv", "a.csv", "--json", "a.json")
    assert answer.code == 0 and answer.err.splitlines() == [
        "saved a.csv",
        "saved a.json",
        "saved new/curves.png",
    ]
    assert (tmp_path / "new" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert compare("a", "--png", "a.pdf").code == 0 and (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    wrong = compare("a", "--png", "a.jpg")
    assert wrong.code == 2 and "--png a.jpg: a file that ends in .png, .svg, .pdf is expected" in wrong.err
    assert "1 setting, 1 run" in answer.out and json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["nowhere"], 4, "no such folder"),
        (["."], 4, "holds no run"),
        (["--limit", "x"], 2, "invalid int value"),
        (["--limit", "-1"], 2, "0 for all"),
        (["--diff", "a", "b", "--csv"], 2, "nothing else"),
        (["--csv", "--json"], 2, "cannot both"),
        (["--csv", "x" * 300], 7, "too long"),
    ],
)
def test_mistakes_are_one_line(compare: Compare, arguments: list[str], exit_code: int, message: str) -> None:
    answer = compare(*arguments)
    assert answer.code == exit_code and message in answer.err and "Traceback" not in answer.err


def test_comparing_does_not_import_torch(record_run: RecordRun, tmp_path: Path) -> None:
    record_run("a")
    command = [sys.executable, "-X", "importtime", str(ROOT / "scripts" / "compare_runs.py"), "a"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert result.returncode == 0 and "1 setting, 1 run" in result.stdout
    assert not imported & {"torch", "matplotlib", "PIL", "scipy"}
