"""Telling of events: in a thread of its own, so that nobody's function and no log keeps the supervisor from its work."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from agentlab.lab.messages import Report
from agentlab.lab.texts import signal_name

log = logging.getLogger(__name__)

FAILURES = frozenset(("crashed", "hung", "failed", "given_up"))
"""Events that are worth a report with the last lines of the log."""
LINES = 20


class Book(Protocol):
    """Takes the units' output, and gives their last lines: a logbook."""

    def open(self, unit: str) -> tuple[int, int]:
        """Give descriptors for stdout and stderr."""
        ...

    def tail(self, unit: str, n: int = LINES) -> list[str]:
        """Give the last lines of a unit."""
        ...


class Teller:
    """Tells of events in order, in a daemon thread that begins with the first. All methods may be called in any thread.

    Args:
        logbook: Where the last lines of a unit are; None: nowhere.
        on_event: Who is told; None: nobody.
        reports: Takes the events that are failures.
    """

    def __init__(
        self, logbook: Book | None, on_event: Callable[[dict[str, Any]], None] | None, reports: deque[dict[str, Any]]
    ) -> None:
        self._logbook, self._on_event, self._reports = logbook, on_event, reports
        self._todo: queue.SimpleQueue[tuple[Report, float] | threading.Event | None] = queue.SimpleQueue()
        self._failures: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def tell(self, report: Report) -> None:
        """Have an event told; returns at once."""
        if report.event in FAILURES:
            self._failures[report.unit] = report.text
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="agentlab-lab-events", daemon=True)
            self._thread.start()
        self._todo.put((report, time.time()))

    def failure_of(self, unit: str) -> str:
        """Give the whole text of a unit's last failure; empty: there was none."""
        return self._failures.get(unit, "")

    def flush(self, timeout: float) -> bool:
        """Wait until what was to be told is told; not in the function that is told."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        done = threading.Event()
        self._todo.put(done)
        return done.wait(timeout)

    def close(self, timeout: float) -> None:
        """Tell the rest and end. Twice is fine."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._todo.put(None)
            if thread is not threading.current_thread():
                thread.join(timeout)

    def _run(self) -> None:
        while (item := self._todo.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._tell(*item)
            except Exception:
                log.exception("what was to be done with an event raised an error")  # a user's function: the next is told too

    def _tell(self, report: Report, when: float) -> None:
        is_failure = report.event in FAILURES
        lines = self._logbook.tail(report.unit, LINES) if is_failure and self._logbook is not None else []
        event = {
            "time": when,
            "unit": report.unit,
            "event": report.event,
            "text": report.text,
            "exitcode": report.exitcode,
            "signal": signal_name(report.exitcode),
            "log": lines,
        }
        if is_failure:
            self._reports.append(event)
        if self._on_event is not None:
            self._on_event(event)
