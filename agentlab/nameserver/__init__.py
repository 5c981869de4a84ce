"""Finding by name: the table of leases, the server that keeps it, the client that asks it, and files that describe servers.

``read_nameserver_configs``, ``start_ns_loop`` and ``NameServerConfig`` can be imported from here; they are loaded when they
are first asked for, as agents have no need of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentlab.lazy import on_demand

if TYPE_CHECKING:
    from agentlab.nameserver.config import NameServerConfig, read_nameserver_configs
    from agentlab.nameserver.foreground import start_ns_loop
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {"NameServerConfig": ".config", "read_nameserver_configs": ".config", "start_ns_loop": ".foreground"},
    )

__all__ = ["NameServerConfig", "read_nameserver_configs", "start_ns_loop"]
