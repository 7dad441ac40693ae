"""How to search, and in which space: from overrides to Optuna's distributions, and from a trial to overrides."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from fashion_softmax.config.jobs import Interval, read_space
from fashion_softmax.errors import ConfigError

Space = dict[str, BaseDistribution]
SAMPLERS = ("tpe", "random")


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """How to search.

    Attributes:
        num_trials: in all; a search that is continued may have more.
        trials_at_once: trained as stacks, before Optuna is asked again.
        sampler: `tpe` or `random`.
        seed: of the sampler, from 0 to 2^32 - 1.
    """

    num_trials: int
    trials_at_once: int
    sampler: str
    seed: int

    def __post_init__(self) -> None:
        is_possible = self.num_trials >= 1 and self.trials_at_once >= 1 and 0 <= self.seed < 2**32
        if not is_possible or self.sampler not in SAMPLERS:
            allowed = f"numbers of at least 1, a sampler of {', '.join(SAMPLERS)}, a seed from 0 to 4294967295"
            raise ConfigError(f"hydra.sweeper: expected {allowed}; found {dataclasses.asdict(self)}")


def make_space(lines: Sequence[str]) -> tuple[list[str], Space]:
    """Part overrides into those that are fixed and, by key, what Optuna chooses from."""
    fixed, searched = read_space(lines)
    if not searched:
        remedy = "give a key several values, such as optimizer.lr=interval(0.01,1)"
        raise ConfigError(f"there is nothing to search; {remedy}")
    return fixed, {key: _make_distribution(key, values) for key, values in searched.items()}


def _make_distribution(key: str, values: Interval | list[str]) -> BaseDistribution:
    if not isinstance(values, Interval):
        return CategoricalDistribution(values)
    low, high, step, is_log = values
    try:
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=is_log, step=int(step or 1))
        return FloatDistribution(low, high, log=is_log, step=step)
    except ValueError as error:
        raise ConfigError(f"{key}: cannot be searched from {low} to {high}: {error}") from error


def list_corners(fixed: Sequence[str], space: Space) -> list[list[str]]:
    """List a few jobs in which each key has its extreme values, or each of its options."""
    extremes = {
        key: list(each.choices) if isinstance(each, CategoricalDistribution) else [each.low, each.high]
        for key, each in space.items()
    }
    indices = range(max(map(len, extremes.values())))
    return [word_job(fixed, {key: each[index % len(each)] for key, each in extremes.items()}) for index in indices]


def word_job(fixed: Sequence[str], params: Mapping[str, Any]) -> list[str]:
    """Word a job as overrides."""
    texts = {key: repr(float(f"{value:.6g}")) if isinstance(value, float) else value for key, value in params.items()}
    return [*fixed, *(f"{key}={text}" for key, text in texts.items())]
