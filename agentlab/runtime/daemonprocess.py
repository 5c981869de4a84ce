"""Daemons' processes as their starter sees them: started, asked, ended."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from agentlab.errors import AgentLabError, AgentStartError, ConnectError, UnknownNameError, nearest
from agentlab.nameserver.places import nameserver_address
from agentlab.runtime.calling import Caller
from agentlab.runtime.child import Child, install_quiet_interrupt, start_child
from agentlab.runtime.daemonmain import TARGET, DaemonReady, dump_daemon, packed
from agentlab.runtime.proxy import Proxy
from agentlab.services.given import Services, default_nameservers, listed, registered_at
from agentlab.services.model import CONTROL_ID, READY_TIMEOUT, DaemonSpec, ServiceSpec, checked_nameservers
from agentlab.transport.ipc import sweep_stale


class DaemonProcess:
    """The process of one daemon, as its starter sees it. Any thread.

    Made by :func:`run_daemon`. It ends with the program that started it.

    Args:
        spec: What it is to be.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.
        timeout: Seconds that it may take to start; None: ``config['START_TIMEOUT']``, and more if its services may.
        detach: Whether it outlives this process.
    """

    def __init__(
        self, spec: DaemonSpec, *, start_method: str | None = None, timeout: float | None = None, detach: bool = False
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.nameservers: list[str] | None = None
        """Where services that come later, and do not say otherwise, are registered; None: as the environment says."""
        self._options: dict[str, Any] = {"start_method": start_method, "timeout": timeout, "detach": detach}
        self._child: Child | None = None
        self._ready: DaemonReady | None = None
        self._caller: Caller | None = None

    def start(self) -> Self:
        """Start the process; returns when each service runs or has failed.

        Raises:
            AgentStartError: it cannot serve, died or took too long; nothing of it is left (a RuntimeError). Or it runs.
            ConfigurationError: a class or its parameters cannot be sent to another process.
        """
        if self.is_alive():
            raise AgentStartError(f"daemon {self.name!r} was started already and lives; shut it down first")
        install_quiet_interrupt()
        options = dict(self._options)
        if options["timeout"] is None:
            from agentlab.settings import config

            options["timeout"] = max(config["START_TIMEOUT"], self.spec.ready_timeout + 10.0)
        self._child = start_child(TARGET, dump_daemon(self.spec), name=self.name, on_exit=self._on_exit, **options)
        self._ready = pickle.loads(self._child.ready)
        self._caller = Caller(self.name, self._ready.uri, None, kind="daemon")
        return self

    def _on_exit(self, child: Child) -> None:
        if child.exitcode != 0:  # killed: its socket file may still be there
            sweep_stale()
            path = Path(self.spec.unixsocket or "")
            if path.is_absolute():
                sweep_stale(path.parent)

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def uri(self) -> str:
        """The URI of its control object.

        Raises:
            AgentStartError: it was not started.
        """
        return self._started().uri

    @property
    def pid(self) -> int | None:
        """Its process id, or None before it was started."""
        return None if self._child is None else self._child.pid

    @property
    def exitcode(self) -> int | None:
        """How it ended (negative: by which signal), or None."""
        return None if self._child is None else self._child.exitcode

    def is_alive(self) -> bool:
        """Tell whether the process lives."""
        return self._child is not None and self._child.is_alive()

    def __repr__(self) -> str:
        return f"<DaemonProcess {self.name!r}, pid {self.pid}, {'alive' if self.is_alive() else 'not running'}>"

    # --- its services ---------------------------------------------------------------------------------------------

    def services(self) -> dict[str, dict[str, Any]]:
        """Give for each service its row: ``state``, ``uri``, ``reason`` and more, see :meth:`Daemon.services`.

        Raises:
            CommunicationError: the daemon does not answer.
        """
        return self._ask("services")

    def start_service(self, name: str) -> dict[str, Any]:
        """Start a service that has stopped or failed; returns its row when it runs.

        Raises:
            UnknownNameError: there is none of that name.
            AgentStartError: it does not run, and why.
        """
        return self._ask("start_service", name)

    def stop_service(self, name: str) -> dict[str, Any]:
        """End a service; its running call has some seconds, and its neighbours go on. Returns its row."""
        return self._ask("stop_service", name)

    def restart_service(self, name: str) -> dict[str, Any]:
        """End a service and start it again; calls that come meanwhile wait. Returns and raises as :meth:`start_service`."""
        return self._ask("restart_service", name)

    def put_service(self, service: ServiceSpec) -> dict[str, Any]:
        """Take in a service and start it, or replace the one of that name; the others go on. Returns its row when it runs.

        ``daemon.put_service(Service(Laser, name="laser"))``. Its module is imported once in the life of a process: for a
        change of its code, start the daemon again.

        Raises:
            AgentStartError: it does not run, and why. It stays listed.
            ConfigurationError: its class or parameters cannot be sent to another process.
            RefusedError: where SECURITY is ``none`` anybody may call a daemon, so it takes in no code.
        """
        spec = packed(registered_at(default_nameservers(self.nameservers), service))
        row = self._ask("put_service", **vars(spec))
        self.spec.services = [*(one for one in self.spec.services if one.name != spec.name), spec]
        self._started().services[spec.name] = row
        return row

    def remove_service(self, name: str) -> dict[str, Any]:
        """End a service, and serve nothing of that name any more; its neighbours go on. Returns its last row.

        Raises:
            UnknownNameError: there is none of that name.
        """
        row = self._ask("remove_service", name)
        self.spec.services = [one for one in self.spec.services if one.name != name]
        self._started().services.pop(name, None)
        return row

    def vitals(self) -> dict[str, Any]:
        """Give what its process does: processor seconds, bytes of memory, calls that wait, states of the services."""
        return self._ask("vitals")

    def proxy(self, service: str) -> Proxy:
        """Give a proxy of a service. It asks a name server again where one lists the service.

        Raises:
            UnknownNameError: there is none of that name.
            AgentStartError: the daemon was not started.
        """
        ready = self._started()
        if service not in ready.services:
            raise UnknownNameError(f"daemon {self.name!r} has no service {service!r}{nearest(str(service), ready.services)}")
        spec = next((one for one in self.spec.services if one.name == service), None)
        known = spec.nameservers if spec is not None and spec.nameservers is not None else default_nameservers(None)
        address = nameserver_address(known[0]) if known else None
        return Proxy._made(service, ready.services[service]["uri"], address, None)

    # --- its end --------------------------------------------------------------------------------------------------

    def shutdown(self, timeout: float = 10.0) -> None:
        """End it: names are given up, running calls get some seconds, objects are closed. Twice is fine.

        Args:
            timeout: Seconds until it is killed.
        """
        if self._child is None:
            return
        self._child.terminate()
        if not self._child.join(timeout):
            self._child.kill()
            self._child.join(5.0)
        if self._caller is not None:
            self._caller.close()

    def terminate(self) -> None:
        """Ask it to end, as :meth:`shutdown` does; returns at once."""
        if self._child is not None:
            self._child.terminate()

    def kill(self) -> None:
        """End it now, with SIGKILL: no object is closed, its names end with their leases."""
        if self._child is not None:
            self._child.kill()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end, up to `timeout` seconds; tell whether it has ended."""
        return self._child is None or self._child.join(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _started(self) -> DaemonReady:
        if self._ready is None:
            raise AgentStartError(f"daemon {self.name!r} has not been started; call start()")
        return self._ready

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._started()
        assert self._caller is not None
        try:
            return self._caller.call(method, args, kwargs, safe=False)  # type: ignore[no-any-return]
        except ConnectError as error:
            if self.is_alive():
                raise
            raise ConnectError(f"daemon {self.name!r} has ended (exit code {self.exitcode}); start() it again") from error


def run_daemon(
    name: str = "default",
    services: Services = (),
    *,
    nameservers: Iterable[Any] | None = None,
    host: str = "localhost",
    port: int = 0,
    unixsocket: str | os.PathLike[str] | None = None,
    nathost: str | None = None,
    natport: int = 0,
    servertype: str = "thread",
    register_self: Iterable[Any] = (),
    ready_timeout: float = READY_TIMEOUT,
    timeout: float | None = None,
    start_method: str | None = None,
    detach: bool = False,
) -> DaemonProcess:
    """Start a daemon in a process of its own, with services of any classes.

    ``run_daemon("optics", {"laser": Laser, "stage": Stage})``, or ``run_daemon("optics", [Service(Laser, name="laser")])``.
    A service that cannot start is ``failed`` in ``services()``, with the reason; its neighbours serve.

    Args:
        name: Its name.
        services: Name to class (or ``module:Class``, or :class:`Service`), or a list of :class:`Service`.
        nameservers: Where services that do not say otherwise are registered, each as ``host:port``;
            None: ``AGENTLAB_NAMESERVER_ADDRESS`` where that is set; empty: nowhere, clients then use URIs.
        host: Where it listens: this machine alone, unless security is ``none``.
        port: TCP port; 0: a free one. With a port of its own its services have the same URIs after each start.
        unixsocket: Path or plain name of a unix socket, instead of host and port.
        nathost: Host that stands in URIs, where clients reach it under another one.
        natport: Port that stands in URIs; 0: the one it listens on.
        servertype: ``thread``: a thread for each service. ``multiplex``: one thread for all services.
        register_self: Name servers at which the daemon itself is registered too.
        ready_timeout: Seconds that a service may take to come up before it counts as failed.
        timeout: Seconds that the process may take to start; None: ``config['START_TIMEOUT']`` or more.
        start_method: ``forkserver`` or ``spawn``; None: ``config['START_METHOD']``.
        detach: Whether it outlives this process.

    Raises:
        AgentStartError: it cannot serve there, died or took too long; the text says why (a RuntimeError).
        ConfigurationError: a name, an option or a class cannot be.
    """
    default = default_nameservers(nameservers)
    path = None if unixsocket is None else os.fspath(unixsocket)
    spec = DaemonSpec(
        name,
        host,
        port,
        path,
        nathost,
        natport,
        servertype,
        checked_nameservers(register_self, "register_self") or [],
        [registered_at(default, one) for one in listed(services)],
        ready_timeout,
    )
    process = DaemonProcess(spec, timeout=timeout, start_method=start_method, detach=detach)
    process.nameservers = default
    return process.start()


__all__ = ["CONTROL_ID", "AgentLabError", "DaemonProcess", "run_daemon"]
