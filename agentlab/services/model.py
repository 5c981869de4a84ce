"""What services and daemons are to be: plain values, checked when they are made, picklable. Nothing is imported or opened."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentlab.errors import ConfigurationError, WrongAddressError, nearest
from agentlab.nameserver.registration import check_name
from agentlab.wire.address import address_to_host_port

INSTANCE_MODES = ("single", "session", "percall")
SERVER_TYPES = ("thread", "multiplex")
CONTROL_ID = "daemon"
"""Object id of a daemon's own control object: no service may be called so."""
READY_TIMEOUT = 10.0

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Packed:
    """A class and its parameters as bytes, which are read where they are used: the class may not be importable elsewhere.

    Args:
        name: Dotted name of the class, for people.
        data: The pickled pair.
    """

    name: str
    data: bytes

    def unpacked(self) -> tuple[Any, dict[str, Any]]:
        """Give class and parameters. Raises whatever importing them raises."""
        target, parameters = pickle.loads(self.data)  # noqa: S301 - from whoever started this process
        return target, parameters


@dataclass
class ServiceSpec:
    """What one service is to be.

    Args:
        name: Its name, which is its object id in URIs too: no spaces, no ``@``.
        target: The class, or ``module:Class``, which is imported in the daemon's process alone.
        parameters: Keyword arguments of the constructor, or of ``connect()`` where the class has one.
        instancemode: ``single``, ``session`` or ``percall``.
        nameservers: Where it is registered, each as ``host:port``; None: where its daemon says.
        description: One line for people.
        tags: Words by which a name server can list it.

    Raises:
        ConfigurationError: one of these cannot be.
    """

    name: str
    target: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    instancemode: str = "single"
    nameservers: list[str] | None = None
    description: str = ""
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_service_name(self.name)
        _check_target(self.name, self.target)
        what = f"of service {self.name!r}"
        if self.instancemode not in INSTANCE_MODES:
            raise ConfigurationError(
                f"instancemode {what} is {self.instancemode!r}{nearest(str(self.instancemode), INSTANCE_MODES)}"
            )
        parameters: Any = self.parameters
        if not isinstance(parameters, Mapping) or not all(isinstance(key, str) for key in parameters):
            raise ConfigurationError(f"parameters {what} must be a dict with text as keys, got {parameters!r}")
        self.parameters = dict(parameters)
        self.nameservers = checked_nameservers(self.nameservers, f"nameservers {what}")
        self.tags = _texts(self.tags, f"tags {what}")


class Service(ServiceSpec):
    """What one service is to be, for :func:`run_daemon`: ``Service(Laser, name="laser", parameters={"port": "COM3"})``.

    Args:
        target: The class, or ``module:Class``, which is imported in the daemon's process alone.
        name: Its name; empty: that of the class.
        parameters: Keyword arguments of the constructor, or of ``connect()`` where the class has one.
        instancemode: ``single``: one instance, one call at a time. ``session``: an instance for each client.
            ``percall``: one for each call.
        nameservers: Where it is registered, each as ``host:port``; None: where its daemon says; empty: nowhere.
        description: One line for people.
        tags: Words by which a name server can list it.

    Raises:
        ConfigurationError: one of these cannot be.
    """

    def __init__(
        self,
        target: Any,
        name: str = "",
        *,
        parameters: Mapping[str, Any] | None = None,
        instancemode: str = "single",
        nameservers: Iterable[Any] | None = None,
        description: str = "",
        tags: Iterable[str] = (),
    ) -> None:
        addresses: Any = nameservers
        words: Any = tags
        super().__init__(name or _name_of(target), target, dict(parameters or {}), instancemode, addresses, description, words)


@dataclass
class DaemonSpec:
    """What one daemon is to be.

    Args:
        name: Its name.
        host: Where it listens.
        port: TCP port; 0: a free one, so that its URIs change with every start.
        unixsocket: Path or plain name of a unix socket, instead of host and port.
        nathost: Host that stands in URIs, where clients reach it under another one.
        natport: Port that stands in URIs; 0: the one it listens on.
        servertype: ``thread``: a thread for each service. ``multiplex``: one thread for all services.
        nameservers: Where the daemon itself is registered; empty: only its services are.
        services: What it hosts.
        ready_timeout: Seconds that a service may take to come up before it counts as failed.
        log_json: Whether its process writes log records as JSON behind a record separator (0x1e).

    Raises:
        ConfigurationError: one of these cannot be.
    """

    name: str = "default"
    host: str = "localhost"
    port: int = 0
    unixsocket: str | None = None
    nathost: str | None = None
    natport: int = 0
    servertype: str = "thread"
    nameservers: list[str] = field(default_factory=list)
    services: list[ServiceSpec] = field(default_factory=list)
    ready_timeout: float = READY_TIMEOUT
    log_json: bool = False

    def __post_init__(self) -> None:
        check_name(self.name)
        what = f"of daemon {self.name!r}"
        if self.servertype not in SERVER_TYPES:
            raise ConfigurationError(f"servertype {what} is {self.servertype!r}{nearest(str(self.servertype), SERVER_TYPES)}")
        for key in ("port", "natport"):
            number = getattr(self, key)
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 65535:
                raise ConfigurationError(f"{key} {what} is {number!r}; allowed are 0 (any free one) to 65535")
        limit: Any = self.ready_timeout
        if not isinstance(limit, (int, float)) or not limit > 0:
            raise ConfigurationError(f"ready_timeout {what} is {limit!r}; give seconds above 0")
        self.nameservers = checked_nameservers(self.nameservers, f"nameservers {what}") or []
        self.services = list(self.services)
        names = [service.name for service in self.services]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"daemon {self.name!r} has several services called {twice[0]!r}; give each its own name")


def check_service_name(name: Any) -> str:
    """Give the name back when a service can have it.

    Raises:
        ConfigurationError: it is no text, blank, too long, reserved, or cannot stand in a URI.
    """
    check_name(name)
    if name == CONTROL_ID or not re.fullmatch(r"[^\s@]+", name):
        why = "is the daemon's own" if name == CONTROL_ID else "has a space or an '@', which cannot stand in a URI"
        raise ConfigurationError(f"no service can be called {name!r}: that {why}; choose another name")
    return str(name)


def checked_nameservers(given: Any, what: str) -> list[str] | None:
    """Give addresses of name servers as ``host:port`` texts, or None for None.

    Raises:
        ConfigurationError: that is no list of addresses.
    """
    if given is None:
        return None
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{what} must be a list of 'host:port', got {given!r}")
    addresses = []
    for one in given:
        try:
            host, port = address_to_host_port(one)
        except WrongAddressError as error:
            raise ConfigurationError(f"{what}: {error}") from None
        if host is None:
            raise ConfigurationError(f"{what}: {one!r} names no host; write 'host:port'")
        addresses.append(f"[{host}]:{port or 9090}" if ":" in host else f"{host}:{port or 9090}")
    return addresses


def class_name(target: Any) -> str:
    """Give the dotted name of the class of a target: text, a class, or an object."""
    if isinstance(target, str):
        return target.replace(":", ".")
    if isinstance(target, Packed):
        return target.name
    kind = target if isinstance(target, type) else type(target)
    return f"{kind.__module__}.{kind.__qualname__}"


def _name_of(target: Any) -> str:
    return class_name(target).rpartition(".")[2]


def _check_target(name: str, target: Any) -> None:
    if isinstance(target, str) and not _TARGET.fullmatch(target):
        raise ConfigurationError(f"the class of service {name!r} is {target!r}; write 'package.module:Class'")
    if target is None:
        raise ConfigurationError(f"service {name!r} has no class; give one, or 'package.module:Class'")


def _texts(given: Any, what: str) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{what} must be a list of texts, got {given!r}")
    return [str(one) for one in given]


__all__ = ["CONTROL_ID", "INSTANCE_MODES", "SERVER_TYPES", "DaemonSpec", "Service", "ServiceSpec"]
