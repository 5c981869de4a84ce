"""The services that one daemon hosts: each with its door, its URI and its names; taken in, replaced, removed. Any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from agentlab.control.daemon import ControlDaemon
from agentlab.errors import ConfigurationError, UnknownNameError, nearest
from agentlab.services.door import ServiceDoor
from agentlab.services.executor import Executor
from agentlab.services.hosted import FAILED, RUNNING, STOPPED, HostedService
from agentlab.services.model import ServiceSpec
from agentlab.services.names import Names, described


class Hosted:
    """A service with its door, which knows its URI."""

    def __init__(self, service: HostedService, door: ServiceDoor) -> None:
        self.service, self.door = service, door


class Hosting:
    """The services of one daemon.

    Args:
        daemon: The daemon's name.
        control: Where they are served.
        names: Where they are registered.
        nameservers: Addresses for services that do not say where they are registered.
        shared: The executor that all of them share; None: each has threads of its own.
    """

    def __init__(
        self, daemon: str, control: ControlDaemon, names: Names, nameservers: list[str], shared: Executor | None
    ) -> None:
        self._daemon, self._control, self._names = daemon, control, names
        self._nameservers, self._shared = nameservers, shared
        self._lock = threading.RLock()
        self._hosted: dict[str, Hosted] = {}
        self._blocked: set[str] = set()
        self._closed = False

    def add(self, spec: ServiceSpec) -> Hosted:
        """Take in a service without starting it.

        Raises:
            ConfigurationError: there is one of that name.
        """
        with self._lock:
            if spec.name in self._hosted:
                raise ConfigurationError(
                    f"daemon {self._daemon!r} has a service called {spec.name!r} already; choose another name"
                )
            service = HostedService(spec, self._shared, self._control.is_connected, self._changed)
            door = ServiceDoor(service, self._daemon, self._blocked if self._shared is not None else set())
            hosted = self._hosted[spec.name] = Hosted(service, door)
            door.serve_at(self._control.serve(spec.name, door.handle), alone=self._is_alone(spec))
        return hosted

    def put(self, spec: ServiceSpec, grace: float) -> Hosted:
        """Take in a service, or have the one of that name become what `spec` says, and begin to start it.

        Its URI stays; calls that come meanwhile wait for the new instance. Neighbours notice nothing.

        Args:
            spec: What it is to be.
            grace: Seconds that a running call has.
        """
        with self._lock:
            hosted = self._hosted.get(spec.name)
            if hosted is None:
                hosted = self.add(spec)
                begin: Callable[[], None] = hosted.service.start
            else:
                for address in set(self._addresses(hosted.service.spec)).difference(self._addresses(spec)):
                    self._names.remove(address, spec.name)
                hosted.door.serve_at(hosted.door.uri, alone=self._is_alone(spec))
                begin = lambda: hosted.service.restart(grace, spec)  # noqa: E731 - outside the lock, as it tells of its state
        begin()
        return hosted

    def remove(self, name: str, grace: float) -> dict[str, Any]:
        """End a service, and forget it; one that somebody has started again meanwhile stays.

        Returns:
            Its last row.

        Raises:
            UnknownNameError: there is none of that name.
        """
        hosted = self.find(name)
        hosted.service.stop(grace)
        row = self.row(hosted)
        with self._lock:
            if self._hosted.get(name) is hosted and hosted.service.state == STOPPED:
                del self._hosted[name]
                self._control.unserve(name)
                self._blocked.discard(hosted.door.uri)
        return row

    def all(self) -> list[Hosted]:
        """Give all of them."""
        with self._lock:
            return list(self._hosted.values())

    def find(self, name: str) -> Hosted:
        """Give one.

        Raises:
            UnknownNameError: there is none of that name.
        """
        with self._lock:
            hosted = self._hosted.get(name)
            if hosted is None:
                raise UnknownNameError(f"daemon {self._daemon!r} has no service {name!r}{nearest(str(name), self._hosted)}")
            return hosted

    def row(self, hosted: Hosted) -> dict[str, Any]:
        """Give what is to be told of one; see :meth:`Daemon.services`."""
        service = hosted.service
        names = {address: self._names.state(address, service.name) for address in self._addresses(service.spec)}
        return {"uri": hosted.door.uri, **service.row(), "dropped": hosted.door.dropped, "nameservers": names}

    def disconnected(self, connection: int) -> None:
        """Note that a client's connection has ended."""
        for hosted in self.all():
            hosted.service.disconnected(connection)

    def close(self) -> bool:
        """Register and expose nothing any more; tell whether that is new."""
        with self._lock:
            was_open, self._closed = not self._closed, True
        return was_open

    def _is_alone(self, spec: ServiceSpec) -> bool:
        """Tell whether a call of it can run while another one of it does."""
        return self._shared is None and spec.instancemode != "single"

    def _addresses(self, spec: ServiceSpec) -> list[str]:
        return self._nameservers if spec.nameservers is None else spec.nameservers

    def _changed(self, service: HostedService) -> None:
        """Register or give up a name after a change of state. Any thread."""
        with self._lock:
            hosted = self._hosted.get(service.name)
            if hosted is None or self._closed:
                return
            if service.state == RUNNING:
                self._control.expose(service.name, *hosted.door.stock_surface(), hosted.door.invoke)
            for address in self._addresses(service.spec):
                if service.state in (RUNNING, FAILED):  # of one that has failed callers are to hear why
                    self._names.register(address, service.name, hosted.door.uri, described(service.spec))
                elif service.state == STOPPED:
                    self._names.remove(address, service.name)
