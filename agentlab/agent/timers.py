"""Timers as a heap, without a clock: `now` is handed in. Seconds everywhere."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from itertools import count
from typing import Any

from agentlab.errors import AliasError

Action = Callable[[], object]


class Timer:
    """One timer: what to do, and every how many seconds (None: once)."""

    __slots__ = ("action", "alias", "period", "stopped")

    def __init__(self, alias: str, action: Action, period: float | None) -> None:
        self.alias = alias
        self.action = action
        self.period = period
        self.stopped = False


class Timers:
    """The timers of one loop. Owned by one thread; holds nothing once a timer is over or stopped."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._live: dict[str, Timer] = {}
        self._order = count()

    def each(self, period: float, action: Action, *, now: float, alias: str | None = None) -> str:
        """Start a timer that is due now and then every `period` seconds; give its alias.

        Raises:
            ValueError: the period is negative or no number.
            AliasError: a live timer has that alias.
        """
        return self._start(now, _seconds(period, "period"), action, alias)

    def after(self, delay: float, action: Action, *, now: float, alias: str | None = None) -> str:
        """Start a timer that is due once, `delay` seconds from now; give its alias. Raises as :meth:`each`."""
        return self._start(now + _seconds(delay, "delay"), None, action, alias)

    def _start(self, when: float, period: float | None, action: Action, alias: str | None) -> str:
        number = next(self._order)
        alias = alias or f"timer-{number}"
        if alias in self._live:
            raise AliasError(f"a timer called {alias!r} runs already; stop it first, or choose another alias")
        timer = self._live[alias] = Timer(alias, action, period)
        heapq.heappush(self._heap, (when, number, timer))
        return alias

    def stop(self, alias: str) -> bool:
        """Stop a timer; False when none has that alias."""
        timer = self._live.pop(alias, None)
        if timer is None:
            return False
        timer.stopped = True
        if len(self._heap) > 2 * len(self._live) + 64:  # stopped ones would pile up behind a far deadline
            self._heap = [entry for entry in self._heap if not entry[2].stopped]
            heapq.heapify(self._heap)
        return True

    def stop_all(self) -> None:
        """Stop every timer."""
        for timer in self._live.values():
            timer.stopped = True
        self._live.clear()
        self._heap.clear()

    def aliases(self) -> list[str]:
        """Give the aliases of the live timers, oldest first."""
        return list(self._live)

    def __len__(self) -> int:
        return len(self._live)

    def next_time(self) -> float | None:
        """Give when the next timer is due, or None."""
        while self._heap and self._heap[0][2].stopped:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Action | None:
        """Give the action of one timer that is due, set that timer's next tick, and give None when none is due.

        A periodic timer that is late skips the ticks that it missed and keeps its phase.
        """
        when = self.next_time()
        if when is None or when > now:
            return None
        timer = heapq.heappop(self._heap)[2]
        if timer.period is None:
            del self._live[timer.alias]
        else:
            heapq.heappush(self._heap, (_next_tick(when, timer.period, now), next(self._order), timer))
        return timer.action


def _next_tick(last: float, period: float, now: float) -> float:
    upcoming = last + period
    if period == 0 or upcoming > now:
        return max(upcoming, now)
    return now - math.fmod(now - upcoming, period) + period  # after now: the tick that is due now is under way


def _seconds(value: Any, what: str) -> float:
    try:
        seconds = math.nan if isinstance(value, (str, bytes, bytearray)) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if seconds != seconds and not isinstance(value, float):  # noqa: PLR0124 - it is no number
        raise ValueError(f"a timer's {what} is {value!r}, which is no number; give seconds, 0 or more")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"a timer's {what} of {value!r} s cannot be; give seconds, 0 or more")
    return seconds
