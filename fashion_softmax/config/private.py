"""What is private in Hydra and OmegaConf, and what differs between the two generations of Hydra: all of it here.

Each private name has its reason; a test counts them.
"""

from typing import Any

import hydra
import hydra.utils
from omegaconf import OmegaConf

IS_HYDRA_1_3 = hydra.__version__.startswith("1.3")

# Hydra 1.3 warns where no version base is given, 1.4 where one is.
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if IS_HYDRA_1_3 else {}
# What the user's own command names is trusted; what stands in a run folder is checked by `trust.py` before.
_CHECKS_OFF: Any = getattr(hydra.utils, "UNSAFE_DISABLE_EXECUTION_CHECKS", None)
TRUSTED: dict[str, Any] = {} if IS_HYDRA_1_3 else {"_execution_whitelist_": _CHECKS_OFF}
TRUSTED_MAIN: dict[str, Any] = {} if IS_HYDRA_1_3 else {"execution_whitelist": _CHECKS_OFF}
# OmegaConf 2.3 had an older function of the name that 2.4 has chosen.
register_resolver: Any = OmegaConf.register_new_resolver if IS_HYDRA_1_3 else OmegaConf.register_resolver


def list_options() -> list[str]:
    """List the options of Hydra's command line, such as `--multirun` and `-m`."""
    # Hydra exits with a page of usage on an unknown option; nothing public lists the known ones for a close match.
    from hydra._internal.utils import get_args_parser

    return [option for action in get_args_parser()._actions for option in action.option_strings]
