"""Threads in which the objects of services live: one that runs calls in the order of their coming, and several side by side."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agentlab.control.remote_errors import traceback_text
from agentlab.errors import AgentLabError, AgentStoppedError

log = logging.getLogger(__name__)

MOST_QUEUED = 10_000
"""Calls that may wait in one queue: each has its caller, or was sent by one who does not wait."""
IDLE_LIFE = 5.0


@dataclass(eq=False)
class Job:
    """Something to be done in an executor's thread: either ``run`` or ``refuse`` is called, once.

    Args:
        label: What it does, for people.
        owner: Whose it is, for :meth:`Executor.withdraw`.
        run: Does it; must not raise.
        refuse: Told, in any thread, why it is not done.
    """

    label: str
    owner: object
    run: Callable[[], object]
    refuse: Callable[[AgentLabError], object] = field(default=lambda _: None)


class Executor:
    """Runs jobs in the order of their coming, in up to ``most`` threads of its own. Any thread may post.

    With one thread, which lives until the executor is closed, all jobs run in that very thread: drivers may care. More
    threads come when there is work for them, and end when there is none.

    Args:
        name: What the threads are called.
        most: How many there are at most.
    """

    def __init__(self, name: str, most: int = 1) -> None:
        self._name, self._most = name, most
        self._jobs: deque[Job] = deque()
        self._change = threading.Condition()
        self._threads = 0
        self._idle = 0
        self._closed = False
        self._running: dict[int, tuple[Job, float]] = {}

    def post(self, job: Job, *, last: bool = False) -> None:
        """Have a job run; it is refused where that cannot be.

        Args:
            job: The job.
            last: Take no further job after this one, and end when it is done.
        """
        with self._change:
            problem: AgentLabError | None = None
            if self._closed:
                problem = AgentStoppedError(f"{self._name} has stopped, so nothing runs there any more; start it again")
            elif len(self._jobs) >= MOST_QUEUED and not last:
                problem = AgentStoppedError(f"{MOST_QUEUED} calls wait for {self._name} already; call it less often")
            if problem is None:
                problem = self._supply()
            if problem is None:
                self._closed = last
                self._jobs.append(job)
                self._change.notify_all()
        if problem is not None:
            job.refuse(problem)

    def withdraw(self, owner: object, error: AgentLabError) -> None:
        """Refuse the jobs of an owner that have not begun."""
        with self._change:
            withdrawn = [job for job in self._jobs if job.owner is owner]
            self._jobs = deque(job for job in self._jobs if job.owner is not owner)
        for job in withdrawn:
            job.refuse(error)

    def waiting(self, owner: object) -> int:
        """Count the jobs of an owner that have not begun."""
        with self._change:
            return sum(job.owner is owner for job in self._jobs)

    def running(self, owner: object) -> list[tuple[str, float]]:
        """Give what of an owner is running, and since when by ``time.monotonic``."""
        with self._change:
            return [(job.label, since) for job, since in self._running.values() if job.owner is owner]

    def in_thread(self) -> bool:
        """Tell whether the calling thread is running one of the jobs."""
        return threading.get_ident() in self._running

    def join(self, timeout: float) -> bool:
        """Wait until all jobs are done after the last one was posted; tell whether they are."""
        with self._change:
            return self._change.wait_for(lambda: self._threads == 0, max(timeout, 0.0))

    def _supply(self) -> AgentLabError | None:
        """See to it that there is a thread for one more job."""
        if self._idle > len(self._jobs) or self._threads >= self._most:
            return None
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError as error:
            return None if self._threads else AgentStoppedError(f"{self._name} has no thread to run in: {error}")
        self._threads += 1
        return None

    def _work(self) -> None:
        me = threading.get_ident()
        while (job := self._next()) is not None:
            with self._change:
                self._running[me] = job, time.monotonic()
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001 - a job answers whatever a user's code raises; the thread outlives all
                log.error("%s of %s failed:\n%s", job.label, self._name, traceback_text(error))  # noqa: TRY400 - may raise
            with self._change:
                del self._running[me]
            del job  # a thread that waits keeps nothing alive

    def _next(self) -> Job | None:
        with self._change:
            self._idle += 1
            try:
                while not self._jobs:
                    idle = None if self._most == 1 else IDLE_LIFE
                    if self._closed or (not self._change.wait(idle) and not self._jobs):
                        self._threads -= 1
                        self._change.notify_all()
                        return None
                return self._jobs.popleft()
            finally:
                self._idle -= 1
