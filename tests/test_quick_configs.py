"""Quick copies equal the usual ones, node by node, and share nothing that can change; quick YAML is the same text."""

import copy
from typing import Any

import omegaconf.omegaconf
import pytest
from omegaconf import DictConfig, ListConfig, OmegaConf

from fashion_softmax.config.quick_configs import quick_configs
from fashion_softmax.config.schema import compose

CONFIGS = {
    "composed": lambda: compose(["scheduler=cosine", "optimizer=adam"]),
    "every kind of value": lambda: OmegaConf.create(
        {
            "a": 1,
            "b": [1, "x", None, {"c": 2.5, "d": [True]}],
            "e": "${a}",
            "f": {"g": "???", "h": "${.i}", "i": b"bytes"},
            "none": None,
            "deep": "${f}",
        }
    ),
    "objects": lambda: OmegaConf.create({"a": {1, 2}, "b": complex(1, 2)}, flags={"allow_objects": True}),
    "missing": lambda: DictConfig("???"),
    "nothing": lambda: DictConfig(None),
    "a list": lambda: OmegaConf.create(["${1}", 2]),
    "closed": lambda: closed(),
}


def closed() -> DictConfig:
    config = OmegaConf.create({"a": {"b": 1}, "c": [1]})
    OmegaConf.set_struct(config, True)
    OmegaConf.set_readonly(config.a, True)
    _ = config.a.b  # fills the cache of flags
    return config


def describe(node: Any) -> Any:
    """Describe a node and all below it: class, metadata, and whether its parent is the one that holds it."""
    metadata = {key: dict(value) if key == "resolver_cache" else value for key, value in vars(node._metadata).items()}
    content = node.__dict__.get("_content", node.__dict__.get("_val"))
    if isinstance(content, dict):
        content = {key: (describe(child), child._parent is node) for key, child in content.items()}
    elif isinstance(content, list):
        content = [(describe(child), child._parent is node) for child in content]
    return type(node), metadata, content


def parts(node: Any) -> list[int]:
    """List what could change inside a configuration, by identity."""
    content = node.__dict__.get("_content")
    children = content.values() if isinstance(content, dict) else content if isinstance(content, list) else []
    own = [node, node._metadata, node._metadata.flags, getattr(node._metadata, "resolver_cache", None), content]
    mutable = [id(each) for each in own if each is not None and not isinstance(each, str)]
    return mutable + [each for child in children for each in parts(child)]


@pytest.mark.parametrize("make", CONFIGS.values(), ids=CONFIGS.keys())
def test_quick_copy_equals_the_usual_one(make: Any) -> None:
    config = make()
    expected = copy.deepcopy(config)
    with quick_configs():
        quick = copy.deepcopy(config)
    assert describe(quick) == describe(expected) == describe(config)
    assert quick._parent is None and not set(parts(quick)) & set(parts(config))


def test_quick_copy_of_a_part_keeps_its_parent() -> None:
    config = OmegaConf.create({"a": {"b": "${c}"}, "c": 3})
    with quick_configs():
        part = copy.deepcopy(config.a)
    assert part._get_parent() is config and part.b == 3
    part.b = 4
    assert config.a.b == 3


def test_usual_copies_come_back() -> None:
    before = DictConfig.__deepcopy__, ListConfig.__deepcopy__
    with pytest.raises(KeyError), quick_configs():
        assert DictConfig.__deepcopy__ is not before[0]
        raise KeyError
    assert (DictConfig.__deepcopy__, ListConfig.__deepcopy__) == before


TEXTS = ["", "yes", "1e-3", "0x1F", "null", "~", "a: b", "# no", "'", '"', "- x", "tab\t", "two\nlines\n", "é 中文"]


@pytest.mark.parametrize("name", ["composed", "every kind of value", "closed", "a list"])
def test_quick_yaml_is_the_usual_text(name: str) -> None:
    config = CONFIGS[name]()
    expected = OmegaConf.to_yaml(config)
    with quick_configs():
        assert OmegaConf.to_yaml(config) == expected


def test_quick_yaml_reads_back() -> None:
    texts = [*TEXTS, "word " * 60, "x" * 300, "\U0001f600", "\x85", " padded "]
    config = OmegaConf.create({"texts": texts, "numbers": [1, 0.1, 1e-30, float("inf"), True, None]})
    with quick_configs():
        assert OmegaConf.create(OmegaConf.to_yaml(config)) == config


def test_usual_yaml_comes_back() -> None:
    before = omegaconf.omegaconf.get_omega_conf_dumper
    with quick_configs():
        assert omegaconf.omegaconf.get_omega_conf_dumper is not before
    assert omegaconf.omegaconf.get_omega_conf_dumper is before
