"""Wires: from the text ``Meter.power -> Scan.on_power`` to who binds, who connects and what handles. Pure: no I/O.

Data flows from left to right. One end is a *bound* socket, whose kind is known; the other end connects to it:

============================  ==============================  ==========================================
bound socket                  the other end                   who connects
============================  ==============================  ==========================================
left: PUB, PUSH, SYNC_PUB,    right: a method of the target   the target, with that method as handler
REQ
right: SUB, PULL, REP,        left: an alias of the source    the source, under that alias
ASYNC_REP
============================  ==============================  ==========================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agentlab.errors import nearest

SENDERS = {"PUB": "SUB", "PUSH": "PULL", "SYNC_PUB": "SYNC_SUB", "REQ": "REP"}
"""Kinds that a bound socket at the left end of a wire can have, and what connects to each."""
RECEIVERS = {"SUB": "PUB", "PULL": "PUSH", "REP": "REQ", "ASYNC_REP": "ASYNC_REQ"}
"""Kinds that a bound socket at the right end of a wire can have, and what connects to each."""
KINDS = (*SENDERS, *RECEIVERS)
"""What an agent can bind."""
WITH_TOPICS = ("PUB", "SYNC_PUB")
ANSWERED = ("ASYNC_REP",)

_SHAPE = "write 'Agent.socket -> Agent.method', such as Meter.power -> Scan.on_power"
_ARROW = re.compile(r"\s*->\s*")
_CLIENTS = {"SYNC_SUB": "SYNC_PUB", "ASYNC_REQ": "ASYNC_REP", "PUSH_SYNC_SUB": "SYNC_PUB", "PULL_SYNC_PUB": "SYNC_PUB"}


class WireError(ValueError):
    """What a wire says cannot be; the text is one line. It never leaves this package: it becomes a problem of the file."""


@dataclass(frozen=True)
class Drawn:
    """A wire as it is written down, before anybody knows what its ends are.

    Attributes:
        source: Name of the agent at the left end.
        source_alias: Its socket.
        target: Name of the agent at the right end.
        target_name: Its method or its socket.
        kind: The kind of the end that binds, where the file says it.
        topics: What the target wants of a publisher; empty: everything.
        alias: The target's own name for its end, where it connects.
        reply: The source's method that gets the replies of an ASYNC_REP.
    """

    source: str
    source_alias: str
    target: str
    target_name: str
    kind: str | None = None
    topics: tuple[str, ...] = ()
    alias: str | None = None
    reply: str | None = None

    def __str__(self) -> str:
        return f"{self.source}.{self.source_alias} -> {self.target}.{self.target_name}"


@dataclass(frozen=True)
class Wire:
    """A wire that can be made.

    Attributes:
        source: Name of the agent at the left end, where data comes from.
        source_alias: Its socket: bound, or the alias under which it connects.
        target: Name of the agent at the right end.
        target_name: Its handler method, or its bound socket.
        kind: The kind of the bound socket; empty where nobody was asked: a lab read without looking at its classes.
        topics: Topics that the target subscribes to; empty: all.
        alias: The target's own name for its end, where it connects.
        server: Which end binds.
        reply: The source's method that gets the replies of an ASYNC_REP.
    """

    source: str
    source_alias: str
    target: str
    target_name: str
    kind: str
    topics: tuple[str, ...] = ()
    alias: str | None = None
    server: Literal["source", "target"] = "source"
    reply: str | None = None

    def __str__(self) -> str:
        return f"{self.source}.{self.source_alias} -> {self.target}.{self.target_name}"

    @property
    def bound(self) -> tuple[str, str]:
        """Agent and alias of the end that binds."""
        return (self.source, self.source_alias) if self.server == "source" else (self.target, self.target_name)

    @property
    def client(self) -> str:
        """Name of the agent that connects."""
        return self.target if self.server == "source" else self.source

    @property
    def client_alias(self) -> str | None:
        """The connecting agent's own name for its end."""
        return self.alias if self.server == "source" else self.source_alias


@dataclass(frozen=True)
class Connection:
    """What one agent does for its wires: one ``connect(server, alias, handler)``.

    Attributes:
        server: Agent and alias of the bound socket.
        alias: The own name, or None.
        handler: None, the name of a method, or topic -> name of a method.
    """

    server: tuple[str, str]
    alias: str | None
    handler: str | dict[str, str] | None


def connections(wires: Iterable[Wire], agent: str) -> list[Connection]:
    """Give the connections that an agent makes; several wires to one publisher become one connection.

    Args:
        wires: Checked wires, of all agents.
        agent: The name of the agent that connects.
    """
    merged: dict[tuple[str, str], list[Wire]] = {}
    for wire in wires:
        if wire.client == agent:
            merged.setdefault(wire.bound, []).append(wire)
    return [Connection(server, _first_alias(group), _handler(group)) for server, group in merged.items()]


def _first_alias(group: list[Wire]) -> str | None:
    return next((wire.client_alias for wire in group if wire.client_alias is not None), None)


def _handler(group: list[Wire]) -> str | dict[str, str] | None:
    first = group[0]
    if first.server == "target":
        return first.reply
    if len(group) == 1 and not first.topics:
        return first.target_name
    return {topic: wire.target_name for wire in group for topic in wire.topics or ("",)}


def parse(value: str | Mapping[str, Any]) -> Drawn:
    """Give what a wire of the file says.

    Args:
        value: The short text, or a mapping with ``from``, ``to`` and what else there is to say.

    Raises:
        WireError: it is no wire.
    """
    if isinstance(value, str):
        ends = _ARROW.split(value.strip())
        if len(ends) != 2:
            raise WireError(f"found {value!r}, which has {len(ends) - 1} arrows; {_SHAPE}")
        return Drawn(*_end(ends[0], value), *_end(ends[1], value))
    topics = value.get("topics") or ()
    topic = value.get("topic")
    if topic is not None and topics:
        raise WireError("found both topic: and topics:; give one of them")
    return Drawn(
        *_end(value["from"], value["from"]),
        *_end(value["to"], value["to"]),
        kind=value.get("kind"),
        topics=(topic,) if topic is not None else tuple(topics),
        alias=value.get("alias"),
        reply=value.get("reply"),
    )


def _end(text: str, whole: str) -> tuple[str, str]:
    agent, dot, name = text.strip().rpartition(".")
    if not (dot and agent and name) or re.search(r"\s", text.strip()):
        raise WireError(f"found {whole!r}, where {text.strip()!r} is not 'Agent.name'; {_SHAPE}")
    return agent, name


def resolve(wire: Drawn, left_end: Mapping[str, str], right_end: Mapping[str, str], *, known: bool = True) -> Wire:
    """Find out which end binds, and whether the two ends fit.

    Args:
        wire: As it is drawn.
        left_end: The declared sockets of the agent at the left end: alias -> kind.
        right_end: Those of the agent at the right end.
        known: Whether these are all; false where a class could not be asked.

    Raises:
        WireError: the ends do not fit, or nobody says what they are.
    """
    left, right = left_end.get(wire.source_alias), right_end.get(wire.target_name)
    if left and right:
        raise WireError(_two_bound(wire, left, right))
    if left and left not in SENDERS:
        raise WireError(
            f"{wire.source}.{wire.source_alias} is a {left} socket, which receives, so no wire begins there; "
            "turn the wire round, or begin it at a PUB, PUSH or SYNC_PUB socket"
        )
    if right and right not in RECEIVERS:
        raise WireError(
            f"{wire.target}.{wire.target_name} is a {right} socket, which sends, so no wire ends there; "
            f"turn the wire round, or end it at a method of {wire.target}"
        )
    kind = left or right
    if kind is None:
        kind = _said(wire, left_end, known=known)
    elif wire.kind is not None and wire.kind != kind:
        raise WireError(f"kind is {wire.kind}, but the bound end is a {kind} socket; leave kind: out")
    return _fitting(wire, kind, "target" if kind in RECEIVERS else "source")


def _two_bound(wire: Drawn, left: str, right: str) -> str:
    ends = f"{wire.source}.{wire.source_alias} is a {left} socket and {wire.target}.{wire.target_name} a {right} socket"
    if SENDERS.get(left) == right:
        return (
            f"{ends}: both bind, and one must connect; end the wire at a method of {wire.target}, "
            "or take one of the two out of `sockets`"
        )
    cure = f"a {left} socket sends to a method, or to a {SENDERS[left]}" if left in SENDERS else f"a {left} socket receives"
    return f"{ends}, and these kinds do not match; {cure}"


def _said(wire: Drawn, left_end: Mapping[str, str], *, known: bool) -> str:
    """Give the kind that the wire itself says; an empty text where nobody could be asked."""
    if wire.kind is not None:
        if wire.kind in _CLIENTS:
            raise WireError(f"kind is {wire.kind}, which connects; give the kind of the end that binds: {_CLIENTS[wire.kind]}")
        if wire.kind not in KINDS:
            raise WireError(f"found kind {wire.kind!r}, allowed are {', '.join(KINDS)}{nearest(wire.kind, KINDS)}")
        return wire.kind
    if not known:
        return ""
    alias = wire.source_alias
    raise WireError(
        f"nobody says what kind of socket {wire.source}.{alias} is{nearest(alias, left_end)}; declare it, as "
        f"`sockets: {{{alias}: PUB}}` of that agent or `binds = {{'{alias}': 'PUB'}}` of its class, or write the "
        f"wire as {{from: {wire.source}.{alias}, to: {wire.target}.{wire.target_name}, kind: PUB}}"
    )


def _fitting(wire: Drawn, kind: str, server: Literal["source", "target"]) -> Wire:
    if wire.topics and kind and kind not in WITH_TOPICS:
        raise WireError(f"a wire of kind {kind} has no topics; only PUB and SYNC_PUB have")
    if wire.alias is not None and server == "target":
        raise WireError(
            f"alias: names the right end where it connects, but here {wire.source} connects, under the alias "
            f"{wire.source_alias!r} before the arrow; leave alias: out"
        )
    if wire.reply is not None and kind and kind not in ANSWERED:
        raise WireError(f"reply: is for the replies of an ASYNC_REP socket, and this wire is of kind {kind}; leave it out")
    return Wire(wire.source, wire.source_alias, wire.target, wire.target_name, kind, wire.topics, wire.alias, server, wire.reply)


def clash(wire: Wire, other: Wire) -> str | None:
    """Tell why two wires of one lab cannot both be made, or None.

    Args:
        wire: The later one.
        other: The earlier one.
    """
    if wire.client != other.client:
        return None
    if wire.bound == other.bound:
        if wire.server == "target":
            return f"{wire.client} is connected to {'.'.join(wire.bound)} already; leave this wire out"
        shared = sorted(set(wire.topics or ("",)) & set(other.topics or ("",)))
        if not shared:
            return None
        what = f" for topic {shared[0]!r}" if shared[0] else ""
        return (
            f"{'.'.join(wire.bound)} reaches {wire.client} already{what}, at {other.target_name}; "
            "one handler gets each message: leave this wire out, or let the handler call both"
        )
    if wire.client_alias is not None and wire.client_alias == other.client_alias:
        return f"{wire.client} calls its end of '{other}' {wire.client_alias!r} already; take another name"
    return None
