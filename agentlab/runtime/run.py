"""Starting name servers, agents and loggers: one call each."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from agentlab.agent.agent import Agent
from agentlab.errors import ConfigurationError
from agentlab.logs import Logger
from agentlab.runtime.agentprocess import AgentProcess
from agentlab.runtime.nsmain import start_nameserver
from agentlab.runtime.nsproxy import NSProxy, is_gone
from agentlab.runtime.proxy import Proxy
from agentlab.settings import config
from agentlab.wire.address import SocketAddress


def run_nameserver(
    addr: Any = None, base: type[NSProxy] = NSProxy, *, detach: bool = False, start_method: str | None = None
) -> NSProxy:
    """Start a name server in a process of its own and give its handle.

    Its address is written to ``AGENTLAB_NAMESERVER_ADDRESS``, where agents and proxies of this program look.

    A second one is another, empty one: agents of the first are not found any more, and their names are free again. At a
    prompt and in a notebook, where running a line or a cell twice is a slip, that is warned of (RuntimeWarning).

    Args:
        addr: Host and port, as ``'127.0.0.1:9090'``, or a :class:`~agentlab.nameserver.config.NameServerConfig`;
            None: 127.0.0.1 and a free port.
        base: Class of the handle.
        detach: Whether it outlives this process.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.

    Raises:
        AgentStartError: it cannot serve there; the text says why (a RuntimeError).
        ConfigurationError: a config names a host that is not this machine, a directory that cannot be made, or another
            security than this program's, so that the handle could not speak with it.
    """
    security = getattr(addr, "security", None)
    if security not in (None, config["SECURITY"]):
        raise ConfigurationError(
            f"name server {addr.name!r} has security {security!r} and this program {config['SECURITY']!r}, so they could not "
            f"speak with each other; set config['SECURITY'] = {security!r} first"
        )
    if hasattr(sys, "ps1"):  # a prompt, IPython or a notebook; programs and tests may want several
        _warn_of_another()
    _, address = start_nameserver(addr, detach=detach, start_method=start_method)
    _started[:] = [address]
    return base(address)


_started: list[SocketAddress] = []
"""Where the last name server is that was started here."""


def _warn_of_another() -> None:
    for address in _started:
        if not is_gone(address):
            warnings.warn(
                f"this program runs a name server at {address} already, which a second one does not replace: its agents go on "
                f"there, unseen, and two agents may come to drive one device; use NSProxy({str(address)!r}) instead of "
                f"run_nameserver(), or end the first: NSProxy({str(address)!r}).shutdown()",
                RuntimeWarning,
                stacklevel=3,
            )


def run_agent(
    name: str = "",
    nsaddr: Any = None,
    addr: Any = None,
    base: type[Agent] = Agent,
    serializer: str | None = None,
    transport: str | None = None,
    safe: bool | None = None,
    attributes: dict[str, Any] | None = None,
    *,
    on_error: str | None = None,
    detach: bool = False,
    inline: bool = False,
    start_method: str | None = None,
    timeout: float | None = None,
    tags: tuple[str, ...] = (),
) -> Proxy:
    """Start an agent in a process of its own and give a proxy of it, running.

    Args:
        name: Its name; empty: a unique one is made up.
        nsaddr: The name server's address; None: ``AGENTLAB_NAMESERVER_ADDRESS``.
        addr: Host and port of its control daemon; None: a unix socket (127.0.0.1 where there are none).
        base: Its class; local classes and those of a notebook travel too.
        serializer: Serializer of its sockets; None: ``config['SERIALIZER']``.
        transport: Transport of its sockets; None: ``config['TRANSPORT']``.
        safe: Whether calls of this proxy are safe by default; None: ``config['SAFE']``.
        attributes: Attributes to set before ``on_init``.
        on_error: What an exception in a handler does: ``continue``, ``stop`` or ``restart`` (by this process, as long as it
            lives; five times within 10 s at most); None: what the class says.
        detach: Whether it outlives this process.
        inline: Run it in a thread of this process instead, for debuggers.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.
        timeout: Seconds that it may take to start; None: ``config['START_TIMEOUT']``.
        tags: Words by which the name server can list it.

    Raises:
        NameServerUnavailableError: no name server is known.
        AgentStartError: it failed while starting (with its traceback), died, or took too long (a RuntimeError).
    """
    if inline:
        from agentlab.runtime.inline import start_inline  # for debuggers alone

        return start_inline(name, nsaddr, addr, base, serializer, transport, attributes, on_error=on_error, tags=tags, safe=safe)
    process = AgentProcess(
        name,
        nsaddr,
        addr,
        serializer,
        transport,
        base,
        attributes,
        on_error=on_error,
        detach=detach,
        start_method=start_method,
        timeout=timeout,
        tags=tags,
    )
    process.start(run=True)
    return process.proxy(safe)


def run_logger(
    name: str = "", nsaddr: Any = None, addr: Any = None, base: type[Logger] = Logger, *, log_file: Any = None, **options: Any
) -> Proxy:
    """Start a Logger agent, which ``set_logger`` of other agents takes.

    Args:
        name: Its name; empty: a unique one is made up.
        nsaddr: As for :func:`run_agent`, like all that follows.
        addr: Where its control daemon is.
        base: Its class.
        log_file: Path of a rotating file of JSON lines that it writes too; None: what the class says.
        **options: Further options of :func:`run_agent`.

    Raises:
        AgentStartError: it failed while starting, as where the file cannot be written (a RuntimeError).
    """
    if log_file is not None:
        options["attributes"] = {**(options.get("attributes") or {}), "log_file": os.fspath(log_file)}
    return run_agent(name, nsaddr, addr, base, **options)
