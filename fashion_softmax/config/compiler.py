"""Keeping torch's compiler out of runs that compile nothing.

Every torch optimizer imports `torch._dynamo` when it is built, only to mark itself as not to be compiled and to tell
a compiler that is not running where its graph breaks. That import takes 0.9 s, as much as half of a ten-epoch run.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch


class _IdleCompiler(ModuleType):
    """Stands for `torch._dynamo` as long as only its two markers are used; anything else imports the real one."""

    __file__ = None  # asked for by everything that walks through sys.modules

    @staticmethod
    def disable(function: Any, *args: Any, **kwargs: Any) -> Any:
        """Mark a function as not to be compiled: it stays as it is."""
        return function

    @staticmethod
    def graph_break() -> None:
        """Mark where a compiled graph ends: nothing is compiled."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def keep_compiler_idle() -> None:
    """Put the stand-in in place, unless the real one is imported already; call before building optimizers."""
    name = "torch._dynamo"
    if name not in sys.modules:
        stand_in = _IdleCompiler(name)
        stand_in.__spec__ = ModuleSpec(name, None)  # a module without one confuses importlib.util.find_spec
        sys.modules[name] = stand_in
        torch._dynamo = stand_in  # as an import would have done
