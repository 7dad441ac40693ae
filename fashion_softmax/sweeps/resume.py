"""`resume=FOLDER` and `resume=latest`: completing a run or a sweep that was interrupted, or training more epochs.

Runs are resumed with their own configurations, read from their folders, which may come from other people, see
`config/trust.py`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fashion_softmax.config.checking import check_values, modernize
from fashion_softmax.config.jobs import Job, apply_overrides
from fashion_softmax.config.private import parse_arguments
from fashion_softmax.config.schema import PlainConfig, project_dir, quote, resolve
from fashion_softmax.config.settings import CHANGEABLE, fingerprint, flatten, says_nothing
from fashion_softmax.config.trust import is_trust, read_trusted, read_trusted_config, refuse_links_out
from fashion_softmax.dashboard.console import count
from fashion_softmax.errors import CheckpointError
from fashion_softmax.files import dump_yaml, write_together
from fashion_softmax.runs.checkpoint import find_checkpoint
from fashion_softmax.runs.folder import CONFIG_PATH, RunFolder, make_info, read_folder, require_whole
from fashion_softmax.runs.lock import claim
from fashion_softmax.sweeps.folder import SWEEP_PATH, is_sweep, list_runs

LATEST = "latest"


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line.

    Attributes:
        folder: of the run or sweep.
        overrides: of the runs' configurations.
        trusted: packages of the user's own that a run's configuration may name, from `trust=a,b`.
        arguments: of the command with which Hydra launches the stacks of a sweep; none for a run. With -m they have the
            sweep's own jobs, which are compared with the runs when Hydra has composed them.
    """

    folder: Path
    overrides: list[str]
    trusted: list[str]
    arguments: list[str]


def read_request(arguments: Sequence[str]) -> Request:
    """Read what is to be resumed.

    Args:
        arguments: of the command line, `resume=` among them.

    Raises:
        CheckpointError: there is no such folder, or it is neither a run's nor a sweep's.
    """
    options, _, _ = parse_arguments(arguments)
    given = [line.partition("=")[2] for line in options.overrides if line.startswith("resume=")]
    lines = [line for line in options.overrides if not (line.startswith("resume=") or is_trust(line))]
    for_hydra = [line for line in lines if line.startswith(("hydra", "sweep."))]
    overrides = [line for line in lines if not line.startswith("hydra")]
    name = given[-1].strip("'\"")
    folder = _find_latest(for_hydra, is_sweep_wanted=options.multirun) if name == LATEST else Path(name)
    if not folder.is_dir():
        raise CheckpointError(
            f"resume={name}: there is no such folder; a run's folder, a sweep's, or latest is expected"
        )
    trusted = read_trusted(options.overrides)
    if is_sweep(folder):
        flags = [argument for argument in arguments if argument not in options.overrides]
        place = [f"hydra.sweep.dir={quote(str(folder.absolute()))}", "sweep.resume=true"]
        if options.multirun:
            own = [line for line in for_hydra if line.startswith("sweep.")]
            return Request(folder, own, trusted, ["-m", *flags, *lines, *place])
        return Request(folder, overrides, trusted, ["-m", *flags, *for_hydra, *place])
    if not (folder / CONFIG_PATH).exists() and any(folder.glob("*/.hydra")):
        raise CheckpointError(
            f"resume={name}: this sweep cannot be resumed as a whole, but each of its runs can: {name}/..."
        )
    if options.multirun:
        raise CheckpointError(f"resume={name}: is the folder of a single run; leave out -m")
    require_whole(folder)
    return Request(folder, overrides, trusted, [])


def _find_latest(lines: Sequence[str], *, is_sweep_wanted: bool) -> Path:
    outputs = Path(project_dir()) / "outputs"
    keys = ("hydra.run.dir=", "hydra.sweep.dir=")
    given = [Path(line.partition("=")[2].strip("'\"")) for line in lines if line.startswith(keys)]
    patterns = [f"sweeps/*/{SWEEP_PATH}"] if is_sweep_wanted else [f"sweeps/*/{SWEEP_PATH}", "runs/*/status.json"]
    written = [path.parent for pattern in patterns for path in outputs.glob(pattern)]
    found = [folder for folder in given if folder.is_dir()] if given else written
    if not found:
        raise CheckpointError(f"resume=latest: there is nothing to resume in {given[0] if given else outputs}")
    return max(found, key=lambda folder: (folder.stat().st_mtime, folder.name))


def prepare(request: Request) -> bool:
    """Check that a run or a sweep can be resumed, and write what changes into the folders of its runs.

    Returns:
        Whether there is anything to train.

    Raises:
        FashionSoftmaxError: a folder, a configuration, the data or the machine does not allow it; nothing was written.
    """
    with claim(request.folder):
        refuse_links_out(request.folder)
        is_run = not request.arguments
        changes = []
        for path in [request.folder] if is_run else list_runs(request.folder):
            require_whole(path)
            saved = read_trusted_config(path, request.trusted)
            folder = dataclasses.replace(read_folder(path), config=saved)
            changes.append((folder, _change(folder, apply_overrides(saved, request.overrides), request.overrides)))
        unfinished = [changed for _, changed in changes if not changed.is_finished]
        if is_run:
            find_checkpoint(folder, fingerprint(saved))  # a damaged one is refused before anything is written
            if not unfinished:
                epochs = changes[0][1].num_epochs_wanted
                print(f"nothing to do: {path} has finished its {epochs} epochs; trainer.num_epochs=N trains more")
                return False
        if any(changed.config["sweep"]["dry_run"] for _, changed in changes):
            print(f"a dry run: {count(len(unfinished), 'job')} to be trained; nothing was trained")
            return False
        for folder, changed in changes:
            _write_change(folder, changed)
    return True


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


def _change(folder: RunFolder, config: PlainConfig, overrides: Sequence[str]) -> RunFolder:
    """Give a run another configuration, if it may have it; its overrides replace earlier ones of the same keys."""
    before, after = resolve(folder.config), resolve(config)
    check_values(after)
    old, new = dict(flatten(folder.config)), dict(flatten(config))
    differences = [
        f"{key} is {old.get(key, 'absent')} there, not {new.get(key, 'absent')}"
        for key in {**old, **new}
        if old.get(key) != new.get(key) and key not in CHANGEABLE and not says_nothing(key)
    ]
    if differences:
        raise CheckpointError(
            f"{folder.path} was trained with other settings: {'; '.join(differences)}; leave them out to resume it, or "
            f"start anew in another folder (what may change: {', '.join(CHANGEABLE)}, dashboard)"
        )
    keys = {line.partition("=")[0] for line in overrides}
    kept = [line for line in folder.overrides if line.partition("=")[0] not in keys]
    changed = dataclasses.replace(folder, config=config, overrides=[*kept, *overrides])
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
    if changed.config != folder.config:
        info = make_info(changed.overrides, changed.choices)
        contents = {folder.path / CONFIG_PATH: dump_yaml(changed.config).encode(), folder.path / "run.json": info}
        for error in write_together(contents).values():
            raise error
