"""The configuration: its schema, and what Hydra has to know of the project.

Below composition a configuration is a plain dictionary of the shape of `Config`. Its interpolations stay text, so that
no secret is written to a file; `resolve` fills them in where the parts of a run are built. This module does not import
torch, so that `--help` and completion stay fast.
"""

import functools
import operator
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import filterfalse
from pathlib import Path
from typing import Any, Literal, cast

from hydra.core.config_store import ConfigStore
from hydra.utils import to_absolute_path
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fashion_softmax.config.private import register_resolver
from fashion_softmax.config.settings import is_neutral, name_folder

PACKAGE_DIR = Path(__file__).parent.parent
# Beside the package in a checkout, inside it once installed.
CONFIG_DIR = next(path for path in (PACKAGE_DIR / "conf", PACKAGE_DIR.parent / "conf") if path.is_dir())

# Group -> the runtime facts its constructor gets first, by position; no YAML may set them.
COMPONENTS = {
    "dataset": (),
    "model": ("image_shape", "num_classes"),
    "loss": (),
    "optimizer": ("parameters",),
    "scheduler": ("optimizer",),
}
# What Hydra composes for a stack of a sweep: the folders of its runs, and where Hydra may put files of its own.
STACK_CONFIG = "stack_of_runs"
KEY = re.compile(r"\$\{([\w.]+)\}")  # an interpolation that is nothing but another key

PlainConfig = dict[str, Any]


@dataclass
class TrainerConfig:
    """How long to train and how often to log."""

    num_epochs: int = 10
    """Passes over the training images, at least 1; the lesson's ten."""
    log_every: int = 20
    """Steps between two points of the curve `train/step_loss`, at least 1."""


@dataclass
class SweepConfig:
    """How the jobs of a sweep are trained together; says nothing about a run."""

    dry_run: bool | Literal["json"] = False
    """Show what would be trained together and what it takes, train nothing and create nothing; `json` for programs."""
    max_stack_size: int | None = None
    """Runs that are trained as one at most, at least 1; null lets their size decide."""
    discard: list[tuple[int, float]] = field(default_factory=list)
    """Pairs: after an epoch, how many runs of each stack stay, a number or a fraction below 1; the worst leave it."""
    discard_on: Literal["val", "test"] = "val"
    """Images whose accuracy decides; with test images it is too optimistic for the runs that stay."""
    fail_fast: bool = False
    """Stop when the first run fails: its stack after that epoch, and all that have not begun; they can be resumed."""
    resume: bool = False
    """Complete the sweep in the folder: finished jobs are kept; set by `resume=` on the command line."""


@dataclass
class DashboardConfig:
    """What TensorBoard gets of a run beside its curves and hyper-parameters; says nothing about the run."""

    templates: bool = True
    """After each epoch, the weights of softmax regression as an image for each class."""
    histograms: bool = True
    """After each epoch, the distribution of each parameter."""
    confusion_matrix: bool = True
    """At the end, which classes of test images are taken for which."""
    calibration: bool = True
    """At the end, how often the model is right beside how sure it is."""
    mistakes: bool = True
    """At the end, the test images that are misclassified with most confidence."""
    text: bool = True
    """The configuration, and the overrides of the command."""
    in_sweeps: bool = False
    """Whether the jobs of a sweep record all this; if not, curves, hyper-parameters and text."""

    def of_a_sweep(self) -> "DashboardConfig":
        """Leave what the jobs of a sweep record."""
        return self if self.in_sweeps else DashboardConfig(False, False, False, False, False, self.text)


@dataclass
class Config:
    """A run: five components, named by `_target_`, and what the project itself decides."""

    dataset: Any = MISSING
    """Built without runtime facts; see `fashion_softmax.data`."""
    model: Any = MISSING
    """Built from (image_shape, num_classes)."""
    loss: Any = MISSING
    """Built without runtime facts; see `fashion_softmax.learning.losses`."""
    optimizer: Any = MISSING
    """Built from the model's parameters."""
    scheduler: Any = MISSING
    """Built from the optimizer; stepped once an epoch."""
    seed: int = 0
    """Initial weights and order of the data, 0 to 2^32 - 1."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps; auto takes the best there is."""
    dtype: Literal["float32", "float64"] = "float32"
    """Of weights and images; float64 is to compare to the last digit, at twice the time or more."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    dashboard: DashboardConfig = field(default_factory=DashboardConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)


DEFAULTS = {key: value for key, value in asdict(Config()).items() if value != MISSING}


@functools.cache  # Hydra 1.4 warns of a name that is stored twice
def register() -> None:
    """Make the stacks' configuration and the resolvers known to Hydra; may be called again."""
    stack = {
        "defaults": ["_self_", {"override hydra/job_logging": "none"}, {"override hydra/sweeper": "grid"}],
        "sweep_dir": MISSING,
        "stack": MISSING,  # its number in sweep.json
        "num_workers": MISSING,  # that train stacks at once on one machine
        "fails_fast": MISSING,  # whether all stop when the first has failed
        "hydra": {"output_subdir": None, "sweep": {"dir": "${sweep_dir}", "subdir": ".stacks/${hydra.job.num}"}},
    }
    ConfigStore.instance().store(name=STACK_CONFIG, node=stack)
    register_resolver("project_dir", project_dir)
    # Cached, since Hydra asks for the folder's name several times.
    register_resolver("unique_id", lambda: secrets.token_hex(3), use_cache=True)
    register_resolver("job_name", lambda number, lines: name_folder(f"{number:03d}", _as_written(lines)))
    register_resolver("commented_keys", _show_keys)
    register_resolver("run_suffix", lambda lines: name_folder("", filterfalse(is_neutral, _as_written(lines))))


def _show_keys(_root_: DictConfig) -> str:
    from fashion_softmax.config.explain import show_keys

    return show_keys(_root_.hydra.runtime.choices)


def _as_written(overrides: ListConfig) -> list[str]:
    # An interpolation in them may stand for a secret.
    return cast(list[str], OmegaConf.to_container(overrides, resolve=False))


def quote(text: str) -> str:
    """Write a text as a value of Hydra's command line, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def project_dir() -> str:
    """Find the folder that data and outputs belong below: the checkout, or where the user stands once installed."""
    installed = CONFIG_DIR.parent == PACKAGE_DIR
    return to_absolute_path(".") if installed else str(CONFIG_DIR.parent)


def with_defaults(config: Mapping[str, Any]) -> PlainConfig:
    """Copy a configuration, with the keys that it lacks."""
    filled = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
    for key, default in DEFAULTS.items():
        given = filled.setdefault(key, default)
        if isinstance(default, dict) and isinstance(given, dict):
            filled[key] = {**default, **given}
    return filled


def resolve(config: Mapping[str, Any]) -> PlainConfig:
    """Fill in a configuration's interpolations, and the defaults of keys that it lacks.

    Args:
        config: plain values; it is not changed.

    Returns:
        A copy without interpolations.

    Raises:
        OmegaConfBaseException: one refers to what is not there.
    """
    config = with_defaults(config)
    try:
        return {key: _fill_in(part, config) if "${" in str(part) else part for key, part in config.items()}
    # OmegaConf does all else, in 5 ms, and says which key is wrong.
    except (LookupError, TypeError, ValueError, RecursionError, OmegaConfBaseException):
        return cast(PlainConfig, OmegaConf.to_container(OmegaConf.create(config), resolve=True))


def _fill_in(value: Any, config: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: _fill_in(item, config) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_in(item, config) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    if match := KEY.fullmatch(value):
        return _fill_in(functools.reduce(operator.getitem, match[1].split("."), config), config)
    return call_resolver(value, str(Path.cwd()))


@functools.lru_cache(maxsize=256)
def call_resolver(text: str, working_dir: str) -> Any:
    """Fill in what refers to no other key, such as `${project_dir:}/data`, as long as the working folder stays."""
    return OmegaConf.to_container(OmegaConf.create([text]), resolve=True)[0]  # type: ignore[index]
