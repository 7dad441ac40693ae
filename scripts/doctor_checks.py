"""What `doctor.py` checks, a function each, which imports what it needs: the others must not fail with it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
SPACE_WARNING, SPACE_PROBLEM = 10**9, 10**8  # free bytes; Fashion-MNIST alone takes 55 * 10**6
SHARED_MEMORY_WARNING = 2**28  # free bytes; two workers with two batches each of 224 x 224 images take 200 * 10**6
TRAINING = ["dataset=synthetic", "trainer.num_epochs=20"]
SLOW_TRAINING_S = 10.0  # twenty times what two cores need


@dataclass(frozen=True)
class Finding:
    """What a check found; its level is `ok`, or `warning` or `problem` and then comes with a remedy."""

    found: str
    level: str = "ok"
    remedy: str = ""
    check: str = ""  # a name of its own, where one check finds several things

    @property
    def verdict(self) -> str:
        """The level, with the remedy."""
        return f"{self.level}: {self.remedy}" if self.remedy else self.level


def check_python() -> Iterator[Finding]:
    """Compare this Python with the project's range; needs nothing that only newer Pythons have."""
    ((low, below),) = re.findall(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', PYPROJECT, re.MULTILINE)
    low, high = int(low), int(below) - 1
    found = f"{sys.version.split()[0]}, {sys.executable}"
    remedy = f"3.{low} to 3.{high} is needed: make setup PYTHON=python3.{high}"
    yield Finding(found) if (3, low) <= sys.version_info[:2] <= (3, high) else Finding(found, "problem", remedy)


def check_packages() -> Iterator[Finding]:
    """Compare every package the project depends on with the range in pyproject.toml."""
    import tomllib

    from packaging.requirements import Requirement

    for line in tomllib.loads(PYPROJECT)["project"]["dependencies"]:
        requirement = Requirement(line)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = ""
        if version and requirement.specifier.contains(version, prereleases=True):
            yield Finding(version, check=requirement.name)
        else:
            remedy = f"{requirement.specifier} is needed: {reinstall()}"
            yield Finding(version or "not installed", "problem", remedy, requirement.name)


def check_project() -> Iterator[Finding]:
    """Find out which copy of the project Python imports, and whether it was installed in its present version."""
    import fashion_softmax

    version, home = fashion_softmax.__version__, Path(fashion_softmax.__file__).resolve().parent.parent
    installed = metadata.version("fashion-softmax")
    trouble = "" if home == ROOT else f"this is not {ROOT}"
    trouble = trouble or ("" if installed == version else f"was installed as {installed}")
    remedy = f"{trouble}: {sys.executable} -m pip install -e {ROOT}"
    yield Finding(f"{version} in {home}", *(("warning", remedy) if trouble else ()))


def check_device() -> Iterator[Finding]:
    """Say what `device=auto` picks, and what torch complains of while it looks."""
    import torch

    from fashion_softmax.learning.models import pick_device

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        device = pick_device("auto")
    found = f"{device}, {torch.cuda.get_device_name(device)}" if device.type == "cuda" else str(device)
    complaint = " ".join(str(warning.message) for warning in caught).replace("\n", " ")
    yield Finding(found, *(("warning", f"a GPU may be overlooked: {complaint}") if complaint else ()))


def check_threads() -> Iterator[Finding]:
    """Compare torch's threads with the cores this process may use."""
    import torch

    cores, threads = usable_cores(), torch.get_num_threads()
    remedy = f"they would wait for each other: set OMP_NUM_THREADS={max(1, int(cores))}"
    yield Finding(f"{threads} for {cores:g} cores", *(("warning", remedy) if threads > max(1, cores) else ()))


def usable_cores() -> float:
    """Count the cores this process may use; a container's share may be a fraction."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # no such file, or no limit: "max 100000"
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split())
        cores = min(cores, quota / period)
    return cores


def check_data(root: Path, fetch: str) -> Iterator[Finding]:
    """Look for Fashion-MNIST's files and compare each with its digest, whatever earlier runs remember of it."""
    from fashion_softmax.data.idx import FILES, PUBLISHED, find_idx_files

    published = PUBLISHED["fashion_mnist"]
    files = find_idx_files(root)
    wrong = {path: digest for role, path in files.items() if (digest := digest_of(path)) != published.sha256[role]}
    for path, digest in wrong.items():
        yield Finding(f"{path} is corrupt: its SHA-256 is {digest}", "problem", f"delete the file, then {fetch}")
    if missing := [name for role, name in FILES.items() if role not in files]:
        yield Finding(f"missing in {root}: {', '.join(missing)}", "problem", fetch)
    elif not wrong:
        yield Finding(f"Fashion-MNIST in {root}, SHA-256 as published")


def digest_of(path: Path) -> str:
    """Digest a file's unpacked content, or say why it cannot be read."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        return f"none, for it cannot be read ({error})"


def check_space(path: Path) -> Iterator[Finding]:
    """Measure the free space where a folder is or would be made."""
    folder = nearest_existing(path)
    free = shutil.disk_usage(folder).free
    level = "ok" if free >= SPACE_WARNING else "warning" if free >= SPACE_PROBLEM else "problem"
    yield Finding(f"{free / 10**9:.2f} GB", level, "" if level == "ok" else f"free some space in {folder}")


def check_shared_memory() -> Iterator[Finding]:
    """Measure the shared memory that data-loading processes pass batches through."""
    folder = Path("/dev/shm")
    if not sys.platform.startswith("linux"):
        yield Finding(f"not looked at on {sys.platform}")
        return
    free = shutil.disk_usage(folder).free if os.access(folder, os.W_OK) else 0
    remedy = "keep dataset.num_workers=0, or give a container more (--shm-size=1g)"
    yield Finding(f"{free / 10**9:.2f} GB", *(("warning", remedy) if free < SHARED_MEMORY_WARNING else ()))


def check_writing(path: Path, level: str, remedy: str) -> Iterator[Finding]:
    """Write a nameless file where a folder is or would be made."""
    folder = nearest_existing(path)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**16))
    except OSError as error:
        yield Finding(f"{folder}: {error.strerror}", level, remedy)
    else:
        yield Finding(f"possible in {folder}")


def check_training() -> Iterator[Finding]:
    """Train softmax regression on toy images in a temporary folder, with all records of a real run."""
    from fashion_softmax.config.jobs import compose
    from fashion_softmax.runs.folder import write_folder
    from fashion_softmax.runs.training import train_folders

    with tempfile.TemporaryDirectory(prefix="fashion-softmax-doctor-") as folder:
        start = time.perf_counter()
        write_folder(Path(folder), compose(TRAINING), TRAINING, {})
        for error in train_folders([Path(folder)]).values():
            raise error
        seconds = time.perf_counter() - start
        lines = Path(folder, "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    first, last = (json.loads(lines[index])["train/loss"] for index in (0, -1))
    found = f"{len(lines)} epochs in {seconds:.1f} s, loss {first:.3f} to {last:.3f}"
    if not last < first:
        yield Finding(found, "problem", f"the loss should go down, torch may be broken: {reinstall()}")
    else:
        remedy = "very slow; beside other programs OMP_NUM_THREADS=1 helps"
        yield Finding(found, *(("warning", remedy) if seconds > SLOW_TRAINING_S else ()))


def nearest_existing(path: Path) -> Path:
    """Find a path itself or, where it is still to be made, what exists of it."""
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def reinstall() -> str:
    """Word the command that installs what pyproject.toml asks for."""
    in_venv = Path(sys.prefix) == ROOT / ".venv"
    return "make clean setup" if in_venv else "make setup, then .venv/bin/python scripts/doctor.py"
