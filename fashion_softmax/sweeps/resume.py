"""`resume=FOLDER` and `resume=latest`: completing a run or a sweep that was interrupted, or training more epochs.

Runs are resumed with their own configurations, read from their folders, which may come from other people, see
`config/trust.py`.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fashion_softmax.config.checking import check_values
from fashion_softmax.config.jobs import expand_grid, set_values
from fashion_softmax.config.private import parse_arguments
from fashion_softmax.config.schema import project_dir, quote, resolve
from fashion_softmax.config.settings import CHANGEABLE, GROUPS, fingerprint, flatten, is_neutral
from fashion_softmax.config.trust import read_trusted_config, refuse_links_out, split_trust
from fashion_softmax.dashboard.console import count, shorten
from fashion_softmax.errors import CheckpointError, FashionSoftmaxError
from fashion_softmax.files import Names, dump_yaml, write_together
from fashion_softmax.runs.checkpoint import find_checkpoint
from fashion_softmax.runs.folder import JOURNAL, is_sweep, list_runs, make_info, require_whole
from fashion_softmax.runs.lock import claim
from fashion_softmax.runs.records import RunFolder, read_folder
from fashion_softmax.runs.run import Run
from fashion_softmax.runs.training import allow_open_files
from fashion_softmax.sweeps.planning import find_varied, identify

MAX_HELD = 4000  # runs of a sweep that are kept from other commands while they are looked at, each by an open file


def prepare(arguments: Sequence[str]) -> tuple[Path, list[str]] | None:
    """Read what is to be resumed, check that it can be, and write what changes into the folders of its runs.

    Args:
        arguments: of the command line, `resume=FOLDER` or `resume=latest` among them. With -m they are the sweep's own
            command, whose jobs have to be those in the folder.

    Returns:
        The folder of the run or sweep, and the arguments of the command with which Hydra launches the stacks of a
        sweep, none for a run; None when there is nothing to train.

    Raises:
        FashionSoftmaxError: a folder, a configuration, the data or the machine does not allow it; nothing was written.
    """
    options, _, _ = parse_arguments(arguments)
    trusted, lines = split_trust(options.overrides)
    for_hydra = [line for line in lines if line.lstrip("+~").startswith(("hydra", "sweep.fail_fast="))]
    own = [line for line in lines if not line.lstrip("+~").startswith(("hydra", "resume="))]
    if not options.multirun and any(line.startswith("sweep.max_stack_size=") for line in own):
        raise CheckpointError("sweep.max_stack_size: a sweep keeps its stacks when it is resumed; leave it out")
    folder = _find_folder(options.overrides, is_command=options.multirun)
    with contextlib.ExitStack() as held:
        held.enter_context(claim(folder))
        refuse_links_out(folder)
        paths = list_runs(folder) if is_sweep(folder) else [folder]
        allow_open_files()
        for number, path in enumerate(paths):  # one of a sweep's runs may be trained by another command
            with contextlib.ExitStack() as briefly:
                (held if number < MAX_HELD else briefly).enter_context(claim(path))
        runs = []
        for path in paths:
            require_whole(path)
            runs.append(dataclasses.replace(read_folder(path), config=read_trusted_config(path, trusted)))
        is_search = (folder / JOURNAL).exists()
        if is_search and any(not line.startswith(("sweep.dry_run=", "sweep.fail_fast=")) for line in own):
            remedy = "give only resume=FOLDER, for more trials hydra.sweeper.num_trials=N as well"
            raise CheckpointError(f"{folder}: is a search, which keeps its settings; {remedy}")
        is_command = options.multirun and not is_search
        jobs, num_new = _match(folder, runs, own) if is_command else ([own] * len(runs), 0)
        changes = [(run, _change(run, job, is_command=is_command)) for run, job in zip(runs, jobs, strict=True)]
        if num_new and any({**after.config, "sweep": 0} != {**before.config, "sweep": 0} for before, after in changes):
            remedy = "resume=FOLDER with other settings first, then with new jobs"
            raise CheckpointError(f"{folder}: its runs cannot get other settings together with new jobs; {remedy}")
        if not _is_wanted([changed for _, changed in changes], num_new, is_sweep=is_sweep(folder)):
            return None
        _write(changes)
    if not is_sweep(folder):
        return folder, []
    flags = [argument for argument in arguments if argument not in options.overrides] + (own if num_new else [])
    if is_search:
        flags += ["hydra/sweeper=search", f"hydra.sweeper.trusted=[{','.join(map(quote, trusted))}]"]
    return folder, ["-m", *flags, *for_hydra, f"hydra.sweep.dir={quote(str(folder.absolute()))}", "sweep.resume=true"]


def _find_folder(overrides: Sequence[str], *, is_command: bool) -> Path:
    """Find the folder that `resume=` names, a sweep's or, without its own command, a run's."""
    name = next(line for line in reversed(overrides) if line.startswith("resume=")).partition("=")[2].strip("'\"")
    folder = _find_latest(overrides, is_sweep_wanted=is_command) if name == "latest" else Path(name)
    if not folder.is_dir():
        raise CheckpointError(f"resume={name}: there is no such folder; give that of a run or of a sweep, or latest")
    if is_sweep(folder):
        return folder
    if not (folder / Names.CONFIG).exists() and any(folder.glob("*/.hydra")):
        raise CheckpointError(f"resume={name}: cannot be resumed as a whole; each of its runs can be: {name}/...")
    if is_command:
        raise CheckpointError(f"resume={name}: is the folder of a single run; leave out -m")
    require_whole(folder)
    return folder


def _match(folder: Path, runs: Sequence[RunFolder], lines: Sequence[str]) -> tuple[list[list[str]], int]:
    """Find each run's job in a sweep's command, and count the jobs that no run is of."""
    jobs = expand_grid(lines)
    varied = find_varied(jobs) | find_varied(run.overrides for run in runs)
    by_identity = {identify(job, varied): job for job in jobs}
    known = [identify(run.overrides, varied) for run in runs]
    absent = [run.path.name for run, identity in zip(runs, known, strict=True) if identity not in by_identity]
    if absent and len(jobs) == len(runs):
        return jobs, 0  # what differs will be named
    if absent:
        remedy = "give all its values, and the new ones; or resume=FOLDER alone"
        raise CheckpointError(
            f"{folder}: {len(absent)} of its jobs are not of this command, such as {absent[0]}; {remedy}"
        )
    return [by_identity[identity] for identity in known], len(by_identity.keys() - set(known))


def _find_latest(overrides: Sequence[str], *, is_sweep_wanted: bool) -> Path:
    outputs = Path(project_dir()) / "outputs"
    keys = ("hydra.run.dir=", "hydra.sweep.dir=")
    given = [Path(line.partition("=")[2].strip("'\"")) for line in overrides if line.startswith(keys)]
    patterns = [f"sweeps/*/{Names.SWEEP}", f"*/{Names.SWEEP}"]  # those with a name of their own as well
    patterns += [] if is_sweep_wanted else [f"runs/*/{Names.STATUS}", f"*/{Names.STATUS}"]
    written = [path.parent for pattern in patterns for path in outputs.glob(pattern)]
    found = [folder for folder in given if folder.is_dir()] if given else written
    if not found:
        raise CheckpointError(f"resume=latest: there is nothing to resume in {given[0] if given else outputs}")
    return max(found, key=lambda folder: (folder.stat().st_mtime, folder.name))


def _is_wanted(runs: Sequence[RunFolder], num_new: int, *, is_sweep: bool) -> bool:
    """Tell whether there is anything to train; a damaged checkpoint of a single run is refused."""
    if not is_sweep:
        (run,) = runs
        find_checkpoint(run, fingerprint(run.config))
        if run.is_finished:
            finished = f"{shorten(run.path)} has finished its {run.num_epochs_wanted} epochs"
            print(f"nothing to do: {finished}; trainer.num_epochs=N trains more")
            return False
    if any(run.config["sweep"]["dry_run"] for run in runs):
        num_unfinished = num_new + sum(not run.is_finished and run.state != "discarded" for run in runs)
        print(f"a dry run: {count(num_unfinished, 'job')} to be trained, {num_new} of them new; nothing was trained")
        return False
    return True


def _change(folder: RunFolder, lines: Sequence[str], *, is_command: bool) -> RunFolder:
    """Give a run other settings, if it may have them.

    Args:
        folder: as it is.
        lines: the overrides; they replace earlier ones of the same keys.
        is_command: whether they are all that the run's own command had.
    """
    lines = [line for line in lines if not line.startswith("sweep.") or line.startswith("sweep.dry_run=")]
    given = {line.partition("=")[0]: line for line in lines}
    kept = {key: line for line in folder.overrides if (key := line.partition("=")[0]) not in given}
    new = {key: line for key, line in given.items() if line not in folder.overrides}
    config = set_values(folder.config, [line for key, line in new.items() if key not in GROUPS])
    before, after = resolve(folder.config), resolve(config)
    check_values(after)
    options = {key: line.partition("=")[2] for key, line in new.items() if key in GROUPS}
    was = dict(flatten(folder.config)) | folder.choices
    now = dict(flatten(config)) | folder.choices | options
    changes = {key: f"{key} is {was.get(key)} there, not {now[key]}" for key in now if was.get(key) != now[key]}
    if is_command:
        changes |= {key: f"{line} is not given" for key, line in kept.items()}
    differences = [text for key, text in changes.items() if key not in CHANGEABLE and not is_neutral(key)]
    if differences:
        raise CheckpointError(
            f"{folder.path} was trained with other settings: {'; '.join(differences)}; leave them out to resume it, or "
            f"start anew in another folder (what may change: {', '.join(CHANGEABLE)}, dashboard)"
        )
    changed = dataclasses.replace(folder, config=config, overrides=[*kept.values(), *given.values()])
    if 0 < (wanted := changed.num_epochs_wanted) < len(folder.rows):
        raise CheckpointError(
            f"{folder.path}: has trained {len(folder.rows)} epochs; trainer.num_epochs={wanted} cannot undo them"
        )
    target = str(after["scheduler"]["_target_"])
    is_ours = target.startswith("fashion_softmax.learning.schedules.")
    if not (is_ours or changed.is_finished or before["scheduler"] == after["scheduler"]):
        raise CheckpointError(
            f"{folder.path}: its schedule depends on trainer.num_epochs, and {target} cannot change its settings while "
            "it runs; start anew, or keep the number of epochs"
        )
    return changed


def _write(changes: Sequence[tuple[RunFolder, RunFolder]]) -> None:
    """Write what changes into the folders of runs, but not before it is known that all can be trained."""
    is_left = len(changes) > 1  # a run that was discarded from its sweep is trained if it is resumed alone
    wanted = [after for _, after in changes if not (after.is_finished or (is_left and after.state == "discarded"))]
    problems = []
    for changed in wanted:
        try:
            Run(changed)
        except CheckpointError as problem:
            problems.append(problem)
        except FashionSoftmaxError:
            raise
        except (Exception, SystemExit):  # of the user's own parts: the run fails when it is trained
            pass
    if problems and len(problems) == len(wanted):  # if not, the others are trained, and these fail by themselves
        raise problems[0]
    for path, changed in ((before.path, changed) for before, changed in changes if changed.config != before.config):
        config, info = dump_yaml(changed.config).encode(), make_info(changed.overrides, changed.choices)
        for error in write_together({path / Names.CONFIG: config, path / Names.INFO: info}).values():
            raise error
