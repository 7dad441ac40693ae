"""Every YAML file of every group is composed, validated and built; what the documentation promises of them holds."""

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from fashion_softmax.config.building import build_as, build_parts
from fashion_softmax.config.checking import RANGES
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import COMPONENTS, CONFIG_DIR, register, resolve, with_defaults
from fashion_softmax.config.settings import fingerprint, name_folder
from fashion_softmax.data import make_synthetic
from fashion_softmax.errors import ConfigError
from fashion_softmax.files import dump_yaml, load_yaml
from tests.conftest import TINY, write_idx_folder

OPTIONS = [(group, path.stem) for group in COMPONENTS for path in sorted((CONFIG_DIR / group).glob("*.yaml"))]
EXPERIMENTS = [path.stem for path in sorted((CONFIG_DIR / "experiment").glob("*.yaml"))]


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_option_is_composed_validated_and_built(
    group: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = TINY if group != "dataset" else []
    if group == "dataset" and option != "synthetic":
        folder = write_idx_folder(tmp_path / "d", num_classes=10)
        if option == "folder":
            folder = tmp_path / "pictures"
            for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                Image.new("L", (8, 8)).save(folder / name)
        cache = [f"dataset.cache_dir={tmp_path}/cache"] if option == "folder" else []
        overrides = [f"dataset.root={folder}", *cache]
        # Fetching and verifying published files is the business of tests/data/test_sources.py.
        monkeypatch.setattr("fashion_softmax.data.catalog.prepare", lambda *args: None)
    cfg = compose([*overrides, f"{group}={option}"])
    parts = build_parts(resolve(cfg))
    assert parts.member.model(torch.zeros(2, *parts.dataset.image_shape)).shape == (2, parts.dataset.num_classes)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_is_composed_validated_and_built(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_idx_folder(tmp_path / "d", (28, 28), num_classes=10)
    monkeypatch.setattr("fashion_softmax.data.catalog.prepare", lambda *args: None)
    cfg = compose([f"experiment={name}", f"dataset.root={folder}"])  # its own words: parts remembers data sets by them
    assert build_parts(resolve(cfg)).dataset.num_classes == 10


def test_every_file_opens_with_what_it_is_and_an_example() -> None:
    for path in CONFIG_DIR.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), path
        assert path.parent.name not in (*COMPONENTS, "experiment") or "#   python train.py " in text, path


def test_the_lesson_is_the_default() -> None:
    assert compose(["experiment=lesson"]) == compose()


def test_every_range_belongs_to_a_key_that_exists() -> None:
    keys = {
        "seed",
        "device",
        *(f"{section}.{key}" for section in ("trainer", "sweep") for key in with_defaults({})[section]),
    }
    for group, option in OPTIONS:
        text = (CONFIG_DIR / group / f"{option}.yaml").read_text(encoding="utf-8")
        keys |= {f"{group}.{key}" for key in load_yaml(text)}
    assert RANGES.keys() <= keys


def test_runtime_facts_reach_the_model() -> None:
    dataset = make_synthetic(image_shape=[3, 5, 7], num_classes=4, num_train=8, num_test=4)
    model = build_as(torch.nn.Module, compose(["model=mlp"]), "model", dataset.image_shape, dataset.num_classes)
    assert model(torch.zeros(1, 3, 5, 7)).shape == (1, 4)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ("dataset.val_size=256", "dataset.val_size=256 is out of range: there are 256 training images"),
        ("model=lenet dataset.image_shape=[1,11,11]", "model: images of 11 x 11 pixels are too small for LeNet"),
        (
            "loss._target_=torch.nn.CrossEntropyLoss ~loss.label_smoothing",
            "not a fashion_softmax.learning.losses.Loss",
        ),
        ("optimizer._target_=torch.optim.LBFGS ~optimizer.weight_decay", "its step needs closure"),
    ],
)
def test_a4_parts_that_do_not_fit_are_refused(overrides: str, words: str) -> None:
    config = resolve(compose([*TINY, *overrides.split()]))
    with pytest.raises(ConfigError) as raised:
        build_parts(config)
    assert words in str(raised.value)


def test_components_inside_a_component_are_built() -> None:
    inner = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    config = {"model": {"_target_": "torch.nn.ModuleDict", "modules": {"first": inner, "second": inner}}}
    assert [layer.out_features for layer in build_as(torch.nn.ModuleDict, config, "model").values()] == [3, 3]


def test_saved_configuration_reads_back_the_same() -> None:
    cfg = compose(["optimizer.lr=1e-3", "loss.label_smoothing=.5", "dataset.resize=null", "dataset.root='a, b'"])
    assert cfg["optimizer"]["lr"] == 0.001 and cfg["loss"]["label_smoothing"] == 0.5
    assert cfg["dataset"]["resize"] is None and cfg["dataset"]["root"] == "a, b"
    assert load_yaml(dump_yaml(cfg)) == cfg == OmegaConf.to_container(OmegaConf.create(dump_yaml(cfg)))


def test_text_stays_text_in_yaml() -> None:
    words = ["1e-3", "1.5", "yes", "null", "~", "2026-01-01", "${a.b}", "a: b", "中文", "0x1f", "1_0", ""]
    text = dump_yaml({"key": words})
    assert load_yaml(text) == {"key": words} == OmegaConf.to_container(OmegaConf.create(text))


def test_resolving_equals_omegaconf() -> None:
    register()
    config = {
        "a": {"b": 3, "c": "${a.b}"},
        "chain": "${a.c}",
        "text": "x${a.b}y",
        "folder": "${project_dir:}/data",
        "nested": ["${a}", {"deep": "${oc.env:HOME}"}],
    }
    resolved = resolve(config)
    assert {key: resolved[key] for key in config} == OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    assert config["chain"] == "${a.c}"


def test_fingerprint_sees_values_not_spelling() -> None:
    assert fingerprint(compose(["optimizer.lr=1e-1"])) == fingerprint(compose())
    assert fingerprint(compose(["optimizer.lr=0.2"])) != fingerprint(compose())


def test_dashboard_and_missing_keys_say_nothing_about_a_run() -> None:
    config = compose()
    assert fingerprint(config) == fingerprint(compose(["dashboard.templates=false"]))
    older = {key: value for key, value in config.items() if key not in ("dashboard", "sweep", "dtype")}
    assert fingerprint(older | {"trainer": {"num_epochs": 3}}) == fingerprint(config)
    assert resolve(older) == resolve(config)


def test_folder_of_a_single_run_says_what_was_set() -> None:
    register()
    for overrides, expected in {
        "": "",
        "loss=huber optimizer.lr=0.5": "_huber_lr0.5",
        "experiment=best_linear seed=1": "_best_linear_seed1",
        "dataset.root=/a/b ++device=cpu trainer.log_every=1 dashboard.text=false sweep.resume=true": "",
        "+x=../..": "_x",
        "dataset.resize=32 ~y": "_resize32_-y",
        "loss=" + "é" * 300: "_" + "é" * 50,
    }.items():
        named = OmegaConf.create({"lines": overrides.split(), "name": "${run_suffix:${lines}}"})
        assert named.name == expected


def test_job_name_is_one_short_path_component() -> None:
    for overrides, expected in {
        "loss=huber\noptimizer.lr=0.1\nseed=1": "007_huber_lr0.1_seed1",
        "": "007",
        "x=../../etc/passwd": "007_x..-..-etc-passwd",
        "dataset.root='a b/ü'": "007_root-a-b-ü",
        "loss=" + "é" * 300: "007_" + "é" * 50,
    }.items():
        assert name_folder("007", overrides.splitlines()) == expected
