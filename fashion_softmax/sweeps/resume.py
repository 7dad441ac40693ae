"""`resume=FOLDER` and `resume=latest`: completing a run or a sweep that was interrupted, or training more epochs.

Runs are resumed with their own configurations, read from their folders, which may come from other people, see
`config/trust.py`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion_softmax.config.checking import check_values, modernize
from fashion_softmax.config.jobs import Job, apply_overrides
from fashion_softmax.config.schema import PlainConfig, project_dir, quote, resolve
from fashion_softmax.config.settings import CHANGEABLE, SECTIONS_THAT_SAY_NOTHING, fingerprint, flatten
from fashion_softmax.config.trust import is_trust, read_trusted, read_trusted_config, refuse_links_out
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import dump_yaml, write_together
from fashion_softmax.runs.checkpoint import find_checkpoint
from fashion_softmax.runs.folder import CONFIG_PATH, make_info, require_whole
from fashion_softmax.runs.lock import claim
from fashion_softmax.runs.records import RunFolder, read_folder
from fashion_softmax.sweeps.folder import SWEEP_PATH, is_sweep, list_runs

LATEST = "latest"
MULTIRUN = {"-m", "--multirun"}
DRY_RUN = "sweep.dry_run=true"


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


def read_request(arguments: Sequence[str]) -> Request:
    """Read what is to be resumed.

    Args:
        arguments: of the command line, `resume=` among them.

    Raises:
        CheckpointError: there is no such folder, or it is neither a run's nor a sweep's.
    """
    given = [argument.partition("=")[2] for argument in arguments if argument.startswith("resume=")]
    overrides = [argument for argument in arguments if not (argument.startswith("resume=") or is_trust(argument))]
    name = given[-1].strip("'\"")
    folder = _find_latest(arguments) if name == LATEST else Path(name)
    if not folder.is_dir():
        raise CheckpointError(
            f"resume={name}: there is no such folder; a run's folder, a sweep's, or latest is expected"
        )
    if not is_sweep(folder):
        if not (folder / CONFIG_PATH).exists() and any(folder.glob("*/.hydra")):
            raise CheckpointError(
                f"resume={name}: this sweep cannot be resumed as a whole, but each of its runs can: {name}/..."
            )
        try:
            require_whole(folder)
        except CheckpointError as error:
            raise CheckpointError(f"resume={name}: {error}") from None
        if MULTIRUN & set(arguments):
            raise CheckpointError(f"resume={name}: is the folder of a single run; leave out -m")
    return Request(folder.absolute() if is_sweep(folder) else folder, overrides, read_trusted(arguments))


def prepare_run(request: Request) -> bool:
    """Check that a run can be resumed, and write what changes into its folder.

    Returns:
        Whether there is anything to train.

    Raises:
        FashionSoftmaxError: the folder, the configuration, the data or the machine does not allow it; nothing was
            written.
    """
    with claim(request.folder):
        refuse_links_out(request.folder)
        folder, changed = _read_change(request.folder, request.overrides, request.trusted)
        find_checkpoint(folder, fingerprint(folder.config))  # a damaged one is refused before anything is written
        if changed.is_finished:
            epochs = changed.num_epochs_wanted
            print(f"nothing to do: {folder.path} has finished its {epochs} epochs; trainer.num_epochs=N trains more")
            return False
        if DRY_RUN in request.overrides:
            print("a dry run: this can be resumed; nothing was trained")
            return False
        _write_change(folder, changed)
    return True


def prepare_sweep(request: Request) -> list[str]:
    """Check that a sweep can be resumed, and write what changes into the folders of its runs.

    Returns:
        The arguments of the command that trains what is unfinished: Hydra's launcher is needed for its stacks. Given
        with -m, the command's own jobs are compared with the runs when Hydra has composed them.

    Raises:
        FashionSoftmaxError: see `prepare_run`.
    """
    refuse_links_out(request.folder)
    is_whole_command = bool(MULTIRUN & set(request.overrides))
    overrides = [line for line in request.overrides if line not in MULTIRUN and not line.startswith("hydra.sweep.dir=")]
    own = [] if is_whole_command else [line for line in overrides if not line.startswith(("hydra", "sweep.", "-"))]
    with claim(request.folder):
        changes = [_read_change(path, own, request.trusted) for path in list_runs(request.folder)]
        if DRY_RUN not in overrides:
            for folder, changed in changes:
                _write_change(folder, changed)
    kept = [line for line in overrides if line not in own]
    return ["-m", *kept, f"hydra.sweep.dir={quote(str(request.folder))}", "sweep.resume=true"]


def take_over(sweep_dir: Path, jobs: Sequence[Job]) -> None:
    """Compare the jobs of a command with the runs of the sweep that it resumes, and take over what may change.

    Raises:
        CheckpointError: the sweep was begun with other jobs or settings.
    """
    paths = list_runs(sweep_dir)
    if len(paths) != len(jobs):
        raise CheckpointError(
            f"{sweep_dir}: has {len(paths)} jobs, the command gives {len(jobs)}; give its own command"
        )
    folders = [read_folder(path) for path in paths]
    changes = [_change(folder, job.config, job.overrides) for folder, job in zip(folders, jobs, strict=True)]
    for folder, changed in zip(folders, changes, strict=True):
        _write_change(folder, changed)


def _read_change(run_dir: Path, overrides: Sequence[str], trusted: Sequence[str]) -> tuple[RunFolder, RunFolder]:
    """Read a run's folder, as it is and as it will be."""
    require_whole(run_dir)
    saved = read_trusted_config(run_dir, trusted)
    folder = dataclasses.replace(read_folder(run_dir), config=saved)
    return folder, _change(folder, apply_overrides(saved, overrides), overrides)


def _change(folder: RunFolder, config: PlainConfig, overrides: Sequence[str]) -> RunFolder:
    """Give a run another configuration, if it may have it; its overrides replace earlier ones of the same keys."""
    refuse_differences(folder.config, config, str(folder.path))
    before, after = resolve(folder.config), resolve(config)
    check_values(after)
    given = [line for line in overrides if not line.startswith("sweep.")]
    keys = {line.partition("=")[0] for line in given}
    kept = [line for line in folder.overrides if line.partition("=")[0] not in keys]
    changed = dataclasses.replace(folder, config=config, overrides=[*kept, *given])
    target = str(after["scheduler"]["_target_"])
    is_ours = modernize(target).startswith("fashion_softmax.learning.schedules.")
    if not (is_ours or changed.is_finished or before["scheduler"] == after["scheduler"]):
        raise CheckpointError(
            f"{folder.path}: its schedule depends on trainer.num_epochs, and {target} cannot change its settings while "
            "it runs; start anew, or keep the number of epochs"
        )
    return changed


def _write_change(folder: RunFolder, changed: RunFolder) -> None:
    """Write a run's new configuration into its folder, if it is one."""
    if changed.config == folder.config:
        return
    info = make_info(changed.overrides, changed.choices)
    contents = {folder.path / CONFIG_PATH: dump_yaml(changed.config).encode(), folder.path / "run.json": info}
    for error in write_together(contents).values():
        raise error


def refuse_differences(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> None:
    """Refuse to resume a run with other settings than it was trained with.

    Args:
        before: its configuration, interpolations unresolved.
        after: what is asked for now.
        name: of its folder, for the message.

    Raises:
        CheckpointError: lists what differs and may not.
    """
    old, new = dict(flatten(before)), dict(flatten(after))
    differences = [
        f"{key} is {old.get(key, 'absent')} there, not {new.get(key, 'absent')}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
        and key not in CHANGEABLE
        and key.partition(".")[0] not in SECTIONS_THAT_SAY_NOTHING
    ]
    if differences:
        raise CheckpointError(
            f"{name} was trained with other settings: {'; '.join(differences)}; leave them out to resume it, or start "
            f"anew in another folder (what may change: {', '.join(CHANGEABLE)}, dashboard)"
        )


def _find_latest(arguments: Sequence[str]) -> Path:
    outputs = Path(project_dir()) / "outputs"
    keys = ("hydra.run.dir=", "hydra.sweep.dir=")
    given = [Path(line.partition("=")[2].strip("'\"")) for line in arguments if line.startswith(keys)]
    sweeps = [path.parent for name in (SWEEP_PATH, "multirun.yaml") for path in outputs.glob(f"sweeps/*/{name}")]
    runs = [] if MULTIRUN & set(arguments) else [path.parent for path in outputs.glob("runs/*/status.json")]
    found = [folder for folder in given if folder.is_dir()] if given else sweeps + runs
    if not found:
        raise CheckpointError(f"resume=latest: there is nothing to resume in {given[0] if given else outputs}")
    return max(found, key=lambda folder: (folder.stat().st_mtime, folder.name))
