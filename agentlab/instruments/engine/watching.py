"""What happens by itself when time passes: leases, waits and deadlines run out, readings grow stale, nobody kicks the watchdog.

One small thread for each instrument, which works while the driver is stuck in a call. It sleeps until the next of these
times, so an instrument that nobody uses does not wake at all.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from agentlab.instruments.engine.board import PATIENCE, Board
from agentlab.instruments.engine.emergency import Emergency
from agentlab.instruments.engine.states import GONE
from agentlab.instruments.model.reading import Reading

LEAST_PAUSE, LONGEST_PAUSE = 0.005, 3600.0
"""Seconds; bounds for what a wrong time could cost."""
MOST_WARNED = 100
"""Calls that are remembered as slow ones."""


class Watcher:
    """Watches the clock for one instrument.

    Args:
        board: What is shared.
        emergency: Orders the safe state.
        happened: Is called when ownership may have changed by itself.
        publish: Is given readings that have grown stale.
        tell: Is called when the state has changed.
        log: Where it is told.
    """

    def __init__(
        self,
        board: Board,
        emergency: Emergency,
        *,
        happened: Callable[[], None],
        publish: Callable[[Reading], None],
        tell: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._board, self._emergency = board, emergency
        self._happened, self._publish, self._tell, self._log = happened, publish, tell, log
        self._wake = threading.Condition()
        self._asked: float | None = None
        self._until: float | None = None
        self._again = True
        self._closed = False
        self._alarms: list[tuple[float, Callable[[], object]]] = []
        self._told_of: tuple[str, float] | None = None
        self._warned_of: deque[str] = deque(maxlen=MOST_WARNED)

    def by(self, when: float | None) -> None:
        """Say that something is to be looked at by then, in seconds of the board's clock; None: nothing. Any thread.

        The time is kept even if what it is about is over before: a client that calls and calls, each time with a limit of
        five seconds, wakes the thread every five seconds and not at every call.
        """
        if when is None or (self._until is not None and self._until <= when):
            return
        with self._wake:
            self._asked = when if self._asked is None else min(self._asked, when)
            self._again = True
            self._wake.notify()

    def alarm(self, when: float, action: Callable[[], object]) -> None:
        """Have something called at a time of the board's clock, in the watching thread. Any thread."""
        with self._wake:
            self._alarms.append((when, action))
        self.by(when)

    def forget(self, action: Callable[[], object]) -> None:
        """Have what an alarm would call not called, if it has not been; any thread."""
        with self._wake:
            self._alarms = [one for one in self._alarms if one[1] is not action]

    def close(self) -> None:
        """End the thread's main function."""
        with self._wake:
            self._closed = True
            self._wake.notify()

    def run(self) -> None:
        """Watch until it is closed. The thread's main function."""
        while True:
            with self._wake:
                if self._closed:
                    return
                self._again = False
                self._until = None  # whoever puts a deadline from here on wakes the next wait
            try:
                when = self.tick()
            except BaseException:  # noqa: BLE001 - a door: the leases of this instrument must go on running out
                self._log.exception("%s: a turn of the watch failed", self._board.spec.name)
                when = self._board.clock() + 0.1
            with self._wake:
                now = self._board.clock()
                if self._asked is not None and self._asked <= now:
                    self._asked = None
                self._until = when = min((one for one in (when, self._asked) if one is not None), default=None)
                if not self._again and not self._closed:
                    self._wake.wait(None if when is None else min(LONGEST_PAUSE, max(LEAST_PAUSE, when - now)))

    def tick(self) -> float | None:
        """Do all that is due, and give when to look again; None: when somebody says so."""
        board = self._board
        self._happened()
        self._expire()
        self._watchdog()
        self._grown_stale()
        times = [self._ring(), board.ownership.next_time(), self._emergency.remind(), self._next_stale(), self._hang()]
        with board.lock:
            times += [board.queue.next_deadline(), board.watchdog]
            first = board.queue.first_put() if board.states.link == "connecting" else None
            times.append(None if first is None else max(first, board.states.since) + PATIENCE)
        return min((when for when in times if when is not None), default=None)

    def _expire(self) -> None:
        board = self._board
        with board.lock:
            now = board.clock()
            late = board.queue.late(now)
            if board.states.link == "connecting":
                since = board.states.since
                late += board.queue.withdraw(lambda job: max(job.put_at, since) + PATIENCE <= now)
        for job in late:
            job.answer.fail(board.expired(job))

    def _watchdog(self) -> None:
        board = self._board
        with board.lock:
            now = board.clock()
            due = board.watchdog is not None and board.watchdog <= now
            if due:
                board.watchdog = None
        if due:
            self._emergency.order(f"nobody kicked it for {board.spec.watchdog:g} s", "the watchdog", latch=True)

    def _hang(self) -> float | None:
        """Tell once of a driver that does not come back; give when it would be one."""
        board = self._board
        with board.lock:
            now, inside, when = board.clock(), board.inside, board.hangs_from()
            if when is None or inside == self._told_of:
                return None
            text = board.hang_text(now)
            if not text:
                return when
            self._told_of = inside
        what = "" if inside is None else inside[0]
        level = logging.DEBUG if what in self._warned_of else logging.WARNING  # what is slow each time is told once
        if what not in self._warned_of:
            self._warned_of.append(what)
        self._log.log(level, "%s: %s", board.spec.name, text)
        self._tell()
        return None

    def _ring(self) -> float | None:
        """Do what is due, and give when the next alarm is."""
        now = self._board.clock()
        with self._wake:
            due = [action for when, action in self._alarms if when <= now]
            self._alarms = [(when, action) for when, action in self._alarms if when > now]
            upcoming = min((when for when, _ in self._alarms), default=None)
        for action in due:
            try:
                action()
            except Exception:  # noqa: BLE001 - a door: the other alarms are answers that somebody waits for
                self._log.exception("%s: something that was due failed", self._board.spec.name)
        return upcoming

    def _grown_stale(self) -> None:
        board = self._board
        if board.polls and board.states.link not in GONE:  # a driver that hangs while it mends its session is not online
            for reading in board.book.to_tell(board.polls, board.clock(), online=True):
                self._publish(reading)

    def _next_stale(self) -> float | None:
        board = self._board
        if not board.polls or board.states.link in GONE:
            return None
        when = board.book.next_stale(board.polls)
        return None if when is None else when + LEAST_PAUSE
