"""Who listens where: two servers of one lab file must not want the same port, socket or file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.errors import WrongAddressError
from agentlab.lab.entries import NOUNS, Entry, Sources
from agentlab.lab.instruments import file_beside
from agentlab.nameserver.config import NameServerConfig, same_host
from agentlab.settings import config
from agentlab.wire.address import address_to_host_port
from agentlab.yamlfile.problems import Problems


@dataclass(frozen=True)
class Listener:
    """One place where somebody will listen.

    Attributes:
        entry: Who.
        key: Where in its entry that is said.
        what: ``tcp``, ``udp``, ``socket`` or ``file``.
        host: Host; empty for sockets and files.
        place: Port or path.
    """

    entry: Entry
    key: tuple[Any, ...]
    what: str
    host: str
    place: int | str

    def collides(self, other: Listener) -> bool:
        """Tell whether both are certainly the same place."""
        return (self.what, self.place) == (other.what, other.place) and (
            self.host == other.host or (bool(self.host and other.host) and same_host(self.host, other.host))
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.place}" if self.host else str(self.place)


def check_listeners(sources: Sources, problems: Problems) -> None:
    """Note every place that two want."""
    by_place: dict[tuple[str, int | str], list[Listener]] = {}
    implied = [] if sources["nameservers"] else [_implied(sources)]
    for entry in (*implied, *sources):
        for listener in () if entry.model is None else _listeners(entry):
            others = by_place.setdefault((listener.what, listener.place), [])
            rival = next((other for other in others if listener.collides(other)), None)
            if rival is not None and not _told_already(listener, rival):
                _tell(listener, rival, problems)
            others.append(listener)


def _implied(sources: Sources) -> Entry:
    """Give the name server of a lab whose files say nothing of any."""
    return Entry("nameservers", "default", sources.documents[0], ("nameservers", "default"), NameServerConfig())


def _told_already(listener: Listener, rival: Listener) -> bool:
    """Two name servers of one file on one port: their own reader tells that. And each port of theirs is told once."""
    both = listener.entry.section == rival.entry.section == "nameservers"
    same_file = listener.entry.document is rival.entry.document
    return both and listener.key == rival.key == ("ns_port",) and (same_file or listener.what == "udp")


def _tell(listener: Listener, rival: Listener, problems: Problems) -> None:
    entry, other = listener.entry, rival.entry
    path = (*entry.path, *listener.key)
    who = f"{NOUNS[other.section]} {other.name!r}"
    written = other.document.get(other.path[:1]) is not None
    place = f"at {other.document.mark((*other.path, *rival.key))}" if written else "as it is there by itself"
    if listener.what == "file":
        problems.add(entry.document, path, f"{who} keeps its names in {rival} too, {place}; give each its own file")
        return
    noun = "its own socket" if listener.what == "socket" else "another port, or 0 for any free one"
    problems.add(entry.document, path, f"{who} listens on {rival} too, {place}; give one of them {noun}")


def _listeners(entry: Entry) -> Iterator[Listener]:
    model = entry.model
    if entry.section == "nameservers":
        yield from _of_nameserver(entry, model)
    elif entry.section == "daemons":
        if model.unixsocket is not None:
            yield Listener(entry, ("unixsocket",), "socket", "", model.unixsocket)
        elif model.port:
            yield Listener(entry, ("port",), "tcp", model.host, model.port)
    elif entry.section == "agents":
        yield from _of_agent(entry, model)
    elif entry.section == "instruments":
        yield from _of_address(entry, ("addr",), model.addr, model.host)


def _of_nameserver(entry: Entry, model: Any) -> Iterator[Listener]:
    if model.ns_port:
        yield Listener(entry, ("ns_port",), "tcp", model.host, model.ns_port)
        yield Listener(entry, ("ns_port",), "udp", model.host, model.ns_port)
    if model.ns_bchost is not None and model.ns_bcport:
        yield Listener(entry, ("ns_bcport",), "udp", model.ns_bchost, model.ns_bcport)
    if model.storage_type != "memory" and model.storage_file is not None:
        folder = entry.document.path.resolve().parent
        yield Listener(entry, ("storage_file",), "file", "", str(file_beside(folder, model.storage_file).resolve()))


def _of_agent(entry: Entry, model: Any) -> Iterator[Listener]:
    yield from _of_address(entry, ("addr",), model.addr, model.host)
    for alias, socket in model.sockets.items():
        if (socket.transport or model.transport or config["TRANSPORT"]) == "tcp":
            yield from _of_address(entry, ("sockets", alias, "addr"), socket.addr, model.host)


def _of_address(entry: Entry, key: tuple[Any, ...], addr: str | None, host: str) -> Iterator[Listener]:
    try:
        named, port = address_to_host_port(addr)
    except WrongAddressError:  # told where it stands
        return
    if port:
        yield Listener(entry, key, "tcp", named or host, port)
