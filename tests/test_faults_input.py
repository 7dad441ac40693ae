"""Faults of the command line and of what runs are told to record, through the real command; see also `test_cli.py`.

A letter and a number in a test's name group the cases: A configuration, E sweeps, F logs.
"""

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests import forking
from tests.conftest import ROOT, TINY, copy_project, write_idx_folder

Train = Callable[..., subprocess.CompletedProcess[str]]

# A loss with a text of the user's, and with measures that are no numbers although its training is sound.
NOTED_LOSS = '''
from fashion_softmax.learning.losses import CrossEntropy

class Noted(CrossEntropy):
    """Cross-entropy; what is measured is multiplied by `factor`, what is trained is not."""
    def __init__(self, note: str = "", factor: str = "1") -> None:
        super().__init__()
        self.factor = float(factor)

    def __call__(self, logits, labels):
        return super().__call__(logits, labels) * self.factor

    def value_and_gradient(self, logits, labels):
        return CrossEntropy().value_and_gradient(logits, labels)
'''


@pytest.fixture
def noted(tmp_path: Path) -> list[str]:
    """A loss that takes any text as `loss.note`; the arguments that choose it. PYTHONPATH has to be `tmp_path`."""
    (tmp_path / "conf" / "loss").mkdir(parents=True)
    (tmp_path / "conf" / "loss" / "noted.yaml").write_text("_target_: noted.Noted\nnote: ''\nfactor: '1'\n")
    (tmp_path / "noted.py").write_text(NOTED_LOSS, encoding="utf-8")
    folders = [f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/sweep"]
    return ["--config-dir", str(tmp_path / "conf"), *folders, "loss=noted"]


def read_strictly(path: Path) -> list[Any]:
    """Read JSON, a value a line or one in all; NaN and Infinity, which are no JSON, are errors."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{path}: {constant}")

    text = path.read_text(encoding="utf-8")
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    return [json.loads(line, parse_constant=refuse) for line in lines]


def assert_refused(result: subprocess.CompletedProcess[str], tmp_path: Path, *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr and result.stderr.count("ERROR: ") == 1
    for word in words:
        assert word in result.stderr
    assert not (tmp_path / "run").exists() and not (tmp_path / "sweep").exists()


# A1 to A4: also tests/test_cli.py, tests/config/test_explain.py and tests/config/test_checking.py.


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", ["cannot read the argument"]),
        ("+seed.\x1b[2J=1", ["cannot read the argument"]),
        ("seed='\x1b[2J'", ["seed='\\x1b[2J' has the wrong type: expected int"]),
    ],
    ids=["nothing", "escape in a key", "escape in a value"],
)
def test_a1_to_a3_h8_slip_of_the_pen_is_one_line(train: Train, tmp_path: Path, argument: str, words: list[str]) -> None:
    result = train(argument)
    assert_refused(result, tmp_path, *words)
    assert "\x1b" not in result.stderr


WRONG_TYPE = {"model.init_std": "'0.1'", "optimizer.weight_decay": "abc", "dataset.num_workers": "1.5"}
OUT_OF_RANGE = {
    "optimizer.lr": "-1",
    "dataset.batch_size": "0",
    "trainer.num_epochs": "-1",
    "loss.delta": "0",
    "seed": "-1",
    "optimizer.momentum": "1.5",
    "dataset.resize": "0",
    "dataset.val_size": "-1",
    "scheduler.warmup_epochs": "-1",
}


def test_a3_a4_everything_wrong_is_reported_at_once(train: Train, tmp_path: Path) -> None:
    wrong = WRONG_TYPE | OUT_OF_RANGE
    result = train("loss=huber", "optimizer=momentum", *(f"{key}={value}" for key, value in wrong.items()))
    assert_refused(result, tmp_path, f"{len(wrong)} problems in the configuration")
    for key in WRONG_TYPE:
        assert re.search(rf"  {key}=\S+ has the wrong type: expected (int|float)", result.stderr), key
    for key, value in OUT_OF_RANGE.items():
        assert f"  {key}={value} is out of range: must be " in result.stderr


@pytest.mark.slow
def test_a4_sweep_with_a_bad_job_never_starts(train: Train, tmp_path: Path) -> None:
    rates = ["-1", "0", "nan", "inf"]
    result = train("-m", *TINY, f"optimizer.lr=0.1,{','.join(rates)}", "seed=0,1")
    assert_refused(result, tmp_path, *(f"optimizer.lr={rate} is out of range" for rate in rates), "(job ")


# A6: also tests/test_cli.py.

ODD_WORDS = ["1e-3", ".5", "null", "on", "0x10", "1_000", "2020-01-01", "it's", "~", "", "a: b", "1:30", "# no", "图像"]


@pytest.mark.slow
def test_a6_values_keep_their_types_through_the_saved_configuration_of_a_sweep(train: Train, tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "data", num_classes=len(ODD_WORDS))
    quoted = ",".join("'" + word.replace("'", "\\'") + "'" for word in ODD_WORDS)
    settings = ["optimizer.lr=1e-3", "loss.label_smoothing=.25", "dataset.resize=null", "trainer.num_epochs=1"]
    names = f"dataset.class_names=[{quoted}]"
    result = train("-m", "seed=0,1", "dataset=idx", f"dataset.root={folder}", names, *settings)
    assert result.returncode == 0, result.stderr
    first = next((tmp_path / "sweep").glob("000_*"))
    result = train("--config-path", str(first / ".hydra"), f"hydra.run.dir={tmp_path}/again")
    assert result.returncode == 0, result.stderr
    again = tmp_path / "again"
    saved = (again / ".hydra" / "config.yaml").read_text(encoding="utf-8")
    assert saved == (first / ".hydra" / "config.yaml").read_text(encoding="utf-8")
    cfg = yaml.safe_load(saved)
    assert cfg["dataset"]["class_names"] == ODD_WORDS and cfg["dataset"]["resize"] is None
    assert cfg["optimizer"]["lr"] == 0.001 and cfg["loss"]["label_smoothing"] == 0.25
    assert (again / "metrics.jsonl").read_text() == (first / "metrics.jsonl").read_text()
    prints = [read_strictly(run / "status.json")[0]["fingerprint"] for run in (first, again)]
    assert prints[0] == prints[1]


# A7: also tests/test_cli.py and tests/config/test_explain.py.


def make_bomb(folder: Path) -> None:
    (folder / "loss").mkdir(parents=True)
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefghi", "bcdefghij")]  # noqa: B905
    (folder / "loss" / "bomb.yaml").write_text("\n".join(lines), encoding="utf-8")


def test_a7_alias_bomb_behind_a_search_path_is_refused_in_time(train: Train, tmp_path: Path) -> None:
    make_bomb(tmp_path / "more files")
    (tmp_path / "mine").mkdir()
    primary = ["defaults: [/config, override /loss: bomb, _self_]", "hydra:", "  searchpath:"]
    primary.append(f"    - 'file://{tmp_path}/more files'")
    (tmp_path / "mine" / "primary.yaml").write_text("\n".join(primary), encoding="utf-8")
    start = time.monotonic()
    folders = [f"hydra.run.dir={tmp_path}/run"]
    result = train(f"--config-dir={tmp_path}/mine", "--config-name", "primary", *folders)
    assert_refused(result, tmp_path, "bomb.yaml: its 81 aliases are too many")
    assert time.monotonic() - start < 10


def test_a7_yaml_that_names_a_function_is_one_line(train: Train, tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "loss"
    folder.mkdir(parents=True)
    (folder / "odd.yaml").write_text("a: !!python/object/apply:os.mkdir [executed]\n", encoding="utf-8")
    result = train("--config-dir", str(folder.parent), "loss=odd", f"hydra.run.dir={tmp_path}/run")
    assert_refused(result, tmp_path, "odd.yaml, line 1", "could not determine a constructor")
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}


# A8 to A10: also tests/test_cli.py.


@pytest.mark.slow
def test_a8_m_may_stand_anywhere(train: Train, tmp_path: Path) -> None:
    result = train("seed=0,1", "-m", *TINY, "--multirun", "loss=ce,mse", f"hydra.sweep.dir={tmp_path}/sweep")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "sweep").glob("*/result.json"))) == 4


@pytest.mark.slow
def test_a9_no_warning_of_a_sweep(train: Train, tmp_path: Path) -> None:
    grid = ["optimizer=adamw,rmsprop", "scheduler=cosine", "dataset.num_workers=1", "dataset.resize=12"]
    result = train("-m", *TINY, "model=mlp", *grid, python=["-W", "error"])
    assert result.returncode == 0, result.stderr
    assert "arning" not in result.stderr


LOOKING = [
    *(["--help"], ["--cfg", "job"]),
    *(
        pytest.param(arguments, marks=pytest.mark.slow)
        for arguments in (
            *(["--hydra-help"], ["--info", "all"], ["--cfg", "all"], ["--version"], ["--cfg", "job", "-p", "loss"]),
        )
    ),
]


@pytest.mark.parametrize("arguments", LOOKING, ids=" ".join)
def test_a9_a10_looking_needs_no_torch_warns_of_nothing_and_leaves_nothing(
    arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "no_torch" / "torch").mkdir(parents=True)
    (tmp_path / "no_torch" / "torch" / "__init__.py").write_text("raise AssertionError('torch was imported')")
    (tmp_path / "here").mkdir()
    result = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "train.py"), *arguments],
        cwd=tmp_path / "here",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "no_torch")},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert result.stdout.strip() and list((tmp_path / "here").iterdir()) == []


# E5, E6: also tests/test_cli.py and tests/test_launching.py.


@pytest.mark.slow
def test_e5_identical_commands_at_once_make_a_folder_each(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "a copy, x=1 图像")  # whose own folder for outputs is used
    command = [str(project / "train.py"), *TINY]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    processes = [
        forking.Process([*command, *extra], project, environment, timeout_s=120)
        for extra in [*[()] * 4, *[("-m", "seed=0,1")] * 2]
    ]
    results = [process.wait() for process in processes]
    assert [result.returncode for result in results] == [0] * 6, [result.stderr for result in results]
    assert len(list((project / "outputs" / "runs").glob("*/result.json"))) == 4
    assert len(list((project / "outputs" / "sweeps").glob("*/*/result.json"))) == 4
    assert len(list((project / "outputs" / "sweeps").iterdir())) == 2


ODD_NOTES = [
    *(".", "..", "../../../up", "/absolute", "~", "-rf", "a\tb", "a\\\\b", "%s {} $HOME *", "CON", " ", "", "."),
    *("é" * 300, "😀" * 100, "e\N{COMBINING ACUTE ACCENT}" * 90, "x" * 4000, "x" * 3999 + "y"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sweeper", "notes"),
    [("grid", ODD_NOTES), ("basic", ["../../../up", "/absolute", "x" * 3999 + "y", "x" * 3999 + "z"])],
    ids=["grid", "basic"],  # which trains one by one
)
def test_e6_folders_stay_inside_the_sweep_short_and_unique(
    train: Train, tmp_path: Path, noted: list[str], sweeper: str, notes: list[str]
) -> None:
    quoted = ",".join(f"'{note}'" for note in notes)
    result = train("-m", *noted, *TINY, f"loss.note={quoted}", f"hydra/sweeper={sweeper}", PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    jobs = sorted(path for path in (tmp_path / "sweep").glob("[0-9]*"))
    assert len(jobs) == len(notes) and all((job / "result.json").exists() for job in jobs)
    assert all(len(job.name.encode()) <= 255 and not job.name.startswith((".", "-")) for job in jobs)
    assert {path.name for path in tmp_path.iterdir()} <= {"conf", "noted.py", "sweep", "__pycache__"}
    assert not (tmp_path.parent / "up").exists() and not Path("/absolute").exists()
    saved = [yaml.safe_load((job / ".hydra" / "config.yaml").read_text(encoding="utf-8")) for job in jobs]
    assert [cfg["loss"]["note"].replace("\\\\", "\\") for cfg in saved] == [
        note.replace("\\\\", "\\") for note in notes
    ]


# F3 to F5.

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.mark.slow
def test_f3_measures_that_are_no_numbers_leave_sound_files(train: Train, tmp_path: Path, noted: list[str]) -> None:
    result = train("-m", *noted, *TINY, "loss.factor='1','nan','inf','-inf'", PYTHONPATH=str(tmp_path))
    assert result.returncode == 6 and "3 of 4 jobs failed" in result.stderr, result.stderr
    states = []
    for job in sorted(path for path in (tmp_path / "sweep").glob("[0-9]*")):
        for path in (*job.glob("*.json"), *job.glob("*.jsonl")):
            read_strictly(path)
        states.append(read_strictly(job / "status.json")[0])
        EventAccumulator(str(job)).Reload()
    assert [status["state"] for status in states] == ["completed", *["diverged"] * 3]
    assert [f"test/loss is {value}" in states[i]["error"] for i, value in ((1, "nan"), (2, "inf"), (3, "-inf"))]


def listening_addresses(pid: int) -> dict[str, str]:
    """Find where a process and its children listen: `address:port` in /proc's hexadecimal notation, by socket."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    inodes = set()
    for process in (pid, *map(int, children)):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed in between
                if (target := str(entry.readlink())).startswith("socket:["):
                    inodes.add(target[8:-1])
    found: dict[str, str] = {}
    for table in ("tcp", "tcp6"):
        rows = [line.split() for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]]
        found |= {row[9]: row[1] for row in rows if row[3] == "0A" and row[9] in inodes}
    return found


@pytest.fixture
def start_board(tmp_path: Path) -> Iterator[Callable[[str], tuple[int, int]]]:
    """Start TensorBoard with a printed command; its process and port."""
    processes = []

    def start(command: str) -> tuple[int, int]:
        process = subprocess.Popen(
            shlex.split(command), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        alarm = threading.Timer(60, process.kill)
        alarm.start()
        assert process.stderr is not None
        port = next(
            (found for line in process.stderr if (found := re.search(r"at http://127\.0\.0\.1:(\d+)/", line))), None
        )
        alarm.cancel()
        assert port, f"{command} does not say where it listens"
        return process.pid, int(port[1])

    yield start
    for process in processes:
        with process:
            process.terminate()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_f3_f4_boards_serve_text_as_text_on_ports_of_their_own_to_this_machine_only(
    train: Train, tmp_path: Path, noted: list[str], start_board: Callable[[str], tuple[int, int]]
) -> None:
    long = "long " * 2000
    result = train("-m", *noted, *TINY, f"loss.note='{SCRIPT}','{long}'", PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    jobs = sorted(path for path in (tmp_path / "sweep").glob("[0-9]*"))
    for job, note in zip(jobs, (SCRIPT, long), strict=True):
        assert yaml.safe_load((job / ".hydra" / "config.yaml").read_text(encoding="utf-8"))["loss"]["note"] == note
        assert any(note in override for override in read_strictly(job / "result.json")[0]["overrides"])
        events = EventAccumulator(str(job))
        events.Reload()
        tag = next(tag for tag in events.Tags()["tensors"] if tag.startswith("config/"))
        assert note.split()[0] in events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
        assert not {"<", ">"} & set(job.name)
    command = next(line for line in result.stdout.splitlines() if line.startswith("TensorBoard")).partition(" ")[2]
    boards = [start_board(command), start_board(command)]
    assert boards[0][1] != boards[1][1]
    for pid, port in boards:
        addresses = listening_addresses(pid)
        assert f"0100007F:{port:04X}" in addresses.values()
        local = ("0100007F", "0" * 24 + "01000000")  # 127.0.0.1 and ::1
        assert all(address.startswith(local) for address in addresses.values()), addresses
    query = urllib.parse.urlencode({"run": jobs[0].name, "tag": tag})
    url = f"http://127.0.0.1:{boards[1][1]}/data/plugin/text/text?{query}"
    deadline = time.monotonic() + 30
    texts: list[dict[str, Any]] = []
    while not texts and time.monotonic() < deadline:  # until it has read the files
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                assert "json" in response.headers["Content-Type"]
                texts = json.loads(response.read())
        except urllib.error.HTTPError as error:
            error.close()
        time.sleep(0.1)
    assert texts and "alert(1)" in texts[0]["text"] and "&lt;script&gt;" in texts[0]["text"]
    assert "<script" not in texts[0]["text"] and "<img" not in texts[0]["text"]


@pytest.mark.slow
def test_f5_a_secret_of_the_environment_is_in_no_file_of_a_sweep(train: Train, tmp_path: Path) -> None:
    secret = write_idx_folder(tmp_path / "s3cr3t")
    grid = ["optimizer.lr=0.1,1e38", "loss=mse", "loss.input=logits"]
    result = train(
        *("-m", "dataset=idx", "dataset.root=${oc.env:SECRET}", "trainer.num_epochs=3", *grid), SECRET=str(secret)
    )
    assert result.returncode == 6 and "1 of 2 jobs failed" in result.stderr, result.stderr
    written = [path for path in (tmp_path / "sweep").rglob("*") if path.is_file()]
    assert len(written) > 16
    for path in written:
        assert b"s3cr3t" not in path.read_bytes(), path
