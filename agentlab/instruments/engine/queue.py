"""The queue of one instrument: calls in order, each with its own deadline; polls give way. No clock, no thread.

The order: what is urgent, then calls as they came. A poll is taken when no call waits, and after every few calls at the
latest, so that readings go on under load and calls never wait for more than one of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from agentlab.instruments.engine.claims import Client

NOBODY = Client("", "")
"""Who asks for what an instrument does by itself."""
CALLS_BETWEEN_POLLS = 4


class Job:
    """One thing to do with the device.

    Attributes:
        what: For people: ``get voltage``.
        work: What to do; the queue never calls it.
        client: Who asked.
        deadline: After this time it must not begin; None: whenever.
        limit: The seconds that the deadline was made of, for messages.
        put_at: When it was asked for.
        writes: Whether it changes the device, and so needs leave at the moment when it begins, too.
        token: The ownership under which it was accepted; None: nobody's.
        long: Whether `work` gives a generator that lets other jobs in between.
        answer: Where its result goes.
        cancelled: Why it must not go on; empty: it may.
        cancelled_at: Since when.
        over: Whether it has come to its end, however.
        at_end: What is called then, in the driver's thread.
        target: The parameter that it is about, or the action that it runs.
        action: Whether it is an action.
        safe: Whether it brings the safe state.
        poll: Whether the instrument asks for it by itself.
        forced: Whether an interlock's rule demands it: nobody cancels that.
        started: When it began.
        steps: The generator of a long job that has begun.
        next_time: When its next step is due.
        progress: How far it has come, 0 to 1; None: it does not say.
    """

    __slots__ = (
        "action", "answer", "at_end", "cancelled", "cancelled_at", "client", "deadline", "forced", "limit", "long", "next_time",
        "over", "poll", "progress", "put_at", "safe", "started", "steps", "target", "token", "what", "work", "writes",
    )  # fmt: skip

    def __init__(
        self,
        what: str,
        work: Callable[..., Any],
        *,
        put_at: float,
        client: Client = NOBODY,
        limit: float | None = None,
        writes: bool = False,
        token: str | None = None,
        long: bool = False,
        answer: Any = None,
        target: str = "",
        action: bool = False,
        safe: bool = False,
        poll: bool = False,
        forced: bool = False,
    ) -> None:
        self.what, self.work, self.client, self.put_at, self.limit = what, work, client, put_at, limit
        self.deadline = None if limit is None else put_at + limit
        self.writes, self.token, self.long, self.answer, self.target = writes, token, long, answer, target
        self.action, self.safe, self.poll, self.forced = action, safe, poll, forced
        self.cancelled = ""
        self.cancelled_at = 0.0
        self.over = False
        self.at_end: list[Callable[[], object]] = []
        self.started = 0.0
        self.steps: Any = None
        self.next_time = 0.0
        self.progress: float | None = None

    def cancel(self, why: str, now: float) -> None:
        """Say that it must not go on; the first reason stays."""
        if not self.cancelled:
            self.cancelled, self.cancelled_at = why, now

    def __repr__(self) -> str:
        return f"<job {self.what!r} of {self.client.label or 'the instrument'}>"


class JobQueue:
    """Jobs of one instrument. The caller keeps threads apart."""

    def __init__(self) -> None:
        self._urgent: deque[Job] = deque()
        self._calls: deque[Job] = deque()
        self._polls: deque[Job] = deque()
        self._polled: set[str] = set()
        self._late: list[Job] = []
        self._since_poll = 0

    def put(self, job: Job, *, urgent: bool = False) -> None:
        """Add a call; an urgent one comes before all that is not."""
        (self._urgent if urgent else self._calls).append(job)

    def put_poll(self, job: Job) -> bool:
        """Add a poll; False when one of the same target waits already."""
        if job.target in self._polled:
            return False
        self._polled.add(job.target)
        self._polls.append(job)
        return True

    def take(self, now: float, blocked: Callable[[Job], bool] | None = None) -> Job | None:
        """Give the next job, which is no longer in the queue; None: there is none. One whose time is over is never given.

        Args:
            now: Time in seconds.
            blocked: Tells which jobs must wait. They keep their places, and so does what their clients asked for after them.
        """
        if (job := self._next(self._urgent, now, blocked)) is not None:
            return job
        due = self._polls and self._since_poll >= CALLS_BETWEEN_POLLS
        if not due and (job := self._next(self._calls, now, blocked)) is not None:
            self._since_poll += 1
            return job
        if self._polls:
            job = self._polls.popleft()
            self._polled.discard(job.target)
            self._since_poll = 0
            return job
        self._since_poll = 0
        return None

    def _next(self, row: deque[Job], now: float, blocked: Callable[[Job], bool] | None) -> Job | None:
        passed = 0
        behind: set[str] = set()  # clients whose jobs are passed over: each client's order stays
        while len(row) > passed:
            job = row[passed]
            if job.deadline is not None and job.deadline <= now:
                del row[passed]
                self._late.append(job)
            elif blocked is not None and (job.client.id in behind or blocked(job)):
                behind.add(job.client.id)
                passed += 1
            else:
                del row[passed]
                return job
        return None

    def late(self, now: float) -> list[Job]:
        """Give the jobs whose time is over, in order, each once: they are not in the queue any more."""
        for row in (self._urgent, self._calls):
            over = [job for job in row if job.deadline is not None and job.deadline <= now]
            for job in over:
                row.remove(job)
            self._late += over
        found, self._late = self._late, []
        return found

    def found_late(self) -> list[Job]:
        """Give the jobs that :meth:`take` has passed over because their time was over, each once."""
        found, self._late = self._late, []
        return found

    def withdraw(self, which: Callable[[Job], bool]) -> list[Job]:
        """Take out the calls for which `which` says yes, and give them in order. Polls stay."""
        out = [job for row in (self._urgent, self._calls) for job in row if which(job)]
        for job in out:
            (self._urgent if job in self._urgent else self._calls).remove(job)
        return out

    def count_of(self, client: str) -> int:
        """Give how many calls of a client wait, by its identity."""
        return sum(job.client.id == client for row in (self._urgent, self._calls) for job in row)

    def drop_polls(self) -> None:
        """Forget the polls that wait: the device is gone, and they come back by themselves."""
        self._polls.clear()
        self._polled.clear()

    def next_deadline(self) -> float | None:
        """Give the earliest deadline of all calls; None: there is none."""
        return min((job.deadline for row in (self._urgent, self._calls) for job in row if job.deadline is not None), default=None)

    def first_put(self) -> float | None:
        """Give when the call that waits longest was asked for; None: none waits."""
        return min((row[0].put_at for row in (self._urgent, self._calls) if row), default=None)

    def waiting(self, now: float) -> list[dict[str, Any]]:
        """Give what waits, in order, as plain values: ``what``, ``who``, ``waited`` and ``left`` in seconds (None: no limit)."""
        return [
            {
                "what": job.what,
                "who": job.client.label,
                "waited": now - job.put_at,
                "left": None if job.deadline is None else job.deadline - now,
            }
            for row in (self._urgent, self._calls)
            for job in row
        ]

    def __len__(self) -> int:
        return len(self._urgent) + len(self._calls)

    def __bool__(self) -> bool:
        return bool(self._urgent or self._calls or self._polls)
