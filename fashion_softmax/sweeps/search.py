"""Search: Optuna asks for a batch of trials, they are trained as a grid is, and Optuna is told what came out.

The journal in the sweep's folder has all that Optuna knows, the runs' folders have all else: from there a killed search
continues.
"""

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from fashion_softmax.config.settings import name_folder
from fashion_softmax.dashboard.console import count
from fashion_softmax.errors import CheckpointError, ConfigError, SweepError
from fashion_softmax.runs.folder import JOURNAL, is_sweep, list_runs, set_aside_earlier
from fashion_softmax.runs.interruption import remember_signals
from fashion_softmax.runs.lock import claim
from fashion_softmax.runs.records import RunFolder, read_folder
from fashion_softmax.sweeps.display import show_plan
from fashion_softmax.sweeps.grid import Launch, report, train_all
from fashion_softmax.sweeps.planning import Compose, make_plan, write_plan
from fashion_softmax.sweeps.space import SearchOptions, Space, list_corners, make_space, word_job

NOT_KEPT = ("sweep.dry_run=", "sweep.fail_fast=", "sweep.resume=")  # of the overrides; all others make the search


def search(
    lines: Sequence[str],
    compose: Compose,
    sweep_dir: Path,
    launch: Launch,
    options: SearchOptions,
    num_workers: int = 1,
) -> None:
    """Search for the setting with the best objective, or continue the search in the folder.

    Args:
        lines: overrides; those with several values span the space.
        compose: makes a job of its overrides.
        sweep_dir: absolute.
        launch: see `grid.sweep`.
        options: how.
        num_workers: processes that train stacks at once.

    Raises:
        ConfigError: there is no such space, none of its jobs can be run, or the folder has another search.
        SweepError: some runs failed; all trials were made.
        Interrupted: by a signal; finished epochs are saved.
    """
    fixed, space = make_space(lines)
    plans = [make_plan([job], compose) for job in list_corners(fixed, space)]  # a wrong key ends it before it begins
    if plans[0].options.dry_run:
        print(f"a dry run: {options.num_trials} trials, {options.trials_at_once} at once; nothing was trained")
        return
    with claim(sweep_dir):
        study, problem, is_known = _open_study(sweep_dir, lines, options), "", True
        while is_known and not problem:
            with remember_signals() as raise_if_interrupted:  # a trial that is half asked would be lost
                numbers = _ask(study, space, options)
                _write_missing(study, numbers, fixed, compose, sweep_dir, num_workers)
                raise_if_interrupted()
            if not numbers:
                break
            folders = _find_folders(sweep_dir)
            if runs := {number: read_folder(folders[number]) for number in numbers if number in folders}:
                problem = train_all(sweep_dir, list(runs.values()), launch)
            told = [_tell(study, number, run.read_again()) for number, run in runs.items()]
            is_known = all(told)
            _show_progress(study, options)
        folders = _find_folders(sweep_dir)
        failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
        refused = [trial for trial in failed if trial.number not in folders and trial.params.keys() == space.keys()]
        if not folders:
            raise ConfigError("no trial can be run; the lines above say why")
        try:
            report(sweep_dir, [read_folder(path) for path in folders.values()], problem)
        finally:
            _show_importance(study)
        if refused:
            raise SweepError(f"{count(len(refused), 'trial')} could not be run; the others are complete")


def _open_study(sweep_dir: Path, lines: Sequence[str], options: SearchOptions) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    path = sweep_dir / JOURNAL
    if not path.exists():
        set_aside_earlier(sweep_dir, list_runs(sweep_dir) if is_sweep(sweep_dir) else ())
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)  # Optuna's, left by a kill; the folder is ours alone
    with _explain_damage(path):
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(study_name="search", storage=storage, direction="maximize", load_if_exists=True)
    own = [line for line in lines if not line.startswith(NOT_KEPT)]
    if (before := study.user_attrs.get("lines", own)) != own:
        raise ConfigError(f"{path}: is the journal of another search: {' '.join(before)}; choose another folder")
    study.set_user_attr("lines", own)
    study.set_user_attr("options", dataclasses.asdict(options))
    return study


def read_options(sweep_dir: Path) -> tuple[list[str], SearchOptions]:
    """Read the overrides and the options of the search in a folder, which may come from other people.

    Raises:
        CheckpointError: it has no journal of a search, or one that is damaged or gives Hydra options.
    """
    path = sweep_dir / JOURNAL
    if not path.is_file():
        raise CheckpointError(f"{sweep_dir}: is no search; leave out hydra/sweeper=search")
    with _explain_damage(path):
        study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(path))))
        lines, options = study.user_attrs["lines"], SearchOptions(**study.user_attrs["options"])
        if any(line.lstrip("+~").startswith("hydra") for line in lines):
            raise ValueError("a search's own settings do not begin with hydra")
    return lines, options


@contextlib.contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:  # Optuna has none of its own
        raise CheckpointError(f"{path}: is damaged; start the search anew") from error


def _ask(study: optuna.Study, space: Space, options: SearchOptions) -> list[int]:
    """Ask for the trials of the batch under way, or of the next one; returns their numbers."""
    waiting = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.params.keys() == space.keys():
            waiting.append(trial.number)
        else:  # a kill came while it was asked
            study.tell(trial.number, state=TrialState.FAIL)
    num_asked, size = len(study.trials), options.trials_at_once
    for number in range(num_asked, min(options.num_trials, (min([*waiting, num_asked]) // size + 1) * size)):
        seed = (options.seed * 2**16 + number) % 2**32  # so that a search draws the same after a kill
        liar = {"seed": seed, "constant_liar": True}  # trials of a batch keep away from each other
        is_random = options.sampler == "random"
        study.sampler = optuna.samplers.RandomSampler(seed) if is_random else optuna.samplers.TPESampler(**liar)
        waiting.append(study.ask(space).number)
    return waiting


def _write_missing(
    study: optuna.Study, numbers: Sequence[int], fixed: list[str], compose: Compose, sweep_dir: Path, num_workers: int
) -> None:
    """Write the folders of trials that have none; a trial that cannot be run has failed."""
    known, trials, missing = _find_folders(sweep_dir), study.get_trials(deepcopy=False), {}
    for number in numbers:
        if number not in known:
            job = word_job(fixed, trials[number].params)
            try:
                make_plan([job], compose)
                missing[name_folder(f"{number:03d}", word_job([], trials[number].params))] = job
            except ConfigError as error:
                print(f"trial {number} cannot be run: {error}")
                study.tell(number, state=TrialState.FAIL)
    if missing:
        plan = make_plan(list(missing.values()), compose, num_workers, list(missing))
        show_plan(plan.stacks, plan.facts)
        write_plan(sweep_dir, plan)


def _find_folders(sweep_dir: Path) -> dict[int, Path]:
    """Find the runs' folders by the numbers of their trials, with which their names begin."""
    paths = list_runs(sweep_dir) if is_sweep(sweep_dir) else []
    return {int(path.name.partition("_")[0]): path for path in paths}


def _tell(study: optuna.Study, number: int, run: RunFolder) -> bool:
    """Tell Optuna what became of a trial, if that is known yet."""
    if run.is_finished:
        study.tell(number, float(run.result["objective"]))
    elif run.state == "discarded":
        study.tell(number, state=TrialState.PRUNED)
    elif run.state in ("failed", "diverged"):
        study.tell(number, state=TrialState.FAIL)
    else:
        return False
    return True


def _show_progress(study: optuna.Study, options: SearchOptions) -> None:
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    complete = [trial for trial in done if trial.state == TrialState.COMPLETE]
    best = f", best {100 * max(trial.value or 0 for trial in complete):.2f} %" if complete else ""
    print(f"{len(done)} of {options.num_trials} trials{best}", flush=True)


def _show_importance(study: optuna.Study) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):  # of few trials
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (ValueError, RuntimeError):  # too few trials
        return
    print("importance    " + ", ".join(f"{key} {value:.2f}" for key, value in found.items()))
