"""Samples, interleaved rounds and medians.

A machine that does something else at the same time moves both sides of a ratio, so the sides take turns in short
rounds, each round gives one ratio, and the median of these ratios is the figure. The processor seconds per unit,
of all processes of a side together, are measured too: other programs hardly move them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psutil


@dataclass(frozen=True)
class Sample:
    """One round of one side: so many messages or calls in so many seconds and processor seconds."""

    units: int
    seconds: float
    cpu: float


Side = Callable[[], Sample]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Give the user and system seconds that these processes have used so far, all their threads together."""
    return sum(_cpu_of(pid) for pid in pids)


def _cpu_of(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)  # Linux: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED), in nanoseconds
    except (AttributeError, OSError):
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system


def interleave(sides: dict[str, Side], rounds: int) -> dict[str, list[Sample]]:
    """Let the sides take turns, in the opposite order every other round; a first round warms up and is not counted."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for number in range(-1, rounds):
        for name in sorted(sides, reverse=number % 2 == 1):
            sample = sides[name]()
            if number >= 0:
                samples[name].append(sample)
    return samples


def rate(samples: list[Sample]) -> float:
    """Give the median of units per second."""
    return statistics.median(s.units / s.seconds for s in samples)


def cpu_cost(samples: list[Sample]) -> float:
    """Give the median of processor seconds per unit."""
    return statistics.median(s.cpu / s.units for s in samples)


def speed_ratios(ours: list[Sample], bare: list[Sample]) -> list[float]:
    """Give our speed as a fraction of the bare one, round by round."""
    return [(a.units / a.seconds) / (b.units / b.seconds) for a, b in zip(ours, bare, strict=True)]


def cpu_ratio(ours: list[Sample], bare: list[Sample]) -> float:
    """Give the speed that the processor seconds alone would allow, as a fraction of the bare one."""
    return statistics.median((b.cpu / b.units) / (a.cpu / a.units) for a, b in zip(ours, bare, strict=True))


@dataclass
class Row:
    """One line of the table. ``must`` is what the ratio (or, without one, the value) must reach."""

    name: str
    title: str
    value: str
    bare: str = ""
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    cpu_ratio: float | None = None
    must: float | None = None
    at_most: bool = False
    measured: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Whether it reaches what it must; None where nothing is asked."""
        number = self.ratio if self.measured is None else self.measured
        if self.must is None or number is None:
            return None
        return number <= self.must if self.at_most else number >= self.must

    def as_json(self) -> dict[str, Any]:
        """Give it as plain data."""
        data = {key: value for key, value in vars(self).items() if value not in (None, "")}
        return {**data, "ok": self.ok}


def compared(
    name: str, title: str, samples: dict[str, list[Sample]], *, unit: str, must: float | None, times: bool = False, note: str = ""
) -> Row:
    """Give the row of two sides, ``ours`` and ``bare``.

    Args:
        name: For ``--only``.
        title: For people.
        samples: What :func:`interleave` gave.
        unit: ``/s``, ``us`` or ``MiB/s`` (units of 1 MiB).
        must: The ratio to reach.
        times: The ratio is our time over the bare one (at most `must`) instead of our speed over the bare one.
        note: What else is to be said.
    """
    ours, bare = samples["ours"], samples["bare"]
    ratios, cpu = speed_ratios(ours, bare), cpu_ratio(ours, bare)
    if times:
        ratios, cpu = [1 / r for r in ratios], 1 / cpu
    return Row(
        name,
        title,
        shown(rate(ours), unit),
        shown(rate(bare), unit),
        statistics.median(ratios),
        (min(ratios), max(ratios)),
        cpu,
        must,
        times,
        note=note or f"processor time per unit: {cpu_cost(ours) * 1e6:.2f} against {cpu_cost(bare) * 1e6:.2f} us",
    )


def shown(per_second: float, unit: str) -> str:
    """Give a rate as text, in its unit."""
    if unit == "us":
        return f"{1e6 / per_second:.1f} us"
    return f"{per_second:,.0f} {unit}" if unit != "/s" else f"{per_second:,.0f}/s"
