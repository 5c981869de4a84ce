"""The loop of one agent: one thread waits for sockets, timers and calls, and serves each in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Protocol

from agentlab.agent.mailbox import Call, Mailbox
from agentlab.agent.pulse import TURNED, Pulse
from agentlab.agent.timers import Timers
from agentlab.transport.poller import Poller
from agentlab.transport.sockets import Socket

FAIR_SHARE = 0.002
"""Seconds that one socket, or all calls together, may take before the others have their turn."""
MOST_AT_ONCE = 512
IDLE_AFTER = 1.0
FAILURES = (Exception, SystemExit)
"""What a handler may raise without ending the loop: sys.exit ends a program, and the agent is more than one handler."""


class Source(Protocol):
    """A socket, or a file descriptor, with what is to be done when it is readable."""

    @property
    def socket(self) -> Socket | int:
        """What to wait for."""
        ...

    @property
    def backlog(self) -> bool:
        """Whether messages are here that no socket will announce again."""
        ...

    def serve(self, limit: int) -> bool:
        """Serve up to `limit` messages; True when nothing is left."""


class Waiter(Protocol):
    """Waits for readable sockets and for one wake-up, as :class:`~agentlab.transport.poller.Poller` does."""

    def add(self, key: Hashable, source: Socket | int) -> None:
        """Watch a socket or a file descriptor."""

    def remove(self, source: Socket | int) -> None:
        """Stop watching."""

    def wait(self, timeout: float | None) -> list[Hashable]:
        """Wait, and give the keys of what is readable."""
        ...

    def wait_for_wake(self) -> None:
        """Wait for the wake-up alone."""

    def wake(self) -> None:
        """End the wait; from any thread."""

    def close(self) -> None:
        """Free what it holds."""


class Loop:
    """Runs in the thread that calls :meth:`run`; only :meth:`call`, :meth:`post` and :meth:`wake` are for other threads."""

    def __init__(self, on_error: Callable[[BaseException, str], None]) -> None:
        self.timers = Timers()
        self.deadlines = Timers()
        """Timers of our own, such as of requests that are given up: not shown to users."""
        self._poller: Waiter = Poller()
        self.now: Callable[[], float] = time.monotonic
        """The time of timers and deadlines, in seconds."""
        self.mailbox = Mailbox(self.wake)
        self._on_error = on_error
        self._sources: dict[int, Source] = {}
        self._share: dict[int, int] = {}
        self._unfinished: set[int] = set()
        self.owner: int | None = None
        """The ident of the thread that owns the sockets."""
        self.pulse = Pulse()
        """When the loop was last seen to turn, and whether it runs; read by whoever looks for hangs."""

    # --- for other threads ----------------------------------------------------------------------------------------

    def in_owner(self) -> bool:
        """Tell whether the current thread owns the sockets."""
        return self.owner is None or threading.get_ident() == self.owner

    def post(self, function: Callable[[], object], then: Callable[[Call], object] | None = None) -> Call:
        """Have the owner run a function, and give the answered call to `then`; from any thread."""
        return self.mailbox.post(function, then)

    def wake(self) -> None:
        """Make the loop look at what ends it; from any thread or a signal handler."""
        self._poller.wake()

    # --- for the owner --------------------------------------------------------------------------------------------

    def add(self, source: Source) -> None:
        """Serve a socket from now on."""
        self._sources[id(source)] = source
        self._share[id(source)] = 8
        self._poller.add(id(source), source.socket)

    def remove(self, source: Source) -> None:
        """Serve a socket no more."""
        if self._sources.pop(id(source), None) is not None:
            self._share.pop(id(source), None)
            self._unfinished.discard(id(source))
            self._poller.remove(source.socket)

    def come_back_to(self, source: Source) -> None:
        """Serve a source in the next turn, for it has a backlog that no socket announces."""
        if id(source) in self._sources:
            self._unfinished.add(id(source))

    def after_internal(self, delay: float, action: Callable[[], object]) -> str:
        """Run an action once in `delay` seconds; give the alias by which ``deadlines`` knows it."""
        return self.deadlines.after(delay, action, now=self.now())

    def use(
        self,
        poller: Waiter,
        timers: Timers,
        deadlines: Timers,
        now: Callable[[], float],
        on_error: Callable[[BaseException, str], None],
    ) -> None:
        """Wait, tell the time and report errors by other means: for the test kit, before anything is added."""
        self._poller.close()
        self._poller, self.timers, self.deadlines, self.now = poller, timers, deadlines, now
        self._on_error = on_error

    def turn(self, keep_going: Callable[[], bool]) -> bool:
        """Serve what is there without waiting; tell whether there was anything."""
        return self._turn(keep_going, 0.0)

    def run(self, keep_going: Callable[[], bool], *, idle: Callable[[], object] | None = None) -> None:
        """Serve until `keep_going` is false.

        Args:
            keep_going: Asked at every turn, and before every socket.
            idle: Called when nothing came for a second; None: the loop then sleeps as long as it can.
        """
        self.owner = threading.get_ident()
        pulse = self.pulse
        pulse.begin()
        last = time.monotonic()
        try:
            while keep_going():
                if self._turn(keep_going, pulse.longest if idle is None else max(0.0, last + IDLE_AFTER - time.monotonic())):
                    last = time.monotonic()
                elif idle is not None and time.monotonic() - last >= IDLE_AFTER:
                    self._guarded(idle, "idle")
                    last = time.monotonic()
        finally:
            pulse.end()

    def _turn(self, keep_going: Callable[[], bool], at_most: float | None) -> bool:
        """Wait for something and serve it; tell whether there was anything."""
        limit = self._time_left(at_most)
        self.mailbox.sleeping = True
        if self.mailbox or self._unfinished:
            limit = 0.0
        ready = self._poller.wait(limit)
        self.mailbox.sleeping = False
        self.pulse.cells[TURNED] = time.monotonic()
        if self._unfinished:
            ready = list(dict.fromkeys([*ready, *self._unfinished]))
        for key in ready:
            source = self._sources.get(key)  # type: ignore[call-overload]
            if source is not None and keep_going():
                self._serve(source)
        calls = self._run_calls() if self.mailbox else 0
        ticks = self._run_timers(keep_going) if self.timers or self.deadlines else 0
        return bool(ready or calls or ticks)

    def wait_for_orders(self, keep_waiting: Callable[[], bool]) -> None:
        """Answer calls alone, no sockets and no timers, while `keep_waiting` is true: before and after a run."""
        self.owner = threading.get_ident()
        while keep_waiting():
            self.mailbox.sleeping = True
            if not self.mailbox:
                self._poller.wait_for_wake()
            self.mailbox.sleeping = False
            self._run_calls()

    def _time_left(self, at_most: float | None) -> float | None:
        if not self.timers and not self.deadlines:
            return at_most
        times = [t for t in (self.timers.next_time(), self.deadlines.next_time()) if t is not None]
        if not times:
            return at_most
        left = max(0.0, min(times) - self.now())
        return left if at_most is None else min(left, at_most)

    def _serve(self, source: Source) -> None:
        key = id(source)
        limit = self._share.get(key, 1)
        began = time.perf_counter()
        try:
            empty = source.serve(limit)
        except FAILURES as error:  # a door: a turn of the loop
            self._on_error(error, "a handler")
            empty = not source.backlog
        took = time.perf_counter() - began
        if key not in self._share:  # the handler has closed its own socket
            return
        if took > FAIR_SHARE:
            self._share[key] = max(1, limit // 2)
        elif not empty:
            self._share[key] = min(MOST_AT_ONCE, limit * 2)
        if source.backlog:
            self._unfinished.add(key)
        else:
            self._unfinished.discard(key)

    def _run_calls(self) -> int:
        began, calls = time.perf_counter(), 0
        while self.mailbox.run_one():
            calls += 1
            if time.perf_counter() - began > FAIR_SHARE:
                break
        return calls

    def _run_timers(self, keep_going: Callable[[], bool]) -> int:
        ticks = 0
        for timers in (self.deadlines, self.timers):
            if timers.next_time() is None:
                continue
            now = self.now()  # once: each(0) is due again at once, and must not keep the loop here
            for _ in range(len(timers)):
                action = timers.pop_due(now) if keep_going() else None
                if action is None:
                    break
                ticks += 1
                self._guarded(action, "a timer")
        return ticks

    def _guarded(self, action: Callable[[], object], what: str) -> None:
        try:
            action()
        except FAILURES as error:  # a door: a turn of the loop
            self._on_error(error, what)

    def close(self, reason: str) -> None:
        """Refuse further calls and free the wake-up; twice is fine."""
        self.timers.stop_all()
        self.deadlines.stop_all()
        self.mailbox.close(reason)
        self._poller.close()
        self.pulse.close()
