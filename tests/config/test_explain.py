"""What cannot be composed is explained in a line that is the same with Hydra 1.3 and 1.4. Cases A1 to A3, A7, H5, H8.

What the command does with the line: `tests/test_cli.py` and `tests/test_faults_input.py`.
"""

import errno
import logging.config
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra import compose as hydra_compose

from fashion_softmax.config.checking import check_values
from fashion_softmax.config.explain import check_files, describe, show_keys, translate
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.private import IS_HYDRA_1_3, parse_arguments
from fashion_softmax.config.schema import CONFIG_DIR, resolve
from fashion_softmax.errors import ConfigError, Interrupted, MachineError

NESTED = "the configuration is nested too deeply, or its defaults include themselves"
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (i + 1, i + 1, b",".join([b"*%c" % i] * 9)) for i in range(97, 107)
)


def explain_failure(overrides: Sequence[str], *folders: Path) -> str:
    """Compose what cannot be composed; the message."""
    with pytest.raises(Exception) as raised:
        lines = [*overrides, *(f"hydra.searchpath=['file://{folder}']" for folder in folders)]
        check_files([], lines)
        check_values(resolve(compose(lines)))
    known = translate(raised.value)
    assert isinstance(known, ConfigError), raised.value
    assert "\n" not in str(known)
    return str(known)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=0.1", "optimizer.lrr is unknown; did you mean optimizer.lr?; allowed: optimizer.lr, "),
        ("los=ce", "los is unknown; did you mean loss?; allowed: dashboard, dataset, "),
        ("lr=0.1", "lr is unknown; did you mean optimizer.lr?; allowed: dashboard, dataset, "),
        ("epochs=3", "epochs is unknown; did you mean trainer.num_epochs?; allowed: dashboard, dataset, "),
        ("trainer.num_epoch=3", "trainer.num_epoch is unknown; did you mean trainer.num_epochs?"),
        ("optimizer.lr.x=3", "optimizer.lr.x is unknown"),
        ("loss=hubr", "loss=hubr is no option; did you mean huber?; allowed: ce, huber, l1, margin, mse"),
        ("hydra/launcher=nope", "hydra/launcher=nope is no option"),
        ("trainer.num_epochs=1.5", "trainer.num_epochs=1.5 has the wrong type: expected int"),
        ("sweep.max_stack_size=x", "sweep.max_stack_size='x' has the wrong type: expected int or null"),
        ("trainer=null", "trainer=null has the wrong type: expected a group of keys"),
        ("dashboard.text=maybe", "dashboard.text='maybe' has the wrong type: expected bool"),
        ("device=null", "device=null has the wrong type: expected str"),
        ("hydra.job.num=x", "hydra.job.num: Value 'x' of type 'str' could not be converted to Integer"),
        ("seed=1,2", "seed=1,2 has several values: add -m"),
        ("loss=null", "the option of a group must be a name"),
        ("+loss=ce", "loss appears more than once in the final defaults list"),
        ("+experiment=mlp", "Multiple values for experiment. To override a value use 'override experiment: mlp'"),
        ("++loss=ce", "force-add of config groups is not supported: '++loss=ce'"),
        ("~losss", "Could not delete from config. 'losss' does not exist."),
        ("", "cannot read the argument ''"),
        ("dataset.root=${", "cannot read the argument 'dataset.root=${'"),
        ("seed=foo(1)", "cannot read the argument 'seed=foo(1)'"),
        ("seed='\x1b[31mx'", "seed='\\x1b[31mx' has the wrong type: expected int"),
    ],
)
def test_a1_to_a3_slip_of_the_pen_is_explained(override: str, message: str) -> None:
    assert explain_failure([override]).startswith(message)


def test_interpolation_that_leads_nowhere_is_explained() -> None:
    for value, message in {
        "${oc.env:NO_SUCH_VARIABLE}": "Environment variable 'NO_SUCH_VARIABLE' not found",
        "${nope:}": "dataset.root: Unsupported interpolation type nope",
        "${x.y}": "dataset.root: Interpolation key 'x.y' not found",
        "${dataset.root}": "dataset.root: Recursive interpolation detected",
    }.items():
        with pytest.raises(Exception) as raised:
            resolve({"dataset": {"root": value}})
        text = str(translate(raised.value))
        assert text.startswith("dataset.root: ") and message in text and "\n" not in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"_target_: a\n_target_: b\n", "odd.yaml, line 2: is no valid YAML: found duplicate key _target_"),
        (b"a:\n\t- 1\n", "odd.yaml, line 2: is no valid YAML: found character "),
        (b"a: \xff\xfe\n", "odd.yaml: is not UTF-8"),
        ("a: ü\n".encode("utf-16"), "odd.yaml: is not UTF-8"),
        (BOMB, "odd.yaml: its 90 aliases are too many"),
        (b"a: &a [*a]\n", NESTED if IS_HYDRA_1_3 else "YAML recursive aliases are not supported"),
        (
            b"a: !!python/object/apply:os.mkdir [x]\n",
            "odd.yaml, line 1: is no valid YAML: could not determine",
        ),
        (b"a: *b\n", "odd.yaml, line 1: is no valid YAML: found undefined alias"),
        (b"a: 'b\n", "odd.yaml, line 2: is no valid YAML: found unexpected end"),
        (b"a: \0\n", "unacceptable character #x0000"),
        (b"a: " + b"{b: " * 3000 + b"1" + b"}" * 3000, NESTED),
        (b"a: " + b"{b: " * 300 + b"1" + b"}" * 300, NESTED),
        (b"defaults: [odd]\n", NESTED),
        (b"defaults: [nope]\n", "In 'loss/odd': Could not load 'loss/nope'"),
        (b"a: ${b\n", "a: no viable alternative at input"),
        (b"a: !!set {x, y}\n", "a: Value 'set' is not a supported primitive type"),
    ],
)
def test_a7_odd_yaml_is_explained(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "odd.yaml").write_bytes(content)
    assert words in explain_failure(["loss=odd"], tmp_path)


def test_a7_alias_bomb_behind_a_search_path_is_found(tmp_path: Path) -> None:
    (tmp_path / "more files" / "loss").mkdir(parents=True)
    (tmp_path / "more files" / "loss" / "bomb.yaml").write_bytes(BOMB)
    (tmp_path / "mine").mkdir()
    primary = f"hydra:\n  searchpath:\n    - 'file://{tmp_path}/more files'\n"
    (tmp_path / "mine" / "primary.yaml").write_text(primary, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bomb\.yaml: its 90 aliases are too many"):
        check_files([str(tmp_path / "mine")])


def test_aliases_that_stay_small_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "shared.yaml").write_text("x: &x {p: 1}\ny: {<<: *x, q: 2}\n", encoding="utf-8")
    check_files([str(tmp_path), str(CONFIG_DIR)])
    assert compose(["loss=shared", f"hydra.searchpath=['file://{tmp_path}']"])["loss"]["y"] == {"p": 1, "q": 2}


def test_h5_log_that_cannot_be_opened_is_the_machines_refusal(tmp_path: Path) -> None:
    handlers = {"file": {"class": "logging.FileHandler", "filename": str(tmp_path)}}
    with pytest.raises(ValueError, match="handler 'file'") as raised:
        logging.config.dictConfig({"version": 1, "handlers": handlers, "root": {"handlers": ["file"]}})
    known = translate(raised.value)
    assert isinstance(known, MachineError) and str(tmp_path) in str(known)


def test_bug_keeps_its_traceback_and_what_hydra_stumbles_over_does_not() -> None:
    with pytest.raises(Exception) as raised:
        compose(3)  # type: ignore[arg-type]
    assert translate(raised.value) is None
    with pytest.raises(Exception) as raised:
        hydra_compose("config", overrides=3)  # type: ignore[arg-type]
    assert "Hydra cannot use this command line" in str(translate(raised.value))


def test_errors_are_translated_by_their_kind() -> None:
    known = ConfigError("x")
    assert translate(known) is known and describe(known) == "x" and describe(KeyError("x")) == "KeyError: 'x'"
    assert str(translate(OSError(errno.ENOSPC, "No space", "/x"))) == "[Errno 28] No space: '/x'"
    assert translate(OSError(errno.ENOENT, "No such file")) is None
    assert isinstance(translate(MemoryError()), MachineError)


def test_h8_messages_are_printable() -> None:
    text = str(ConfigError("\x1b[2J\udcff\u202e图像\n  b"))
    assert text == "\N{REPLACEMENT CHARACTER}[2J" + "\N{REPLACEMENT CHARACTER}" * 2 + "图像\n  b"
    interrupted = Interrupted(15, "resume=\x07")
    assert str(interrupted) == "resume=\N{REPLACEMENT CHARACTER}" and interrupted.exit_code == 143


def test_overrides_stand_anywhere_and_options_are_not_abbreviated() -> None:
    options, unknown, known = parse_arguments(["a=1", "-m", "", "b=2", "--cfg", "job"])
    assert options.overrides == ["a=1", "", "b=2"] and options.multirun and options.cfg == "job" and not unknown
    assert parse_arguments(["--multi", "a=1"])[1] == ["--multi"]
    assert {"--multirun", "--config-dir", "--cfg", "--experimental-rerun"} <= set(known)


def test_help_shows_each_key_with_its_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    choices = {"dataset": "fashion_mnist", "model": "mlp", "loss": "huber", "optimizer": "sgd", "scheduler": "of_mine"}
    shown = show_keys(choices)
    assert "  lr: 0.1 # learning rate" in shown and "  delta: 0.5" in shown and "hidden_sizes: [256]" in shown
    assert "_target_" not in shown and "scheduler" not in shown  # the user's own option lies elsewhere
    assert "  log_every: 20 # steps between two points of train/step_loss" in shown
    assert "$${project_dir:}/data/fashion_mnist" in shown  # in a template
    assert max(map(len, shown.splitlines())) <= 80
    for key in ("seed", "device", "num_epochs", "dry_run", "discard", "calibration", "val_size", "batch_size"):
        assert re.search(rf"(?m)^ *{key}: ", shown), key


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("lr", "did you mean optimizer.lr?"),
        ("loss.dleta", "did you mean loss.delta?"),
        ("val_size", "dataset.val_size?"),
    ],
)
def test_key_without_its_group_is_told_the_whole_key(key: str, hint: str) -> None:
    with pytest.raises(Exception) as caught:
        compose(["loss=huber", f"{key}=1"])
    assert hint in str(translate(caught.value))
