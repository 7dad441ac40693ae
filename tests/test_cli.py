"""The real command as a subprocess: exit codes, messages, files; every command has a time limit.

A letter and a number in a test's name group the cases: A configuration, B data, C training, E sweeps. A usage or
configuration error must leave no folder.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import COMMAND_TIMEOUT_S, ROOT, TINY, write_idx, write_idx_folder

Train = Callable[..., subprocess.CompletedProcess[str]]

RUN_FILES = {
    *(".hydra", "checkpoints", "metrics.jsonl", "predictions.npz", "result.json", "run.json", "status.json"),
    "train.log",
}


def read_json(path: Path) -> dict[str, object]:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def assert_refused(result: subprocess.CompletedProcess[str], code: int, tmp_path: Path, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr and result.stderr.count("ERROR: ") == 1
    for word in words:
        assert word in result.stderr
    assert not (tmp_path / "run").exists() and not (tmp_path / "sweep").exists()


@pytest.mark.slow
def test_lock_is_free_before_python_ends(tmp_path: Path) -> None:
    """Python takes modules apart at its end: releasing the lock then was a traceback after a complete run."""
    program = f"""
import atexit
from filelock import FileLock
from fashion_softmax.cli import main
atexit.register(lambda: FileLock({str(tmp_path / "run" / ".lock")!r}).acquire(timeout=0) and print("free"))
main()
"""
    command = [sys.executable, "-c", program, *TINY, "optimizer=adam", f"hydra.run.dir={tmp_path}/run"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S)
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.endswith("free\n")


def test_run_leaves_the_files_it_promises(train: Train, tmp_path: Path) -> None:
    # -W error: no warning of Hydra or any other library either (A9).
    result = train(*TINY, "trainer.num_epochs=2", "trainer.log_every=1", python=["-W", "error"])
    assert result.returncode == 0, result.stderr
    run = tmp_path / "run"
    events = [path for path in run.iterdir() if path.name.startswith("events.out.tfevents.")]
    assert len(events) == 1 and {path.name for path in run.iterdir()} - {events[0].name, ".lock"} == RUN_FILES
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"last.pt", "best.pt"}
    assert "run folder" in result.stdout and "tensorboard.main --logdir run" in result.stdout

    facts = read_json(run / "result.json")
    assert facts["state"] == "completed" and facts["objective_name"] == "test/accuracy" and facts["num_epochs"] == 2
    assert facts["metrics"]["test/accuracy"] == facts["objective"]  # type: ignore[index]
    assert facts["seconds"].keys() == {"total", "training"}  # type: ignore[attr-defined]
    assert "trainer.log_every=1" in facts["overrides"]  # type: ignore[operator]
    assert read_json(run / "status.json")["state"] == "completed"

    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["epoch"], row["step"], row["images_seen"]) for row in rows] == [(1, 1, 256), (2, 2, 512)]
    assert {tag: rows[-1][tag] for tag in facts["metrics"]} == facts["metrics"]  # type: ignore[attr-defined]


@pytest.mark.slow
def test_closed_output_does_not_stop_the_training(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "train.py"), *TINY, "trainer.num_epochs=5", f"hydra.run.dir={tmp_path}/run"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0 and process.stderr.read() == ""
    process.stderr.close()
    assert read_json(tmp_path / "run" / "status.json")["state"] == "completed"


def test_validation_split_becomes_the_objective(train: Train, tmp_path: Path) -> None:
    assert train(*TINY, "dataset.val_size=64").returncode == 0
    facts = read_json(tmp_path / "run" / "result.json")
    assert facts["objective_name"] == "val/accuracy" and "val/loss" in facts["metrics"]  # type: ignore[operator]


@pytest.mark.slow
def test_same_seed_gives_the_same_metrics_with_and_without_workers(train: Train, tmp_path: Path) -> None:
    texts = []
    for index, workers in enumerate((0, 0, 2)):
        run = tmp_path / f"run{index}"
        settings = [f"dataset.num_workers={workers}", "dataset.batch_size=100", f"hydra.run.dir={run}"]
        result = train(*TINY, *settings, python=[] if index == 1 else None)  # hashes have another seed in each
        assert result.returncode == 0, result.stderr
        texts.append((run / "metrics.jsonl").read_text(encoding="utf-8"))
    assert len(set(texts)) == 1


@pytest.mark.slow
def test_earlier_run_in_the_same_folder_is_kept(train: Train, tmp_path: Path) -> None:
    assert train(*TINY, "seed=1").returncode == 0
    assert train(*TINY, "seed=2").returncode == 0
    earlier = tmp_path / "run" / "earlier-1"
    assert "seed: 1" in (earlier / ".hydra" / "config.yaml").read_text(encoding="utf-8")
    assert {path.name for path in earlier.iterdir() if not path.name.startswith("events")} == RUN_FILES
    assert "seed: 2" in (tmp_path / "run" / ".hydra" / "config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["optimizer.lrr=0.1"], ["optimizer.lrr is unknown; did you mean optimizer.lr?"]),
        (["-m", "seed=1,2", "loss=ce,hubr"], ["loss=hubr is no option"]),
        pytest.param(["--experimental-rerun", "x.pickle"], ["refused"], marks=pytest.mark.slow),
        (["--experimental", "x.pickle"], ["--experimental is no option; did you mean --experimental-rerun?"]),
        pytest.param(
            ["-m", "loss=ce,huber", "loss.delta=0.3,0.4"],
            ["loss.delta is unknown", "job loss=ce loss.delta=0.3"],
            marks=pytest.mark.slow,
        ),
        pytest.param(["--config-dir", "missing"], ["missing' not found"], marks=pytest.mark.slow),
        pytest.param(
            ["--run", "-m"], ["Hydra cannot use this command line (ValueError: Only one of"], marks=pytest.mark.slow
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a1_to_a3_what_cannot_be_composed_is_refused(
    train: Train, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    assert_refused(train(*arguments), 2, tmp_path, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["optimizer.lr=nan", "trainer.num_epochs=-1"], ["optimizer.lr=nan is out of range", "trainer.num_epochs=-1"]),
        (["-m", "optimizer.lr=0.1,-1", "seed=0,1"], ["optimizer.lr=-1 is out of range", "(job "]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a4_what_cannot_work_is_refused_before_anything_starts(
    train: Train, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    assert_refused(train(*TINY[:3], *arguments), 2, tmp_path, *words)


@pytest.mark.slow
def test_a5_batch_larger_than_the_data_is_one_batch(train: Train, tmp_path: Path) -> None:
    assert train(*TINY, "dataset.batch_size=100000").returncode == 0
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8"))["step"] == 1


@pytest.mark.slow
def test_a6_saved_configuration_runs_again(train: Train, tmp_path: Path) -> None:
    first = [*TINY, "optimizer.lr=1e-3", "loss.label_smoothing=.25", "dataset.resize=null"]
    assert train(*first).returncode == 0
    saved = tmp_path / "run" / ".hydra"
    again = tmp_path / "again"
    result = train("--config-path", str(saved), f"hydra.run.dir={again}")
    assert result.returncode == 0, result.stderr
    assert read_json(again / "result.json")["metrics"] == read_json(tmp_path / "run" / "result.json")["metrics"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a:\n\t- 1\n", ["broken.yaml, line 2", "cannot start any token"]),
        (b"a: \xff\xfe\n", ["broken.yaml", "not UTF-8"]),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (i + 1, i + 1, b",".join([b"*%c" % i] * 9)) for i in range(97, 107)),
            ["broken.yaml", "its 90 aliases are too many"],
        ),
    ],
    ids=["tab", "not utf-8", "alias bomb"],
)
def test_a7_broken_yaml_is_refused_in_time(train: Train, tmp_path: Path, content: bytes, words: list[str]) -> None:
    folder = tmp_path / "mine" / "loss"
    folder.mkdir(parents=True)
    (folder / "broken.yaml").write_bytes(content)
    start = time.monotonic()
    result = train("--config-dir", str(folder.parent), "loss=broken", f"hydra.run.dir={tmp_path}/run")
    assert_refused(result, 2, tmp_path, *words)
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_a8_overrides_on_both_sides_of_m(train: Train, tmp_path: Path) -> None:
    result = train(*TINY, "-m", "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "sweep").glob("[0-9]*")) == ["000_seed0", "001_seed1"]


def test_completion_offers_the_options_of_a_group(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "-sc", "query=bash"],
        env={**os.environ, "COMP_LINE": "train.py loss=", "COMP_POINT": "14"},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert {"loss=ce", "loss=huber", "loss=margin"} <= set(result.stdout.split())


@pytest.mark.slow
def test_prepared_data_is_trained_on_without_torchvision_or_the_compiler(idx_folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, runpy\n"
        f"sys.argv = ['train.py', 'dataset=idx', 'dataset.root={idx_folder}', 'hydra.run.dir={tmp_path}/run']\n"
        f"runpy.run_path({str(ROOT / 'train.py')!r}, run_name='__main__')\n"
        "heavy = {'torchvision', 'matplotlib', 'torch._dynamo.eval_frame', 'tensorflow'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_b1_no_data_and_no_source_names_folder_files_and_reasons(train: Train, tmp_path: Path) -> None:
    root = tmp_path / "nothing here"
    result = train(f"dataset.root='{root}'", "dataset.mirror=http://127.0.0.1:9/", PATH="/nonexistent")
    assert_refused(result, 3, tmp_path, str(root), "Connection refused", "no apt-get on this machine")
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        assert name in result.stderr


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("train-labels-idx1-ubyte", [0, 1, 17]),
        pytest.param("t10k-images-idx3-ubyte", [], marks=pytest.mark.slow),
        pytest.param("train-images-idx3-ubyte", None, marks=pytest.mark.slow),
    ],
    ids=["a label of 17", "zero images", "truncated"],
)
def test_b6_corrupt_files_are_named(train: Train, tmp_path: Path, name: str, values: list[int] | None) -> None:
    import numpy as np

    folder = write_idx_folder(tmp_path / "data", sizes=(3, 3))
    if values is None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    else:
        write_idx(folder / name, np.array(values) if values else np.zeros((0, 8, 8)))
    assert_refused(train("dataset=idx", f"dataset.root={folder}"), 3, tmp_path, name)


def test_b6_a_flipped_byte_of_a_published_set_is_named(train: Train, tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path / "data", (28, 28))
    result = train(f"dataset.root={folder}")
    assert_refused(result, 3, tmp_path, "train-images-idx3-ubyte: is corrupt: expected SHA-256 c59f468a", "found ")


@pytest.mark.parametrize(
    "arguments",
    [["optimizer.lr=1e39"], pytest.param(["optimizer=adam", "optimizer.lr=1e38"], marks=pytest.mark.slow)],
    ids=" ".join,
)
def test_c1_a_number_beyond_all_floats_is_divergence(train: Train, arguments: list[str]) -> None:
    result = train(*TINY, *arguments)
    assert result.returncode == 5 and "training diverged: " in result.stderr


def test_c1_divergence_is_noticed_and_the_last_good_checkpoint_kept(train: Train, tmp_path: Path) -> None:
    result = train(*TINY, "trainer.num_epochs=400", "loss=mse", "loss.input=logits", "optimizer.lr=10")
    assert result.returncode == 5 and "training diverged" in result.stderr and "Traceback" not in result.stderr
    status = read_json(tmp_path / "run" / "status.json")
    assert status["state"] == "diverged" and "training diverged" in str(status["error"])
    assert not (tmp_path / "run" / "result.json").exists()
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert all(weight.isfinite().all() for weight in state["model"].values())


def test_e1_failed_jobs_are_listed_and_the_others_kept(train: Train, tmp_path: Path) -> None:
    huge = ["loss=mse", "loss.input=logits", "optimizer.lr=1e-3,1e38", "hydra.sweeper.max_batch_size=1"]
    result = train("-m", *TINY, *huge, "trainer.num_epochs=5", "seed=0,1")
    assert result.returncode == 6, result.stderr
    assert "2 of 4 jobs failed, the others are complete" in result.stderr and "  002_lr1e+38_seed0: " in result.stderr
    states = {path.name: read_json(path / "status.json")["state"] for path in (tmp_path / "sweep").glob("[0-9]*")}
    assert sorted(states.values()) == ["completed", "completed", "diverged", "diverged"]
    failed = next(name for name, state in states.items() if state == "diverged")
    text = (tmp_path / "sweep" / failed / "train.log").read_text(encoding="utf-8")
    assert "training diverged" in text and "Traceback" in text


def test_e5_simultaneous_runs_get_folders_of_their_own(tmp_path: Path) -> None:
    from hydra import compose, initialize_config_dir

    from fashion_softmax.config.schema import CONFIG_DIR, register

    register()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIG_DIR)):
        folders = {compose("config", return_hydra_config=True).hydra.run.dir for _ in range(3)}
    assert len(folders) == 3 and all(folder.startswith(str(ROOT / "outputs" / "runs")) for folder in folders)


def test_f5_a_secret_of_the_environment_is_in_no_file(train: Train, tmp_path: Path, idx_folder: Path) -> None:
    secret = idx_folder.rename(idx_folder.with_name("s3cr3t"))
    result = train("dataset=idx", "dataset.root=${oc.env:SECRET}", TINY[-1], SECRET=str(secret))
    assert result.returncode == 0, result.stderr
    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert len(written) > 8
    for path in written:
        assert b"s3cr3t" not in path.read_bytes(), path


@pytest.mark.slow
def test_unknown_device_is_the_machines_refusal(train: Train, tmp_path: Path) -> None:
    assert_refused(train(*TINY, "device=cuda:99"), 7, tmp_path, "device=cuda:99 is not on this machine")


@pytest.mark.slow
def test_experiments_are_chosen_as_in_other_projects_and_left_out_by_null(train: Train, tmp_path: Path) -> None:
    assert "MLP, CrossEntropy, Adam" in train("+experiment=mlp", *TINY, f"hydra.run.dir={tmp_path}/run").stdout
    result = train("-m", "experiment=null,lesson", *TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep")
    assert result.returncode == 0, result.stderr
    names = sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir() and path.name[0] != ".")
    assert [name[:3] for name in names] == ["000", "001", "002", "003"] and "lesson" in names[2]
