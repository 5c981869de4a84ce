"""Finding by name: the table of leases, the server that keeps it, the client that asks it, and files that describe servers.

``read_nameserver_configs``, ``start_ns_loop`` and ``NameServerConfig`` can be imported from here; they are loaded when they
are first asked for, as agents have no need of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab.nameserver.config import NameServerConfig, read_nameserver_configs
    from agentlab.nameserver.foreground import start_ns_loop

__all__ = ["NameServerConfig", "read_nameserver_configs", "start_ns_loop"]


def __getattr__(name: str) -> Any:
    if name in ("NameServerConfig", "read_nameserver_configs"):
        from agentlab.nameserver import config

        return getattr(config, name)
    if name == "start_ns_loop":
        from agentlab.nameserver.foreground import start_ns_loop

        return start_ns_loop
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
