"""The settings of a run that goes on: which of them may change, and what differs."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from fashion_softmax.config.quick_configs import copy_config
from fashion_softmax.config.schema import COMPONENTS, compose
from fashion_softmax.config.settings import SECTIONS_THAT_SAY_NOTHING, flatten
from fashion_softmax.errors import CheckpointError, ConfigError

# What a run may change when it goes on, with a value that stands for all.
CHANGEABLE: dict[str, Any] = {
    "trainer.num_epochs": 1,
    "trainer.log_every": 1,
    "trainer.save_every": None,
    "device": "auto",
    "dataset.root": "",
    "dataset.mirror": None,
    "dataset.num_workers": 0,
}


def fingerprint(cfg: DictConfig) -> str:
    """Digest a resolved configuration; equal where the same run is meant, whatever its spelling and its company.

    What may change when a run goes on, such as its number of epochs, leaves it as it is.
    """
    neutral = copy_config(cfg)
    for key, value in CHANGEABLE.items():
        if OmegaConf.select(neutral, key) is not None:
            OmegaConf.update(neutral, key, value)
    content = cast(dict[str, Any], OmegaConf.to_container(neutral, resolve=True))
    for section in SECTIONS_THAT_SAY_NOTHING:
        content.pop(section, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def override(saved: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Apply overrides to a run's own configuration as Hydra would: an option of a group replaces the whole component.

    Raises:
        ConfigError: an override is an option such as `-m`, or has several values.
        HydraException: it cannot be read or applied.
    """
    cfg = copy_config(saved)
    OmegaConf.set_struct(cfg, True)
    if flags := [line for line in overrides if line.startswith("-")]:
        raise ConfigError(f"resume= takes no options: leave out {' '.join(flags)}")
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line} has several values, but a run goes on with one")
        if override.is_hydra_override() or override.key_or_group.startswith("sweep"):
            continue  # the folder is given by resume=
        if override.key_or_group in COMPONENTS:
            chosen = OmegaConf.to_container(compose([str(override.input_line)]))
            cfg[override.key_or_group] = cast(dict[str, Any], chosen)[override.key_or_group]
        else:
            ConfigLoaderImpl._apply_overrides_to_config([override], cfg)
    return cfg


def refuse_differences(run_dir: Path, saved: DictConfig, cfg: DictConfig) -> None:
    """Refuse to go on with a run under other settings than it was trained with.

    Raises:
        CheckpointError: lists what differs and may not.
    """
    before, after = (dict(flatten(OmegaConf.to_container(each))) for each in (saved, cfg))
    differences = [
        f"{key} is {before.get(key, 'absent')} there, not {after.get(key, 'absent')}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
        and key not in CHANGEABLE
        and key.partition(".")[0] not in SECTIONS_THAT_SAY_NOTHING
    ]
    if differences:
        raise CheckpointError(
            f"{run_dir} was trained with other settings: {'; '.join(differences)}; leave them out to go on, or start "
            f"anew in another folder (what may change: {', '.join(CHANGEABLE)}, dashboard)"
        )


def refuse_new_schedule(run_dir: Path, saved: DictConfig, cfg: DictConfig) -> None:
    """Refuse more epochs where the schedule depends on them and is none of ours, which follow the new settings.

    Raises:
        CheckpointError: torch's own schedulers keep the settings that they were saved with.
    """
    before, after = (OmegaConf.to_container(each.scheduler, resolve=True) for each in (saved, cfg))
    if before != after and not str(cfg.scheduler.get("_target_")).startswith("fashion_softmax.learning.schedules."):
        raise CheckpointError(
            f"{run_dir}: its schedule depends on trainer.num_epochs, and {cfg.scheduler.get('_target_')} cannot change "
            "its settings while it runs; start anew, or keep the number of epochs"
        )
