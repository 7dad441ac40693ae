"""`resume=FOLDER` and `resume=latest`: going on with a run or a sweep that was interrupted, or with more epochs.

A run goes on with its own configuration, read from its folder; the folder may be somebody else's, see `trust.py`. A
sweep goes on as the command that is given, or as the one that its folder remembers.
"""

import logging.config
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from fashion_softmax.config.resumable import fingerprint, override, refuse_differences, refuse_new_schedule
from fashion_softmax.config.schema import CONFIG_DIR, project_dir
from fashion_softmax.config.trust import (
    CONFIG_PATH,
    is_plain_override,
    is_trust,
    read_config,
    read_trusted,
    read_yaml,
    refuse_links_out,
)
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import write_atomically
from fashion_softmax.runs.folder import refuse_if_alive
from fashion_softmax.runs.progress import find_objective, find_progress

LATEST = "latest"
# What every sweep's command has or is given; all of it is given anew.
OWN_HYDRA_KEYS = ("hydra.sweep.dir=", "hydra.mode=", "hydra.job.config.override_dirname.exclude_keys=")


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
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith("resume=")]
    if not given:
        return None
    overrides = [argument for argument in arguments if not (argument.startswith("resume=") or is_trust(argument))]
    trusted = read_trusted(arguments)
    name = given[-1].strip("'\"")
    folder = _find_latest(arguments) if name == LATEST else Path(name)
    if not folder.is_dir():
        raise CheckpointError(
            f"resume={name}: there is no such folder; a run's folder, a sweep's, or latest is expected"
        )
    request = Request(folder, overrides, trusted)
    if not request.is_sweep and any(folder.glob("*/.hydra")):
        raise CheckpointError(
            f"resume={name}: this sweep cannot go on as a whole, but each of its runs can: {name}/..."
        )
    if not request.is_sweep and not (folder / CONFIG_PATH).is_file():
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
        remembered = read_yaml(path)
        for key in ("hydra", "overrides"):
            remembered = remembered.get(key) if isinstance(remembered, dict) else None
        parts = [remembered.get(key) if isinstance(remembered, dict) else None for key in ("task", "hydra")]
        task, hydra = (part if isinstance(part, list) else ["its command"] for part in parts)
        lines = [*task, *hydra]
        special = [line for line in lines if not is_plain_override(line) and not str(line).startswith(OWN_HYDRA_KEYS)]
        if special:
            raise CheckpointError(
                f"{path}: {special[0]} is not repeated from a folder; give the sweep's own command, with -m, and add "
                f"resume={request.folder}"
            )
        overrides = ["-m", *(line for line in task if not line.startswith("sweep.resume=")), *overrides]
    overrides = [override for override in overrides if not override.startswith("hydra.sweep.dir=")]
    folder = str(request.folder.absolute()).replace("\\", "\\\\").replace("'", "\\'")
    return [*overrides, f"hydra.sweep.dir='{folder}'", "sweep.resume=true"]


def resume_run(request: Request) -> None:
    """Go on with a single run; nothing is done when it has finished already.

    Raises:
        FashionSoftmaxError: the folder, the configuration, the data or the machine does not allow it.
        Interrupted: by a signal; what was trained is saved.
    """
    from fashion_softmax.config.checking import validate
    from fashion_softmax.runs.experiment import run

    run_dir = request.folder
    refuse_links_out(run_dir)
    refuse_if_alive(run_dir, CheckpointError)
    saved = read_config(run_dir, request.trusted)
    cfg = override(saved, request.overrides)
    refuse_differences(run_dir, saved, cfg)
    validate(cfg)
    num_epochs = cfg.trainer.num_epochs
    if find_objective(run_dir, cfg) is not None:
        print(f"nothing to do: {run_dir} has finished its {num_epochs} epochs; trainer.num_epochs=N trains more")
        return
    refuse_new_schedule(run_dir, saved, cfg)
    find_progress(run_dir, fingerprint(cfg))  # a damaged checkpoint is refused before anything is written
    if "sweep.dry_run=true" in request.overrides:
        print("a dry run: this can go on; nothing was trained")
        return
    if cfg != saved:
        write_atomically(run_dir / CONFIG_PATH, OmegaConf.to_yaml(cfg).encode())
    _configure_log(run_dir)
    path = run_dir / ".hydra" / "overrides.yaml"
    new_keys = {line.partition("=")[0] for line in request.overrides}
    earlier = [str(line) for line in read_yaml(path)] if path.exists() else []
    overrides = [*(line for line in earlier if line.partition("=")[0] not in new_keys), *request.overrides]
    write_atomically(path, OmegaConf.to_yaml(OmegaConf.create(overrides)).encode())
    run(cfg, run_dir, overrides=overrides, resume=True)


def _find_latest(arguments: Sequence[str]) -> Path:
    outputs = Path(project_dir()) / "outputs"
    keys = ("hydra.run.dir=", "hydra.sweep.dir=")
    given = [Path(a.partition("=")[2].strip("'\"")) for a in arguments if a.startswith(keys)]
    sweeps = outputs.glob("sweeps/*/multirun.yaml")
    runs = [] if {"-m", "--multirun"} & set(arguments) else outputs.glob("runs/*/.hydra/config.yaml")
    found = [path.parent for path in sweeps] + [path.parent.parent for path in runs]
    if given:
        found = [folder for folder in given if folder.is_dir()]
    if not found:
        raise CheckpointError(f"resume=latest: there is nothing to go on with in {given[0] if given else outputs}")
    return max(found, key=lambda folder: (folder.stat().st_mtime, folder.name))


def _configure_log(run_dir: Path) -> None:
    """Log as Hydra lets a new run do."""
    settings = OmegaConf.load(CONFIG_DIR / "hydra" / "job_logging" / "plain.yaml")
    whole = OmegaConf.create(
        {"log": settings, "hydra": {"runtime": {"output_dir": str(run_dir)}, "job": {"name": "train"}}}
    )
    logging.config.dictConfig(cast(dict[str, Any], OmegaConf.to_container(whole.log, resolve=True)))
