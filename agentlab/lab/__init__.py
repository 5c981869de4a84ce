"""The lab file, and the supervisor that runs what it describes.

The names below can be imported from here; each is loaded when it is first asked for, as pydantic and PyYAML take longer to
load than a command line should.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentlab.lazy import on_demand

if TYPE_CHECKING:
    from agentlab.lab.client import LabClient
    from agentlab.lab.file import LabFile, read_lab
    from agentlab.lab.lab import Lab
    from agentlab.lab.supervisor import Supervisor
    from agentlab.lab.wires import Wire
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "Lab": ".lab",
            "LabClient": ".client",
            "LabFile": ".file",
            "Supervisor": ".supervisor",
            "Wire": ".wires",
            "read_lab": ".file",
        },
    )

__all__ = ["Lab", "LabClient", "LabFile", "Supervisor", "Wire", "read_lab"]
