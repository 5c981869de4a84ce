"""Upper limits of time: what a test may promise about seconds on a machine that is slow, or busy with something else."""

from __future__ import annotations

import os
import subprocess
import sys
import time

IDLE = 0.02  # seconds in which an idle machine of today starts and ends an interpreter that imports next to nothing
MOST = 10.0  # a machine that is slower than this cannot run these tests


class soon:  # read as a word: `assert time.monotonic() - began < soon(1.0)`
    """An upper limit, stretched where the machine needs it.

    Choose it so that an idle machine needs less than a quarter of it, and far below what would take too long: the end of the
    long call, a time-out, a lease. What cannot have such a limit is shown without a clock (by counts, by the order of
    events), or measured by a benchmark.

    The machine is looked at only when the limit was passed: a limit that holds costs nothing.

    Args:
        seconds: What may pass on an idle machine.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __gt__(self, took: float) -> bool:  # what `took < soon(1.0)` asks
        return took < self.seconds or took < self.seconds * slowness()

    __ge__ = __gt__

    def __repr__(self) -> str:
        return f"soon({self.seconds:g})"


def slowness() -> float:
    """Tell how many times slower than an idle machine this one is, at least 1.

    The load of the last minute tells of what has just ended; the start of a process tells of what goes on, and of a
    machine that is slow by nature.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] / cores
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    return min(max(1.0, load, (time.perf_counter() - began) / IDLE), MOST)
