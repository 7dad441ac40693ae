"""Run folders from other people: what their configurations may name, and where their files may lie. Cases G1 and G3."""

from pathlib import Path

import pytest
import yaml

from fashion_softmax.config.trust import check_config, read_trusted, read_trusted_config
from fashion_softmax.errors import CheckpointError
from tests.conftest import ROOT, TINY
from tests.test_cli import Train

SOURCE = Path("run", ".hydra", "config.yaml")
BOMB = "a: &a [x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "logging.os.system",
        "torch.load",
        "builtins.eval",
        "torch.nn.modules.module.os.system",
        "torch.nn.Module.__init__",
        "torch.nn.init.zeros_",
        "torch.optim.lr_scheduler.warnings.warn",
        "torch.hub.load",
        "fashion_softmax.files.write_atomically",
        "fashion_softmax.data.fetching.fetch",
        "fashion_softmax.data.fetching.subprocess.run",
        "fashion_softmax.learning.models.torch.load",
        "hydra.utils.instantiate",
        "${seed}",
        "",
        None,
        ["os.system"],
    ],
)
def test_g1_target_that_is_no_component_is_refused(target: object) -> None:
    with pytest.raises(CheckpointError, match=r"loss\.deep\.0\._target_="):
        check_config({"loss": {"deep": [{"_target_": target}]}}, [], SOURCE)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"loss": {"_target_": "fashion_softmax.learning.losses.CrossEntropy", "_args_": [1]}},
            "loss._args_ is refused",
        ),
        ({"loss": "${oc.create:{_target_:os.system}}"}, "it uses oc.create"),
        ({"dataset": {"mirror": "http://127.0.0.1:9/${oc.env:HOME}"}}, "it uses oc.env"),
        ({"seed": "${${x}:1}"}, "it uses a nested interpolation"),
        (["a list"], "is no configuration"),
        (None, "is no configuration"),
    ],
)
def test_g1_special_keys_and_resolvers_are_refused(config: object, words: str) -> None:
    with pytest.raises(CheckpointError) as error:
        check_config(config, [], SOURCE)
    assert words in str(error.value) and str(SOURCE) in str(error.value)


def test_g1_nesting_without_end_is_refused() -> None:
    config: dict[str, object] = {}
    for _ in range(1000):
        config = {"deeper": config}
    with pytest.raises(CheckpointError, match="nested too deeply"):
        check_config(config, [], SOURCE)


def test_own_configurations_and_torchs_components_are_accepted() -> None:
    for path in (ROOT / "conf").glob("*/*.yaml"):
        if path.parent.name not in ("hydra", "experiment"):
            check_config({path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))}, [], path)
    targets = ["torch.nn.Linear", "torch.nn.modules.linear.Linear", "torch.optim.lr_scheduler.StepLR", "mine.Model"]
    for target in targets:
        check_config({"model": {"_target_": target, "x": "${trainer.num_epochs}"}}, ["mine"], SOURCE)
    check_config({"seed": "${oc.env:SEED}"}, ["oc.env"], SOURCE)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BOMB.encode(), "has aliases"),
        (b"a: \xff", "cannot be read"),
        (b"a: [", "cannot be read"),
        (b"a: !!python/object/apply:os.system [ls]", "cannot be read"),
        (b"#" * 2**21, "is longer than"),
    ],
    ids=["alias bomb", "not utf-8", "cut", "python object", "huge"],
)
def test_yaml_from_other_people_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / ".hydra" / "config.yaml"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as error:
        read_trusted_config(tmp_path, [])
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("target", ["torch.nn.modules.module.os.system"])
def test_g1_run_folder_that_names_a_function_is_refused(train: Train, run: Path, target: str) -> None:
    path = run / ".hydra" / "config.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["loss"] = {"_target_": target, "command": f"touch {run}/executed"}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    result = train(f"resume={run}", "trainer.num_epochs=2")
    assert result.returncode == 4 and f"loss._target_={target} is refused" in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and not (run / "executed").exists()


def test_first_editions_names_are_accepted_and_lead_nowhere_else() -> None:
    check_config({"loss": {"_target_": "fashion_softmax.losses.Huber"}}, [], SOURCE)
    check_config({"optimizer": {"_target_": "fashion_softmax.learning.optimizers.SGD"}}, [], SOURCE)
    for target in (
        "fashion_softmax.losses.torch.load",
        "fashion_softmax.models.F.relu",
        "fashion_softmax.losses.Loss.x",
    ):
        with pytest.raises(CheckpointError, match="is refused"):
            check_config({"loss": {"_target_": target}}, [], SOURCE)


def test_g1_a_package_of_ones_own_can_be_trusted(train: Train, tmp_path: Path) -> None:
    package = "from fashion_softmax.learning.losses import SquaredError\nclass Mine(SquaredError): pass\n"
    (tmp_path / "mine.py").write_text(package, encoding="utf-8")
    mine = {"PYTHONPATH": str(tmp_path)}
    assert train(*TINY, "loss=mse", "loss._target_=mine.Mine", **mine).returncode == 0
    result = train(f"resume={tmp_path}/run", "trainer.num_epochs=2", **mine)
    assert result.returncode == 4 and "add trust=mine" in result.stderr
    result = train(f"resume={tmp_path}/run", "trainer.num_epochs=2", "trust=mine", **mine)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "name", ["checkpoints", *(pytest.param(n, marks=pytest.mark.slow) for n in ("train.log", ".hydra/config.yaml"))]
)
def test_g3_link_that_leads_out_is_not_followed(train: Train, tmp_path: Path, run: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (run / name).rename(outside)
    (run / name).symlink_to(outside)
    before = {path: path.read_bytes() for path in (outside.rglob("*") if outside.is_dir() else [outside])}
    result = train(f"resume={run}", "trainer.num_epochs=2")
    assert result.returncode == 4 and "leads out of the run folder" in result.stderr, result.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_trusted_names_are_collected_from_all_arguments() -> None:
    arguments = ["run", "trust=a,b", "loss=ce", "trust=[c,d]", "trust="]
    assert read_trusted(arguments) == ["a", "b", "c", "d"] and read_trusted([]) == []
