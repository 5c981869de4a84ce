"""A driver that does what no driver should."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Annotated, Any

from agentlab.instruments import Unit


class Unfit:
    """Cannot be sent: it raises while it is pickled."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> Any:
        raise self._error


class Odd:
    """Most of it goes wrong."""

    voltage: Annotated[float, Unit("V")]

    def __init__(self, name: str = "") -> None:
        self.voltage = 0.0
        self._name = name
        self._free = threading.Event()

    @property
    def mirrored(self) -> float:
        """Asks a proxy of the very instrument."""
        from agentlab import Proxy

        return float(Proxy(self._name).voltage)

    def fail(self) -> None:
        raise ValueError("as always")

    def give(self, what: str) -> Any:
        """Give what cannot be sent, or hardly."""
        if what == "generator":
            return (x for x in range(3))
        if what == "lock":
            return threading.Lock()
        if what == "huge":
            return b"x" * 100_000_000
        if what == "itself":
            return self
        if what == "deep":
            deep: list[Any] = []
            for _ in range(100_000):
                deep = [deep]
            return deep
        kinds = {
            "key": KeyboardInterrupt(),
            "exit": SystemExit(1),
            "value": ValueError("not for sending"),
            "base": BaseException(),
        }
        return Unfit(kinds[what])

    def end(self, how: str) -> None:
        """End the program, as some vendors' libraries do."""
        if how == "exit":
            sys.exit(3)
        if how == "key":
            raise KeyboardInterrupt
        if how == "base":
            raise BaseException("so there")
        if how == "generator":
            raise GeneratorExit
        os._exit(7)

    def hang(self) -> None:
        """Never come back, whatever anybody does."""
        while not self._free.wait(3600):
            pass

    def spin(self, seconds: float) -> str:
        """Last so long and hear nothing."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.01)
        return "spun"

    def safe(self) -> None:
        self.voltage = 0.0
