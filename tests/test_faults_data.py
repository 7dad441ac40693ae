"""Faults of the data through the real commands: each a subprocess with a time limit, each mirror a server on 127.0.0.1.

A letter and a number in a test's name group the cases: B data, C training. Downloads need Fashion-MNIST itself, which
the test's own server hands out: nothing else has its digests. PATH names no folder, so that no apt-get is found.
"""

import filecmp
import gzip
import http.server
import itertools
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from fashion_softmax.data.idx import FILES
from tests import forking
from tests.conftest import ROOT, TINY, write_idx, write_idx_folder

NAMES = list(FILES.values())
TIMEOUT_S = 100
EPOCH = ["trainer.num_epochs=1", "dataset.batch_size=10000"]


class Mirror(http.server.ThreadingHTTPServer):
    """Serves files by name; `answer` can be replaced to serve them badly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.answer: Callable[[Handler, bytes], None] = send
        self.ended = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *args: object) -> None:
        """A client that was killed is no error of the server."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.requests.append(name)
        if name in self.server.bodies:
            self.server.answer(self, self.server.bodies[name])
        else:
            self.send_error(404)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


def send(handler: Handler, body: bytes, *, announced: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if announced is None else announced))
    handler.end_headers()
    handler.wfile.write(body)


def send_some_and_stop(handler: Handler, body: bytes) -> None:
    """Send the first half, then nothing until the test ends."""
    send(handler, body[: len(body) // 2], announced=len(body))
    handler.server.ended.wait(TIMEOUT_S)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def packed(fashion_mnist_root: Path) -> dict[str, bytes]:
    # Level 0 packs without compressing, which is quick.
    return {f"{name}.gz": gzip.compress((fashion_mnist_root / name).read_bytes(), 0) for name in NAMES}


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": "/nonexistent", "no_proxy": "127.0.0.1", "COLUMNS": "120"}


def run(script: str, *arguments: str, prefix: Sequence[str] = ()) -> tuple[int, str]:
    """Run a script to its end, behind another command if there is one; the exit code and standard error."""
    if prefix:
        command = [*prefix, sys.executable, str(ROOT / script), *arguments]
        result = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=TIMEOUT_S)
    else:
        result = fork(script, *arguments).wait()
    return result.returncode, result.stderr


def fork(script: str, *arguments: str) -> forking.Process:
    return forking.Process([str(ROOT / script), *arguments], Path.cwd(), environment(), TIMEOUT_S)


def prepare(root: Path, mirror: Mirror | None = None) -> tuple[int, str]:
    return run("scripts/prepare_data.py", *arguments_for(root, mirror))


def arguments_for(root: Path, mirror: Mirror | None = None) -> list[str]:
    # Without a mirror nothing may be fetched: port 9 refuses.
    return [f"dataset.root='{root}'", f"dataset.mirror={mirror.url if mirror else 'http://127.0.0.1:9/'}"]


def assert_complete(root: Path, original: Path) -> None:
    """The four files are the published ones, and there is nothing else that could be taken for data."""
    assert {path.name for path in root.iterdir()} - {"verified.json", ".lock"} == set(NAMES)
    for name in NAMES:
        assert filecmp.cmp(root / name, original / name, shallow=False), name


def assert_data_refused(result: tuple[int, str], *words: str) -> None:
    code, errors = result
    assert code == 3, errors
    assert "Traceback" not in errors and errors.count("ERROR: ") == 1
    for word in words:
        assert word in errors


def find_data(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()} - {"verified.json", ".lock"} if root.exists() else set()


def link_images(root: Path, original: Path) -> None:
    """Provide the two large files, so that only the labels are fetched."""
    root.mkdir(parents=True)
    for name in NAMES:
        if "images" in name:
            (root / name).symlink_to(original / name)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


# B1: also tests/test_cli.py. B2 and B3, and what one process does to a file: also tests/data/test_sources.py.


@pytest.mark.slow
def test_b1_sweep_without_data_is_refused_before_a_job_starts(tmp_path: Path) -> None:
    root = tmp_path / "data"
    sweep = ["-m", "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert_data_refused(run("train.py", *sweep, *arguments_for(root)), str(root), *NAMES, "Connection refused")
    assert {path.name for path in tmp_path.iterdir()} <= {"data"} and find_data(root) == set()


@pytest.mark.slow
@pytest.mark.real_data
def test_b2_b3_bad_mirror_is_refused_and_the_next_run_succeeds(
    mirror: Mirror, packed: dict[str, bytes], fashion_mnist_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    link_images(root, fashion_mnist_root)
    for word, bodies in {"cut short": packed, "found ": dict.fromkeys(packed, gzip.compress(b"other bytes"))}.items():
        mirror.bodies = bodies
        mirror.answer = (
            (lambda handler, body: send(handler, body[:-1], announced=len(body))) if word == "cut short" else send
        )
        digests = ["expected SHA-256 "] if word == "found " else []
        assert_data_refused(prepare(root, mirror), word, *digests, mirror.url, *NAMES, "no apt-get on this machine")
        assert not [name for name in find_data(root) if "labels" in name]
    mirror.bodies, mirror.answer = packed, send
    code, errors = prepare(root, mirror)
    assert code == 0, errors
    assert_complete(root, fashion_mnist_root)


@pytest.mark.slow
@pytest.mark.real_data
def test_b4_killed_in_the_middle_of_a_transfer(
    mirror: Mirror, packed: dict[str, bytes], fashion_mnist_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    mirror.bodies = packed
    command = ["train.py", *EPOCH, *arguments_for(root, mirror), f"hydra.run.dir={tmp_path}/run"]
    for number in (1, 3):  # of the transfer that never ends

        def answer(handler: Handler, body: bytes, number: int = number) -> None:
            (send_some_and_stop if len(mirror.requests) == number else send)(handler, body)

        mirror.requests, mirror.answer = [], answer
        process = fork(*command)
        wait_until(lambda number=number: len(mirror.requests) == number)  # type: ignore[misc]
        time.sleep(0.1)
        process.kill()
        assert process.wait().returncode == -9 and len(find_data(root)) == number - 1
        assert not (tmp_path / "run").exists()
    mirror.requests, mirror.answer = [], send
    code, errors = run(*command)
    assert code == 0, errors
    assert_complete(root, fashion_mnist_root)
    assert len(mirror.requests) == 2  # what was complete before the kill is kept
    assert json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))["state"] == "completed"


@pytest.mark.slow
@pytest.mark.real_data
def test_b4_killed_at_random_moments_until_it_is_done(
    mirror: Mirror, packed: dict[str, bytes], fashion_mnist_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    mirror.bodies = packed

    def slowly(handler: Handler, body: bytes) -> None:
        send(handler, b"", announced=len(body))
        for part in (body[i : i + 2**20] for i in range(0, len(body), 2**20)):
            handler.wfile.write(part)
            time.sleep(0.03)

    mirror.answer = slowly
    rng = random.Random(0)
    for _ in range(4):
        known = len(mirror.requests)
        process = fork("scripts/prepare_data.py", *arguments_for(root, mirror))
        wait_until(lambda known=known: len(mirror.requests) > known)  # type: ignore[misc]
        time.sleep(rng.random() * 1.5)
        process.kill()
        process.wait()
        for name in find_data(root):
            assert name.startswith(".") or filecmp.cmp(root / name, fashion_mnist_root / name, shallow=False)
        if find_data(root) >= set(NAMES):
            break
    mirror.answer = send
    code, errors = prepare(root, mirror)
    assert code == 0, errors
    assert_complete(root, fashion_mnist_root)


@pytest.mark.slow
@pytest.mark.real_data
def test_b5_those_that_wait_for_a_process_that_is_killed_download_once(
    mirror: Mirror, packed: dict[str, bytes], fashion_mnist_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    link_images(root, fashion_mnist_root)
    mirror.bodies, mirror.answer = packed, send_some_and_stop
    command = ["scripts/prepare_data.py", *arguments_for(root, mirror)]
    holder = fork(*command)
    wait_until(lambda: len(mirror.requests) == 1)
    with pytest.raises(TimeoutError), FileLock(root / ".lock", timeout=0):
        pytest.fail("the lock is free while a process downloads")
    others = [fork(*command) for _ in range(2)]
    time.sleep(3)  # they start and wait
    assert len(set(mirror.requests)) == 1  # the holder may ask again, on a busy machine
    mirror.answer = send
    holder.kill()
    assert [other.wait().returncode for other in others] == [0, 0] and holder.wait().returncode == -9
    assert_complete(root, fashion_mnist_root)
    counts = sorted(Counter(mirror.requests).values())
    assert len(counts) == 2 and counts[0] == 1 < counts[1]


@pytest.mark.slow
@pytest.mark.real_data
def test_b6_published_file_that_was_changed_is_named(fashion_mnist_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    link_images(root, fashion_mnist_root)
    name = "train-labels-idx1-ubyte"
    shutil.copy(fashion_mnist_root / "t10k-labels-idx1-ubyte", root)
    # The file was fine when it was checked; what happened to it afterwards must be noticed.
    shutil.copy(fashion_mnist_root / name, root)
    shutil.copy(fashion_mnist_root / "verified.json", root)
    content = bytearray((root / name).read_bytes())
    content[12_345] ^= 1
    (root / name).write_bytes(content)
    result = run("train.py", *EPOCH, *arguments_for(root), f"hydra.run.dir={tmp_path}/run")
    assert_data_refused(result, f"{root / name}: is corrupt: expected SHA-256 bad3541b", "found ")
    assert not (tmp_path / "run").exists()
    assert (root / name).read_bytes() == content  # the user's to remove


@pytest.mark.slow
def test_b6_corrupt_idx_file_is_named(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "data", sizes=(3, 3))
    path = folder / "train-labels-idx1-ubyte"
    write_idx(path, np.array([0, 1]))
    result = run("train.py", "dataset=idx", f"dataset.root={folder}", f"hydra.run.dir={tmp_path}/run")
    assert_data_refused(result, f"{path}: has 2 labels for 3 images")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def as_user() -> list[str]:
    """What to put before a command so that permissions bind it, as they do not bind root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root can write everywhere, and there is no setpriv to give that up")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search"]


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], Path]]:
    folders: list[Path] = []

    def protect(folder: Path) -> Path:
        folders.append(folder)
        folder.chmod(0o555)
        return folder

    yield protect
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.slow
@pytest.mark.real_data
def test_b7_complete_data_in_a_read_only_folder_works(
    packed: dict[str, bytes],
    fashion_mnist_root: Path,
    tmp_path: Path,
    as_user: list[str],
    read_only: Callable[[Path], Path],
) -> None:
    root = tmp_path / "data"
    link_images(root, fashion_mnist_root)
    for name in packed:
        if "labels" in name:
            (root / name).write_bytes(packed[name])
    before = {path.name for path in read_only(root).iterdir()}
    run_dir = tmp_path / "run"
    code, errors = run("train.py", *EPOCH, *arguments_for(root), f"hydra.run.dir={run_dir}", prefix=as_user)
    assert code == 0, errors
    assert {path.name for path in root.iterdir()} == before
    assert json.loads((run_dir / "result.json").read_text(encoding="utf-8"))["state"] == "completed"


@pytest.mark.slow
def test_b7_read_only_folder_with_data_missing_is_the_machines_refusal(
    tmp_path: Path, as_user: list[str], read_only: Callable[[Path], Path]
) -> None:
    (tmp_path / "data").mkdir()
    root = read_only(tmp_path / "data")
    code, errors = run("scripts/prepare_data.py", *arguments_for(root), prefix=as_user)
    assert code == 7 and "Permission denied" in errors and str(root) in errors, errors
    assert "Traceback" not in errors and errors.count("ERROR: ") == 1
    assert list(root.iterdir()) == []


def test_b7_path_may_hold_any_character(tmp_path: Path) -> None:
    name = "a  b x=1,y=2 größe 图像 [c] {d} (50%) & #1"
    folder, run_dir = write_idx_folder(tmp_path / name / "data"), tmp_path / name / "run"
    settings = ["dataset=idx", "trainer.num_epochs=1", "dataset.resize=6"]
    code, errors = run("train.py", *settings, f"dataset.root='{folder}'", f"hydra.run.dir='{run_dir}'")
    assert code == 0, errors
    assert (run_dir / "result.json").exists()
    assert {path.name for path in tmp_path.iterdir()} == {name}


@pytest.mark.slow
def test_b7_sweep_over_folders_with_odd_names(tmp_path: Path) -> None:
    folders = [write_idx_folder(tmp_path / name) for name in ("a b", "x=1,y", "图像")]
    roots = ",".join(f"'{folder}'" for folder in folders)
    sweep = tmp_path / "the sweep"
    settings = ["-m", "dataset=idx", "trainer.num_epochs=1", f"dataset.root={roots}", f"hydra.sweep.dir='{sweep}'"]
    code, errors = run("train.py", *settings)
    assert code == 0, errors
    assert len(list(sweep.glob("*/result.json"))) == 3
    assert {path.name for path in tmp_path.iterdir()} == {*(folder.name for folder in folders), "the sweep"}


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.marker, "w")


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("is_complete", [True, False], ids=["with data", "without data"])
def test_b8_planted_pickles_are_never_opened(fashion_mnist_root: Path, tmp_path: Path, is_complete: bool) -> None:
    root, marker = tmp_path / "data", tmp_path / "executed"
    for folder in (root / "processed", root / "FashionMNIST" / "processed", root / "FashionMNIST" / "raw", root):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "training.pt").write_bytes(pickle.dumps(Bomb(marker)))
        os.mkfifo(folder / "test.pt")  # whoever opens it waits for ever
    for name in NAMES if is_complete else []:
        (root / name).symlink_to(fashion_mnist_root / name)
    code, errors = run("train.py", *EPOCH, *arguments_for(root), f"hydra.run.dir={tmp_path}/run")
    assert code == (0 if is_complete else 3), errors
    assert not marker.exists()


# C3 and C4 with the lesson's model: tests/test_cli.py.


@pytest.mark.slow
def test_c3_c4_dropout_draws_the_same_whatever_the_number_of_workers(tmp_path: Path) -> None:
    results = []
    settings = ["model=mlp", "model.dropout=0.5", "trainer.num_epochs=2", "dataset.batch_size=60"]
    for number, workers in enumerate((0, 2)):
        run_dir = tmp_path / str(number)
        settings_here = [*TINY, *settings, f"dataset.num_workers={workers}", f"hydra.run.dir={run_dir}"]
        code, errors = run("train.py", *settings_here)
        assert code == 0, errors
        state = torch.load(run_dir / "checkpoints" / "last.pt", weights_only=True)["model"]
        results.append(((run_dir / "metrics.jsonl").read_text(encoding="utf-8"), state))
    for (text, state), (other_text, other_state) in itertools.pairwise(results):
        assert text == other_text
        assert all(torch.equal(state[key], other_state[key]) for key in state)
