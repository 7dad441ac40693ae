"""The interface for Python: the same runs, checks and messages as the command's, in a process that goes on."""

import doctest
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

import fashion_softmax as fs
from fashion_softmax.config.private import VERSION_BASE
from fashion_softmax.errors import CheckpointError, ConfigError, DataError, SweepError
from fashion_softmax.learning.losses import CrossEntropy
from tests.conftest import ROOT, TINY, write_idx_folder

Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("installed")
def test_examples_of_the_docstrings() -> None:
    results = doctest.testmod(fs, extraglobs={"fs": fs}, optionflags=doctest.ELLIPSIS)
    assert results.attempted >= 7 and results.failed == 0


def test_train_is_the_commands_run(train: Train, tmp_path: Path) -> None:
    options = [*TINY, "loss=huber", "optimizer.lr=0.5", "trainer.num_epochs=2"]
    assert train(*options).returncode == 0
    run = fs.train(*options, f"hydra.run.dir={tmp_path}/here")
    expected = fs.load(tmp_path / "run")
    assert run.metrics == expected.metrics and run.curves == expected.curves
    np.testing.assert_array_equal(run.weights, expected.weights)
    for name in ("predictions.npz", "run.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    test = run.parts.dataset.test
    assert run.predict(test.images, test.labels).is_correct.mean() == run.metrics["test/accuracy"]


def test_sweep_is_the_commands_grid(train: Train, tmp_path: Path) -> None:
    grid = [*TINY, "loss=ce,mse", "optimizer.lr=0.1,1.0", "seed=0,1"]
    assert train("-m", *grid).returncode == 0
    table = fs.sweep(*grid, f"hydra.sweep.dir={tmp_path}/here")
    assert len(table) == 8 and {run["state"] for run in table} == {"completed"}
    assert table == fs.runs(tmp_path / "here")
    assert [(run["loss"], run["optimizer.lr"]) for run in table[:2]] == [("ce", 0.1)] * 2  # the best setting
    by_name = {run["name"]: run["test/loss"] for run in table}
    assert by_name == {run["name"]: run["test/loss"] for run in fs.runs(tmp_path / "sweep")}
    html = table._repr_html_()
    assert html.startswith("<table><tr><td>name<td>state<td>loss<td>") and html.count("<tr>") == 9


@pytest.mark.slow
def test_a_hydra_that_others_have_set_up_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.yaml").write_text("key: 1\n", encoding="utf-8")
    with initialize_config_dir(str(tmp_path / "theirs"), **VERSION_BASE):
        for number in range(2):  # a live kernel asks again
            fs.train(*TINY, f"hydra.run.dir={tmp_path}/run{number}")
            fs.sweep(*TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep{number}")
        assert compose("config").key == 1
    assert not GlobalHydra.instance().is_initialized()


def test_a_folder_that_is_used_again_keeps_what_it_held(tmp_path: Path) -> None:
    first, second = (fs.train(*TINY, f"seed={seed}", f"hydra.run.dir={tmp_path}/run") for seed in (0, 1))
    assert first.metrics != second.metrics
    assert json.loads((tmp_path / "run" / "earlier-1" / "result.json").read_bytes())["metrics"] == first.metrics


@pytest.mark.parametrize(
    ("call", "arguments", "error", "message"),
    [
        (fs.train, ["los=ce"], ConfigError, "los is unknown; did you mean loss?"),
        (fs.train, ["loss=cee"], ConfigError, r"loss=cee is no option; did you mean ce\?"),
        (fs.train, ["optimizer.lr=-1"], ConfigError, "optimizer.lr=-1 is out of range"),
        (fs.train, ["loss=ce,mse"], ConfigError, r"loss=ce,mse has several values; fs.sweep trains a run for each"),
        (fs.train, ["dataset=idx", "dataset.root=none"], DataError, "no data set in none"),
        (fs.sweep, ["loss=ce,cee"], ConfigError, r"loss=cee is no option"),
        (fs.sweep, ["optimizer.lr=1,-1"], ConfigError, "optimizer.lr=-1 is out of range"),
        (fs.sweep, ["loss=ce,mse", "hydra/launcher=joblib"], ConfigError, "hydra/launcher=joblib: is for the command"),
        (fs.train, ["++hydra.job.chdir=true"], ConfigError, r"hydra.job.chdir=true: is for the command"),
        (fs.sweep, ["sweep.dry_run=true"], ConfigError, "sweep.dry_run=true: is for the command"),
        (fs.load, ["none"], CheckpointError, "none: there is no such folder; give that of a run"),
        (fs.runs, ["none"], CheckpointError, "none: there is no such folder"),
    ],
)
def test_mistakes_are_the_commands_lines(
    call: Any, arguments: list[str], error: type[Exception], message: str, tmp_path: Path
) -> None:
    places = [
        f"hydra.{kind}.dir={tmp_path}/run" for kind, each in (("run", fs.train), ("sweep", fs.sweep)) if each is call
    ]
    with pytest.raises(error, match=message) as caught:
        call(*arguments, *places)
    assert caught.value.__suppress_context__ or caught.value.__cause__ is None or "fashion_softmax" in error.__module__
    assert not list(tmp_path.iterdir())


def test_runs_of_a_sweep_that_failed_are_named_and_the_others_complete(tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="1 of 2 jobs failed, the others are complete"):
        fs.sweep(*TINY, "optimizer.lr=0.1,1e300", f"hydra.sweep.dir={tmp_path}/sweep")
    assert [run["state"] for run in fs.runs(tmp_path / "sweep")] == ["completed", "diverged"]


def test_report(tmp_path: Path) -> None:
    fs.sweep(*TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep")
    path = fs.report(tmp_path / "sweep", path=tmp_path / "page.html")
    assert path == tmp_path / "page.html" and "<!doctype html>" in path.read_text(encoding="utf-8")[:200].lower()
    idx = write_idx_folder(tmp_path / "data")
    fs.train("dataset=idx", f"dataset.root={idx}", "trainer.num_epochs=1", f"hydra.run.dir={tmp_path}/other")
    assert len(fs.runs(tmp_path)) == 3
    page = fs.report(tmp_path, path=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "other" in page and "000_seed0" not in page  # on other data, which cannot be compared


def test_figures_show_the_run(tmp_path: Path) -> None:
    run = fs.train(*TINY, "trainer.num_epochs=2", "dataset.val_size=0.25", f"hydra.run.dir={tmp_path}/run")
    curves = run.draw_curves()
    assert curves.size == (960, 384) and len(curves.convert("RGB").getcolors(2**20)) > 50
    assert run.draw_weights().width > 300
    run = fs.train(*TINY, "model=mlp", f"hydra.run.dir={tmp_path}/mlp")
    with pytest.raises(TypeError, match="MLP has no template for each class"):
        run.draw_weights()


def test_importing_the_interface_is_fast() -> None:
    code = "import sys, fashion_softmax; print({'torch', 'hydra', 'numpy', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "set()\n"


def test_the_package_of_runs_is_still_one() -> None:
    import fashion_softmax.runs.lock
    from fashion_softmax.runs import folder

    assert fs.runs is fashion_softmax.runs and folder.__name__ == "fashion_softmax.runs.folder"


def test_a_component_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "from torch import nn",
        "class Net(nn.Sequential):",
        "    def __init__(self, image_shape, num_classes):",
        "        super().__init__(nn.Flatten(), nn.Linear(28 * 28, num_classes))",
    ]
    (tmp_path / "my_net.py").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ["model._target_=my_net.Net", "~model.init_std", f"hydra.run.dir={tmp_path}/run"]
    run = fs.train(*TINY, *own)
    assert type(run.parts.member.model).__name__ == "Net"
    with pytest.raises(CheckpointError, match="trust=my_net"):
        fs.load(tmp_path / "run")
    assert fs.load(tmp_path / "run", trusted=["my_net"]).metrics == run.metrics


def test_data_that_change_between_calls_are_seen(tmp_path: Path, idx_folder: Path) -> None:
    options = ["dataset=idx", f"dataset.root={idx_folder}", "trainer.num_epochs=1"]
    run = fs.train(*options, f"hydra.run.dir={tmp_path}/run")
    write_idx_folder(idx_folder, sizes=(48, 24))
    assert len(fs.load(tmp_path / "run").parts.dataset.train) == 48 < len(run.parts.dataset.train)
    assert len(fs.train(*options, f"hydra.run.dir={tmp_path}/run2").parts.dataset.train) == 48
    assert len(fs.sweep(*options, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep")) == 2


@pytest.mark.usefixtures("installed")
def test_pictures_from_the_folder_to_a_prediction(tmp_path: Path) -> None:
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            Image.new("L", (9, 8), 200 * label + number).save(tmp_path / "pictures" / name / f"{number}.png")
    options = ["dataset=folder", f"dataset.root={tmp_path}/pictures", f"dataset.cache_dir={tmp_path}/cache"]
    run = fs.train(*options, "dataset.resize=6", "dataset.normalize=mean_std", "trainer.num_epochs=5")
    assert run.metrics["test/accuracy"] == 1 and run.class_names == ("dark", "light")
    image = run.read_picture(tmp_path / "pictures" / "light" / "3.png")
    assert image.shape == (1, 6, 6) and run.predict_probabilities(image).argmax() == 1
    (tmp_path / "pictures" / "dark").rename(tmp_path / "pictures" / "zebra")
    # Labels mean other classes now: only other pictures can be predicted, by the names of then.
    with pytest.warns(UserWarning, match="trained on the classes dark, light; its data set has others now: light, ze"):
        loaded = fs.load(run.folder.path)
    assert loaded.class_names == ("dark", "light")
    np.testing.assert_array_equal(loaded.predict_probabilities(image), run.predict_probabilities(image))
    shutil.rmtree(tmp_path / "pictures")
    Image.new("L", (9, 8), 210).save(tmp_path / "new.png")
    with pytest.warns(UserWarning, match="there is no such folder"):
        assert fs.load(run.folder.path).predict_probabilities(tmp_path / "new.png").argmax() == 1
    with pytest.raises(ConfigError, match=r"use scripts/predict.py boot.png"):
        fs.train(*TINY, f"hydra.run.dir={tmp_path}/other").read_picture("boot.png")


def test_random_numbers_of_the_caller_stay_theirs(tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    fs.load(fs.train(*TINY, f"hydra.run.dir={tmp_path}/run").folder.path)
    fs.sweep(*TINY, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep")
    assert torch.rand(1) == expected


def test_a_class_that_was_defined_anew_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = [*TINY, f"loss._target_={__name__}.Mine", f"hydra.run.dir={tmp_path}/run"]
    for scale in (1.0, 2.0):
        monkeypatch.setitem(globals(), "Mine", type("Mine", (CrossEntropy,), {"scale": scale}))
        assert type(fs.train(*options).parts.member.loss_fn).scale == scale  # type: ignore[attr-defined]
