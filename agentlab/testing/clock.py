"""Time that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

from agentlab.agent.timers import Timers
from agentlab.errors import ConfigurationError

Ts = TypeVarTuple("Ts")


class ManualClock:
    """A clock that only a test moves. Give :meth:`now` wherever a function that tells the time is wanted.

    Args:
        start: What it shows at first, in seconds.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = float(start)

    def now(self) -> float:
        """Give the time in seconds."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Move on by so many seconds; give the new time. This alone runs nothing: see :meth:`TestBench.advance`.

        Raises:
            ConfigurationError: `seconds` is negative, for time does not run backwards.
        """
        if not seconds >= 0:
            raise ConfigurationError(f"a clock cannot advance by {seconds!r} s; give seconds, 0 or more")
        self._now += seconds
        return self._now

    def reach(self, when: float) -> None:
        """Move on to a time; one that is past changes nothing."""
        self._now = max(self._now, when)

    def __repr__(self) -> str:
        return f"ManualClock({self._now:g})"


class ClockedTimers(Timers):
    """Timers that tell the time by a clock of their own, whatever time they are handed."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def each(self, period: float, action: Callable[[], object], *, now: float, alias: str | None = None) -> str:  # noqa: ARG002
        """Start a periodic timer, as :meth:`Timers.each`."""
        return super().each(period, action, now=self._clock.now(), alias=alias)

    def after(self, delay: float, action: Callable[[], object], *, now: float, alias: str | None = None) -> str:  # noqa: ARG002
        """Start a timer that is due once, as :meth:`Timers.after`."""
        return super().after(delay, action, now=self._clock.now(), alias=alias)


class ClockedEventLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose sleeps end when a :class:`ManualClock` says so; run step by step."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self._called = 0
        self._alarms: list[tuple[float, int, asyncio.TimerHandle]] = []

    def time(self) -> float:
        """Give the time of the clock."""
        return self._clock.now()

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None) -> asyncio.Handle:
        """Count what is to be called, so that :meth:`step` knows whether there is anything."""
        self._called += 1
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Note when something is to be called."""
        handle = super().call_at(when, callback, *args, context=context)
        heapq.heappush(self._alarms, (when, id(handle), handle))
        return handle

    def next_time(self) -> float | None:
        """Give when the next sleep ends, or None."""
        while self._alarms and self._alarms[0][2].cancelled():
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def step(self) -> bool:
        """Run what is due now; False when nothing is, or when this is called from within the loop."""
        when = self.next_time()
        due = when is not None and when <= self.time()
        if self.is_running() or not (due or self._called):
            return False
        while due:
            heapq.heappop(self._alarms)
            when = self.next_time()
            due = when is not None and when <= self.time()
        self._called = 0
        super().call_soon(self.stop)
        self.run_forever()
        return True
