"""Jobs of a grid: composed as Hydra composes them, and refused where one job of Hydra trains many runs."""

import re
from collections.abc import Iterator
from unittest.mock import MagicMock

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from fashion_softmax.config.jobs import (
    compose,
    expand_grid,
    make_composer,
    read_job,
    set_values,
)
from fashion_softmax.config.private import VERSION_BASE
from fashion_softmax.config.schema import CONFIG_DIR, register
from fashion_softmax.errors import ConfigError
from fashion_softmax.sweeps.grid import train_stack
from hydra_plugins.hydra_fashion_softmax.grid_sweeper import GridSweeper
from tests.test_cli import Train

JOBS = [
    ["optimizer.lr=0.1"],
    ["optimizer.lr=1e-3", "seed=3"],
    ["loss=huber", "loss.delta=0.2"],
    ["loss.label_smoothing=.5", "loss=ce"],
    ["loss=mse", "optimizer=adam", "optimizer.betas=[0.5,0.9]", "scheduler=cosine"],
    ["experiment=best_linear", "optimizer.lr=2"],
    ["model=mlp", "model.hidden_sizes=[8,8]", "+model.bias=true"],
    ["~loss.label_smoothing"],
    ["++optimizer.nesterov=true", "optimizer=momentum"],
    ["dataset.root='a, b'", "dataset.resize=null"],
    ["dataset.root=${oc.env:HOME}/data", "seed=1"],
    ["optimizer.lr=0.1", "optimizer.lr=0.2"],
    ["trainer.num_epochs='7'", "dtype=float64", "device=cpu"],
    ["optimizer={lr: 3}", "optimizer.weight_decay=1"],
    ["trainer={num_epochs: 3}", "trainer.log_every=5"],
]


@pytest.fixture
def hydra() -> Iterator[tuple[object, DictConfig]]:
    """Hydra's loader, and the configuration of a sweep."""
    from hydra.types import RunMode

    register()
    with initialize_config_dir(config_dir=str(CONFIG_DIR), **VERSION_BASE):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)


@pytest.mark.filterwarnings("ignore:hydra.job.override_dirname")
def test_jobs_are_what_hydra_composes(hydra: tuple[object, DictConfig]) -> None:
    loader, master = hydra
    load = loader.load_sweep_config  # type: ignore[attr-defined]
    compose_job = make_composer(lambda lines: read_job(load(master, list(lines))))
    for lines in JOBS:
        expected = read_job(loader.load_sweep_config(master, list(lines)))  # type: ignore[attr-defined]
        assert compose_job(lines) == compose_job(lines) == expected  # the second from what was remembered


def test_grid_is_in_hydras_order() -> None:
    assert expand_grid(["seed=0,1", "x=y", "optimizer.lr=choice(0.1,0.2)", "z=range(1,3)"]) == [
        [f"seed={seed}", "x=y", f"optimizer.lr={lr}", f"z={z}"] for seed in (0, 1) for lr in (0.1, 0.2) for z in (1, 2)
    ]
    assert expand_grid(["a=b"]) == [["a=b"]] and expand_grid([]) == [[]]
    for line, words in (("optimizer.lr=interval(0,1)", "names no values of a grid"), ("seed=range(5,5)", "no jobs")):
        with pytest.raises(ConfigError, match=words):
            expand_grid([line])


def test_values_of_a_resumed_run() -> None:
    config = compose()
    changed = set_values(config, ["trainer.num_epochs=20", "dataset.root='a, b'"])
    assert changed["trainer"]["num_epochs"] == 20 and changed["dataset"]["root"] == "a, b"
    assert config == compose()
    for line, words in {
        "seed=1,2": "one plain value",
        "trainer=3": "trainer is unknown",
        "+seed=1": "mean seed?",
    }.items():
        with pytest.raises(ConfigError, match=re.escape(words)):
            set_values(config, [line])


@pytest.mark.parametrize(
    ("line", "words"),
    [("hydra.job.chdir=true", "hydra.job.chdir=true cannot be used"), ("hydra.sweep.subdir=x", "hydra.sweep.subdir")],
)
def test_hydras_settings_that_cannot_hold_for_a_stack_are_refused(line: str, words: str) -> None:
    register()
    with initialize_config_dir(config_dir=str(CONFIG_DIR), **VERSION_BASE):
        config = hydra_compose("config", overrides=[line], return_hydra_config=True)
    sweeper = GridSweeper(None, None)
    sweeper.setup(hydra_context=MagicMock(), task_function=train_stack, config=config)
    with pytest.raises(ConfigError, match=words):
        sweeper.sweep([])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+hydra.job.env_set.X=1,2", "Sweeping over Hydra's configuration is not supported"),
        ("+model.x=${hydra:job.num}", "cannot be used with -m"),
    ],
)
def test_what_cannot_hold_for_a_stack_is_refused(train: Train, override: str, words: str) -> None:
    result = train("-m", "dataset=synthetic", "seed=0,1", override)
    assert result.returncode == 2 and words in result.stderr and result.stderr.count("\n") == 1, result.stderr
