"""The links of one agent by alias, and how each kind of them is bound and connected."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from agentlab.agent.channels import AsyncRepLink, AsyncReqLink, SyncPubLink, SyncSubLink
from agentlab.agent.link import Desk, Link
from agentlab.agent.pipes import PullLink, PushLink
from agentlab.agent.pubsub import PubLink, SubLink
from agentlab.agent.reqrep import RepLink, ReqLink
from agentlab.errors import AliasError, WrongAddressError, nearest
from agentlab.transport.security import check_serializer
from agentlab.transport.sockets import Socket
from agentlab.wire.address import (
    AgentAddress,
    AgentAddressSerializer,
    AgentAddressTransport,
    SocketAddress,
    address_to_host_port,
)
from agentlab.wire.channel import AgentChannel
from agentlab.wire.kinds import AgentAddressKind, AgentChannelKind, guess_kind, shown

Address = AgentAddress | AgentChannel


@dataclass(frozen=True)
class Where:
    """What a socket is to be: where it listens, how it is written, how much it queues."""

    transport: AgentAddressTransport
    serializer: AgentAddressSerializer
    addr: Any = None
    host: str = "127.0.0.1"
    hwm: int | None = None
    advertise: str | None = None

    def place(self) -> SocketAddress | str | None:
        """Give what the transport binds."""
        if self.transport == "tcp":
            host, port = address_to_host_port(self.addr)
            return SocketAddress(host or self.host, port or 0)
        if self.transport == "inproc":
            return str(self.addr or secrets.token_hex(8))
        return None if self.addr is None else str(self.addr)


class Links:
    """The sockets of one agent. Only the owner's thread comes here."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._by_name: dict[Hashable, Link] = {}
        self.puts: dict[Hashable, Callable[[Any], object]] = {}
        """How to send a message with nothing special about it, by alias and address: the short way of Agent.send."""
        self.expected: dict[str, str] = {}
        """Why an alias that a wire is to have is not there yet."""
        self._handled_before = 0

    # --- finding --------------------------------------------------------------------------------------------------

    def get(self, name: Hashable) -> Link:
        """Give the link of an alias or address.

        Raises:
            AliasError: there is none.
        """
        try:
            return self._by_name[name]
        except (KeyError, TypeError):
            if isinstance(name, str) and name in self.expected:
                raise AliasError(f"no socket has the alias {name!r} yet: {self.expected[name]}") from None
            known = [n for n in self._by_name if isinstance(n, str)]
            raise AliasError(f"no socket has the alias {name!r}{nearest(str(name), known)}") from None

    def __contains__(self, name: Hashable) -> bool:
        return name in self._by_name

    def all(self) -> list[Link]:
        """Give every link once. Any thread."""
        return list({id(link): link for link in list(self._by_name.values())}.values())

    def aliases(self) -> dict[str, Link]:
        """Give the links that have an alias. Any thread."""
        return {name: link for name, link in list(self._by_name.items()) if isinstance(name, str)}

    def named(self) -> list[tuple[str | None, Link]]:
        """Give every link with each of its aliases, or with None where it has none. Any thread."""
        names: dict[int, list[str | None]] = {}
        for name, link in list(self._by_name.items()):
            names.setdefault(id(link), []).extend([name] if isinstance(name, str) else [])
        return [(name, link) for link in self.all() for name in names[id(link)] or [None]]

    def handled(self) -> int:
        """Give how many messages have come and were handled, or tried, on all links, closed ones included. Any thread."""
        return self._handled_before + sum(link.handled for link in self.all())

    def check_free(self, aliases: Sequence[str | None], address: Address) -> None:
        """Refuse aliases that belong to other links than that of `address`.

        Raises:
            AliasError: one does.
        """
        for alias in aliases:
            if alias is not None and self._by_name.get(alias) is not self._by_name.get(address, False):
                self._check_free(alias)

    def _check_free(self, alias: str | None) -> None:
        if alias is not None and not isinstance(alias, str):
            raise AliasError(f"an alias is a text, not {alias!r}")
        if alias in self._by_name:
            raise AliasError(f"the alias {alias!r} is in use; close it first, or choose another")

    def _keep(self, link: Link, alias: str | None, *, serve: bool) -> Address:
        self._name(link.address, link)
        if alias is not None:
            self._name(alias, link)
        if serve:
            self._desk.loop.add(link)
        return link.address

    def _name(self, name: Hashable, link: Link) -> None:
        self._by_name[name] = link
        self.puts[name] = link.put

    # --- binding --------------------------------------------------------------------------------------------------

    def bind(self, kind_text: str, alias: str | None, handler: Any, where: Where) -> Address:
        """Bind a socket, or the sockets of a channel; give the address."""
        kind = _kind_to_bind(kind_text)
        self._check_free(alias)
        check_serializer(where.serializer, where.transport)
        if kind.requires_handler() and handler is None:
            raise ValueError(f"This socket requires a handler! ({kind} without one would lose every message)")
        binder = _BINDERS.get(str(kind))
        if binder is None:
            raise NotImplementedError(f"{kind} cannot bind; bind its twin {kind.twin()} and connect to that")
        link, others = binder(self._desk, where, handler)
        for other in others:
            self._desk.loop.add(other)
        return self._keep(link, alias, serve=_is_served(link))

    # --- connecting -----------------------------------------------------------------------------------------------

    def connect(self, server: Address, alias: str | None, handler: Any, hwm: int | None) -> Address:
        """Connect to a server's address; give the address of the client's side."""
        if not isinstance(server, (AgentAddress, AgentChannel)):
            raise WrongAddressError(f"cannot connect to {server!r}; give an AgentAddress, an AgentChannel or (agent, alias)")
        check_serializer(server.serializer, server.transport)
        client = server.twin()
        known = self._by_name.get(client)
        if known is not None:
            return self._connect_again(known, alias, handler)
        self._check_free(alias)
        if isinstance(client, AgentAddress) and client.kind in ("REP", "PULL") and handler is None:
            raise ValueError(f"This socket requires a handler! ({client.kind} without one would lose every message)")
        link = _connect(self._desk, server, client, handler, hwm)
        return self._keep(link, alias, serve=_is_served(link))

    def _connect_again(self, link: Link, alias: str | None, handler: Any) -> Address:
        if alias is not None and self._by_name.get(alias) is not link:
            self._check_free(alias)
            self._name(alias, link)
        if handler is not None:
            link.set_handler(handler)
        return link.address

    def renew(self, link: Link, server: Address) -> None:
        """Connect a link to the new address of the agent that it follows."""
        link.moved = False
        if link.closed or link.address == server.twin():
            return
        self._by_name.pop(link.address, None)
        self.puts.pop(link.address, None)
        link.reconnect(server)
        self._name(link.address, link)

    # --- closing --------------------------------------------------------------------------------------------------

    def close(self, name: Hashable, linger: float) -> None:
        """Close a link and forget every name of it."""
        link = self.get(name)
        self._handled_before += link.handled
        for key in [key for key, value in self._by_name.items() if value is link]:
            del self._by_name[key], self.puts[key]
        link.close(linger)

    def close_all(self, linger: float) -> None:
        """Close every link."""
        links = self.all()
        self._handled_before += sum(link.handled for link in links)
        self._by_name.clear()
        self.puts.clear()
        for link in links:
            link.close(linger)


def _kind_to_bind(text: object) -> AgentAddressKind | AgentChannelKind:
    # The last two have an error of their own, which names their twins.
    if isinstance(text, str) and text in (*_BINDERS, "ASYNC_REQ", "SYNC_SUB"):
        return guess_kind(text)
    raise WrongAddressError(f"{shown(text)} is no kind of socket to bind; there are {', '.join(_BINDERS)}")


def _is_served(link: Link) -> bool:
    return not isinstance(link, (PushLink, ReqLink))


def _open(desk: Desk, role: str, kind: AgentAddressKind, where: Where, *, hwm: int | None = None) -> tuple[Socket, AgentAddress]:
    socket = desk.open_socket(role, hwm=where.hwm if hwm is None else hwm)
    try:
        place = socket.bind(str(where.transport), where.place())
    except Exception:
        socket.close()
        raise
    if isinstance(place, SocketAddress):
        place = SocketAddress(where.advertise or _reachable(place.host), place.port)
    return socket, AgentAddress(where.transport, place, kind, "server", where.serializer)


def _reachable(host: str) -> str:
    """Give an address that other machines can connect to, for a socket that listens on all of them."""
    if host not in ("0.0.0.0", "*", "::"):  # noqa: S104 - a comparison
        return host
    from agentlab.transport.network import outward_address

    return outward_address()


_Bound = tuple[Link, list[Link]]


def _bind_plain(kind: AgentAddressKind, make: Callable[..., Link], takes_handler: bool) -> Callable[[Desk, Where, Any], _Bound]:
    def bind(desk: Desk, where: Where, handler: Any) -> _Bound:
        if takes_handler:
            _check_handler(desk, kind, handler)
        socket, address = _open(desk, str(kind), kind, where)
        try:
            return make(desk, address, socket, *([handler] if takes_handler else [])), []
        except Exception:
            socket.close()
            raise

    return bind


def _check_handler(desk: Desk, kind: Any, handler: Any) -> None:
    """Refuse a wrong handler before anything is bound."""
    from agentlab.agent import handlers

    if kind == "SUB":
        handlers.resolve_topics(desk.agent, handler)
    else:
        handlers.resolve_many(desk.agent, handler)


def _bind_async_rep(desk: Desk, where: Where, handler: Any) -> _Bound:
    _check_handler(desk, "REP", handler)
    socket, receiver = _open(desk, "ROUTER", AgentAddressKind.PULL, where, hwm=0)  # replies are bounded by what was asked
    return AsyncRepLink(desk, AgentChannel(AgentChannelKind.ASYNC_REP, receiver, None), socket, handler), []


def _bind_sync_pub(desk: Desk, where: Where, handler: Any) -> _Bound:
    _check_handler(desk, "REP", handler)
    publications, sender = _open(desk, "PUB", AgentAddressKind.PUB, where)
    second = Where(where.transport, where.serializer, _second_place(where), where.host, where.hwm, where.advertise)
    try:
        requests, receiver = _open(desk, "PULL", AgentAddressKind.PULL_SYNC_PUB, second)
    except Exception:
        publications.close()
        raise
    link = SyncPubLink(desk, AgentChannel(AgentChannelKind.SYNC_PUB, receiver, sender), publications, requests, handler)
    return link, [link.requests]


def _second_place(where: Where) -> Any:
    """Give a place for a channel's second socket beside the one that was asked for: any free port, or a related name."""
    if where.addr is None:
        return None
    if where.transport == "tcp":
        return address_to_host_port(where.addr)[0]
    return f"{where.addr}.requests"


_BINDERS: dict[str, Callable[[Desk, Where, Any], _Bound]] = {
    "REQ": _bind_plain(AgentAddressKind.REQ, ReqLink, takes_handler=False),
    "REP": _bind_plain(AgentAddressKind.REP, RepLink, takes_handler=True),
    "PUSH": _bind_plain(AgentAddressKind.PUSH, PushLink, takes_handler=False),
    "PULL": _bind_plain(AgentAddressKind.PULL, PullLink, takes_handler=True),
    "PUB": _bind_plain(AgentAddressKind.PUB, PubLink, takes_handler=False),
    "SUB": _bind_plain(AgentAddressKind.SUB, SubLink, takes_handler=True),
    "ASYNC_REP": _bind_async_rep,
    "SYNC_PUB": _bind_sync_pub,
}


def _connect(desk: Desk, server: Address, client: Address, handler: Any, hwm: int | None) -> Link:
    sockets: list[Socket] = []

    def dial(role: str, to: AgentAddress | None, *, hwm: int | None = hwm) -> Socket:
        if to is None:
            raise WrongAddressError(f"{server!r} lacks an address to connect to")
        socket = desk.open_socket(role, hwm=hwm)
        sockets.append(socket)
        socket.connect(str(to.transport), to.endpoint())
        return socket

    try:
        if isinstance(server, AgentChannel):
            assert isinstance(client, AgentChannel)
            if server.kind == "ASYNC_REP":
                return AsyncReqLink(desk, client, dial("DEALER", server.receiver), handler)
            if server.kind == "SYNC_PUB":
                publications, requests = dial("SUB", server.sender), dial("PUSH", server.receiver)
                return SyncSubLink(desk, client, publications, requests, handler)
            raise WrongAddressError(f"cannot connect to {server.kind}: it is a client's side; connect to its twin")
        assert isinstance(client, AgentAddress)
        socket = dial(str(client.kind), server)
        return _CLIENTS[str(client.kind)](desk, client, socket, handler)
    except Exception:
        for socket in sockets:
            socket.close()
        raise


_CLIENTS: dict[str, Callable[[Desk, AgentAddress, Socket, Any], Link]] = {
    "REQ": lambda desk, address, socket, _: ReqLink(desk, address, socket),
    "REP": RepLink,
    "PUSH": lambda desk, address, socket, _: PushLink(desk, address, socket),
    "PULL": PullLink,
    "PUB": lambda desk, address, socket, _: PubLink(desk, address, socket),
    "SUB": SubLink,
}
