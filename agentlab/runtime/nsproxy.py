"""The handle of a name server, and of all agents that it knows."""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any, Self

from agentlab.errors import AgentLabError, MessageTimeoutError
from agentlab.nameserver.client import Change, NameServerClient, Registration
from agentlab.nameserver.follow import Watch
from agentlab.nameserver.places import numeric_host
from agentlab.runtime.child import Child
from agentlab.runtime.ending import Ending
from agentlab.runtime.nsmain import start_nameserver
from agentlab.runtime.proxy import Proxy
from agentlab.settings import NAMESERVER_VARIABLE
from agentlab.wire.address import SocketAddress

STEP = 0.005
STOCK_NAME = "Pyro.NameServer"
"""The name server's own name where it serves stock Pyro5 clients."""


def is_gone(address: SocketAddress) -> bool:
    """Tell whether nobody listens there any more. One that is frozen, or cannot be reached, is not known to be gone."""
    try:
        socket.create_connection((numeric_host(address.host), address.port), timeout=1.0).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


class NSProxy:
    """A remote handle of a name server. Any number of threads may use it.

    Args:
        nsaddr: Its address; None: ``AGENTLAB_NAMESERVER_ADDRESS``.
        timeout: Seconds to wait for its answer.

    Raises:
        NameServerUnavailableError: nobody answers there in time (a TimeoutError).
    """

    def __init__(self, nsaddr: Any = None, timeout: float = 3.0) -> None:
        self._names = NameServerClient(nsaddr, timeout=timeout)
        weakref.finalize(self, self._names.close).atexit = False  # handles are dropped without a word
        self._wait_for_answer(timeout)

    def _wait_for_answer(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                self._names.ping()
            except AgentLabError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(STEP)
            else:
                return

    def agents(self, *, tag: str | None = None) -> list[str]:
        """Give the names of the registered agents, sorted; with `tag` only those that have it.

        Instruments are agents too. Services and daemons are none, see :meth:`services`; what was registered by hand counts as
        one, as nobody knows better.
        """
        return sorted(self.registrations(tag=tag))

    def instruments(self, *, tag: str | None = None) -> list[str]:
        """Give the names of the registered instrument agents, sorted; with `tag` only those that have it."""
        return sorted(self.registrations("instrument", tag=tag))

    def services(self, *, tag: str | None = None) -> list[str]:
        """Give the names of the registered services, sorted; with `tag` only those that have it."""
        return sorted(self.registrations("service", tag=tag))

    def registrations(self, kind: str = "agent", **conditions: Any) -> dict[str, Registration]:
        """Give the registrations of agents with their metadata, by name.

        Args:
            kind: Of what else they are to be: ``instrument``, ``service`` or ``daemon``.
            **conditions: As for :meth:`list`, which gives everything.
        """
        found = self._names.list(**conditions).items()
        kinds = ("agent", "instrument") if kind == "agent" else (kind,)
        return {n: r for n, r in found if r.uri != "" and n != STOCK_NAME and r.metadata.get("kind", "agent") in kinds}

    def list(self, **conditions: Any) -> dict[str, str]:
        """Give name -> URI of everything registered: agents, services, daemons, and what was registered by hand.

        Args:
            **conditions: ``prefix``, ``regex``, ``tag``, ``meta_all``, ``meta_any``.
        """
        return {name: registration.uri for name, registration in self._names.list(**conditions).items()}

    def proxy(self, name: str, timeout: float = 3.0, safe: bool | None = None) -> Proxy:
        """Give a proxy of an agent, waiting up to `timeout` seconds for it."""
        return Proxy(name, self._names.address, timeout=timeout, safe=safe)

    def addr(self, agent: str | None = None, alias: str | None = None) -> Any:
        """Give the name server's own address, or the address of an agent's socket."""
        if agent is None:
            return self._names.address
        if alias is None:
            raise TypeError("addr(agent, alias) needs both; addr() gives the name server's own address")
        with self.proxy(agent) as proxy:
            return proxy.addr(alias)

    def ping(self) -> str:
        """Give ``'pong'``."""
        return self._names.ping()

    def register(self, name: str, uri: str, **options: Any) -> None:
        """Register a URI under a name, without a lease: it stays until it is removed. Options: ``metadata``, ``replace``."""
        self._names.register(name, str(uri), instance=f"manual-{uri}", **options)

    def lookup(self, name: str) -> str:
        """Give the URI of a name. Raises UnknownNameError when nobody has it."""
        return self._names.lookup(name).uri

    def remove(self, name: str, uri: str | None = None) -> bool:
        """Take a name away, with `uri` only from that holder; tell whether it was there."""
        return self._names.remove(name, uri=uri)

    def watch(self, callback: Callable[[Change], object]) -> Watch:
        """Call a function, in a thread of ours, with every registration that comes, changes or goes."""
        return self._names.watch(callback)

    def info(self) -> dict[str, Any]:
        """Give what the name server counts."""
        return self._names.info()

    # --- the end --------------------------------------------------------------------------------------------------

    def shutdown_agents(self, timeout: float = 10.0) -> None:
        """Shut every registered agent down: all are asked at once, killed after half the time; returns when they are gone.

        Args:
            timeout: Seconds until all must be gone.

        Raises:
            MessageTimeoutError: some are left; the text names them. It may be called again (a TimeoutError).
        """
        Ending(self._names, timeout).run()

    def shutdown(self, timeout: float = 10.0) -> None:
        """Shut every agent down, then the name server. Nothing is done where it has gone, so twice is fine.

        Args and Raises: as for :meth:`shutdown_agents`.
        """
        if not is_gone(self._names.address):
            self.shutdown_agents(timeout)
            self._names.shutdown()
            self._wait_until_gone(time.monotonic() + max(timeout, 1.0))
        if os.environ.get(NAMESERVER_VARIABLE) == str(self._names.address):
            del os.environ[NAMESERVER_VARIABLE]
        self.release()

    def _wait_until_gone(self, deadline: float) -> None:
        self._names.timeout = 0.5
        while time.monotonic() < deadline:
            try:
                self._names.ping()
            except AgentLabError:
                return
            time.sleep(STEP)
        raise MessageTimeoutError(f"the name server at {self._names.address} still answers after its shutdown; call it again")

    def release(self) -> None:
        """Close the connections; the next call opens one again."""
        self._names.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<NSProxy of {self._names.address}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return NSProxy, (self._names.address,)


class NameServer:
    """The process of a name server, as its starter sees it.

    Args:
        addr: Host and port, or a :class:`~agentlab.nameserver.config.NameServerConfig`; None: 127.0.0.1 and a free port.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.
        detach: Whether it outlives this process.
    """

    def __init__(self, addr: Any = None, *, start_method: str | None = None, detach: bool = False) -> None:
        self._wanted = addr
        self._options: dict[str, Any] = {"start_method": start_method, "detach": detach}
        self._child: Child | None = None
        self.addr: SocketAddress | None = None

    def start(self) -> SocketAddress:
        """Start the process; returns its address when it serves. Raises AgentStartError (a RuntimeError) when it cannot."""
        self._child, self.addr = start_nameserver(self._wanted, **self._options)
        return self.addr

    @property
    def pid(self) -> int | None:
        """Its process id, or None before it was started."""
        return None if self._child is None else self._child.pid

    def proxy(self) -> NSProxy:
        """Give its handle."""
        return NSProxy(self.addr)

    def shutdown_agents(self, timeout: float = 10.0) -> None:
        """Shut every agent down that is registered there."""
        self.proxy().shutdown_agents(timeout)

    def shutdown(self, timeout: float = 10.0) -> None:
        """Shut every agent down, then the name server; twice is fine."""
        if self.addr is None or not is_gone(self.addr):
            self.proxy().shutdown(timeout)
        self.join(timeout)

    def is_alive(self) -> bool:
        """Tell whether the process lives."""
        return self._child is not None and self._child.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, up to `timeout` seconds."""
        if self._child is not None:
            self._child.join(timeout)

    def kill(self) -> None:
        """End it now, with SIGKILL; agents go on without it."""
        if self._child is not None:
            self._child.kill()


__all__ = ["NSProxy", "NameServer"]
