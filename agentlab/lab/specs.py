"""From the models of the lab file to what processes are given: specs of agents, daemons and services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agentlab.lab.file import LabFile
from agentlab.lab.hosts import is_here
from agentlab.lab.instruments import BASE, instrument_spec
from agentlab.lab.places import lab_places
from agentlab.lab.process_model import ProcessModel
from agentlab.lab.units import LONGEST
from agentlab.lab.wires import connections
from agentlab.runtime.agentmain import Spec, WireSpec
from agentlab.services.model import DaemonSpec, ServiceSpec
from agentlab.transport.network import outward_address
from agentlab.wire.address import SocketAddress

_THIS_MACHINE_ALONE = ("localhost", "127.0.0.1", "::1")


def agent_spec(
    lab: LabFile, name: str, nsaddr: SocketAddress, *, instance: str, pulse: str | None = None, log_json: bool = False
) -> Spec:
    """Give what an agent is to be.

    Args:
        lab: Where it is described.
        name: Its name.
        nsaddr: Where its name server is.
        instance: Random text of this incarnation.
        pulse: Path of its pulse file.
        log_json: Whether its log goes to a logbook.
    """
    model = lab.agents[name]
    return Spec(
        name,
        nsaddr,
        _listens_at(model),
        model.class_,
        model.serializer,
        model.transport,
        dict(model.attributes),
        model.on_error,
        run=True,
        tags=tuple(model.tags),
        instance=instance,
        sockets={alias: socket.model_dump(exclude_none=True) for alias, socket in model.sockets.items()},
        wires=[WireSpec(made.server, made.alias, made.handler) for made in connections(lab.wires, name)],
        pulse=pulse,
        log_json=log_json,
    )


def instrument_agent_spec(
    lab: LabFile, name: str, nsaddr: SocketAddress, *, instance: str, pulse: str | None = None, log_json: bool = False
) -> Spec:
    """Give what the agent of an instrument is to be; arguments as of :func:`agent_spec`.

    Raises:
        DriverError: the file says something of it that cannot be.
    """
    model = lab.instruments[name]
    return Spec(
        name,
        nsaddr,
        _listens_at(model),
        BASE,
        model.serializer,
        model.transport,
        {"instrument": instrument_spec(name, model, lab.interlocks.get(name, ()), lab_places(lab.path).latches).to_dict()},
        run=True,
        tags=tuple(model.tags),
        instance=instance,
        pulse=pulse,
        log_json=log_json,
    )


def _listens_at(model: ProcessModel) -> str | None:
    """Give where a process answers calls; None: at a unix socket."""
    host = outward_address() if model.host == "public" else model.host
    return model.addr or (None if host in _THIS_MACHINE_ALONE else f"{host}:0")


def daemon_spec(lab: LabFile, name: str, addresses: Mapping[str, str], services: Iterable[Mapping[str, Any]]) -> DaemonSpec:
    """Give what a daemon is to be.

    Args:
        lab: Where it is described.
        name: Its name.
        addresses: Where the name servers are, by name.
        services: What it is to host from the beginning: see :func:`service_fields`.
    """
    model = lab.daemons[name]
    return DaemonSpec(
        name=name,
        host=outward_address() if model.host == "public" else model.host,
        port=model.port,
        unixsocket=model.unixsocket,
        nathost=model.nathost,
        natport=model.natport,
        servertype=model.servertype,
        nameservers=[addresses[each] for each in model.nameservers if each in addresses],
        services=[ServiceSpec(**fields) for fields in services],
        ready_timeout=max(0.5, 0.8 * min(model.start_timeout, LONGEST)),
    )


def service_fields(lab: LabFile, name: str, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Give the fields of a service's spec, as plain values."""
    model = lab.services[name]
    return {
        "name": name,
        "target": model.target,
        "parameters": dict(model.parameters),
        "instancemode": model.instancemode,
        "nameservers": [addresses[each] for each in model.nameservers if each in addresses],
        "description": model.description,
        "tags": list(model.tags),
    }


def told_address(address: SocketAddress) -> str:
    """Give the address that others on this machine can use of one where somebody listens."""
    if address.host in ("0.0.0.0", "*"):  # noqa: S104 - compared, not bound
        return f"127.0.0.1:{address.port}"
    return str(address)


def nameserver_places(lab: LabFile) -> dict[str, str]:
    """Give where the name servers of other machines are, by name: as the file says."""
    return {
        name: str(SocketAddress(config.host, config.ns_port))
        for name, config in lab.nameservers.items()
        if not is_here(config.host)
    }
