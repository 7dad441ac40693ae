"""What trains together: jobs are sorted into stacks by the facts that the runs of a stack must share."""

import copy
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from fashion_softmax.config.building import Parts
from fashion_softmax.learning.losses import Loss
from fashion_softmax.stacking import architecture, why_alone

# On a CPU more runs than this gain nothing: the product is as fast as it gets, and its operands leave the cache.
MAX_STACK_SIZE = 64
# A run's parameters, their gradients, an optimizer's two moments and a copy to save.
TENSORS_PER_PARAMETER = 5


@dataclass(frozen=True)
class Facts:
    """What planning needs to know of a job.

    Attributes:
        shared: name to value of everything that the runs of a stack must have in common.
        architecture: of the model; shared as well.
        loss: the loss in words; members with equal losses become neighbours.
        alone: why the model cannot be stacked, None if it can.
        num_bytes: memory that the run needs in a stack.
        objective_name: what the run is judged by, `val/accuracy` or `test/accuracy`.
    """

    shared: Mapping[str, str]
    architecture: tuple[object, ...]
    loss: str
    alone: str | None
    num_bytes: int
    objective_name: str

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for jobs that can be trained together."""
        return (*self.shared.items(), self.architecture)


@dataclass(frozen=True)
class PlannedStack:
    """Jobs to train as one.

    Attributes:
        jobs: their positions, those with equal losses side by side.
        facts: of its first job; None for a job that will fail.
    """

    jobs: tuple[int, ...]
    facts: Facts | None


class FactFinder:
    """Finds the facts of jobs, trying each architecture of a model only once."""

    def __init__(self) -> None:
        self._alone: dict[tuple[object, ...], str | None] = {}
        self._drawing: dict[str, bool] = {}

    def find(self, cfg: DictConfig, parts: Parts) -> Facts:
        """Find out what a job must have in common with its company.

        Args:
            cfg: its configuration.
            parts: built from it.
        """
        model, dataset = parts.member.model, parts.dataset
        kind = architecture(model)
        if (key := (kind, parts.device.type, dataset.image_shape)) not in self._alone:
            images = torch.zeros(4, *dataset.image_shape, device=parts.device, dtype=parts.dtype).uniform_()
            self._alone[key] = why_alone(model, images)
        loss = json.dumps(OmegaConf.to_container(cfg.loss, resolve=True), sort_keys=True)
        if loss not in self._drawing:
            self._drawing[loss] = _draws(parts.member.loss_fn, dataset.num_classes)
        alone = self._alone[key] or ("its loss draws random numbers" if self._drawing[loss] else None)
        shared = {
            "seed": parts.seed,
            "device": parts.device,
            "dtype": cfg.dtype,
            "trainer.num_epochs": cfg.trainer.num_epochs,
            "model": f"{type(model).__name__} with {_num_parameters(model)} parameters",
            **{f"dataset.{name}": value for name, value in cfg.dataset.items()},
        }
        num_bytes = TENSORS_PER_PARAMETER * sum(p.numel() * p.element_size() for p in model.parameters())
        words = {name: str(value) for name, value in shared.items()}
        return Facts(words, kind, loss, alone, num_bytes, parts.objective_name)


def plan(jobs: Mapping[int, Facts | None], max_stack_size: int | None = None) -> list[PlannedStack]:
    """Sort jobs into stacks.

    Args:
        jobs: position to facts.
        max_stack_size: runs in a stack at most, at least 1; None for what is fast and fits into memory.

    Returns:
        The stacks, in the order of their first jobs. What is too large is split into equal parts.
    """
    stacks = [PlannedStack((position,), facts) for position, facts in jobs.items() if facts is None or facts.alone]
    groups: dict[tuple[object, ...], list[tuple[str, int, Facts]]] = {}
    for position, facts in jobs.items():
        if facts and not facts.alone:
            groups.setdefault(facts.key, []).append((facts.loss, position, facts))
    for group in groups.values():
        *_, facts = group[0]
        limit = max_stack_size or min(MAX_STACK_SIZE, max(1, available_memory() // 2 // max(1, facts.num_bytes)))
        num_stacks = -(-len(group) // limit)
        positions = [position for _, position, _ in sorted(group, key=lambda member: member[:2])]
        bounds = [len(group) * index // num_stacks for index in range(num_stacks + 1)]
        stacks += [PlannedStack(tuple(positions[i:j]), facts) for i, j in itertools.pairwise(bounds)]
    return sorted(stacks, key=lambda stack: min(stack.jobs))


def what_differs(stacks: Sequence[PlannedStack]) -> dict[str, list[str]]:
    """Find what keeps the jobs of a plan apart.

    Args:
        stacks: as planned.

    Returns:
        Name to the values found, for every fact that has several.
    """
    facts = [stack.facts.shared for stack in stacks if stack.facts]
    names = dict.fromkeys(name for shared in facts for name in shared)
    values = {name: list(dict.fromkeys(shared.get(name, "-") for shared in facts)) for name in names}
    return {name: found for name, found in values.items() if len(found) > 1}


def available_memory() -> int:
    """Ask the operating system how many bytes are free for a program."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: assume that half of it is taken
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _draws(loss_fn: Loss, num_classes: int) -> bool:
    """Tell whether a loss draws random numbers: others, then, in other company."""
    before = torch.get_rng_state()
    copy.deepcopy(loss_fn).value_and_gradient(torch.zeros(2, num_classes), torch.zeros(2, dtype=torch.int64))
    draws = not torch.equal(before, torch.get_rng_state())
    torch.set_rng_state(before)
    return draws


def _num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
