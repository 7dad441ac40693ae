"""What several test files share: small IDX folders, the real command as a subprocess, and the real data set."""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import forking

# Toy images need no second thread, and on a machine that does other things threads wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent
COMMAND_TIMEOUT_S = 60

# A run that takes no time: toy images, one epoch.
TINY = ["dataset=synthetic", "dataset.num_train=256", "dataset.num_test=64", "trainer.num_epochs=1"]


def write_idx(path: Path, values: np.ndarray) -> Path:
    """Write unsigned bytes as an IDX file."""
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())
    return path


def write_idx_folder(
    folder: Path, shape: Sequence[int] = (8, 8), num_classes: int = 3, sizes: Sequence[int] = (96, 24)
) -> Path:
    """Write the four files of a small data set in which each class has a brightness of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for stem, size in zip(("train", "t10k"), sizes, strict=True):
        labels = np.arange(size) % num_classes
        brightness = (255 * (labels + 0.5) / num_classes).reshape(-1, *[1] * len(shape))
        images = np.clip(brightness + rng.normal(0, 10, (size, *shape)), 0, 255)
        write_idx(folder / f"{stem}-images-idx{1 + len(shape)}-ubyte", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte", labels)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, and those that one worker has to do alone: nobody waits for them at the end."""
    first = {"xdist_group", "real_data"}
    items.sort(key=lambda item: first.isdisjoint(mark.name for mark in item.iter_markers()))


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    return write_idx_folder(tmp_path / "data")


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python train.py ...` in a folder of its own; `run_dir` or `sweep_dir` below it unless overridden.

    With `python`, the arguments of an interpreter, one is started; otherwise a process that has imported torch forks.
    """

    def run(*arguments: str, python: Sequence[str] | None = None, **others: str) -> subprocess.CompletedProcess[str]:
        folders = [f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/sweep"]
        given = " ".join(arguments)
        folders = [folder for folder in folders if folder.partition("=")[0] not in given and "--" not in given]
        command = [str(ROOT / "train.py"), *arguments, *folders]
        environment = {**os.environ, "COLUMNS": "120", **others}
        if python is None:
            return forking.run(command, tmp_path, environment, COMMAND_TIMEOUT_S)
        return subprocess.run(
            [sys.executable, *python, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )

    return run


@pytest.fixture(scope="session")
def fashion_mnist_root() -> Path:
    """The folder of the real data set; the test is skipped without it, but never in CI."""
    root = ROOT / "data" / "fashion_mnist"
    if not (root / "train-images-idx3-ubyte").exists() and not os.environ.get("CI"):
        pytest.skip("Fashion-MNIST is not in data/fashion_mnist: run `make data`")
    return root


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if installed: data and outputs are below the folder where one stands, not in this checkout."""
    from fashion_softmax.config import schema

    monkeypatch.setattr(schema, "PACKAGE_DIR", schema.CONFIG_DIR.parent)


def copy_project(folder: Path) -> Path:
    """Copy what commands need: what they write into the project's folder does not come into this one then."""
    for part in ("conf", "docs", "fashion_softmax", "hydra_plugins", "scripts", "train.py"):
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, folder / part)
    return folder


@pytest.fixture
def project(fashion_mnist_root: Path, tmp_path: Path) -> Path:
    """A copy of the project for which the first tenth of Fashion-MNIST is all of it, or a page would take minutes."""
    from fashion_softmax.data.idx import FILES, PUBLISHED

    copy_project(tmp_path)
    data = tmp_path / "data" / "fashion_mnist"
    data.mkdir(parents=True)
    code = tmp_path / "fashion_softmax" / "data" / "idx.py"
    text = code.read_text(encoding="utf-8")
    for role, name in FILES.items():
        content = (fashion_mnist_root / name).read_bytes()
        number, size = int.from_bytes(content[4:8]) // 10, 784 if role.endswith("images") else 1
        start = 16 if role.endswith("images") else 8
        short = content[:4] + number.to_bytes(4) + content[8 : start + number * size]
        (data / name).write_bytes(short)
        digest = PUBLISHED["fashion_mnist"].sha256[role]
        assert digest in text
        text = text.replace(digest, hashlib.sha256(short).hexdigest())
    code.write_text(text, encoding="utf-8")
    return tmp_path


def make_run(folder: Path, overrides: Sequence[str]) -> Path:
    """Train a run in a folder by the command, for several tests; its folder."""
    command = [str(ROOT / "train.py"), *overrides, f"hydra.run.dir={folder}"]
    assert forking.run(command, folder.parent, os.environ, COMMAND_TIMEOUT_S).returncode == 0
    return folder


def write_planned(folder: Path, *overrides: str) -> Path:
    """Write the folder of a run that is planned, as a sweep does before anything trains."""
    from fashion_softmax.config.jobs import compose
    from fashion_softmax.runs.folder import write_folder

    return write_folder(folder, compose(overrides), overrides, {}).path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run of one epoch, made once."""
    return make_run(tmp_path_factory.mktemp("trained") / "run", TINY)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; the test is skipped without it, but never in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def keep_picture(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Keep what a page shows, in the folder `SCREENSHOTS` of the environment."""

    def keep(page: Any) -> None:
        folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
        name = re.sub(r"\W+", "_", request.node.name.removeprefix("test_"))
        page.screenshot(path=folder / f"{name}_{page.viewport_size['width']}.png")  # makes the folder

    return keep
