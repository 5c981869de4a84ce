"""How an agent is, in numbers: what it has handled and how fast, what waits, what went wrong, what it costs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab.agent.pulse import BUSY

if TYPE_CHECKING:
    from agentlab.agent.agent import Agent

SAMPLE_PERIOD = 1.0
"""Seconds between samples of what was handled; the rate is that of the last one to two of them."""
_LEAST = 0.5


class Rate:
    """How much more per second a growing number has become lately. Pure: numbers and times are handed in. Any thread."""

    def __init__(self, value: float, now: float) -> None:
        self._older = self._newer = (now, value)

    def sample(self, value: float, now: float) -> None:
        """Take note of the number; one that comes soon after another is left out."""
        if now - self._newer[0] >= _LEAST:
            self._older, self._newer = self._newer, (now, value)

    def now(self, value: float, now: float) -> float:
        """Give the growth per second since half a second ago, or longer; 0.0 while nobody can know."""
        newer, older = self._newer, self._older
        then, before = newer if now - newer[0] >= _LEAST else older
        return max(0.0, (value - before) / (now - then)) if now > then else 0.0


class Vitals:
    """The numbers of one agent. Any thread; nothing here waits for the loop.

    Attributes:
        count_calls: Gives how many calls have come; set by whoever serves them.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.count_calls: Callable[[], int] = lambda: 0
        self._since = time.time()
        self._rate = Rate(0, time.monotonic())

    def sample(self) -> None:
        """Take note of what was handled so far, and of a loop that waits; to be called about once a second."""
        loop = self._agent._loop
        self._rate.sample(self._agent._links.handled(), time.monotonic())
        if not loop.mailbox.sleeping:  # that wait is the loop's own: it must turn once a second in it
            loop.pulse.note_wait(loop.owner)

    def describe(self) -> dict[str, Any]:
        """Give the numbers as plain values.

        Returns:
            ``name``, ``class``; ``state``: running, stopped or ending; ``since``: its start, seconds since 1970;
            ``handled``: messages, ``rate``: of them per second lately; ``calls``; ``queue``: messages and calls that are
            here and wait; ``errors``, ``bad_messages``, ``lost`` (publications); ``cpu``: seconds of processor time of its
            process; ``rss``: bytes of memory of its process; ``pid``; ``busy``: blocks that declare it busy.
        """
        agent = self._agent
        links = agent._links.all()
        handled, now = agent._links.handled(), time.monotonic()
        rate = self._rate.now(handled, now)
        self._rate.sample(handled, now)
        cls = type(agent)
        return {
            "name": agent.name,
            "class": f"{cls.__module__}.{cls.__qualname__}",
            "state": "ending" if agent.ending() else "running" if agent.is_running() else "stopped",
            "since": self._since,
            "handled": handled,
            "rate": round(rate, 3),
            "calls": self.count_calls(),
            "queue": len(agent._loop.mailbox) + sum(link.waiting for link in links),
            "errors": agent.error_count(),
            "bad_messages": agent.bad_message_count(),
            "lost": sum(int(getattr(link, "lost", 0)) for link in links),
            "cpu": time.process_time(),
            "rss": resident_bytes(),
            "pid": os.getpid(),
            "busy": int(agent._loop.pulse.cells[BUSY]),
        }


def resident_bytes() -> int:
    """Give how many bytes of memory this process occupies."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # not Linux
        import psutil  # costs memory and time at import, which agents on Linux need not pay

    return int(psutil.Process().memory_info().rss)
