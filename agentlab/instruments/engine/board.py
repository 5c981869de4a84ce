"""What the threads of one instrument share: its link, queue, work under way, latch and table. One lock guards all of it.

The rule for every thread: take the lock, look or change, let go; then tell whoever waits. Nobody is called with the lock held.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DriverError,
    ExpiredError,
    InstrumentError,
    LockedError,
    OfflineError,
)
from agentlab.instruments.drivers.driver import Driver
from agentlab.instruments.engine.aside import Aside
from agentlab.instruments.engine.latch import Latch
from agentlab.instruments.engine.latch_file import KEEPING_FAILED, LatchFile
from agentlab.instruments.engine.ownership import Ownership
from agentlab.instruments.engine.polling import Book
from agentlab.instruments.engine.queue import Job, JobQueue
from agentlab.instruments.engine.states import States
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table

PATIENCE = 5.0
"""Seconds that calls wait for a device that is only being connected."""
BRIEF = 0.05
"""Seconds that a reading or a set may last before the instrument counts as busy."""
HANG = 10.0
"""Seconds after which people are told that a driver does not come back, of what should be short or was to end."""
TIMEOUTS_OF_A_HANG = 3.0
"""So many times the device's own timeout, if that is longer."""


@dataclass(slots=True)
class SafeOrder:
    """The order to bring the device into its safe state, from when it is given until it is carried out."""

    reason: str
    by: str
    attempts: int = 0
    doubted: bool = False
    answers: list[Any] = field(default_factory=list)
    logged: threading.Event = field(default_factory=threading.Event)
    """Set when the order stands in the log: what became of it is to stand behind it."""


class Board:
    """The shared state of one instrument.

    Args:
        spec: What describes it.
        clock: Tells the time in seconds, for deadlines.
        latch_file: Where the latch outlives the process; None: it does not.

    Attributes:
        lock: Guards all that follows; the driver's thread waits on it.
        states: The link.
        queue: Jobs that have not begun.
        tasks: Jobs of several steps that have begun.
        current: The job whose call to the driver runs now.
        inside: What the driver's thread is in the driver for, and since when; None: it is not.
        order: The safe state is to be reached; None: nothing of the kind.
        unsafe: What failed of the last safe state.
        watchdog: When somebody must have kicked it; None: nobody need.
        counts: Errors, by kind.
    """

    def __init__(
        self, spec: InstrumentSpec, clock: Callable[[], float] = time.monotonic, latch_file: LatchFile | None = None
    ) -> None:
        now = clock()
        self.spec = spec
        self.clock = clock
        self.lock = threading.Condition()
        self.states = States(now)
        self.queue = JobQueue()
        self.tasks: list[Job] = []
        self.current: Job | None = None
        self.inside: tuple[str, float] | None = None
        self.cancelling, self.asking = Aside(f"{spec.name}-cancel"), Aside(f"{spec.name}-progress")
        self.latch = Latch(spec.name)
        self._latch_file = latch_file
        if latch_file is not None and (found := latch_file.read()) is not None:
            self.latch.set(found.reason, found.by, found.since)
        self.ownership = Ownership(spec.owner_lease, required=spec.owner_required, what=spec.name, wall=self.wall)
        self.book = Book(clock)
        self.driver: Driver | None = None
        self.table = Table("")
        self.identity = ""
        self.polls: dict[str, float] = {}
        self.order: SafeOrder | None = None
        self.unsafe: list[str] = []
        self.watchdog: float | None = None
        self.counts = {"timeouts": 0, "bad_replies": 0, "offline": 0, "others": 0, "recovered": 0, "expired": 0}
        self.last_error = ""
        self.fault: BaseException | None = None
        self.closing = ""

    def wall(self, now: float) -> float:
        """Give the seconds since 1970 of a time of the clock."""
        return time.time() + now - self.clock()

    def keep_latch(self, log: logging.Logger) -> None:
        """Write the latch down as it is now; without the lock. What goes wrong is told: the latch holds all the same."""
        if self._latch_file is None:
            return
        try:
            self._latch_file.keep(lambda: self.latch.latched)
        except KEEPING_FAILED as error:
            state = "would be forgotten by" if self.latch else "would come back after"
            log.error(  # noqa: TRY400 - it is no mistake of ours, and its text says all
                "the latch of %s cannot be written down, so it %s a restart: %s", self.spec.name, state, error
            )

    # ---------------------------------------------------------------- may it be done? (with the lock held)

    def refusal(self, now: float) -> BaseException | None:
        """Give the error of any call to the device at this moment; None: it can be queued."""
        name, link = self.spec.name, self.states.link
        if self.closing:
            return OfflineError(f"{name} {self.closing}")
        reason = self.states.reason or "no reason known"
        if link == "offline":
            return OfflineError(f"{name} is offline: {reason}; it is looked for every {self.spec.reconnect_most:g} s")
        if link == "fault":
            found = (kind for kind in (DriverError, BadReplyError) if isinstance(self.fault, kind))  # not a driver's own subclass
            return next(found, InstrumentError)(f"{name} is in fault: {reason}")
        if link == "connecting" and now - self.states.since >= PATIENCE:
            return self.not_yet(now)
        return None

    def not_yet(self, now: float) -> OfflineError:
        """Give the error of a call that has waited for the device to be connected, in vain."""
        why = f" ({self.states.reason})" if self.states.reason else ""
        cure = self.hang_text(now) or "ask again when it is online"
        return OfflineError(f"{self.spec.name} has been connecting for {now - self.states.since:.3g} s{why}; {cure}")

    def expired(self, job: Job) -> BaseException:
        """Give the error of a job whose time was over before its turn came, and count it."""
        with self.lock:
            now = self.clock()
            self.counts["expired"] += 1
            if self.states.link == "connecting":
                return self.not_yet(now)
            running = self.current or (self.tasks[0] if self.tasks else None)
            ahead = f" while {running.what} ran for {now - running.started:.3g} s" if running is not None else ""
            cure = self.hang_text(now) or "allow it more time"
            return ExpiredError(f"{job.what} waited its {job.limit:.3g} s in the queue{ahead} and was not executed; {cure}")

    def leave(self, job: Job, now: float) -> BaseException | None:
        """Give why a job must not go on; None: it may."""
        if job.writes:
            if (error := self.latch.refusal()) is not None:
                return error
            if not self.ownership.holds(job.token, now):
                return self._lost(job, now)
        if job.cancelled:
            return CancelledCallError(f"{job.what} was cancelled: {job.cancelled}")
        return None

    def _lost(self, job: Job, now: float) -> BaseException:
        try:
            self.ownership.check(job.client, now)
        except PermissionError as error:
            return error
        return LockedError(f"{job.what} was asked for under another ownership of {self.spec.name}, which is over; ask again")

    # ---------------------------------------------------------------- telling (with the lock held)

    def hangs_from(self) -> float | None:
        """Give the time from which on the driver counts as one that hangs, unless it comes back before; None: it is free.

        An action may last as long as it likes, until somebody has asked it to end.
        """
        job = self.current
        if self.inside is None or (job is not None and job.action and not job.cancelled):
            return None
        since = self.inside[1] if job is None else max(self.inside[1], job.cancelled_at if job.action else 0.0)
        return since + max(HANG, TIMEOUTS_OF_A_HANG * (self.spec.timeout or 0.0))

    def hanging(self, now: float) -> dict[str, Any] | None:
        """Give ``what`` of the driver has not come back for how many ``seconds``, the ``cure``, and all as ``text``; or None."""
        when = self.hangs_from()
        if self.inside is None or when is None or now < when:
            return None
        what, seconds = self.inside[0], now - self.inside[1]
        cure = f"if it hangs, start the agent again: `agentlab restart {self.spec.name}` in a lab"
        text = f"{what} has not come back from the driver for {seconds:.3g} s; {cure}"
        return {"what": what, "seconds": seconds, "cure": cure, "text": text}

    def hang_text(self, now: float) -> str:
        """Give :meth:`hanging` in one line; empty: nothing hangs."""
        found = self.hanging(now)
        return "" if found is None else str(found["text"])

    def reason(self) -> str:
        """Give why it is not online, or not safe although it should be; empty."""
        if self.states.link == "online" and self.latch and self.unsafe and self.order is None:
            return f"could not be made safe: {'; '.join(self.unsafe)}"
        return self.states.reason or (self.hang_text(self.clock()) if self.states.link != "online" else "")

    def working(self, now: float) -> Job | None:
        """Give the job that makes the instrument busy; None: nothing that lasts."""
        job = self.current
        if job is not None and (job.long or job.action or now - job.started > BRIEF):
            return job
        return self.tasks[0] if self.tasks else None

    def shown(self, now: float) -> str:
        """Give the state as people are told it. It is ``safe`` when the safe state is reached, and no moment before."""
        working = self.order is not None or self.working(now) is not None
        state = self.states.shown(working=working, latched=bool(self.latch))
        return "fault" if state == "safe" and self.unsafe else state

    def pending(self, now: float) -> str | None:
        """Give why the safe state that was ordered is not reached yet; None: it is, or none was ordered."""
        if self.order is None:
            return None
        if self.states.link != "online":
            why = self.states.reason or self.hang_text(now) or "the device is not there"
            return f"{self.states.link}: {why}; it is made safe when it is back"
        job = self.current
        if job is not None and not job.safe:
            can = "it is being aborted" if self.table.has_abort else "its driver cannot abort it, so it must end by itself"
            hangs = self.hanging(now)
            cure = f"; {hangs['cure']}" if hangs is not None else ""
            return f"{job.what} has been running for {now - job.started:.3g} s and {can}{cure}"
        return self.hang_text(now) or "it is being made safe"
