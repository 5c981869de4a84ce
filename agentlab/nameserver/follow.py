"""Following a name server's feed: one subscriber, one copy of the table, whatever is lost or restarted meanwhile."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, Self

from agentlab.errors import NameServerUnavailableError, SerializationError
from agentlab.nameserver.mirror import FeedMirror
from agentlab.nameserver.protocol import BEACON_PERIOD, Snapshot, decode_record
from agentlab.nameserver.registration import Change, Registration
from agentlab.transport.feed import FeedSubscriber

log = logging.getLogger("agentlab.nameserver")

SILENCE = 3 * BEACON_PERIOD
RETRY = 0.25
_FIRST_ANNOUNCE, _LAST_ANNOUNCE = 0.02, 0.5


class Source(Protocol):
    """What a follower asks of a name server's client."""

    def snapshot(self) -> Snapshot:
        """Give all registrations."""

    def endpoints(self) -> dict[str, Any]:
        """Give where the feed is."""

    def announce(self) -> tuple[str, int]:
        """Have the feed tell its position at once."""


class Follower:
    """Keeps a :class:`~.mirror.FeedMirror` up to date. For one thread, which opens, steps and closes it."""

    def __init__(self, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self.mirror = FeedMirror()
        self.error: NameServerUnavailableError | None = None
        self._source, self._clock = source, clock
        self._subscriber: FeedSubscriber | None = None
        self._endpoint = ""
        self._stale = True
        self._heard = False  # whether this subscription has delivered anything yet
        self._last = self._announced = clock()
        self._pause = _FIRST_ANNOUNCE

    def step(self, timeout: float, wake: socket.socket | None = None) -> list[Change]:
        """Wait for changes and give them, in order.

        Args:
            timeout: Seconds to wait at most, unless the name server is asked meanwhile: that takes its own time.
            wake: Ends the wait when it is readable.

        Returns:
            What changed; empty too when nothing did, or nobody answers (see :attr:`error`).
        """
        try:
            changes = self._ask()
            self.error = None
        except NameServerUnavailableError as error:
            self.error = error
            self._wait(min(timeout, RETRY), wake)
            return self.mirror.settle(self._clock())
        if changes:
            return changes
        self._wait(self._patience(timeout), wake)
        return self._receive() + self.mirror.settle(self._clock())

    def close(self) -> None:
        """Close the subscription; twice is fine."""
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            subscriber.close()

    def _ask(self) -> list[Change]:
        """Ask the name server what the feed cannot tell: where it is, what was lost, whether we are joined."""
        now = self._clock()
        if self._subscriber is None or now - self._last > SILENCE:
            self._subscribe()
        if self._stale:
            changes = self.mirror.reset(self._source.snapshot(), self._clock())
            self._stale = False
            return changes
        if not self._heard and now - self._announced >= self._pause:
            # ZeroMQ does not tell when a subscription has arrived; what is published before that is lost.
            self._announced, self._pause = now, min(2 * self._pause, _LAST_ANNOUNCE)
            self._stale = self._source.announce() != (self.mirror.epoch, self.mirror.number)
        return []

    def _subscribe(self) -> None:
        endpoint = str(self._source.endpoints()["feed"])
        self.close()
        self._subscriber, self._endpoint = FeedSubscriber(endpoint), endpoint
        self._heard, self._stale, self._pause = False, True, _FIRST_ANNOUNCE
        self._last = self._announced = self._clock()

    def _patience(self, timeout: float) -> float:
        now = self._clock()
        until = [now + timeout, self._last + SILENCE]
        if not self._heard:
            until.append(self._announced + self._pause)
        settle = self.mirror.next_settle()
        if settle is not None:
            until.append(settle)
        return 0.0 if self._stale else max(0.0, min(until) - now)

    def _wait(self, timeout: float, wake: socket.socket | None) -> None:
        with selectors.DefaultSelector() as selector:
            for waited in (wake, self._subscriber):
                if waited is not None:
                    selector.register(waited, selectors.EVENT_READ)
            if selector.get_map():
                selector.select(timeout)
            else:
                time.sleep(timeout)

    def _receive(self) -> list[Change]:
        # ZeroMQ's descriptor tells of an edge, not of a state: take all there is.
        assert self._subscriber is not None
        changes: list[Change] = []
        while (data := self._subscriber.recv(0)) is not None:
            self._heard, self._last = True, self._clock()
            if self._stale:
                continue  # the snapshot that comes next has it
            try:
                told = self.mirror.apply(decode_record(data))
            except SerializationError as error:
                log.warning("record of the feed dropped: %s", error)
                continue
            if told is None:
                self._stale = True
            else:
                changes += told
        return changes


class Watch:
    """Tells of every change at a name server, from a thread of its own, until :meth:`close`.

    Args:
        source: The name server's client.
        callback: Called with each :class:`~.registration.Change`, first with one ``registered`` for everybody who is
            there already. What it raises is logged, and harms nothing.
    """

    def __init__(self, source: Source, callback: Callable[[Change], object]) -> None:
        self._source, self._callback = source, callback
        self._waker, self._wake_end = socket.socketpair()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._state: dict[str, Registration] = {}
        self._thread = threading.Thread(target=self._run, name="agentlab-watch", daemon=True)
        self._thread.start()

    def state(self) -> dict[str, Registration]:
        """Give the registrations by name, as told so far. From any thread."""
        with self._lock:
            return dict(self._state)

    def close(self) -> None:
        """End it; no call of the callback begins after this returns, except when called from the callback. Twice is fine."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        self._waker.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        follower = Follower(self._source)
        try:
            while not self._closed.is_set():
                for change in follower.step(60.0, self._wake_end):
                    if self._closed.is_set():
                        return
                    self._tell(change)
        finally:
            follower.close()
            self._wake_end.close()

    def _tell(self, change: Change) -> None:
        with self._lock:
            if change.kind == "removed":
                self._state.pop(change.name, None)
            else:
                self._state[change.name] = change.registration
        try:
            self._callback(change)
        except Exception:
            log.exception("a callback of watch() raised at %s of %r", change.kind, change.name)
