"""The lab file, and the supervisor that runs what it describes.

The names below can be imported from here; each is loaded when it is first asked for, as pydantic and PyYAML take longer to
load than a command line should.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab.lab.client import LabClient
    from agentlab.lab.file import LabFile, read_lab
    from agentlab.lab.lab import Lab
    from agentlab.lab.supervisor import Supervisor
    from agentlab.lab.wires import Wire

_HOMES = {
    "Lab": "lab",
    "LabClient": "client",
    "LabFile": "file",
    "Supervisor": "supervisor",
    "Wire": "wires",
    "read_lab": "file",
}

__all__ = ["Lab", "LabClient", "LabFile", "Supervisor", "Wire", "read_lab"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
