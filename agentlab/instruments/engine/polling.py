"""When each parameter is read by itself, and what was read last. No clock: `now` is handed in."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agentlab.instruments.model.reading import STALE_PERIODS, Reading, quality_of
from agentlab.instruments.model.table import Table

LONGEST_SILENCE = 10.0
"""Seconds; a parameter to which the device never answers is polled so often at least, or at its own period."""


def periods(table: Table) -> dict[str, float]:
    """Give the seconds between two readings of each parameter that is polled."""
    return {name: p.poll for name, p in table.parameters.items() if p.poll is not None and p.readable}


def patience(period: float, times: int) -> float:
    """Give the seconds until a parameter is polled again to which the device has kept silent so many times in a row."""
    return max(period, min(LONGEST_SILENCE, period * 2.0 ** min(times - 1, 60)))


class PollPlan:
    """Which parameters are due. A late one skips the times that it missed and keeps its phase. One thread.

    Args:
        periods: Seconds, by parameter.
        now: Time in seconds; all are due at once.
    """

    def __init__(self, periods: Mapping[str, float], now: float) -> None:
        self.periods = dict(periods)
        self._due = dict.fromkeys(self.periods, now)
        self._next = now if self._due else None

    def next_time(self) -> float | None:
        """Give when the next is due; None: nothing is polled."""
        return self._next

    def put_off(self, name: str, when: float) -> None:
        """Have a parameter due no earlier than at a time."""
        self._due[name] = max(self._due[name], when)
        self._next = min(self._due.values())

    def due(self, now: float) -> list[str]:
        """Give what is due, and set when it is due next."""
        if self._next is None or self._next > now:
            return []
        found = [name for name, when in self._due.items() if when <= now]
        for name in found:
            period = self.periods[name]
            self._due[name] += period * (1 + (now - self._due[name]) // period)
        self._next = min(self._due.values())
        return found


class Book:
    """The last reading of each parameter. Any thread.

    Published readings carry a number of their own for each parameter, so that a subscriber can count what it missed.

    Args:
        clock: Tells how time goes, in seconds; ages are told by it, as the time of day may be set. None: by readings' own times.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._came: dict[str, float] = {}
        self._last: dict[str, Reading] = {}
        self._numbers: dict[str, int] = {}
        self._sets: dict[str, Any] = {}
        self._stale: dict[str, bool] = {}

    def note(self, name: str, value: Any, unit: str, when: float) -> Reading:
        """Note what the device said when it was asked, and give it as a reading; it is not one that is published."""
        reading = Reading(value, unit, when, quality_of(value), name)
        with self._lock:
            self._keep(reading)
        return reading

    def _keep(self, reading: Reading) -> None:
        self._last[reading.name] = reading
        if reading.quality != "stale":
            self._came[reading.name] = reading.timestamp if self._clock is None else self._clock()

    def publish(self, reading: Reading, *, gone: bool = False) -> Reading:
        """Note a reading that is published, and give it with its number; `gone`: the device cannot be asked now."""
        with self._lock:
            number = self._numbers[reading.name] = self._numbers.get(reading.name, 0) + 1
            numbered = dataclasses.replace(reading, sequence=number)
            self._keep(numbered)
            if reading.quality == "stale":
                self._stale[reading.name] = gone
            else:
                self._stale.pop(reading.name, None)
        return numbered

    def note_set(self, name: str, value: Any, unit: str = "", when: float = 0.0) -> None:
        """Note what a parameter was set to: it is its last reading, and where a ramp begins that cannot read it."""
        with self._lock:
            self._sets[name] = value
            self._keep(Reading(value, unit, when, "good", name))

    def doubt(self, names: Iterable[str]) -> None:
        """Make last readings ``stale``, until they are read or set again: nobody knows what these parameters are now."""
        with self._lock:
            for name in names:
                if (reading := self._last.get(name)) is not None:
                    self._last[name] = _stale(reading)

    def last_set(self, name: str) -> Any:
        """Give what a parameter was set to last; None: it was not."""
        return self._sets.get(name)

    def snapshot(self, now: float, polls: Mapping[str, float], *, online: bool) -> dict[str, Reading]:
        """Give the last reading of each parameter that was ever read, as it is to be taken now.

        Args:
            now: By the clock.
            polls: The poll periods; a reading older than three of them is ``stale``.
            online: False makes every reading ``stale``.
        """
        with self._lock:
            last, came = dict(self._last), dict(self._came)
        if not online:
            return {name: _stale(reading) for name, reading in last.items()}

        def is_old(name: str) -> bool:
            return name in polls and now - came.get(name, now) > STALE_PERIODS * polls[name]

        return {name: _stale(one) if one.quality == "good" and is_old(name) else one for name, one in last.items()}

    def to_tell(self, names: Mapping[str, float], now: float, *, online: bool) -> list[Reading]:
        """Give what is to be published of parameters that have just grown stale, each once until it is read again.

        What was told to be old is told once more when the device is gone: that is another matter for those who watch it.

        Args:
            names: The poll periods of the parameters.
            now: By the clock.
            online: False: all are stale, whatever their age.
        """
        with self._lock:
            found = []
            for name, period in names.items():
                reading = self._last.get(name)
                told = name in self._stale if online else self._stale.get(name, False)
                if reading is None or told or reading.quality == "bad":
                    continue
                if not online or now - self._came.get(name, now) > STALE_PERIODS * period:
                    found.append(_stale(reading))
        return found

    def next_stale(self, names: Mapping[str, float]) -> float | None:
        """Give when a polled parameter grows stale next, unless it is read before, by the clock; None: never."""
        with self._lock:
            times = [
                self._came.get(name, 0.0) + STALE_PERIODS * period
                for name, period in names.items()
                if (reading := self._last.get(name)) is not None and name not in self._stale and reading.quality != "bad"
            ]
        return min(times, default=None)


def _stale(reading: Reading) -> Reading:
    return reading if reading.quality == "bad" else dataclasses.replace(reading, quality="stale")
