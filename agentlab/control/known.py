"""Pickles whose values may be rebuilt only from what this process has already: nothing is imported for them.

Importing a module can do things: a vendor's library may open the ports that another process drives.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from typing import Any, Final

_OURS: Final = ("agentlab", "cloudpickle")
_IMPORTING: Final = ("cloudpickle.cloudpickle", "subimport")
"""What code that travels by value calls for each module that it uses."""


def loads_known(data: bytes) -> Any:
    """Give the value of a pickle of a peer that has proved the lab's key.

    Raises:
        pickle.UnpicklingError: it needs a module that was not imported here yet, and is neither Python's own nor ours.
        Exception: as for :func:`pickle.loads`.
    """
    return _Unpickler(io.BytesIO(data)).load()


def _refuse_import(module: str) -> None:
    if module not in sys.modules and module.partition(".")[0] not in (*_OURS, *sys.stdlib_module_names):
        raise pickle.UnpicklingError(f"it needs module {module!r}, which was not imported here")


def _module(name: str) -> Any:
    _refuse_import(name)
    return importlib.import_module(name)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) == _IMPORTING:
            return _module
        _refuse_import(module)
        return super().find_class(module, name)
