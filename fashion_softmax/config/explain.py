"""Composing a configuration: refusing dangerous YAML beforehand, and saying in one line why Hydra could not.

Hydra's and OmegaConf's exceptions carry what is needed (the key, the node, the options); only their wording is for
programmers.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from fashion_softmax.config.checking import suggest
from fashion_softmax.errors import ConfigError

MAX_YAML_NODES = 10_000  # after expanding aliases; a configuration of ours has about 100


def refuse_alias_bombs(folders: Sequence[Path]) -> None:
    """Refuse YAML whose aliases expand beyond all measure, on which OmegaConf would hang.

    Args:
        folders: searched for `*.yaml`, with their subfolders, and with the folders that `hydra.searchpath` in one of
            the files adds. Files without aliases cost one look for an ampersand.

    Raises:
        ConfigError: names the file.
    """
    known = list(folders)
    for folder in known:  # which grows
        for path in _yaml_files([folder]):
            content = path.read_bytes()
            if (b"&" not in content or b"*" not in content) and b"searchpath" not in content:
                continue
            try:
                node = yaml.compose(content.decode(), Loader=yaml.SafeLoader)
            except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
                continue  # reported when Hydra reads it, if it does
            if _count_nodes(node, {}) > MAX_YAML_NODES:
                raise ConfigError(
                    f"{path}: its YAML aliases expand to more than {MAX_YAML_NODES} values; write them out"
                )
            known += [added for added in _search_path(node) if added not in known]


def explain(error: BaseException, folders: Sequence[Path]) -> str | None:
    """Say in a line why a configuration could not be composed.

    Args:
        error: what Hydra, OmegaConf or PyYAML raised.
        folders: of configuration files, to name the file that is not UTF-8.

    Returns:
        The line, or None when the error is none of composition.
    """
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(error, ConfigCompositionException):
        prefix = str(cause.full_key).removesuffix(str(cause.key))
        allowed = [f"{prefix}{key}" for key in _keys(cause.parent_node) if key not in ("hydra", "_target_")]
        return f"{cause.full_key} is unknown{suggest(str(cause.full_key), allowed)}"
    if isinstance(cause, ValidationError):
        return f"{cause.full_key}={_show(cause)} has the wrong type: expected {_expected_type(cause)}"
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option} is no option{suggest(option, error.options)}"
    if isinstance(error, OverrideParseException):
        return (
            f"cannot read the argument {error.override!r}: expected key=value; a value with special characters needs "
            "quotes inside the shell's own, such as \"dataset.root='/a b (c)'\""
        )
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        return f"{mark.name}, line {mark.line + 1}: is no valid YAML: {error.problem}" if mark else str(error)
    if isinstance(error, UnicodeDecodeError):
        names = ", ".join(str(path) for path in _yaml_files(folders) if not _is_utf8(path))
        return f"{names}: is not UTF-8 ({error})" if names else None
    if isinstance(error, OmegaConfBaseException):
        return _one_line(str(error.msg or error))
    if isinstance(error, ConfigCompositionException) and str(error).startswith("Ambiguous value"):
        argument = str(error).split("'")[1]
        return f"{argument} has several values: add -m to run one job for each, or write key=[...] for a list"
    if isinstance(error, HydraException | yaml.YAMLError):
        return _one_line(str(error).partition("\n\nConfig search path")[0])
    if isinstance(error, ValueError) and "Config group override" in str(error):
        return "the option of a group must be a name, not null, a number or a truth value; --help lists the options"
    if isinstance(error, RecursionError):
        return "the configuration is nested too deeply, or its defaults include themselves"
    return None


def _search_path(node: yaml.Node | None) -> list[Path]:
    for key in ("hydra", "searchpath"):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    entries = node.value if isinstance(node, yaml.SequenceNode) else []
    return [Path(str(entry.value).removeprefix("file://")) for entry in entries]


def _keys(node: Any) -> list[Any]:
    return list(node.keys()) if hasattr(node, "keys") else []


def _show(error: ValidationError) -> str:
    value = getattr(error, "value", None)
    return "null" if value is None else str(value)


def _expected_type(error: ValidationError) -> str:
    child = getattr(error, "child_node", None)
    default = child._value() if child is not None and hasattr(child, "_value") else child
    return type(default).__name__ if isinstance(default, bool | int | float | str) else "a group of keys"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _yaml_files(folders: Sequence[Path]) -> list[Path]:
    walks = [walk for folder in folders for walk in os.walk(folder, followlinks=True)]
    return sorted(Path(folder, name) for folder, _, names in walks for name in names if name.endswith(".yaml"))


def _is_utf8(path: Path) -> bool:
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def _count_nodes(node: yaml.Node | None, counted: dict[int, int]) -> int:
    """Count a node's values as if every alias were written out; shared nodes are counted once and remembered."""
    if isinstance(node, yaml.SequenceNode | yaml.MappingNode):
        if id(node) not in counted:
            counted[id(node)] = MAX_YAML_NODES + 1  # stands for the node inside itself: a cycle never ends
            parts = (
                node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
            )
            counted[id(node)] = 1 + sum(_count_nodes(part, counted) for part in parts)
        return counted[id(node)]
    return 1


from fashion_softmax.config.reporting import describe as describe  # noqa: E402 temporary
from fashion_softmax.config.reporting import translate as translate
