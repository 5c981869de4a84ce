"""Who wants to own an instrument, who does, and what has become of it: the values that ownership deals in. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentlab.errors import LockedError


@dataclass(frozen=True, slots=True)
class Client:
    """Who calls.

    Args:
        id: Its identity: one for each proxy.
        label: How people are told of it: an agent's name, or ``user@host:pid``.
        token: What it got when it became owner; None: it has not.
    """

    id: str
    label: str = ""
    token: str | None = field(default=None, repr=False)  # no log is to have it


@dataclass(slots=True)
class Holding:
    """One stretch of ownership: times as they are handed in."""

    client: str
    label: str
    token: str = field(repr=False)
    since: float
    until: float
    lease: float
    reason: str
    depth: int = 1


@dataclass(slots=True, eq=False)
class Ticket:
    """A place in the row of those who wait for ownership; `tag` is whatever the caller wants to find again in the event."""

    client: Client
    lease: float
    reason: str
    until: float
    tag: Any = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Ownership was given.

    Args:
        token: What proves it.
        lease: Seconds until it must be renewed.
        again: Whether the client had it already, or came back with its token.
        ticket: The place in the row that it ends; None: it was given at once.
    """

    token: str = field(repr=False)
    lease: float
    again: bool = False
    ticket: Ticket | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """An owner's lease ran out."""

    holding: Holding


@dataclass(frozen=True, slots=True)
class Waited:
    """A client waited for ownership as long as it wanted to, in vain; `error` says who had it."""

    ticket: Ticket
    error: LockedError
