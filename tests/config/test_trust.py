"""Run folders from other people: what their configurations may name, and where their files may lie. Cases G1 and G3."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fashion_softmax.config.jobs import compose
from fashion_softmax.config.trust import check_config, read_trusted_config, refuse_links_out, split_trust
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import dump_yaml
from tests.conftest import ROOT, TINY
from tests.test_cli import Train

SOURCE = Path("run", ".hydra", "config.yaml")
BOMB = "a: &a [x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcde", "bcdef", strict=True)
)


@pytest.fixture(scope="module")
def lesson() -> dict[str, Any]:
    return compose()


def write_config(run_dir: Path, text: str) -> Path:
    (run_dir / ".hydra").mkdir()
    (run_dir / ".hydra" / "config.yaml").write_text(text, encoding="utf-8")
    return run_dir


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
        "fashion_softmax.data.sources.fetch",
        "fashion_softmax.data.sources.subprocess.run",
        "fashion_softmax.learning.models.torch.load",
        "hydra.utils.instantiate",
        "${seed}",
        "",
        None,
        ["os.system"],
    ],
)
def test_g1_target_that_is_no_component_is_refused(target: object) -> None:
    with pytest.raises(CheckpointError, match=r"loss\.deep\.0\._target_"):
        check_config({"loss": {"deep": [{"_target_": target}]}}, [], SOURCE)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"loss": {"_target_": "fashion_softmax.learning.losses.CrossEntropy", "_args_": [1]}},
            "loss._args_.0 is refused",
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
        (b"a: " + b"[" * 21 + b"]" * 21, "nested too deeply"),
        (b"a: !!python/object/apply:os.system [ls]", "cannot be read"),
        (b"#" * 2**21, "is longer than"),
    ],
    ids=["alias bomb", "not utf-8", "cut", "nested", "python object", "huge"],
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


def test_names_of_components_lead_nowhere_else() -> None:
    check_config({"optimizer": {"_target_": "fashion_softmax.learning.optimizers.SGD"}}, [], SOURCE)
    for target in (
        "fashion_softmax.learning.losses.torch.load",
        "fashion_softmax.learning.models.F.relu",
        "fashion_softmax.learning.losses.Loss.x",
    ):
        with pytest.raises(CheckpointError, match="is refused"):
            check_config({"loss": {"_target_": target}}, [], SOURCE)


@pytest.mark.slow
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


@pytest.mark.parametrize("kind", ["to itself", "to nothing"])
def test_h6_link_to_itself_is_refused_in_a_line(tmp_path: Path, kind: str) -> None:
    (tmp_path / "last.pt").symlink_to(tmp_path / ("last.pt" if kind == "to itself" else "../outside"))
    with pytest.raises(CheckpointError, match=r"last\.pt: is a link that leads out of the run folder, or to itself"):
        refuse_links_out(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "0"}, "seed='0' has the wrong type: expected int"),
        ({"seed": -1}, "seed=-1 is out of range"),
        ({"trainer": [1]}, "trainer=[1] has the wrong type: expected a group of keys"),
        ({"trainer": {"num_epochs": None}}, "trainer.num_epochs=null has the wrong type"),
        ({"device": {"a": 1}}, "device={'a': 1} has the wrong type"),
        ({"model": None}, "model: is no component (found null)"),
        ({"scheduler": {"_target_": "torch.optim.lr_scheduler.StepLR"}}, "scheduler.step_size is required"),
        ({"optimizer": {"_target_": "torch.optim.SGD", "lr": "fast"}}, "optimizer.lr='fast' has the wrong type"),
        ({"dtype": "${dtype}"}, "dtype"),
        ({"dtype": "${device}", "device": "${dtype}"}, "Recursive interpolation"),
        ({"dtype": "${nothing.here}"}, "dtype: Interpolation key 'nothing.here' not found"),
        ({1: 2}, "1 is unknown"),
        ({"\x1b[2J": 2}, "\N{REPLACEMENT CHARACTER}[2J is unknown"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_h6_h8_plain_but_wrong_values_are_refused(
    tmp_path: Path, lesson: dict[str, Any], change: dict[object, object], words: str
) -> None:
    with pytest.raises(CheckpointError) as error:
        read_trusted_config(write_config(tmp_path, dump_yaml({**lesson, **change})), [])
    assert words in str(error.value) and "config.yaml: " in str(error.value)


@pytest.mark.parametrize("seed", ["9" * 5000, f"0x{'9' * 5000}"], ids=["decimal", "hexadecimal"])
def test_h6_number_of_5000_digits_is_refused(tmp_path: Path, lesson: dict[str, Any], seed: str) -> None:
    text = dump_yaml(lesson).replace("seed: 0\n", f"seed: {seed}\n")
    with pytest.raises(CheckpointError, match=r"several thousand digits|Exceeds the limit"):
        read_trusted_config(write_config(tmp_path, text), [])


def test_folder_of_an_earlier_version_gets_todays_defaults(tmp_path: Path, lesson: dict[str, Any]) -> None:
    older = {key: value for key, value in lesson.items() if key not in ("dashboard", "sweep", "dtype")}
    text = dump_yaml(older | {"trainer": {"num_epochs": 10}})
    assert read_trusted_config(write_config(tmp_path, text), []) == lesson


def test_trusted_names_are_collected_from_all_arguments() -> None:
    arguments = ["run", "trust=a,b", "loss=ce", "trust=[c,d]", "trust="]
    assert split_trust(arguments) == (["a", "b", "c", "d"], ["run", "loss=ce"]) and split_trust([]) == ([], [])
