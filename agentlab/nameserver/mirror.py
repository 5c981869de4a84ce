"""A copy of a name server's table, kept from its feed. Pure: records, snapshots and the time are handed in.

Whatever is lost on the way, the changes given out are in order, none is told twice, and after the next snapshot
the copy is right. A name server that was restarted knows nobody for a moment; its agents come back by their next
renewal. So a leased name that is missing right after a restart is only *doubted*: it is told as removed when its
lease is over, and not at all when it comes back.
"""

from __future__ import annotations

from agentlab.nameserver.protocol import Record, Snapshot
from agentlab.nameserver.registration import Change, ChangeKind, Registration


class FeedMirror:
    """The copy and where it stands. Not thread-safe."""

    def __init__(self) -> None:
        self.epoch = ""
        self.number = 0
        self._known: dict[str, Registration] = {}
        self._doubted: dict[str, float] = {}

    def state(self) -> dict[str, Registration]:
        """Give the registrations as far as they are known, those in doubt included."""
        return dict(self._known)

    def find(self, name: str) -> Registration | None:
        """Give who has a name, or None."""
        return self._known.get(name)

    def apply(self, record: Record) -> list[Change] | None:
        """Take in a record of the feed.

        Returns:
            The changes to tell; None: something was lost, hand in a new :class:`Snapshot` (this record is in it).
        """
        if record.epoch != self.epoch:
            return None
        change = record.change
        if change is None:
            # A smaller number is a beacon that a later record overtook nothing of: already known.
            return [] if record.number <= self.number else None
        if record.number <= self.number:
            return []
        if record.number != self.number + 1:
            return None
        self.number = record.number
        return self._step(change.name, None if change.kind == "removed" else change.registration)

    def reset(self, snapshot: Snapshot, now: float) -> list[Change]:
        """Take in a snapshot; give the changes that lead from the old copy to it.

        Args:
            snapshot: The latest; one older than the copy is ignored.
            now: Seconds, on the clock that :meth:`settle` is given.
        """
        restarted = bool(self.epoch) and snapshot.epoch != self.epoch
        if snapshot.epoch == self.epoch and snapshot.number < self.number:
            return []
        self.epoch, self.number = snapshot.epoch, snapshot.number
        changes: list[Change] = []
        for name in [name for name in self._known if name not in snapshot.registrations]:
            lease = self._known[name].lease
            if restarted and lease is not None:
                self._doubted.setdefault(name, now + lease)
            elif name not in self._doubted:
                changes += self._step(name, None)
        for name, registration in snapshot.registrations.items():
            changes += self._step(name, registration)
        return changes

    def settle(self, now: float) -> list[Change]:
        """Give the removal of every name whose doubt has lasted for its lease."""
        changes: list[Change] = []
        for name in [name for name, until in self._doubted.items() if until <= now]:
            changes += self._step(name, None)
        return changes

    def next_settle(self) -> float | None:
        """Give when :meth:`settle` has work; None: nothing is in doubt."""
        return min(self._doubted.values(), default=None)

    def _step(self, name: str, new: Registration | None) -> list[Change]:
        self._doubted.pop(name, None)
        old = self._known.get(name)
        if new == old:
            return []
        kind: ChangeKind
        if new is None:
            assert old is not None
            del self._known[name]
            kind, told = "removed", old
        else:
            self._known[name] = new
            kind, told = ("registered" if old is None else "changed"), new
        return [Change(self.number, kind, told, self.epoch)]
