"""A name server in a process of its own: what the child runs, and how it is started."""

from __future__ import annotations

import os
import signal
import types
from typing import Any

import msgpack

from agentlab.nameserver.server import NameServer as Server
from agentlab.runtime.child import Child, ChildLink, install_quiet_interrupt, start_child
from agentlab.settings import NAMESERVER_VARIABLE
from agentlab.transport.ipc import sweep_stale
from agentlab.wire.address import SocketAddress, address_to_host_port

TARGET = "agentlab.runtime.nsmain:main"


def main(payload: bytes, link: ChildLink) -> None:
    """Serve names until told to stop: the child's main function."""
    order: dict[str, Any] = msgpack.unpackb(payload)
    server = Server(order["host"], order["port"])

    def stop(_signal: int, _frame: types.FrameType | None) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    link.on_parent_gone = server.stop
    server.run(on_ready=lambda address: link.ready(address.encode()))


def start_nameserver(addr: Any = None, *, detach: bool = False, start_method: str | None = None) -> tuple[Child, SocketAddress]:
    """Start a name server's process and note its address in the environment.

    Args:
        addr: Host and port; None: 127.0.0.1 and a free port.
        detach: Whether it outlives this process.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.

    Raises:
        AgentStartError: it could not serve there; the text says why.
    """
    install_quiet_interrupt()
    sweep_stale()  # what was left where the whole program was killed, so that nobody could clean up
    host, port = address_to_host_port(addr)
    payload = msgpack.packb({"host": host or "127.0.0.1", "port": port or 0})
    child = start_child(TARGET, payload, name="name server", detach=detach, start_method=start_method, on_exit=_sweep)
    address = SocketAddress.parse(child.ready.decode())
    os.environ[NAMESERVER_VARIABLE] = str(address)
    return child, address


def _sweep(child: Child) -> None:
    if child.exitcode != 0:  # killed: its feed's socket file is still there
        sweep_stale()
