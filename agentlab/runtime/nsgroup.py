"""Several name servers side by side, each in a process of its own, started and ended together."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from agentlab.errors import AgentLabError
from agentlab.nameserver.config import NameServerConfig, same_host
from agentlab.nameserver.foreground import explain
from agentlab.runtime.child import Child
from agentlab.runtime.nsmain import launch_nameserver
from agentlab.wire.address import SocketAddress

END_GRACE = 5.0
"""Seconds that name servers have to end by themselves."""


@dataclass(frozen=True)
class Served:
    """A name server that serves.

    Args:
        name: Its name.
        address: Where.
        instead_of: The port that the file gave it, where another of the file has that; None: it has its own.
        holder: Who has that port.
    """

    name: str
    address: SocketAddress
    instead_of: int | None = None
    holder: str = ""


class NameServerGroup:
    """The name servers of one file. For one thread, but for :meth:`stop`.

    Where several want the same host and port, the first has it and the others take free ones. Those come first whose host
    need not be looked up in the network, which may take long.

    Args:
        configs: What to serve.
    """

    def __init__(self, configs: Iterable[NameServerConfig]) -> None:
        self._configs = sorted(configs, key=lambda config: _needs_lookup(config.host))
        self._children: dict[str, Child] = {}
        self._stopping = False
        # A signal handler may run in any line of ours, so it may not wait for a lock: it sends a byte.
        self._waker, self._wake_end = socket.socketpair()
        self._waker.setblocking(False)
        self._wake_end.setblocking(False)
        self.served: dict[str, Served] = {}
        self.failed: dict[str, AgentLabError] = {}
        self.crashed: dict[str, int] = {}

    def start(self, on_served: Callable[[Served], object] | None = None) -> None:
        """Start them all; what came of each stands in :attr:`served` and :attr:`failed`. Blocks until all are decided.

        Args:
            on_served: Called with each as soon as it serves.
        """
        for config in self._configs:
            if self._stopping:
                return
            try:
                config.check_host()
                served = self._start(config)
            except AgentLabError as error:
                self.failed[config.name] = error
            else:
                self.served[config.name] = served
                if on_served is not None:
                    on_served(served)

    def _start(self, config: NameServerConfig) -> Served:
        options, holder = self._options(config)
        try:
            child, address = launch_nameserver(options, name=f"name server {config.name}", on_exit=self._wake)
        except AgentLabError as error:
            raise explain(config, error) from None
        self._children[config.name] = child
        return Served(config.name, address, config.ns_port if holder else None, holder)

    def _options(self, config: NameServerConfig) -> tuple[Mapping[str, Any], str]:
        options = config.server_options()
        for other in self._configs:
            if other is config:
                break
            taken = other.name in self.served and self.served[other.name].instead_of is None
            if taken and config.ns_port == other.ns_port != 0 and same_host(config.host, other.host):
                return {**options, "port": 0}, other.name
        return options, ""

    def _wake(self, _child: Child | None = None) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody waits
            self._waker.send(b"w")

    def wait(self, on_crash: Callable[[str, int], object] | None = None) -> None:
        """Wait until :meth:`stop`, or until all of them have ended.

        Args:
            on_crash: Called with name and exit code (negative: the signal) of each that ends by itself and not well.
        """
        while not self._stopping:
            ended = [name for name, child in self._children.items() if child.exitcode and name not in self.crashed]
            for name in ended:
                self.crashed[name] = self._children[name].exitcode or 0
                if on_crash is not None:
                    on_crash(name, self.crashed[name])
            if not any(child.is_alive() for child in self._children.values()):
                return
            select.select([self._wake_end], [], [])
            with contextlib.suppress(BlockingIOError):
                self._wake_end.recv(4096)

    def stop(self) -> None:
        """Ask :meth:`start` or :meth:`wait` to return. From any thread or a signal handler; twice is fine."""
        self._stopping = True
        self._wake()

    def close(self) -> None:
        """End them all; returns when they are gone. Twice is fine."""
        alive = [child for child in self._children.values() if child.is_alive()]
        for child in alive:
            child.terminate()
        for child in alive:
            if not child.join(END_GRACE):
                child.kill()
                child.join(END_GRACE)
        self._waker.close()
        self._wake_end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _needs_lookup(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host not in ("localhost", "public", "*")
    return False
