"""How many calls a service has run, and how many a second. Pure: the time is handed in."""

from __future__ import annotations


class Rate:
    """Counts events; tells how many came in the last whole second. One thread at a time may count, any may read."""

    def __init__(self) -> None:
        self.total = 0
        self._second = 0
        self._now = 0
        self._last = 0

    def count(self, now: float) -> None:
        """Note one event at a time in seconds."""
        self._turn(int(now))
        self.total += 1
        self._now += 1

    def value(self, now: float) -> float:
        """Give events per second, of the whole second before this one."""
        second = int(now)
        if second == self._second:
            return float(self._last)
        return float(self._now) if second == self._second + 1 else 0.0

    def _turn(self, second: int) -> None:
        if second != self._second:
            self._last = self._now if second == self._second + 1 else 0
            self._second, self._now = second, 0
