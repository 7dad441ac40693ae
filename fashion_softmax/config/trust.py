"""Run folders from other people: what their configurations may name, and where their files lie.

Building calls whatever a configuration names, and a resolver such as `oc.env` reads the environment. What stands
in a run folder may therefore only name components of a known kind that are defined where they claim to be (a path such
as `torch.nn.modules.module.os.system` leads out), and use no resolver but those of our own configurations.
"""

import importlib
import inspect
import operator
import os
import pkgutil
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from fashion_softmax.config.checking import check_values
from fashion_softmax.config.explain import translate
from fashion_softmax.config.schema import PlainConfig, register, resolve, with_defaults
from fashion_softmax.config.settings import flatten
from fashion_softmax.errors import CheckpointError, ConfigError, one_line
from fashion_softmax.files import Names, load_yaml, read_bounded

FUNCTIONS = {
    *(f"fashion_softmax.data.{name}" for name in ("load_published", "load_idx", "load_folder", "make_synthetic")),
    *(f"fashion_softmax.learning.schedules.{name}" for name in ("constant", "step", "exponential", "cosine")),
}
# Module -> base classes, one of which a class in it or below it must have.
CLASSES = {
    "fashion_softmax.learning.models": ("torch.nn.Module",),
    "fashion_softmax.learning.losses": ("fashion_softmax.learning.losses.Loss",),
    "fashion_softmax.learning.optimizers": ("torch.optim.Optimizer",),
    "torch.nn": ("torch.nn.Module",),
    "torch.optim": ("torch.optim.Optimizer", "torch.optim.lr_scheduler.LRScheduler"),
}
RESOLVERS = ("project_dir",)


def split_trust(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a command's arguments into the packages and resolvers that it trusts, by `trust=a,b`, and all others."""
    given = [line.removeprefix("trust=").strip("[]").split(",") for line in arguments if line.startswith("trust=")]
    others = [line for line in arguments if not line.startswith("trust=")]
    return [name for names in given for name in names if name], others


def read_trusted_config(run_dir: Path, trusted: Sequence[str]) -> PlainConfig:
    """Read the configuration of a run that may come from other people, and refuse what cannot be one of ours.

    Args:
        run_dir: the run's folder.
        trusted: see `check_config`.

    Returns:
        A configuration of the shape of `schema.Config`, interpolations unresolved; all its values are allowed.

    Raises:
        CheckpointError: it cannot be read, names what is refused, or has a value that is not allowed.
    """
    path = run_dir / Names.CONFIG
    register()
    try:
        content = load_yaml(read_bounded(path))
        check_config(content, trusted, path)
        config = with_defaults(content)
        check_values(resolve(config))
    except (ConfigError, OSError, ValueError, RecursionError, OmegaConfBaseException) as error:
        reason = translate(error) or f"cannot be read: {one_line(error)}"
        raise CheckpointError(f"{path}: {reason}") from error
    return config


def check_config(config: Any, trusted: Sequence[str], source: Path) -> None:
    """Refuse a configuration that names or reads anything but components and its own values; nothing of it is built.

    Args:
        config: plain values, as read from a run folder.
        trusted: packages of the user's own whose components are allowed as well, and names of resolvers.
        source: the file, for messages.

    Raises:
        CheckpointError: names the key and what is refused.
    """
    if not isinstance(config, dict):
        raise CheckpointError(f"{source}: is no configuration")
    packages = tuple(f"{package}." for package in trusted)
    for key, value in flatten(config, into_lists=True):
        text, names = str(value), key.split(".")
        is_target = names[-1] == "_target_"
        if any(name.startswith("_") for name in names[: -1 if is_target else None]):
            raise CheckpointError(f"{source}: {key} is refused in a run folder")
        if isinstance(value, str) and (resolver := _find_resolver(value, trusted)):
            remedy = f"it uses {resolver}; if you know the run, add trust={resolver}"
        elif is_target and not (text.startswith(packages) or _is_component(text)):
            remedy = (
                "it is no component of fashion-softmax, torch.nn or torch.optim; if you know what it does, add "
                f"trust={(package := text.partition('.')[0])}, from Python trusted=['{package}']"
            )
        else:
            continue
        raise CheckpointError(f"{source}: {key}={text[:200]} is refused: {remedy}")


def refuse_links_out(run_dir: Path) -> None:
    """Refuse a run folder with a symbolic link that leads out of it, or with anything but files and folders.

    Raises:
        CheckpointError: names the entry.
    """
    root = os.path.realpath(run_dir)
    for folder, folders, files in os.walk(run_dir):
        for name in (*folders, *files):
            path = Path(folder, name)
            target = Path(os.path.realpath(path))
            if path.is_symlink() and (target.is_symlink() or not target.is_relative_to(root)):
                raise CheckpointError(f"{path}: is a link that leads out of the run folder, or to itself; not followed")
            if not (path.is_file() or path.is_dir() or path.is_symlink()):
                raise CheckpointError(f"{path}: is neither a file nor a folder; not read")


def _find_resolver(text: str, trusted: Sequence[str]) -> str | None:
    """Find what an interpolation calls that it may not; `${trainer.num_epochs}` calls nothing."""
    for rest in text.split("${")[1:]:
        match = re.match(r"\s*([\w.\[\]-]*)\s*([:}])", rest)
        if match is None:
            return "a nested interpolation"
        if match[2] == ":" and match[1] not in (*RESOLVERS, *trusted):
            return match[1]
    return None


def _is_component(target: str) -> bool:
    module = next((name for name in CLASSES if target.startswith(f"{name}.")), None)
    if target in FUNCTIONS or module is None:
        return target in FUNCTIONS
    try:
        component = operator.attrgetter(target.removeprefix(f"{module}."))(importlib.import_module(module))
    except AttributeError:
        return False
    # Defined where it claims to be: `torch.nn.modules.module.os.system` leads out of torch.
    is_inside = inspect.isclass(component) and f"{component.__module__}.".startswith(f"{module}.")
    return is_inside and issubclass(component, tuple(map(pkgutil.resolve_name, CLASSES[module])))
