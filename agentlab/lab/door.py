"""The supervisor's side of its control socket: orders in, answers out; and what happened lately, for those who ask."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from agentlab.control.payload import dumps, loads
from agentlab.control.remote_errors import error_to_bytes
from agentlab.errors import AgentLabError, LabError
from agentlab.lab.client import FAILED, OK, SECURITY
from agentlab.lab.loglines import TRACEBACK

REMEMBERED: Final = 1000
LONGEST_WAIT: Final = 10.0
FOLLOWING: Final = 2.0
"""Seconds since whose last question somebody is taken to follow what happens."""
FAREWELL: Final = 0.3
FAILURES: Final = frozenset(("crashed", "hung", "failed", "given_up"))
"""Events that are worth a report."""
GRAVE: Final[Mapping[str, str]] = {
    "crashed": "ERROR",
    "hung": "ERROR",
    "failed": "ERROR",
    "given_up": "ERROR",
    "suspected": "WARNING",
    "restarting": "WARNING",
    "killed": "WARNING",
}
"""Levels of events in the log; all others are INFO."""


class LabDoor:
    """Where orders enter a lab. Called by the control daemon's threads.

    Args:
        methods: What may be called, by name.
    """

    def __init__(self, methods: Mapping[str, Callable[..., Any]]) -> None:
        self._methods = methods

    def handle(self, payload: bytes, _peer: object = None) -> bytes:
        """Execute an order and give its answer; never raises."""
        try:
            name, args, kwargs, *_ = loads(payload, security=SECURITY)
            method = self._methods.get(name)
            if method is None:
                raise LabError(f"a supervisor knows no order {name!r}; is its agentlab older than yours?")
            return OK + dumps(method(*args, **kwargs), security=SECURITY)
        except AgentLabError as error:
            error.__traceback__ = None  # it is an answer, and says all; where it arose is of no use to who asked
            return FAILED + error_to_bytes(error, security=SECURITY)
        except Exception as error:  # noqa: BLE001 - the door: whatever failed is the answer
            return FAILED + error_to_bytes(error, security=SECURITY)


class Feed:
    """The last events of a lab, numbered from 0, and the last failure of each unit. Any thread."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._next = 0
        self._reports: dict[str, dict[str, Any]] = {}
        self._latest: dict[str, str] = {}
        self._changed = threading.Condition()
        self._asked_at = float("-inf")
        self._given = 0
        self._closed = False

    @property
    def fresh(self) -> int:
        """The number that the next event gets."""
        return self._next

    def expect(self) -> None:
        """Take it that somebody is about to follow."""
        with self._changed:
            self._asked_at = time.monotonic()

    def add(self, event: Mapping[str, Any]) -> None:
        """Note what happened."""
        with self._changed:
            self._events.append({**event, "number": self._next})
            self._next += 1
            self._latest[str(event.get("unit"))] = str(event.get("event"))
            if event.get("event") in FAILURES:
                unit = str(event.get("unit"))
                before = self._reports.get(unit)
                # "Given up" follows the last crash, which says more: its lines must not be lost.
                log = list(event.get("log") or (before or {}).get("log") or ())
                said = str(event.get("text") or "")
                self._reports[unit] = {**event, "log": log, "traceback": last_traceback([*log, said])}
            self._changed.notify_all()

    def since(self, number: int, wait: float = 0.0) -> tuple[int, list[dict[str, Any]]]:
        """Give the number to ask with next, and the events from that number on; waits for one if there is none."""
        with self._changed:
            self._asked_at = time.monotonic()
            if wait > 0:
                self._changed.wait_for(lambda: self._next > number or self._closed, min(wait, LONGEST_WAIT))
            self._given = self._next
            self._changed.notify_all()
            return self._next, [event for event in self._events if event["number"] >= number]

    def wait_until_told(self, units: Iterable[str], timeout: float) -> bool:
        """Wait until of each of these units more was told than that it starts; events come a moment after what they tell of."""
        left = set(units)
        with self._changed:
            return self._changed.wait_for(lambda: all(self._latest.get(u, "starting") != "starting" for u in left), timeout)

    def report(self, unit: str) -> dict[str, Any] | None:
        """Give the last failure of a unit."""
        with self._changed:
            return self._reports.get(unit)

    def close(self) -> None:
        """Let nobody wait any more; who has just followed gets a moment to hear the last events."""
        with self._changed:
            if time.monotonic() - self._asked_at < FOLLOWING:
                self._changed.wait_for(lambda: self._given == self._next, FAREWELL)
            self._closed = True
            self._changed.notify_all()


def last_traceback(log: Iterable[str]) -> str:
    """Give the last traceback among records; empty: there is none."""
    return next((text for text in reversed(list(log)) if TRACEBACK in text or "Fatal Python error" in text), "")
