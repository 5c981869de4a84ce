"""Ownership of an instrument: who may write, by a token and a lease. No clock and no socket: `now` is handed in.

An owner is a client with an identity, not a connection or a thread. Ownership ends when it is given back, when the lease
runs out without a renewal, or when somebody breaks it. What ends or begins by itself is told by :meth:`Ownership.events`.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from agentlab.errors import LockedError
from agentlab.instruments.engine.claims import Client, Grant, Holding, Lost, Ticket, Waited

__all__ = ["Client", "Grant", "Holding", "Lost", "Ownership", "Waited"]

LONGEST_LEASE = 366 * 86400.0
"""Seconds; more is a slip."""
MOST_IN_ROW = 1000
"""Clients that wait for one instrument; who asks again and again does not wait for answers."""


class Ownership:
    """Who owns one instrument. Any thread may call every method; each is one step that no thread switch can split.

    Args:
        lease: Seconds of a lease whose client names none.
        required: Whether writing needs ownership even while nobody has it.
        what: The instrument's name, for messages.
        wall: Gives the seconds since 1970 of a `now`, for people.
        new_token: Makes tokens.
    """

    def __init__(
        self,
        lease: float = 10.0,
        *,
        required: bool = False,
        what: str = "it",
        wall: Callable[[float], float] = lambda now: now,
        new_token: Callable[[], str] = secrets.token_hex,
    ) -> None:
        self._lease = _lease(lease)
        self._required = required
        self._what = what
        self._wall = wall
        self._new_token = new_token
        self._holding: Holding | None = None
        self._row: deque[Ticket] = deque()
        self._events: list[Grant | Lost | Waited] = []
        self._lock = threading.Lock()

    # ---------------------------------------------------------------- asking

    def acquire(
        self,
        client: Client,
        now: float,
        *,
        timeout: float = 0.0,
        lease: float | None = None,
        reason: str = "",
        token: str | None = None,
        tag: Any = None,
    ) -> Grant | Ticket:
        """Become owner, or wait in the row.

        The owner itself gets its token again, and must then release as often as it acquired. Whoever shows the token of the
        present owner becomes the owner under its own identity: so a client that lost its connection comes back.

        Args:
            client: Who.
            now: Time in seconds.
            timeout: Seconds to wait in the row; 0: not at all.
            lease: Seconds without a renewal after which ownership is lost; None: the instrument's own.
            reason: What for, for other people.
            token: One that it had before; also the client's own counts.
            tag: Comes back in the ticket.

        Raises:
            LockedError: somebody else has it, and there is no time to wait, or too many wait already.
            ValueError: the lease or the timeout is no time.
        """
        lasting = self._lease if lease is None else _lease(lease)
        if not timeout >= 0:
            raise ValueError(f"a lock is waited for {timeout!r} s; give seconds, 0 or more")
        shown = {token, client.token} - {None}
        with self._lock:
            self._advance(now)
            held = self._holding
            if held is None:
                return self._give(client, now, lasting, reason)
            if held.client == client.id or held.token in shown:
                returned = held.client != client.id
                held.depth = 1 if returned else held.depth + 1
                held.client, held.label = client.id, client.label
                held.lease = held.lease if lease is None else lasting
                held.reason = reason or held.reason
                held.until = max(held.until, now + held.lease)
                return Grant(held.token, held.lease, again=True)
            if timeout == 0 or len(self._row) >= MOST_IN_ROW:
                raise self._refusal(held, now)
            ticket = Ticket(client, lasting, reason, now + timeout, tag)
            self._row.append(ticket)
            return ticket

    def renew(self, token: str, now: float) -> float:
        """Keep ownership for another lease; give until when.

        Raises:
            LockedError: this token owns nothing any more.
        """
        with self._lock:
            self._advance(now)
            held = self._of(token, now)
            held.until = max(held.until, now + held.lease)
            return held.until

    def release(self, token: str, now: float) -> bool:
        """Give ownership back; True when it has ended, False when the owner had acquired it more than once.

        Raises:
            LockedError: this token owns nothing any more.
        """
        with self._lock:
            self._advance(now)
            held = self._of(token, now)
            held.depth -= 1
            if held.depth > 0:
                return False
            self._end(now)
            return True

    def break_(self, now: float) -> Holding | None:
        """End whatever ownership there is, and give it; None: nobody had it."""
        with self._lock:
            self._advance(now)
            held = self._holding
            if held is not None:
                self._end(now)
            return held

    def withdraw(self, ticket: Ticket) -> bool:
        """Leave the row; False when the ticket has been served or is over."""
        with self._lock:
            try:
                self._row.remove(ticket)
            except ValueError:
                return False
            return True

    def check(self, client: Client, now: float) -> str | None:
        """Give the token under which a client may write now; None: nobody owns the instrument, and nobody need.

        Raises:
            LockedError: somebody else owns it, or ownership is needed and this client has none.
        """
        with self._lock:
            self._advance(now)
            held = self._holding
            if held is not None:
                if held.client == client.id or (client.token is not None and held.token == client.token):
                    return held.token
                raise self._refusal(held, now)
            if self._required:
                raise LockedError(
                    f"{self._what} is written by its owner only, and nobody owns it; lock it first: "
                    f"`with x.lock():`, or `agentlab lock {self._what}` in a shell"
                )
            if client.token is not None:
                raise LockedError(
                    f"{self._what} is no longer owned by {client.label or client.id}: its lease ran out, the lock was broken, or "
                    "the agent was started again; lock it again"
                )
            return None

    def holds(self, token: str | None, now: float) -> bool:
        """Tell whether what :meth:`check` gave is still true: the same stretch of ownership, or still nobody's."""
        with self._lock:
            self._advance(now)
            held = self._holding
            return token == (None if held is None else held.token)

    def drain(self) -> list[Ticket]:
        """Empty the row, and give who stood in it."""
        with self._lock:
            found = list(self._row)
            self._row.clear()
            return found

    # ---------------------------------------------------------------- what happens by itself

    def events(self, now: float) -> list[Grant | Lost | Waited]:
        """Give what happened by itself since it was last asked, in order: each thing once."""
        with self._lock:
            self._advance(now)
            found, self._events = self._events, []
            return found

    def next_time(self) -> float | None:
        """Give when a lease or a wait ends next; None: never."""
        with self._lock:
            times = [ticket.until for ticket in self._row]
            if self._holding is not None:
                times.append(self._holding.until)
            if self._events:
                return -math.inf
            return min(times, default=None)

    # ---------------------------------------------------------------- telling

    def owner(self, now: float) -> str:
        """Give the owner's label; empty: nobody."""
        with self._lock:
            self._advance(now)
            return "" if self._holding is None else self._holding.label

    def info(self, now: float) -> dict[str, Any]:
        """Give who owns it, as plain values.

        Returns:
            ``owner``: a label, or empty; ``since`` and ``until``, seconds since 1970; ``lease``; ``reason``; ``required``; and
            ``queue``: the labels of those who wait, in order.
        """
        with self._lock:
            self._advance(now)
            held = self._holding
            queue = [ticket.client.label for ticket in self._row]
            if held is None:
                found: dict[str, Any] = {"owner": "", "since": None, "until": None, "lease": None, "reason": ""}
            else:
                since, until = self._wall(held.since), self._wall(held.until)
                found = {"owner": held.label, "since": since, "until": until, "lease": held.lease, "reason": held.reason}
            return {**found, "required": self._required, "queue": queue}

    # ---------------------------------------------------------------- inside, with the lock held

    def _advance(self, now: float) -> None:
        while self._holding is not None and self._holding.until <= now:
            ended, lost = self._holding.until, self._holding
            self._events.append(Lost(lost))
            self._end(max(ended, now))
        if any(ticket.until <= now for ticket in self._row):
            held = self._holding
            for ticket in [one for one in self._row if one.until <= now]:
                self._row.remove(ticket)
                assert held is not None  # whoever waits waits for somebody
                self._events.append(Waited(ticket, self._refusal(held, now)))

    def _give(self, client: Client, now: float, lease: float, reason: str, ticket: Ticket | None = None) -> Grant:
        token = self._new_token()
        self._holding = Holding(client.id, client.label or client.id, token, now, now + lease, lease, reason)
        return Grant(token, lease, ticket=ticket)

    def _end(self, now: float) -> None:
        self._holding = None
        while self._row:
            ticket = self._row.popleft()
            if ticket.until > now:
                self._events.append(self._give(ticket.client, now, ticket.lease, ticket.reason, ticket))
                return
            busy = LockedError(f"{self._what} was not free in time for {ticket.client.label}; ask again")
            self._events.append(Waited(ticket, busy))

    def _of(self, token: str, now: float) -> Holding:
        held = self._holding
        if held is None:
            raise LockedError(
                f"{self._what} is owned by nobody: the lease of this token ran out, the lock was broken, or the agent was "
                "started again; lock it again"
            )
        if held.token != token:
            raise self._refusal(held, now)
        return held

    def _refusal(self, held: Holding, now: float) -> LockedError:
        why = f" ({held.reason})" if held.reason else ""
        text = (
            f"{self._what} is owned by {held.label} for {max(0.0, now - held.since):.3g} s{why}; wait for it, or break the lock"
        )
        return LockedError(text, held.label, self._wall(held.since), held.reason)


def _lease(lease: Any) -> float:
    if isinstance(lease, bool) or not isinstance(lease, (int, float)) or not 0 < lease <= LONGEST_LEASE:
        raise ValueError(f"a lease of {lease!r} s cannot be; give seconds above 0, at most a year")
    return float(lease)
