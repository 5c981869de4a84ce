"""A mishap on purpose: a device's cable is pulled in the middle of a scan, and put back."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any, Self

from agentlab.errors import AgentLabError
from agentlab.instruments.simulated import SimulatedBench

AWAY = 0.6
"""Seconds that the device is away."""


class Mishap:
    """Pulls the cable of a device after so many points, and puts it back a little later. Use it in a ``with``.

    Args:
        bench: Where the device is.
        device: Its name.
        after: Points after which it happens.
    """

    def __init__(self, bench: SimulatedBench, device: str, *, after: int) -> None:
        self._bench, self._device, self._after = bench, device, after
        self._points = 0
        self._repair: threading.Timer | None = None
        self._plugged = 0.0
        self._back = 0.0

    def look(self, _row: Any) -> bool:
        """Count a point; never ends the scan. To be given to it as its ``until``."""
        self._points += 1
        if self._points == self._after:
            self._bench.unplug(self._device)
            self._repair = threading.Timer(AWAY, self._plug)
            self._repair.start()
        elif self._points == self._after + 1:
            self._back = time.monotonic()
        return False

    def _plug(self) -> None:
        try:
            self._bench.plug(self._device)
        except AgentLabError:
            return  # the devices' process has gone: the scan will tell
        self._plugged = time.monotonic()

    def told(self) -> str:
        """Give what happened, in words."""
        again = max(0.0, self._back - self._plugged)
        return (
            f"{self._device} was unplugged for {AWAY:g} s after point {self._after}, and measured again "
            f"{again:.1f} s after its cable was back"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._repair is not None:
            self._repair.join()
