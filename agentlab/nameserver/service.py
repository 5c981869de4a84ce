"""What a name server answers: calls to bytes, over a guarded :class:`~.leases.NameTable`. Opens nothing itself.

With a storage, what a call asks for is kept before the table changes and before it is answered; where it cannot be kept,
the call is refused. What comes about without a call (a lease that is over, a renewal that brings somebody back) is not
refused, for it is so: it is kept as soon as it can be. A renewal that only makes a lease longer is never written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace as with_fields
from typing import Any

from agentlab.errors import AgentLabError, NameServerError, NameTakenError, UnknownNameError
from agentlab.nameserver import protocol
from agentlab.nameserver.leases import NameTable
from agentlab.nameserver.probe import is_dead
from agentlab.nameserver.registration import Change, MetaFilter, Registration, check_registration
from agentlab.nameserver.storage import Storage

log = logging.getLogger("agentlab.nameserver")


class NameService:
    """The calls of a name server. Thread-safe: calls come from the daemon's threads, renewals from the server's own.

    Args:
        wake: Called, from any thread, when :meth:`take_records` has something.
        stop: Called when a client asks the server to end.
        clock: Seconds that only grow.
        wall: Seconds since 1970.
        probe: Tells of a URI whether its holder is certainly dead; may block for a moment.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        stop: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        probe: Callable[[str], bool] = is_dead,
    ) -> None:
        self.table = NameTable()
        self.counts: Counter[str] = Counter()
        self.places: dict[str, Any] = {}
        self._wake, self._stop, self._clock, self._wall, self._probe = wake, stop, clock, wall, probe
        self._lock = threading.Lock()
        self._records: list[bytes] = []
        self._started = clock()
        self._storage: Storage | None = None
        self._unkept: dict[str, Change] = {}  # the last change of each name that could not be written yet, in their order
        self._methods: dict[str, Callable[..., Any]] = {
            "ping": lambda: "pong",
            "register": self._register,
            "lookup": lambda name: self.lookup(name).plain(),
            "find": self._find,
            "remove": lambda name, uri=None, instance=None: self.remove(name, uri, instance),
            "list": lambda **conditions: [found.plain() for found in self.list(**conditions).values()],
            "snapshot": self._snapshot,
            "announce": self._announce,
            "endpoints": lambda: self.places,
            "info": self._info,
            "shutdown": self._shutdown,
        }

    def restore(self, storage: Storage) -> None:
        """Take in what a storage holds, and keep every change in it from now on. Call it first; :meth:`close` closes it.

        Raises:
            ConfigurationError: what it holds cannot be read.
        """
        with self._lock:
            self._storage = storage
            registrations = storage.load()
            self.table.restore(registrations, self._clock())
        log.info("%d names were kept", len(registrations))

    def close(self) -> None:
        """Put the storage in order, where there is one; what is asked afterwards and had to be kept is refused."""
        with self._lock:
            self._keep_later([])
            if self._storage is not None:
                self._storage.close()

    def handle(self, payload: bytes, peer: object = None) -> bytes:
        """Answer one call; what is wrong with it is part of the answer.

        Args:
            payload: A request of :mod:`~.protocol`.
            peer: Who asks, for the log.
        """
        try:
            method, arguments = protocol.decode_request(payload)
            if method not in self._methods:
                raise NameServerError(f"a name server has no call {method!r}; both sides must run the same release")
            try:
                return protocol.encode_result(self._methods[method](**arguments))
            except AgentLabError:
                raise
            except (TypeError, ValueError) as error:
                raise NameServerError(f"wrong arguments for the call {method!r}: {error}") from error
        except AgentLabError as error:
            log.debug("call of %s refused: %s", peer, error)
            return protocol.encode_error(error)

    def register(self, registration: Registration, replace: bool = False) -> Registration:
        """Take in a claim; give the registration as it now stands.

        Raises:
            NameTakenError: a live holder has the name. One that is certainly dead is put out first.
            NameServerError: it cannot be kept, or there are too many names; nothing has changed.
        """
        check_registration(registration).pack()
        registration = with_fields(registration, since=self._wall())
        try:
            return self._claim(registration, replace)
        except NameTakenError:
            held = self.find(registration.name)
            if held is not None:
                if not self._probe(held.uri):
                    raise
                log.info("%r is taken from %s, where nobody listens any more", held.name, held.uri)
                self.remove(held.name, held.uri, held.instance)
            return self._claim(registration, replace)

    def lookup(self, name: str) -> Registration:
        """Give who has a name.

        Raises:
            UnknownNameError: nobody.
        """
        with self._lock:
            return self.table.lookup(name)

    def find(self, name: str) -> Registration | None:
        """Give who has a name, or None."""
        with self._lock:
            return self.table.find(name)

    def list(
        self,
        prefix: str | None = None,
        regex: str | None = None,
        meta_all: MetaFilter | None = None,
        meta_any: MetaFilter | None = None,
        tag: str | None = None,
    ) -> dict[str, Registration]:
        """Give the registrations that fulfil every condition given, by name."""
        with self._lock:
            return self.table.list(prefix, regex, meta_all, meta_any, tag)

    def remove(self, name: str, uri: str | None = None, instance: str | None = None) -> bool:
        """Take a name away from whoever has it, or only from that very holder; tell whether it went.

        Raises:
            NameServerError: it cannot be kept that it went; it is still there.
        """
        with self._lock:
            change = self.table.remove(name, uri, instance, self._clock(), self._keep)
            self._tell([change])
        return change is not None

    def renew(self, registrations: Sequence[Registration]) -> None:
        """Take in renewals; those that cannot be are counted and dropped."""
        now = self._clock()
        changes: list[Change] = []
        with self._lock:
            self.counts["renewals"] += len(registrations)
            for registration in registrations:
                try:
                    change = self.table.renew(registration, now)
                except NameTakenError:
                    self.counts["conflicts"] += 1
                except UnknownNameError:
                    self.counts["late"] += 1
                except NameServerError:
                    self.counts["full"] += 1
                else:
                    if change is not None:
                        changes.append(change)
            self._keep_later(changes)
            self._tell(changes)

    def expire(self, granted: float = 0.0) -> None:
        """Take away whose lease is over, after lengthening all by ``granted`` seconds."""
        with self._lock:
            if granted:
                self.table.grant(granted)
            self._expire(self._clock())

    def keep_rest(self) -> None:
        """Try again to keep what could not be kept before; call it now and then."""
        if self._unkept:
            with self._lock:
                self._keep_later([])

    def next_expiry(self) -> float | None:
        """Give a time before which no lease ends, on the clock given; None: no lease runs."""
        with self._lock:
            return self.table.next_expiry()

    def take_records(self, beacon: bool = False) -> Sequence[bytes]:
        """Give the records of the feed that were not taken yet, in order; at the end a beacon, where asked."""
        with self._lock:
            if beacon:
                self._records.append(protocol.encode_beacon(self.table.epoch, self.table.number))
            records, self._records = self._records, []
        return records

    def _claim(self, registration: Registration, replace: bool) -> Registration:
        now = self._clock()
        with self._lock:
            self._expire(now)
            if self._unkept:
                self._write([])  # what is answered with yes must be kept, even where this call changes nothing
            before = self.table.find(registration.name)
            self._tell([self.table.register(registration, now, replace, self._keep)])
            stands = self.table.lookup(registration.name)
        if before is not None and before.uri != stands.uri:
            log.warning("%r is taken over: from %s to %s", stands.name, before.uri, stands.uri)
        return stands

    def _expire(self, now: float) -> None:
        changes = self.table.expire(now)
        self._keep_later(changes)
        self._tell(changes)

    def _keep(self, change: Change) -> None:
        self._write([change])

    def _keep_later(self, changes: Sequence[Change]) -> None:
        """Keep what has happened already; where that fails, note it for the next time."""
        if self._storage is None or not (changes or self._unkept):
            return
        try:
            self._write(changes)
        except NameServerError as error:
            if not self._unkept:
                log.warning("%s; it is tried again", error)
            for change in changes:
                self._unkept.pop(change.name, None)
                self._unkept[change.name] = change
            self.counts["unkept"] = len(self._unkept)

    def _write(self, changes: Sequence[Change]) -> None:
        if self._storage is None:
            return
        self._storage.apply([*self._unkept.values(), *changes])
        if self._unkept:
            log.info("what was not kept before is now: %d names", len(self._unkept))
            self._unkept.clear()
            self.counts["unkept"] = 0

    def _tell(self, changes: Iterable[Change | None]) -> None:
        # Under the lock, so that records stand in the order of their numbers.
        records = [protocol.encode_change(change) for change in changes if change is not None]
        if records:
            self._records += records
            self._wake()

    def _register(self, registration: Any, replace: bool = False) -> Any:
        name, uri, instance, metadata, lease = registration
        return self.register(Registration(name, uri, instance, metadata, lease), bool(replace)).plain()

    def _find(self, name: str) -> Any:
        found = self.find(name)
        return None if found is None else found.plain()

    def _snapshot(self) -> Any:
        with self._lock:
            epoch, number, registrations = self.table.epoch, self.table.number, self.table.list()
        return protocol.snapshot_to_plain(epoch, number, registrations)

    def _announce(self) -> Any:
        with self._lock:
            self._records.append(protocol.encode_beacon(self.table.epoch, self.table.number))
            position = [self.table.epoch, self.table.number]
        self._wake()
        return position

    def _info(self) -> Any:
        with self._lock:
            known = {"epoch": self.table.epoch, "number": self.table.number, "names": len(self.table)}
        return {**known, "uptime": self._clock() - self._started, "counts": dict(self.counts)}

    def _shutdown(self) -> None:
        log.info("asked to end")
        self._stop()
