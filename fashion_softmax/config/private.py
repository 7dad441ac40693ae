"""What is private in Hydra and OmegaConf, and what differs between the two generations of Hydra: all of it here.

Each private name has its reason; a test counts them.
"""

from collections.abc import Sequence
from typing import Any

import hydra
import hydra.utils
from omegaconf import OmegaConf

IS_HYDRA_1_3 = hydra.__version__.startswith("1.3")

# Hydra 1.3 warns where no version base is given, 1.4 where one is.
VERSION_BASE: dict[str, Any] = {"version_base": "1.3"} if IS_HYDRA_1_3 else {}
# What the user's own command names is trusted; what stands in a run folder is checked by `trust.py` before.
_CHECKS_OFF: Any = getattr(hydra.utils, "UNSAFE_DISABLE_EXECUTION_CHECKS", None)
TRUSTED_MAIN: dict[str, Any] = {} if IS_HYDRA_1_3 else {"execution_whitelist": _CHECKS_OFF}
# OmegaConf 2.3 had an older function of the name that 2.4 has chosen.
register_resolver: Any = OmegaConf.register_new_resolver if IS_HYDRA_1_3 else OmegaConf.register_resolver


def parse_arguments(arguments: Sequence[str]) -> tuple[Any, list[str], list[str]]:
    """Read Hydra's command line, its overrides anywhere between the options, none of which is abbreviated.

    Returns:
        The values by option and the `overrides`; what cannot be read; the long names of all options.
    """
    # Hydra reads overrides on one side of the options only, and answers an unknown option with a page of usage.
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.allow_abbrev = False
    options, unknown = parser.parse_known_intermixed_args(arguments)
    return options, unknown, [action.option_strings[0] for action in parser._actions if action.option_strings]
