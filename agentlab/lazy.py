"""Public names of a package that are loaded when they are first asked for.

A process loads what it uses and no more: an agent needs no pydantic, ``agentlab ls`` no agent, a caller no VISA.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__``.

    Both are assigned where a type checker does not look: it reads the imports under ``TYPE_CHECKING``, and so tells a
    name that does not exist.

    Args:
        package: The package's ``__name__``.
        homes: Public name -> the module that defines it; ``.module`` is one below the package.

    Returns:
        ``__getattr__`` and ``__dir__``. A name that was once asked for is kept in the package: the next access is as quick
        as any other.
    """

    def find(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home, package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return find, names
