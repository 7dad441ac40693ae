"""scripts/doctor.py: through the real command, and check by check where a machine has to be made up."""

import argparse
import collections
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests import forking
from tests.conftest import COMMAND_TIMEOUT_S, ROOT, write_idx_folder

Usage = collections.namedtuple("Usage", "total used free")
Rows = dict[str, tuple[str, str]]
Doctor = Callable[..., tuple[int, Rows]]

WITHOUT_TORCH = """
import importlib.metadata, runpy, sys
sys.modules["torch"] = None
version = importlib.metadata.version
def version_without_torch(name):
    if name == "torch":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = version_without_torch
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    """Run the command; gives the exit code, and name to what was found and the verdict, of all rows of that name."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def run(*arguments: str, python: tuple[str, ...] = ()) -> tuple[int, Rows]:
        command = [str(ROOT / "scripts" / "doctor.py"), *arguments]
        environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8"}
        if not python:
            result = forking.run(command, tmp_path, environment, COMMAND_TIMEOUT_S)
        else:
            result = subprocess.run(
                [sys.executable, *python, *command],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                timeout=COMMAND_TIMEOUT_S,
            )
        assert result.stderr == "" and "Traceback" not in result.stdout
        assert list(temporary.iterdir()) == []
        rows: Rows = {}
        for line in result.stdout.splitlines():
            if line.startswith("│"):
                name, found, verdict = (cell.strip() for cell in line.split("│")[1:-1])
                earlier = rows.get(name, ("", ""))
                rows[name] = (earlier[0] + found, earlier[1] + verdict)
        return result.returncode, rows

    return run


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The command's module, to make up a machine with."""
    import doctor

    monkeypatch.setattr(doctor, "CHECKS", dict(doctor.CHECKS))
    return doctor


def options(data: Path | None = None, outputs: Path | None = None) -> argparse.Namespace:
    return argparse.Namespace(data=data, outputs=outputs)


def test_fine_machine_exits_with_0(doctor: Doctor, tmp_path: Path, fashion_mnist_root: Path) -> None:
    code, rows = doctor("--data", str(fashion_mnist_root), "--outputs", str(tmp_path / "outputs" / "deep"))
    assert code == 0, rows
    assert not any(verdict.startswith("problem") for _, verdict in rows.values())
    assert {"Python", "hydra-core", "numpy", "omegaconf", "rich", "tensorboard", "torch", "torchvision"} < rows.keys()
    assert rows["data"] == (f"Fashion-MNIST in {fashion_mnist_root}, SHA-256 as published", "ok")
    assert rows["writing outputs"] == (f"possible in {tmp_path}", "ok")
    assert not (tmp_path / "outputs").exists()


def test_missing_data_exits_with_7_and_the_command_that_fetches_them(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = tmp_path / "no data"
    monkeypatch.setattr(sys, "argv", ["doctor.py", "--data", str(root)])
    with pytest.raises(SystemExit) as exit:
        module.main()
    assert exit.value.code == 7 and not root.exists()
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("│ data "))
    assert f"missing in {root}: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte" in line
    assert "problem: python scripts/prepare_data.py " in line
    assert module.fetch_command(options()) == "make data"


@pytest.mark.slow
def test_corrupt_file_and_unwritable_outputs_exit_with_7(doctor: Doctor, tmp_path: Path) -> None:
    root = write_idx_folder(tmp_path / "data", (28, 28))
    (root / "t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    code, rows = doctor("--data", str(root), "--outputs", str(tmp_path / "file" / "outputs"))
    assert code == 7 and sorted(tmp_path.rglob("*")) == before
    assert rows["writing outputs"][0] == f"{tmp_path / 'file'}: Not a directory"
    assert rows["writing outputs"][1].startswith("problem: choose other folders")
    found, verdict = rows["data"]
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3"):
        assert f"{root / name}-ubyte is corrupt: its SHA-256 is " in found
    assert found.endswith(f"missing in {root}: t10k-labels-idx1-ubyte")
    assert verdict.count("problem: delete the file, then python scripts/prepare_data.py ") == 3


def test_unreadable_archive_is_corrupt(module: ModuleType, tmp_path: Path) -> None:
    root = write_idx_folder(tmp_path, (28, 28))
    (root / "train-labels-idx1-ubyte").rename(root / "train-labels-idx1-ubyte.gz")
    findings = list(module.CHECKS["data"](options(data=root)))
    assert len(findings) == 4 and "cannot be read (Not a gzipped file" in findings[1].found


@pytest.mark.slow
def test_missing_torch_is_a_problem_with_a_remedy(doctor: Doctor) -> None:
    code, rows = doctor(python=("-W", "error", "-c", WITHOUT_TORCH, str(ROOT / "scripts")))
    assert code == 7 and rows["torch"][0] == "not installed"
    for name in ("torch", "device", "threads", "data", "training"):
        assert rows[name][1].startswith("problem: ") and "setup" in rows[name][1]
    assert rows["torchvision"][1] == "ok" and rows["writing outputs"][1] == "ok"


def test_python_without_any_package_still_gets_a_table(tmp_path: Path) -> None:
    command = [sys.executable, "-S", str(ROOT / "scripts" / "doctor.py"), "--outputs", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    assert result.returncode == 7 and result.stderr == ""
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert len(lines) == 12 and f"writing outputs possible in {tmp_path} ok" in lines
    assert any(line.startswith("device No module named 'torch' problem: make ") for line in lines)


def test_help_does_not_import_torch() -> None:
    command = [sys.executable, "-X", "importtime", str(ROOT / "scripts" / "doctor.py"), "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=True)
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "argparse" in imported and not imported & {"torch", "hydra", "rich"}


@pytest.mark.parametrize(
    ("free", "level"), [(10**9, "ok"), (10**9 - 1, "warning"), (10**8, "warning"), (10**8 - 1, "problem")]
)
def test_low_disk_space(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**10, 10**10 - free, free))
    for name in ("free for outputs", "free for data"):
        (finding,) = module.CHECKS[name](options(tmp_path / "data", tmp_path / "outputs"))
        assert finding.level == level
        assert finding.remedy == ("" if level == "ok" else f"free some space in {tmp_path}")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /dev/shm")
def test_little_shared_memory_is_a_warning(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**26, 0, 2**26))
    (finding,) = module.CHECKS["shared memory"](options())
    assert finding.verdict.startswith("warning: keep dataset.num_workers=0")


def test_read_only_data_is_a_warning(module: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (finding,) = module.CHECKS["writing data"](options(data=tmp_path / "file" / "data"))
    assert finding.level == "warning"


def test_other_checks_run_although_one_raises(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def break_down(_: argparse.Namespace) -> None:
        raise RuntimeError("the [bold]probe[/bold]\nbroke")

    names = list(module.CHECKS)
    for name in ("Python", "device", "data", "training"):
        module.CHECKS[name] = break_down
    monkeypatch.setattr(sys, "argv", ["doctor.py", "--outputs", str(tmp_path)])
    with pytest.raises(SystemExit) as exit:
        module.main()
    assert exit.value.code == 7
    lines = capsys.readouterr().out.splitlines()
    assert sum("RuntimeError: the [bold]probe[/bold] broke" in line for line in lines) == 4
    shown = {line.split("│")[1].strip() for line in lines if line.startswith("│")}
    assert {*names, "torch"} - {"packages"} <= shown


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_python_out_of_range_is_a_problem(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int]
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    (finding,) = module.CHECKS["Python"](options())
    assert finding.verdict == "problem: 3.11 to 3.13 is needed: make setup PYTHON=python3.13"


def test_package_out_of_range_is_a_problem(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.1")
    findings = list(module.CHECKS["packages"](options()))
    assert len(findings) == 13 and {finding.level for finding in findings} == {"problem"}
    (hydra,) = (finding for finding in findings if finding.check == "hydra-core")
    assert hydra.remedy.startswith("<1.5,>=1.3.8 is needed: make ")


def test_more_threads_than_cores_are_a_warning(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    monkeypatch.setattr("doctor_checks.usable_cores", lambda: 1.5)
    (finding,) = module.CHECKS["threads"](options())
    assert finding.found == "8 for 1.5 cores" and finding.remedy.endswith("set OMP_NUM_THREADS=1")


def test_loss_that_does_not_go_down_is_a_problem(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doctor_checks.TRAINING", ["dataset=synthetic", "trainer.num_epochs=1"])
    (finding,) = module.CHECKS["training"](options())
    assert finding.level == "problem" and finding.found.startswith("1 epochs in ")
