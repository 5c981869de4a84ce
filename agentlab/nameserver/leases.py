"""The table of a name server: who has which name, and until when. Pure: the time is handed in.

The rules, in the order in which they apply:

==============================================  ====================================================
a claim by call for a name that is              is
==============================================  ====================================================
free, or its lease has ended                    taken in
held at the same URI                            taken in: only one process can be served there
held elsewhere                                  refused, unless ``replace``
==============================================  ====================================================

==============================================  ====================================================
a renewal for a name that is                    is
==============================================  ====================================================
held by the same URI and instance               a longer lease (and its content, where that is newer)
free                                            taken in, so a restarted server learns everybody again
free, but this holder was removed by call       dropped: a datagram that was late raises no dead
held by another                                 dropped, unless the renewal's claim is the newer one
==============================================  ====================================================

A server that was restarted with an empty table has a gap that these rules cannot close: until the first renewal of a live
agent comes (a third of its lease), its name is free, and whoever claims it by call then keeps it, for theirs is the newer
claim. A server that keeps its names in a file has no such gap.
"""

from __future__ import annotations

import heapq
import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace as with_fields

from agentlab.errors import NameServerError, NameTakenError, UnknownNameError, nearest
from agentlab.nameserver.registration import Change, ChangeKind, MetaFilter, Registration, compile_regex, matches

MAX_NAMES = 100_000
TOMBSTONE_SECONDS = 60.0
_HINT_NAMES = 300  # nearest() compares with every name it is given: too slow for thousands

Keep = Callable[[Change], object]
"""Is told of a change just before it is made; what it raises leaves the table as it was."""


def _keep_nothing(_change: Change) -> None:
    pass


class _Entry:
    __slots__ = ("deadline", "registration")

    def __init__(self, registration: Registration, deadline: float) -> None:
        self.registration = registration
        self.deadline = deadline


class NameTable:
    """Names, their holders and their leases. Not thread-safe: whoever owns it guards it.

    Args:
        epoch: Text of this incarnation; made up when empty.
    """

    def __init__(self, epoch: str = "") -> None:
        self.epoch = epoch or secrets.token_hex(8)
        self.number = 0
        self._entries: dict[str, _Entry] = {}
        self._ends: list[tuple[float, int, str, _Entry]] = []  # one item per leased entry, at most as late as its deadline
        self._serial = 0
        self._removed: dict[tuple[str, str, str], float] = {}  # (name, uri, instance) -> last seen

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def restore(self, registrations: Iterable[Registration], now: float) -> None:
        """Take in what was kept in a file when the server ended: each lease begins anew, so who lives can renew it.

        For an empty table whose changes nobody follows yet: nothing is counted as one.
        """
        for registration in registrations:
            self._enter(registration, now)

    def register(
        self, registration: Registration, now: float, replace: bool = False, keep: Keep = _keep_nothing
    ) -> Change | None:
        """Take in a claim made by call.

        Args:
            registration: The claim.
            now: Seconds on the clock that all calls of this table use.
            replace: Whether it takes the name away from a live holder.
            keep: Told of the change before it is made.

        Returns:
            What changed; None where the claim only renewed what was there.

        Raises:
            NameTakenError: somebody else holds the name and lives.
            NameServerError: the table is full.
        """
        name = registration.name
        entry = self._entries.get(name)
        if entry is not None:
            held = entry.registration
            if held.uri == registration.uri and self._same_content(held, registration):
                entry.deadline = _deadline(held, now)
                return None
            if held.uri != registration.uri and entry.deadline > now and not replace:
                raise _taken(held)
            if registration.since <= held.since:  # the clock was set back; the newer claim must look newer
                registration = with_fields(registration, since=math.nextafter(held.since, math.inf))
        change = self._put(registration, now, keep)
        self._removed.pop(_key(registration), None)
        return change

    def renew(self, registration: Registration, now: float) -> Change | None:
        """Take in a renewal that came by datagram.

        Returns:
            What changed; None where nothing but a lease did.

        Raises:
            NameTakenError: another live holder has the name, with a newer claim.
            UnknownNameError: this very holder was removed by call before.
            NameServerError: the table is full.
        """
        entry = self._entries.get(registration.name)
        if entry is None:
            key = _key(registration)
            if key in self._removed:
                self._remember_removed(key, now)
                raise UnknownNameError(f"{registration.name!r} was removed; register it again")
            return self._put(registration, now)
        held = entry.registration
        if held is registration:
            entry.deadline = _deadline(registration, now)
            return None
        if held.uri == registration.uri and held.instance == registration.instance:
            if registration.since > held.since and not self._same_content(held, registration):
                return self._put(registration, now)
            if registration == held:
                entry.registration = registration  # the caller's cached object: next time the short way
            entry.deadline = _deadline(entry.registration, now)
            return None
        if entry.deadline > now and registration.since <= held.since:
            raise _taken(held)
        return self._put(registration, now)

    def remove(
        self, name: str, uri: str | None = None, instance: str | None = None, now: float = 0.0, keep: Keep = _keep_nothing
    ) -> Change | None:
        """Take a name away; with ``uri`` or ``instance`` only from that very holder.

        Args:
            name: The name.
            uri: Where its holder must be.
            instance: Which incarnation it must be.
            now: Seconds, as for :meth:`register`.
            keep: Told of the change before it is made.

        Returns:
            What changed; None where nobody, or somebody else, has the name.
        """
        entry = self._entries.get(name)
        if entry is None:
            return None
        held = entry.registration
        if (uri is not None and uri != held.uri) or (instance is not None and instance != held.instance):
            return None
        change = self._change("removed", held, keep)
        if held.lease is not None:
            self._remember_removed(_key(held), now)
        del self._entries[name]
        return change

    def expire(self, now: float) -> Sequence[Change]:
        """Take away every name whose lease has ended; give what changed, earliest end first."""
        changes = []
        while self._ends and self._ends[0][0] <= now:
            _, _, name, entry = heapq.heappop(self._ends)
            if self._entries.get(name) is not entry:
                continue
            if entry.deadline > now:
                self._push(name, entry)
                continue
            del self._entries[name]
            changes.append(self._change("removed", entry.registration))
        self._forget_removed(now)
        return changes

    def grant(self, seconds: float) -> None:
        """Lengthen every lease: the server itself stood still so long, nobody could renew."""
        for entry in self._entries.values():
            entry.deadline += seconds

    def next_expiry(self) -> float | None:
        """Give a time before which no lease ends; None: no lease runs."""
        return self._ends[0][0] if self._ends else None

    def find(self, name: str) -> Registration | None:
        """Give who has the name, or None."""
        entry = self._entries.get(name)
        return entry.registration if entry is not None else None

    def lookup(self, name: str) -> Registration:
        """Give who has the name.

        Raises:
            UnknownNameError: nobody; the text names the nearest names.
        """
        entry = self._entries.get(name)
        if entry is None:
            known = list(self._entries)
            if len(known) > _HINT_NAMES:
                known = [k for k in known if k[:1].lower() == name[:1].lower()][:_HINT_NAMES] or known[:8]
            raise UnknownNameError(f"no agent or object is called {name!r}{nearest(name, known)}")
        return entry.registration

    def list(
        self,
        prefix: str | None = None,
        regex: str | None = None,
        meta_all: MetaFilter | None = None,
        meta_any: MetaFilter | None = None,
        tag: str | None = None,
    ) -> dict[str, Registration]:
        """Give the registrations that fulfil every condition given, by name (see :func:`~.registration.matches`)."""
        if prefix is None and regex is None and meta_all is None and meta_any is None and tag is None:
            return {name: entry.registration for name, entry in self._entries.items()}
        pattern = compile_regex(regex) if regex is not None else None
        return {
            name: entry.registration
            for name, entry in self._entries.items()
            if matches(entry.registration, prefix=prefix, regex=pattern, meta_all=meta_all, meta_any=meta_any, tag=tag)
        }

    def _put(self, registration: Registration, now: float, keep: Keep = _keep_nothing) -> Change:
        name = registration.name
        known = name in self._entries
        if not known and len(self._entries) >= MAX_NAMES:
            raise NameServerError(f"{name!r} is refused: the name server holds {MAX_NAMES} names already; remove some")
        change = self._change("changed" if known else "registered", registration, keep)
        self._enter(registration, now)
        return change

    def _enter(self, registration: Registration, now: float) -> None:
        name = registration.name
        entry = self._entries[name] = _Entry(registration, _deadline(registration, now))
        if registration.lease is not None:
            self._push(name, entry)

    def _push(self, name: str, entry: _Entry) -> None:
        self._serial += 1
        heapq.heappush(self._ends, (entry.deadline, self._serial, name, entry))
        if len(self._ends) > 2 * len(self._entries) + 64:  # names that came and went under long leases
            self._ends = [end for end in self._ends if self._entries.get(end[2]) is end[3]]
            heapq.heapify(self._ends)

    def _remember_removed(self, key: tuple[str, str, str], now: float) -> None:
        self._removed.pop(key, None)  # put in again at the end: the dict stays in the order of time
        self._removed[key] = now

    def _forget_removed(self, now: float) -> None:
        while self._removed:
            key = next(iter(self._removed))
            if now - self._removed[key] < TOMBSTONE_SECONDS:
                return
            del self._removed[key]

    def _change(self, kind: ChangeKind, registration: Registration, keep: Keep = _keep_nothing) -> Change:
        change = Change(self.number + 1, kind, registration, self.epoch)
        keep(change)
        self.number += 1
        return change

    @staticmethod
    def _same_content(one: Registration, other: Registration) -> bool:
        return (one.instance, one.lease, one.metadata) == (other.instance, other.lease, other.metadata)


def _deadline(registration: Registration, now: float) -> float:
    return math.inf if registration.lease is None else now + registration.lease


def _key(registration: Registration) -> tuple[str, str, str]:
    return registration.name, registration.uri, registration.instance


def _taken(held: Registration) -> NameTakenError:
    return NameTakenError(
        f"name already registered: {held.name!r} is held by {held.uri}; choose another, shut that one down, or pass replace=True"
    )
