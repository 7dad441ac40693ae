"""`resume=FOLDER` and `resume=latest`: going on with a run or a sweep that was interrupted, or with more epochs.

A run goes on with its own configuration, read from its folder; the folder may be somebody else's, see `trust.py`. A
sweep goes on as the command that is given, or as the one that its folder remembers.
"""

import logging.config
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fashion_softmax.composition import refuse_alias_bombs
from fashion_softmax.config import COMPONENTS, CONFIG_DIR, Config, compose, project_dir
from fashion_softmax.errors import CheckpointError, ConfigError
from fashion_softmax.files import read_json, write_atomically
from fashion_softmax.folders import refuse_if_alive

LATEST = "latest"
MAX_YAML_BYTES = 2**20


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line.

    Attributes:
        folder: of the run or sweep.
        overrides: the other arguments.
        trusted: packages of the user's own that a run's configuration may name, from `trust=a,b`.
    """

    folder: Path
    overrides: list[str]
    trusted: list[str]

    @property
    def is_sweep(self) -> bool:
        """Whether the folder is a sweep's."""
        return (self.folder / "multirun.yaml").exists()


def read_request(arguments: Sequence[str]) -> Request | None:
    """Find `resume=` among the arguments.

    Args:
        arguments: of the command line.

    Returns:
        What to go on with; None if nothing.

    Raises:
        CheckpointError: there is no such folder, or it is neither a run's nor a sweep's.
    """
    keys = ("resume", "trust")
    given = {key: [a.partition("=")[2] for a in arguments if a.startswith(f"{key}=")] for key in keys}
    if not given["resume"]:
        return None
    overrides = [a for a in arguments if a.partition("=")[0] not in keys]
    trusted = [package for value in given["trust"] for package in value.strip("[]").split(",") if package]
    name = given["resume"][-1].strip("'\"")
    folder = _find_latest(arguments) if name == LATEST else Path(name)
    if not folder.is_dir():
        raise CheckpointError(
            f"resume={name}: there is no such folder; a run's folder, a sweep's, or latest is expected"
        )
    request = Request(folder, overrides, trusted)
    if not request.is_sweep and not (folder / ".hydra" / "config.yaml").is_file():
        raise CheckpointError(
            f"resume={name}: is no run folder, since it has no .hydra/config.yaml; start the run anew"
        )
    if not request.is_sweep and ({"-m", "--multirun"} & set(arguments)):
        raise CheckpointError(f"resume={name}: is the folder of a single run; leave out -m")
    return request


def sweep_arguments(request: Request) -> list[str]:
    """Word the command that goes on with a sweep.

    Raises:
        CheckpointError: the folder does not remember its command, or its command names classes.
    """
    overrides = request.overrides
    if not {"-m", "--multirun"} & set(overrides):
        path = request.folder / "multirun.yaml"
        remembered = OmegaConf.select(_read_yaml(path), "hydra.overrides.task")
        lines = [str(line) for line in remembered] if isinstance(remembered, Iterable) else []
        if not lines or any("_target_" in line or line.startswith(("hydra", "sweep.", "-")) for line in lines):
            raise CheckpointError(f"{path}: give the sweep's own command, with -m, and add resume={request.folder}")
        overrides = ["-m", *lines, *overrides]
    overrides = [override for override in overrides if not override.startswith("hydra.sweep.dir=")]
    folder = str(request.folder.absolute()).replace("\\", "\\\\").replace("'", "\\'")
    return [*overrides, f"hydra.sweep.dir='{folder}'", "sweep.resume=true"]


def resume_run(request: Request) -> None:
    """Go on with a single run; nothing is done when it has finished already.

    Raises:
        FashionSoftmaxError: the folder, the configuration, the data or the machine does not allow it.
        Interrupted: by a signal; what was trained is saved.
    """
    from fashion_softmax.experiment import run
    from fashion_softmax.single_run import CHANGEABLE
    from fashion_softmax.trust import check_targets, refuse_links_out

    run_dir = request.folder
    refuse_links_out(run_dir)
    refuse_if_alive(run_dir, CheckpointError)
    path = run_dir / ".hydra" / "config.yaml"
    saved = _read_yaml(path)
    check_targets(cast(dict[str, Any], OmegaConf.to_container(saved)), request.trusted, path)
    try:
        saved = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), saved))
    except OmegaConfBaseException as error:
        raise CheckpointError(f"{path}: {' '.join(str(error.msg or error).split())}") from error
    cfg = _override(saved, request.overrides)
    if differences := _compare(saved, cfg, CHANGEABLE):
        raise CheckpointError(
            f"{run_dir} was trained with other settings: {'; '.join(differences)}; leave them out to go on, or start a "
            f"new run (what may change: {', '.join(CHANGEABLE)})"
        )
    num_epochs = cfg.trainer.num_epochs
    finished = read_json(run_dir / "result.json").get("num_epochs", 0)
    if read_json(run_dir / "status.json").get("state") == "completed" and finished >= num_epochs:
        print(f"nothing to do: {run_dir} has finished its {finished} epochs; trainer.num_epochs=N trains more")
        return
    if cfg != saved:
        write_atomically(path, OmegaConf.to_yaml(cfg).encode())
    _configure_log(run_dir)
    remembered = _read_yaml(run_dir / ".hydra" / "overrides.yaml") if (path.parent / "overrides.yaml").exists() else []
    run(cfg, run_dir, overrides=[*map(str, remembered), *request.overrides], resume=True)


def _find_latest(arguments: Sequence[str]) -> Path:
    outputs = Path(project_dir()) / "outputs"
    given = [
        a.partition("=")[2].strip("'\"") for a in arguments if a.startswith(("hydra.run.dir=", "hydra.sweep.dir="))
    ]
    sweeps = outputs.glob("sweeps/*/multirun.yaml")
    runs = [] if {"-m", "--multirun"} & set(arguments) else outputs.glob("runs/*/.hydra/config.yaml")
    found = [path.parent for path in sweeps] + [path.parent.parent for path in runs]
    if given:
        return Path(given[-1])
    if not found:
        raise CheckpointError(f"resume=latest: there is nothing to go on with below {outputs}")
    return max(found, key=lambda folder: (folder.stat().st_mtime, folder.name))


def _read_yaml(path: Path) -> Any:
    """Read YAML that may be somebody else's: plain values, of bounded size."""
    try:
        if path.stat().st_size > MAX_YAML_BYTES:
            raise CheckpointError(f"{path}: is larger than {MAX_YAML_BYTES} bytes, no configuration of ours")
        refuse_alias_bombs([path.parent])
        return OmegaConf.load(path)
    except (OSError, YAMLError, UnicodeDecodeError, RecursionError, OmegaConfBaseException) as error:
        raise CheckpointError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from error
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def _override(saved: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Apply overrides as Hydra would: an option of a group replaces the whole component."""
    cfg = cast(DictConfig, OmegaConf.create(OmegaConf.to_container(saved)))
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


def _compare(saved: DictConfig, cfg: DictConfig, changeable: Iterable[str]) -> list[str]:
    before, after = (dict(_flatten(OmegaConf.to_container(each))) for each in (saved, cfg))
    names = [key for key in {**before, **after} if key not in changeable and not key.startswith("sweep.")]
    return [
        f"{key} is {before.get(key, 'absent')} there, not {after.get(key, 'absent')}"
        for key in names
        if before.get(key) != after.get(key)
    ]


def _flatten(value: Any, key: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flatten(item, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _configure_log(run_dir: Path) -> None:
    """Log as Hydra lets a new run do."""
    settings = OmegaConf.load(CONFIG_DIR / "hydra" / "job_logging" / "plain.yaml")
    whole = OmegaConf.create(
        {"log": settings, "hydra": {"runtime": {"output_dir": str(run_dir)}, "job": {"name": "train"}}}
    )
    logging.config.dictConfig(cast(dict[str, Any], OmegaConf.to_container(whole.log, resolve=True)))
