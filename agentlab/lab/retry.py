"""Trying again, slowly, what did not start with a lab that goes on without it: at night nobody is there to do so."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from agentlab.errors import AgentLabError

log = logging.getLogger(__name__)

FIRST: Final = 10.0
"""Seconds before the first attempt; each further wait is twice as long."""
MOST: Final = 300.0
"""Seconds that no wait exceeds."""


def never_up(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the units that failed at their very first start; those that were given up later had their chances."""
    return [str(row["unit"]) for row in rows if row["state"] == "failed" and not row.get("cause")]


class Retries:
    """Starts units again that have failed at their first start, until they are up or somebody stops them.

    Args:
        rows: Gives a row for each unit, as :meth:`Supervisor.status`.
        start: Starts a unit and waits until it is up, as :meth:`Supervisor.start_unit`.
        first: Seconds before the first attempt.
        most: Seconds that no wait exceeds.
    """

    def __init__(
        self,
        rows: Callable[[], list[dict[str, Any]]],
        start: Callable[[str], object],
        *,
        first: float = FIRST,
        most: float = MOST,
    ) -> None:
        self._rows, self._start = rows, start
        self._first, self._most = first, most
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> list[str]:
        """Begin with the units that have failed now, in a thread; give their names. Only once."""
        units = never_up(self._rows())
        if units:
            self._thread = threading.Thread(target=self._run, args=(units,), name="agentlab-retry", daemon=True)
            self._thread.start()
        return units

    def close(self, timeout: float = 5.0) -> None:
        """Try nothing any more, and wait for what is being tried, so many seconds at most. Twice is fine."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def stop(self) -> None:
        """Begin no further attempt; returns at once."""
        self._closed.set()

    def _run(self, units: list[str]) -> None:
        wait = self._first
        while units and not self._closed.wait(wait):
            failed = set(never_up(self._rows()))
            units = [unit for unit in units if unit in failed]
            for unit in units:
                if self._closed.is_set():
                    return
                try:
                    self._start(unit)
                except AgentLabError as error:
                    if self._closed.is_set():
                        return
                    log.warning("%s; tried again in %g s", str(error).partition("\n")[0], min(2 * wait, self._most))
            wait = min(2 * wait, self._most)
