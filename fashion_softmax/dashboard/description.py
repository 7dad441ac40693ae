"""What a run says of its settings to TensorBoard: its hyper-parameters, and a table of what differs from the defaults.

Text of the user's is data here: an interpolation, which may read a secret from the environment, stays as it was
written, and nothing in a name or value becomes Markdown or HTML.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from fashion_softmax.config.schema import COMPONENTS, CONFIG_DIR
from fashion_softmax.config.settings import find_hyperparameters, is_comparable, name_trial, show
from fashion_softmax.files import load_yaml

MAX_SHOWN = 200  # characters of a value in the table; the whole text is in the configuration beside it


@dataclass(frozen=True)
class Description:
    """A run's settings in TensorBoard's terms.

    Attributes:
        hyperparameters: name to value, typed. Those that all runs have, or that this one's command set: TensorBoard's
            parallel coordinates leave out runs that lack one. Not the seed, of which a row of its table has several.
        trial: what names that row, such as `huber lr=0.1`.
        differences: a table in Markdown of what decides the result and differs from the defaults.
    """

    hyperparameters: dict[str, bool | int | float | str]
    trial: str
    differences: str


def describe(config: Mapping[str, Any], choices: Mapping[str, str], overrides: Sequence[str]) -> Description:
    """Describe a run.

    Args:
        config: of the shape of `schema.Config`, interpolations unresolved.
        choices: group to option.
        overrides: of its command line.
    """
    found = find_hyperparameters(config, choices)
    settings = {key: value for key, value in found.items() if key != "seed"}
    shared = {key: value for key, value in settings.items() if value is not None and is_comparable(key, overrides)}
    defaults, these = ({key: show(value) for key, value in each.items()} for each in (_find_defaults(), found))
    rows = [
        f"| {_escape(key)} | {_escape(defaults.get(key, '(none)'))} | {_escape(these.get(key, '(none)'))} |\n"
        for key in {**defaults, **these}
        if defaults.get(key) != these.get(key)
    ]
    table = "| key | default | this run |\n|---|---|---|\n" + "".join(rows) if rows else "nothing differs\n"
    return Description(shared, name_trial(settings, overrides), table)


@functools.cache
def _find_defaults() -> dict[str, Any]:
    return find_hyperparameters(*read_defaults())


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


def _escape(text: str) -> str:
    """Word a value or key so that Markdown and HTML show it as it is, on one line."""
    text = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
    return "".join(char if char.isalnum() or char in " .," else f"&#{ord(char)};" for char in text) or "(empty)"
