"""A daemon in this process: one port, any number of services, their names, and what tells and does something about them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from agentlab.control.daemon import ControlDaemon
from agentlab.errors import ConfigurationError
from agentlab.services.controls import ControlsDoor
from agentlab.services.executor import Executor, Job
from agentlab.services.given import default_nameservers
from agentlab.services.hosted import FAILED, start_error
from agentlab.services.hosting import Hosted, Hosting
from agentlab.services.model import CONTROL_ID, READY_TIMEOUT, DaemonSpec, Service, ServiceSpec, class_name
from agentlab.services.names import Names
from agentlab.settings import config
from agentlab.transport.ipc import IpcClaim, ipc_path

log = logging.getLogger("agentlab.services")

GRACE = 5.0
"""Seconds that a running call has when its service or its daemon ends."""
REGISTER_PATIENCE = 0.5
"""Seconds that a start waits for names to be registered; they are registered later as well."""


class Daemon:
    """Serves objects of any class to other processes, from this one. All methods may be called by any thread.

    ``with Daemon("optics") as daemon: daemon.register(Laser, "laser"); daemon.serve()`` serves until :meth:`stop` or Ctrl-C.
    It answers from its start on; :meth:`serve` only waits. To have it in a process of its own, use :func:`run_daemon`.

    Args:
        name: Its name.
        host: Where it listens: this machine alone, unless security is ``none``.
        port: TCP port; 0: a free one. With a port of its own its services have the same URIs after each start.
        unixsocket: Path or plain name of a unix socket, instead of host and port.
        nathost: Host that stands in URIs, where clients reach it under another one.
        natport: Port that stands in URIs; 0: the one it listens on.
        servertype: ``thread``: a thread for each service. ``multiplex``: one thread for all services.
        nameservers: Where services that do not say otherwise are registered, each as ``host:port``;
            None: ``AGENTLAB_NAMESERVER_ADDRESS`` where that is set.
        register_self: Name servers at which the daemon itself is registered too.
        ready_timeout: Seconds that a service may take to come up before it counts as failed.

    Raises:
        ConfigurationError: one of these cannot be.
        RefusedError: other machines could connect, and they have no keys.
        OSError: ``Address already in use``, ``Permission denied`` and the like.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        host: str = "localhost",
        port: int = 0,
        unixsocket: str | None = None,
        nathost: str | None = None,
        natport: int = 0,
        servertype: str = "thread",
        nameservers: Iterable[Any] | None = None,
        register_self: Iterable[Any] = (),
        ready_timeout: float = READY_TIMEOUT,
    ) -> None:
        own: Any = register_self
        spec = DaemonSpec(name, host, port, unixsocket, nathost, natport, servertype, own, [], ready_timeout)
        self._build(spec, default_nameservers(nameservers))

    @classmethod
    def from_spec(cls, spec: DaemonSpec) -> Daemon:
        """Give a daemon as a spec says; its services are not started yet, see :meth:`start_all`."""
        daemon = cls.__new__(cls)
        daemon._build(spec, default_nameservers(None))
        return daemon

    def _build(self, spec: DaemonSpec, nameservers: list[str]) -> None:
        self.spec = spec
        self.name = spec.name
        self.grace = GRACE
        self._names = Names(spec.name)
        self._shared = Executor(f"daemon-{spec.name}") if spec.servertype == "multiplex" else None
        self._stop_asked = threading.Event()
        self._stack = contextlib.ExitStack()
        try:
            self._control = self._open()
            self._stack.callback(self._control.close)
            self._hosting = Hosting(spec.name, self._control, self._names, nameservers, self._shared)
            self._control.on_disconnect(lambda peer: self._hosting.disconnected(peer.connection))
            self.uri = self._control.serve(CONTROL_ID, ControlsDoor(self).handle)
            self._control.every(config["LEASE"] / 3, self._names.beat)
            self._control.start()
        except BaseException:
            self._stack.close()
            raise
        for address in spec.nameservers:
            self._names.register(address, self.name, self.uri, {"kind": "daemon", "class": class_name(type(self))})

    def _open(self) -> ControlDaemon:
        spec = self.spec
        name = f"daemon-{spec.name}"
        if spec.unixsocket is None:
            advertise = (spec.nathost or "", spec.natport) if spec.nathost or spec.natport else None
            return ControlDaemon(host=spec.host, port=spec.port, name=name, advertise=advertise)
        path = spec.unixsocket if Path(spec.unixsocket).is_absolute() else ipc_path(spec.unixsocket)
        self._stack.callback(IpcClaim(path).release)
        return ControlDaemon(unixsocket=path, name=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Daemon {self.name!r} at {self._control.location}>"

    # --- services -------------------------------------------------------------------------------------------------

    def register(
        self,
        target: Any,
        name: str = "",
        *,
        parameters: Mapping[str, Any] | None = None,
        instancemode: str = "single",
        nameservers: Iterable[Any] | None = None,
        description: str = "",
        tags: Iterable[str] = (),
    ) -> str:
        """Serve objects of a class, and wait until the service runs.

        Args:
            target: The class, ``module:Class``, or an object that is there already (which is not closed at the end).
            name: The service's name; empty: that of the class.
            parameters: Keyword arguments of the constructor, or of ``connect()`` where the class has one.
            instancemode: ``single``, ``session`` or ``percall``.
            nameservers: Where it is registered; None: as the daemon says; empty: nowhere.
            description: One line for people.
            tags: Words by which a name server can list it.

        Returns:
            Its URI.

        Raises:
            AgentStartError: it has failed, and why. It stays listed, and :meth:`restart_service` tries again.
            ConfigurationError: one of these cannot be, or the name is taken here.
        """
        spec = Service(
            target,
            name,
            parameters=parameters,
            instancemode=instancemode,
            nameservers=nameservers,
            description=description,
            tags=tags,
        )
        if not isinstance(target, (str, type)) and instancemode != "single":
            raise ConfigurationError(
                f"service {spec.name!r} is one object, so its instancemode is 'single', not {instancemode!r}"
            )
        hosted = self._hosting.add(spec)
        hosted.service.start()
        if not hosted.service.wait_up(self.spec.ready_timeout):
            raise start_error(hosted.service)
        self.wait_registered(REGISTER_PATIENCE)
        return hosted.door.uri

    def start_all(self) -> None:
        """Start the services of the spec side by side; returns when each runs or has failed, at the latest when it should."""
        for spec in self.spec.services:
            self._hosting.add(spec).service.start()
        deadline = time.monotonic() + self.spec.ready_timeout
        for hosted in self._hosting.all():
            if not self._stop_asked.is_set():
                hosted.service.wait_up(deadline - time.monotonic())
        self.wait_registered(REGISTER_PATIENCE)

    def services(self) -> dict[str, dict[str, Any]]:
        """Give a row for each service.

        Returns:
            Name to ``state`` (``running``, ``failed``, ...), ``uri``, ``reason``, ``class``, ``instancemode``,
            ``nameservers`` (address to ``registered`` or why not), ``since`` (seconds since 1970), ``queue`` (calls that
            wait), ``running`` (what runs, for how many seconds), ``instances``, ``dropped``, ``description``, ``tags``.
        """
        return {hosted.service.name: self._hosting.row(hosted) for hosted in self._hosting.all()}

    def start_service(self, name: str) -> dict[str, Any]:
        """Start a service that has stopped or failed; returns when it runs.

        Returns:
            Its row of :meth:`services`.

        Raises:
            UnknownNameError: there is none of that name.
            AgentStartError: it does not run, and why.
        """
        hosted = self._hosting.find(name)
        if hosted.service.state == FAILED:
            return self.restart_service(name)
        hosted.service.start()
        return self._up(hosted)

    def stop_service(self, name: str) -> dict[str, Any]:
        """End a service: its running call has some seconds, its name is given up. Its neighbours go on.

        Returns:
            Its row of :meth:`services`.

        Raises:
            UnknownNameError: there is none of that name.
        """
        hosted = self._hosting.find(name)
        hosted.service.stop(self.grace)
        self._names.wait_removed(name, REGISTER_PATIENCE)
        return self._hosting.row(hosted)

    def restart_service(self, name: str) -> dict[str, Any]:
        """End a service and start it again; calls that come meanwhile wait. Returns and raises as :meth:`start_service`."""
        hosted = self._hosting.find(name)
        hosted.service.restart(self.grace)
        return self._up(hosted)

    def put_service(self, spec: ServiceSpec) -> dict[str, Any]:
        """Take in a service and start it, or have the one of that name become what `spec` says; returns when it runs.

        The others go on. A service that is replaced keeps its URI: calls that come meanwhile wait for the new instance. Its
        module is imported once in the life of a process: for a change of its code, start the daemon again.

        Returns:
            Its row of :meth:`services`.

        Raises:
            AgentStartError: it does not run, and why. It stays listed.
        """
        return self._up(self._hosting.put(spec, self.grace))

    def remove_service(self, name: str) -> dict[str, Any]:
        """End a service as :meth:`stop_service` does, and serve nothing of that name any more.

        Returns:
            Its last row.

        Raises:
            UnknownNameError: there is none of that name.
        """
        row = self._hosting.remove(name, self.grace)
        self._names.wait_removed(name, REGISTER_PATIENCE)
        return row

    def vitals(self) -> dict[str, Any]:
        """Give what the daemon's process does, and how its services are."""
        return ControlsDoor(self).vitals()

    def ready(self) -> dict[str, dict[str, Any]]:
        """Give state, URI and reason of each service, for whoever starts the daemon."""
        return {name: {key: row[key] for key in ("state", "uri", "reason")} for name, row in self.services().items()}

    # --- its life -------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Wait until the daemon is asked to stop, then stop it. Ctrl-C asks too."""
        try:
            self.wait()
        except KeyboardInterrupt:
            log.info("daemon %r is interrupted", self.name)
        finally:
            self.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the daemon is asked to stop; tell whether it is."""
        deadline = None if timeout is None else time.monotonic() + timeout
        # In steps where signals have to be seen: a wait without end cannot be interrupted on some systems.
        while not self._stop_asked.wait(1.0 if deadline is None else max(min(1.0, deadline - time.monotonic()), 0.0)):
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True

    def ask_stop(self) -> None:
        """Have :meth:`serve` stop the daemon; returns at once. Also for signal handlers."""
        self._stop_asked.set()

    def stop(self, grace: float | None = None) -> None:
        """Give up the names, let the running calls end, close the objects and the port. Twice is fine.

        Args:
            grace: Seconds that running calls have, all together; None: 5.
        """
        if not self._hosting.close():
            return
        self._stop_asked.set()
        deadline = time.monotonic() + (self.grace if grace is None else grace)
        self._names.begin_close()
        stopping = [
            threading.Thread(target=hosted.service.stop, args=(max(deadline - time.monotonic(), 0.0),), daemon=True)
            for hosted in self._hosting.all()
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
        self._names.close()
        if self._shared is not None:
            self._shared.post(Job("stopping", self, lambda: None), last=True)
        self._stack.close()

    def wait_registered(self, timeout: float) -> bool:
        """Wait until each name was tried once at each name server; tell whether they were."""
        return self._names.wait(timeout)

    # --- inside ---------------------------------------------------------------------------------------------------

    def _up(self, hosted: Hosted) -> dict[str, Any]:
        if not hosted.service.wait_up(self.spec.ready_timeout):
            raise start_error(hosted.service)
        self.wait_registered(REGISTER_PATIENCE)
        return self._hosting.row(hosted)
