"""A name server in a process of its own: what the child runs, and how it is started."""

from __future__ import annotations

import os
import signal
import types
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from agentlab.errors import AgentLabError
from agentlab.nameserver.server import NameServer as Server
from agentlab.runtime.child import Child, ChildLink, install_quiet_interrupt, start_child
from agentlab.settings import NAMESERVER_VARIABLE, config
from agentlab.transport.ipc import sweep_stale
from agentlab.wire.address import SocketAddress, address_to_host_port

TARGET = "agentlab.runtime.nsmain:main"


def main(payload: bytes, link: ChildLink) -> None:
    """Serve names until told to stop: the child's main function.

    Args:
        payload: What :func:`dump_options` gave.
        link: Tells the starter the address, or in one line why there is none.
    """
    options: dict[str, Any] = msgpack.unpackb(payload)
    if options.get("security") is not None:
        config["SECURITY"] = options["security"]  # of this process alone; sockets of ZeroMQ know no other
    if options.get("broadcast") is not None:
        options["broadcast"] = tuple(options["broadcast"])
    try:
        _serve(Server(**options), link)
    except AgentLabError as error:
        if link.said:
            raise
        link.failed(str(error))
        raise SystemExit(1) from None


def _serve(server: Server, link: ChildLink) -> None:
    def stop(_signal: int, _frame: types.FrameType | None) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    link.on_parent_gone = server.stop
    server.run(on_ready=lambda address: link.ready(address.encode()))


def dump_options(options: Mapping[str, Any]) -> bytes:
    """Give the child's payload from the arguments of a name server: those of ``NameServerConfig.server_options()``, or some."""
    payload: bytes = msgpack.packb(dict(options))
    return payload


def launch_nameserver(
    options: Mapping[str, Any],
    *,
    name: str = "name server",
    detach: bool = False,
    start_method: str | None = None,
    on_exit: Callable[[Child], None] | None = None,
) -> tuple[Child, SocketAddress]:
    """Start a name server's process; the environment is left as it is.

    Args:
        options: Arguments of :class:`~agentlab.nameserver.server.NameServer`; plain values.
        name: Of the process, for messages and for ``top``.
        detach: Whether it outlives this process.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.
        on_exit: Called with the child when it has ended.

    Raises:
        AgentStartError: it could not serve there; the text says why, in one line.
    """

    def ended(child: Child) -> None:
        if child.exitcode != 0:  # killed: its feed's socket file is still there
            sweep_stale()
        if on_exit is not None:
            on_exit(child)

    child = start_child(TARGET, dump_options(options), name=name, detach=detach, start_method=start_method, on_exit=ended)
    return child, SocketAddress.parse(child.ready.decode())


def start_nameserver(addr: Any = None, *, detach: bool = False, start_method: str | None = None) -> tuple[Child, SocketAddress]:
    """Start a name server's process and note its address in the environment.

    Args:
        addr: A :class:`~agentlab.nameserver.config.NameServerConfig`, or host and port; None: 127.0.0.1 and a free port.
        detach: Whether it outlives this process.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.

    Raises:
        AgentStartError: it could not serve there; the text says why.
        ConfigurationError: the config cannot be followed on this machine.
    """
    install_quiet_interrupt()
    sweep_stale()  # what was left where the whole program was killed, so that nobody could clean up
    name = "name server"
    if hasattr(addr, "server_options"):  # the class itself would need pydantic, which agents' programs can do without
        addr.check_host()
        options = addr.server_options()
        name = f"name server {addr.name}"
    else:
        host, port = address_to_host_port(addr)
        options = {"host": host or "127.0.0.1", "port": port or 0}
    child, address = launch_nameserver(options, name=name, detach=detach, start_method=start_method)
    os.environ[NAMESERVER_VARIABLE] = str(address)
    return child, address
