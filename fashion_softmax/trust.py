"""Run folders that may be somebody else's: what their configurations name, and where their files lie.

`instantiate` calls whatever a configuration names. What stands in a run folder may therefore only name components of a
known kind that are defined where they claim to be; a path such as `torch.nn.modules.module.os.system` leads out.
"""

import importlib
import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fashion_softmax.errors import CheckpointError

FUNCTIONS = {
    *(f"fashion_softmax.data.{name}" for name in ("load_published", "load_idx", "make_synthetic")),
    *(f"fashion_softmax.schedules.{name}" for name in ("constant", "step", "exponential", "cosine")),
}
# Module -> base classes, one of which a class in it or below it must have.
CLASSES = {
    "fashion_softmax.models": ("torch.nn.Module",),
    "fashion_softmax.losses": ("fashion_softmax.losses.Loss",),
    "torch.nn": ("torch.nn.Module",),
    "torch.optim": ("torch.optim.Optimizer", "torch.optim.lr_scheduler.LRScheduler"),
}
MAX_DEPTH = 20


def check_targets(config: dict[str, Any], trusted: Sequence[str], source: Path) -> None:
    """Refuse a configuration that names anything but components; nothing of it is built or imported.

    Args:
        config: plain values, as read from a run folder.
        trusted: packages of the user's own whose components are allowed as well.
        source: the file, for messages.

    Raises:
        CheckpointError: names the key and the target.
    """
    for key, node in _nodes(config, "", 0, source):
        for name in node:
            if str(name).startswith("_") and name != "_target_":
                raise CheckpointError(f"{source}: {key}{name} is refused in a run folder")
        target = node.get("_target_")
        if target is None or _is_below(target, trusted):
            continue
        if not _is_component(str(target)):
            package = str(target).partition(".")[0]
            raise CheckpointError(
                f"{source}: {key}_target_={str(target)[:200]} is refused: it is no component of fashion-softmax, "
                f"torch.nn or torch.optim; if you know what it does, add trust={package}"
            )


def refuse_links_out(run_dir: Path) -> None:
    """Refuse a run folder with a symbolic link that leads out of it, or with anything but files and folders.

    Raises:
        CheckpointError: names the entry.
    """
    root = run_dir.resolve()
    for folder, folders, files in os.walk(run_dir):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise CheckpointError(f"{path}: is a link that leads out of the run folder; not followed")
            if not (path.is_file() or path.is_dir() or path.is_symlink()):
                raise CheckpointError(f"{path}: is neither a file nor a folder; not read")


def _nodes(value: Any, key: str, depth: int, source: Path) -> Iterator[tuple[str, dict[Any, Any]]]:
    if depth > MAX_DEPTH:
        raise CheckpointError(f"{source}: is nested too deeply")
    if isinstance(value, dict):
        yield key, value
        for name, item in value.items():
            yield from _nodes(item, f"{key}{name}.", depth + 1, source)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(item, f"{key}{index}.", depth + 1, source)


def _is_below(target: Any, packages: Sequence[str]) -> bool:
    return any(str(target).startswith(f"{package}.") for package in packages)


def _is_component(target: str) -> bool:
    if target in FUNCTIONS:
        return True
    module_name = next((name for name in CLASSES if target.startswith(f"{name}.")), None)
    if module_name is None:
        return False
    component: Any = importlib.import_module(module_name)
    for name in target.removeprefix(f"{module_name}.").split("."):
        component = getattr(component, name, None)
    # Defined where it claims to be: `torch.nn.modules.module.os.system` leads out of torch.
    if not inspect.isclass(component) or not f"{component.__module__}.".startswith(f"{module_name}."):
        return False
    return any(issubclass(component, _find_class(base)) for base in CLASSES[module_name])


def _find_class(dotted_name: str) -> type:
    module, _, name = dotted_name.rpartition(".")
    found: type = getattr(importlib.import_module(module), name)
    return found
