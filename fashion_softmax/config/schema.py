"""The configuration: its schema, and building the objects it names.

Nothing below this module knows Hydra or OmegaConf; it gets plain values. This module does not import torch, so that
`--help` and completion stay fast.
"""

import dataclasses
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.instantiate._instantiate2 import _resolve_target
from hydra.core.config_store import ConfigStore
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, OmegaConf

from fashion_softmax.config.names import job_name, run_suffix
from fashion_softmax.errors import ConfigError

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

SPECIAL_KEYS = {"_args_", "_convert_", "_partial_", "_recursive_"}  # of Hydra's instantiate


@dataclasses.dataclass
class TrainerConfig:
    """How long to train and how often to log."""

    num_epochs: int = 10
    """Passes over the training images, at least 1; the lesson's ten."""
    log_every: int = 20
    """Steps between two points of the curve `train/step_loss`, at least 1."""
    save_every: int | None = None
    """Steps between two checkpoints inside an epoch, at least 1; null saves at the end of each epoch only."""


@dataclasses.dataclass
class SweepConfig:
    """How the jobs of a sweep are trained together; says nothing about a run."""

    dry_run: bool = False
    """Show what would be trained together, train nothing and create nothing."""
    max_stack_size: int | None = None
    """Runs that are trained as one at most, at least 1; null lets the machine's memory decide."""
    resume: bool = False
    """Go on with the sweep that is in the folder: finished jobs are kept; set by `resume=` of the command line."""


@dataclasses.dataclass
class DashboardConfig:
    """What TensorBoard gets of a run beside its curves and hyper-parameters; says nothing about the run."""

    templates: bool = True
    """After each epoch, the weights of softmax regression as an image for each class."""
    histograms: bool = True
    """After each epoch, the distribution of each parameter."""
    confusion_matrix: bool = True
    """At the end, which classes of test images are taken for which."""
    mistakes: bool = True
    """At the end, the test images that are misclassified with most confidence."""
    pr_curves: bool = True
    """At the end, precision against recall for each class of test images."""
    text: bool = True
    """The configuration, and what of it differs from the defaults."""
    graph: bool = False
    """The model's graph."""
    in_sweeps: bool = False
    """Whether the jobs of a sweep record all this; if not, curves, hyper-parameters and text."""


@dataclasses.dataclass
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
    dtype: str = "float32"
    """Of weights and images, float32 or float64; the latter to compare to the last digit, at twice the time or more."""
    trainer: TrainerConfig = dataclasses.field(default_factory=TrainerConfig)
    dashboard: DashboardConfig = dataclasses.field(default_factory=DashboardConfig)
    sweep: SweepConfig = dataclasses.field(default_factory=SweepConfig)


def register() -> None:
    """Make the schema and the resolvers of `conf/config.yaml` known to Hydra; may be called again."""
    ConfigStore.instance().store(name="config_schema", node=Config)
    OmegaConf.register_new_resolver("project_dir", project_dir, replace=True)
    # Cached, since Hydra asks for the folder's name several times.
    OmegaConf.register_new_resolver("unique_id", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    OmegaConf.register_new_resolver("job_name", job_name, replace=True)
    OmegaConf.register_new_resolver("run_suffix", run_suffix, replace=True)


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a configuration as the command line would, for scripts and tests.

    Args:
        overrides: such as `loss=huber` and `optimizer.lr=0.5`.

    Returns:
        A configuration of the shape of `Config`, without Hydra's part.
    """
    register()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIG_DIR)):
        return hydra_compose("config", overrides=list(overrides))


def without_hydra(config: DictConfig) -> DictConfig:
    """Copy what belongs to the job out of a full configuration, leaving Hydra's part."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def project_dir() -> str:
    """Find the folder that data and outputs belong below: the checkout, or where the user stands once installed."""
    installed = CONFIG_DIR.parent == PACKAGE_DIR
    return str(Path.cwd() if installed else CONFIG_DIR.parent)


def build(node: DictConfig, key: str, *runtime_args: Any) -> Any:
    """Build the component a configuration node names.

    Args:
        node: with a `_target_` and its keyword arguments.
        key: the node's dotted key, for messages.
        *runtime_args: facts only known now, passed first and by position; see `COMPONENTS`.

    Raises:
        ConfigError: the constructor refuses a value with a ValueError, TypeError or RuntimeError.
    """
    kwargs = cast(dict[str, Any], OmegaConf.to_container(node, resolve=True))
    try:
        if "{" in str(list(kwargs.values())) or SPECIAL_KEYS.intersection(kwargs):
            return instantiate(kwargs, *runtime_args, _convert_="all")
        # What instantiate comes down to where no component is inside another, without the millisecond it takes.
        target = _resolve_target(kwargs.pop("_target_"), key)  # refuses what Hydra's policy does not allow
        return target(*runtime_args, **kwargs)
    except Exception as error:
        # Hydra wraps what a constructor raises; its own message would only name the target.
        cause = (isinstance(error, InstantiationException) and error.__cause__) or error
        if isinstance(cause, ValueError | TypeError | RuntimeError) and "alloc" not in str(cause):
            separator = "." if re.match(r"\w+=", str(cause)) else ": "
            raise ConfigError(f"{key}{separator}{cause}") from error
        if isinstance(cause, Exception) and cause is not error:
            raise cause from None
        raise
