"""What of a run's settings differs from the defaults, as a table for TensorBoard.

Text of the user's is data here: an interpolation, which may read a secret from the environment, stays as it was
written, and nothing in a name or value becomes Markdown or HTML.
"""

import functools
from collections.abc import Mapping
from typing import Any

from fashion_softmax.config.schema import COMPONENTS, CONFIG_DIR
from fashion_softmax.config.settings import find_hyperparameters, show
from fashion_softmax.files import load_yaml

MAX_SHOWN = 200  # characters of a value in the table; the whole text is in the configuration beside it


def tabulate_differences(config: Mapping[str, Any], choices: Mapping[str, str]) -> str:
    """Tabulate in Markdown what decides a run's result and differs from the defaults.

    Args:
        config: of the shape of `schema.Config`, interpolations unresolved.
        choices: group to option.
    """
    defaults, these = (
        {key: show(value) for key, value in found.items()}
        for found in (_find_defaults(), find_hyperparameters(config, choices))
    )
    rows = [
        f"| {_escape(key)} | {_escape(defaults.get(key, '(none)'))} | {_escape(these.get(key, '(none)'))} |\n"
        for key in {**defaults, **these}
        if defaults.get(key) != these.get(key)
    ]
    return "| key | default | this run |\n|---|---|---|\n" + "".join(rows) if rows else "nothing differs\n"


@functools.cache
def _find_defaults() -> dict[str, Any]:
    return find_hyperparameters(*read_defaults())


def read_defaults() -> tuple[dict[str, Any], dict[str, str]]:
    """Read what a command without arguments is composed of, as Hydra would: it takes 60 ms, and no job may ask it.

    Returns:
        The configuration, unresolved, and group to option.
    """
    config = load_yaml((CONFIG_DIR / "config.yaml").read_text(encoding="utf-8"))
    entries = [entry for entry in config.pop("defaults") if isinstance(entry, dict)]
    choices = {group: option for entry in entries for group, option in entry.items() if group in COMPONENTS}
    for group, option in choices.items():
        config[group] = load_yaml((CONFIG_DIR / group / f"{option}.yaml").read_text(encoding="utf-8"))
    del config["hydra"]
    return config, choices


def _escape(text: str) -> str:
    """Word a value or key so that Markdown and HTML show it as it is, on one line."""
    text = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
    return "".join(char if char.isalnum() or char in " .," else f"&#{ord(char)};" for char in text) or "(empty)"
