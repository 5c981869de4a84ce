"""What carries out the supervisor's commands with real processes, and tells what became of them."""

from __future__ import annotations

import functools
import logging
import os
import secrets
import threading
from collections.abc import Callable
from typing import Any, Protocol

import cloudpickle

from agentlab.agent.pulse import PulseState, read_pulse
from agentlab.errors import AgentLabError, AgentStartError, CommunicationError, RefusedError
from agentlab.lab.cleaning import Cleaner, Remains
from agentlab.lab.file import LabFile
from agentlab.lab.house import House
from agentlab.lab.life import Life
from agentlab.lab.messages import Event, Post, Start
from agentlab.lab.specs import agent_spec, daemon_spec, instrument_agent_spec, nameserver_places, service_fields, told_address
from agentlab.lab.units import Unit
from agentlab.runtime import agentmain, nsmain
from agentlab.runtime.child import Child, start_child
from agentlab.transport.ipc import ipc_path
from agentlab.wire.address import SocketAddress

log = logging.getLogger(__name__)

_ANOTHER_PORT = "choose another port"
"""How a name server ends what it says of a port that is taken."""


class Writers(Protocol):
    """Where units' output goes: a logbook."""

    def open(self, unit: str) -> tuple[int, int]:
        """Give descriptors for stdout and stderr, which the caller closes when the process has them."""
        ...


class ProcessBackend:
    """The real backend: a thread for each start, children of this process for units.

    Args:
        lab: The lab.
        logbook: Where the units' output goes; None: where this process's goes.
    """

    def __init__(self, lab: LabFile, logbook: Writers | None = None) -> None:
        self._lab = lab
        self._logbook = logbook
        self._post: Post = _ignore
        self._lives: dict[str, Life] = {}
        self._addresses = nameserver_places(lab)
        self._ports: dict[str, int] = {}
        self._cleaner: Cleaner | None = None

    def begin(self, post: Post) -> None:
        """See :class:`~agentlab.lab.backend.Backend`."""
        self._post = post
        if self._cleaner is None:
            self._cleaner = Cleaner()

    def use(self, lab: LabFile) -> None:
        """See :class:`~agentlab.lab.backend.Backend`."""
        self._lab = lab
        self._addresses |= nameserver_places(lab)
        lives = list(self._lives.values())
        for host in lives:
            if host.house is None or host.is_over:
                continue
            kept = [name for name in lab.services if _is_in(lab, name, host)]
            asked = [life.unit.bare for life in lives if life.host is host and not life.is_over]  # these end when told to
            if strangers := host.house.without((*kept, *asked)):
                self._beside(self._forget_services, host, strangers)

    def address(self, nameserver: str) -> str | None:
        """See :class:`~agentlab.lab.backend.Backend`."""
        return self._addresses.get(nameserver)

    def start(self, command: Start, unit: Unit) -> None:
        """See :class:`~agentlab.lab.backend.Backend`."""
        life = self._lives[unit.name] = Life(unit, command.incarnation, self._post)
        ways: dict[str, Callable[[Life, LabFile], None]] = {
            "nameserver": self._start_nameserver,
            "agent": self._start_agent,
            "instrument": self._start_agent,
            "service": self._start_service,
            "daemon": functools.partial(self._start_daemon, children=command.children),
        }
        self._beside(self._start, life, ways[unit.kind], self._lab)

    def stop(self, name: str, incarnation: int) -> None:
        """See :class:`~agentlab.lab.backend.Backend`."""
        life = self._life(name, incarnation)
        if life is not None and life.unit.kind == "service":
            life.end("stop")
            self._beside(self._stop_service, life)
        elif life is not None:
            life.end("stop")

    def kill(self, name: str, incarnation: int) -> None:
        """See :class:`~agentlab.lab.backend.Backend`. A service that does not stop is given up; its daemon goes on."""
        life = self._life(name, incarnation)
        if life is not None and life.unit.kind == "service":
            life.failed("it was stopped while it started")
            life.exited(None)
        elif life is not None:
            life.end("kill")

    def pulse(self, name: str, incarnation: int) -> PulseState | None:
        """See :class:`~agentlab.lab.backend.Backend`."""
        life = self._life(name, incarnation)
        return None if life is None or life.pulse_path is None else read_pulse(life.pulse_path)

    def close(self, timeout: float) -> None:
        """See :class:`~agentlab.lab.backend.Backend`."""
        cleaner, self._cleaner = self._cleaner, None
        if cleaner is not None:
            cleaner.close(timeout)

    def _life(self, name: str, incarnation: int) -> Life | None:
        life = self._lives.get(name)
        return life if life is not None and life.incarnation == incarnation else None

    def _beside(self, function: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=function, args=args, name="agentlab-lab-start", daemon=True).start()

    # --- in threads of their own --------------------------------------------------------------------------------------

    def _start(self, life: Life, how: Callable[[Life, LabFile], None], lab: LabFile) -> None:
        try:
            life.check_wanted()
            how(life, lab)
        except AgentLabError as error:
            self._clean(life)
            life.failed(str(error))
        except Exception as error:
            log.exception("%s could not be started", life.unit.name)
            self._clean(life)
            life.failed(f"{life.unit.name} could not be started: {type(error).__name__}: {error}")

    def _child(self, life: Life, target: str, payload: bytes) -> Child:
        """Start the process of a unit; returns when it is ready."""
        unit = life.unit
        outputs = (None, None) if self._logbook is None else self._logbook.open(unit.name)
        try:
            child = start_child(
                target,
                payload,
                name=unit.name,
                timeout=unit.start_timeout,
                on_exit=lambda ended: self._ended(life, ended),
                stdout=outputs[0],
                stderr=outputs[1],
            )
        finally:
            _close(*outputs)
        life.child = child
        return child

    def _ended(self, life: Life, child: Child) -> None:
        life.exited(child.exitcode)
        for hosted in list(self._lives.values()):
            if hosted.host is life:  # also one that has moved to another daemon, which is not known as this one's any more
                hosted.exited(None)
        if child.exitcode != 0 or life.left_its_socket():
            self._clean(life)

    def _clean(self, life: Life) -> None:
        if self._cleaner is not None:
            self._cleaner.clean(*life.remains)

    def _start_nameserver(self, life: Life, lab: LabFile) -> None:
        name = life.unit.bare
        config = lab.nameservers[name]
        config.check_host()
        options = config.server_options()
        if config.ns_port == 0 and name in self._ports:
            options["port"] = self._ports[name]  # who knows it knows it by its first port
        try:
            child = self._child(life, nsmain.TARGET, nsmain.dump_options(options))
        except AgentStartError as error:
            raise AgentStartError(in_the_files_words(str(error), name)) from None
        address = SocketAddress.parse(child.ready.decode())
        if config.ns_port == 0:
            self._ports[name] = address.port
        self._addresses[name] = told_address(address)
        life.started(pid=child.pid, uri=f"PYRO:Pyro.NameServer@{address}", address=self._addresses[name])

    def _start_agent(self, life: Life, lab: LabFile) -> None:
        name, is_instrument = life.unit.bare, life.unit.kind == "instrument"
        model = lab.instruments[name] if is_instrument else lab.agents[name]
        nameserver = self._address_of(life, model.nameserver)
        instance = secrets.token_hex(8)
        life.remains = (Remains(nameserver, name, instance=instance),)
        pulse = None if life.unit.hang_timeout is None else ipc_path(f"pulse-{instance}")
        spec = (instrument_agent_spec if is_instrument else agent_spec)(
            lab,
            name,
            SocketAddress.parse(nameserver),
            instance=instance,
            pulse=pulse,
            log_json=self._logbook is not None,
        )
        child = self._child(life, agentmain.TARGET, agentmain.dump_spec(spec))
        ready: agentmain.Ready = cloudpickle.loads(child.ready)
        life.pulse_path, life.uri = pulse, ready.uri
        life.started(pid=child.pid, uri=ready.uri, address=nameserver)

    def _start_daemon(self, life: Life, lab: LabFile, *, children: tuple[str, ...]) -> None:
        from agentlab.runtime import daemonmain

        names = [child.partition("/")[2] for child in children]
        given = {name: service_fields(lab, name, self._addresses) for name in names}
        spec = daemon_spec(lab, life.unit.bare, self._addresses, given.values())
        spec.log_json = self._logbook is not None
        child = self._child(life, daemonmain.TARGET, daemonmain.dump_daemon(spec))
        ready: daemonmain.DaemonReady = cloudpickle.loads(child.ready)
        life.uri, life.house = ready.uri, House(life.unit.bare, ready.uri, given, ready.services)
        life.started(pid=child.pid, uri=ready.uri)

    def _start_service(self, life: Life, lab: LabFile) -> None:
        name, host = life.unit.bare, self._lives[life.unit.parent or ""]
        life.come_to(host)
        assert host.house is not None  # a unit starts when its parent is up
        try:
            row = host.house.start(name, service_fields(lab, name, self._addresses), life.unit.start_timeout)
        except RefusedError:
            life.needs_parent()
            return
        if row["state"] != "running":
            raise AgentStartError(str(row["reason"] or f"the service {name!r} is {row['state']}"))
        life.started(pid=host.child.pid if host.child else None, uri=row["uri"])
        if life.end_asked:  # which may have come to the daemon before the start has
            self._stop_service(life)

    def _stop_service(self, life: Life) -> None:
        host, name = life.host, life.unit.bare
        if host is None or host.house is None:
            return  # it has not come to its daemon yet, and does not any more
        stop = host.house.stop if _is_in(self._lab, name, host) else host.house.forget
        try:
            stop(name, life.unit.stop_timeout)
        except CommunicationError as error:
            log.warning("%s did not say that it has stopped: %s", life.unit.name, error)
            return  # its daemon's end tells, or it is given up after its time
        except AgentLabError as error:
            log.warning("%s: %s", life.unit.name, error)
        life.failed("it was stopped while it started")
        life.exited(0)

    def _forget_services(self, host: Life, names: list[str]) -> None:
        assert host.house is not None
        for name in names:
            try:
                host.house.forget(name, host.unit.stop_timeout)
            except AgentLabError as error:  # then it is served until its daemon ends
                log.warning("service/%s, which is not in the lab any more: %s", name, error)

    def _address_of(self, life: Life, nameserver: str) -> str:
        address = self._addresses.get(nameserver)
        if address is None:
            raise AgentStartError(f"{life.unit.name} needs name server {nameserver!r}, and nobody knows where that is; start it")
        return address


def in_the_files_words(text: str, nameserver: str) -> str:
    """Give why a name server did not start, with the cure for a port that is taken as it is written in the lab file."""
    cure = f"choose another ns_port; nameservers: {{{nameserver}: {{ns_port: 0}}}} takes any free one"
    return text.replace(_ANOTHER_PORT, cure)


def _is_in(lab: LabFile, service: str, host: Life) -> bool:
    """Tell whether a lab has a service in the daemon that lives there."""
    model = lab.services.get(service)
    return model is not None and model.daemon == host.unit.bare


def _ignore(event: Event) -> None:
    """Take an event before anybody wants any."""
    log.debug("nobody hears of %r", event)


def _close(*descriptors: int | None) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)
