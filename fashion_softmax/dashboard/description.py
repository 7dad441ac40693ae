"""What a run says of its settings to TensorBoard: its hyper-parameters, and a table of what differs from the defaults.

Text of the user's is data here: an interpolation, which may read a secret from the environment, stays as it was
written, and nothing in a name or value becomes Markdown or HTML.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fashion_softmax.config.schema import COMPONENTS, CONFIG_DIR
from fashion_softmax.config.settings import (
    GROUPS,
    Value,
    find_hyperparameters,
    flatten,
    is_comparable,
    name_trial,
    show,
)
from fashion_softmax.files import dump_yaml, load_yaml

MAX_SHOWN = 200  # characters of a value in the table; the whole text is in the configuration beside it
ABSENT = object()


class Description:
    """A run's settings in TensorBoard's terms.

    Args:
        config: of the shape of `schema.Config`, interpolations unresolved.
        choices: group to option.
        overrides: of its command line.

    Attributes:
        hyperparameters: name to value, typed. Those that all runs have, or that this one's command set: TensorBoard's
            parallel coordinates leave out runs that lack one. Not the seed, of which a row of its table has several.
        trial: what names that row, such as `huber lr=0.1`.
    """

    def __init__(self, config: Mapping[str, Any], choices: Mapping[str, str], overrides: Sequence[str]) -> None:
        self._config, self._choices = config, choices
        found = find_hyperparameters(self._config, self._choices)
        settings = {key: value for key, value in found.items() if key != "seed"}
        self.trial = name_trial(settings, overrides)
        self.hyperparameters = {
            key: value for key, value in settings.items() if value is not None and is_comparable(key, overrides)
        }

    def texts(self, yaml_text: str | None = None) -> dict[str, str]:
        """Word the configuration and its differences to the defaults as Markdown, by tag.

        Args:
            yaml_text: the configuration, where its file is at hand.
        """
        yaml_text = yaml_text or dump_yaml(self._config)
        # Four spaces make it a code block.
        code = "".join(f"    {line}\n" for line in yaml_text.splitlines())
        return {"config": code, "differences": self._tabulate_differences()}

    def _tabulate_differences(self) -> str:
        named = [group for group in GROUPS if group in self._choices or group not in COMPONENTS]
        default = _default_settings(tuple(named))
        this = _settings(self._config, self._choices, named)
        rows = [
            f"| {_escape(key)} | {_escape(default.get(key, ABSENT))} | {_escape(this.get(key, ABSENT))} |\n"
            for key in {**default, **this}
            if default.get(key, ABSENT) != this.get(key, ABSENT)
        ]
        return "| key | default | this run |\n|---|---|---|\n" + "".join(rows) if rows else "nothing differs\n"


@functools.cache
def read_defaults() -> tuple[dict[str, Any], dict[str, str]]:
    """Read what a command without arguments is composed of, as Hydra would: it takes 60 ms, and no job may ask it.

    Returns:
        The configuration, unresolved, and group to option.
    """
    config = _read(CONFIG_DIR / "config.yaml")
    choices = {}
    for entry in config.pop("defaults"):
        for group, option in entry.items() if isinstance(entry, dict) else ():
            if group in COMPONENTS:
                choices[group] = option
                config[group] = _read(CONFIG_DIR / group / f"{option}.yaml")
    del config["hydra"]
    return config, choices


def _read(path: Path) -> dict[str, Any]:
    return cast(dict[str, Any], load_yaml(path.read_text(encoding="utf-8")))


@functools.lru_cache(maxsize=64)
def _default_settings(named: tuple[str, ...]) -> dict[str, Any]:
    return _settings(*read_defaults(), named)


def _settings(config: Mapping[str, Any], choices: Mapping[str, str], named: Sequence[str]) -> dict[str, Any]:
    """List a configuration's values, with options instead of classes for the groups that are named."""
    settings: dict[str, Any] = {group: choices[group] for group in named if group in choices}
    for key, value in flatten(config):
        group, _, name = key.partition(".")
        if group != "sweep" and not (group in named and name == "_target_"):
            settings[key] = value
    return settings


def _escape(value: Any) -> str:
    """Word a value or key so that Markdown and HTML show it as it is, on one line."""
    if value is ABSENT:
        return "(none)"
    text = show(value) if isinstance(value, Value | None) else str(value)
    text = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
    printable = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return "".join(char if char.isalnum() or char in " .," else f"&#{ord(char)};" for char in printable) or "(empty)"
