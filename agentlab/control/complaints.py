"""Warnings about strangers, without letting them fill the log: a few lines for each address, then a count."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

MOST: Final = 5
PERIOD: Final = 10.0
MOST_ADDRESSES: Final = 1000
EVERYBODY: Final = "many addresses"


class Tally:
    """Which complaints are told and which are only counted. Pure: the time is handed in.

    Args:
        most: Complaints about one address that are told within a period.
        period: Seconds from the first of them.
        addresses: How many addresses are told apart; all others are one.
    """

    def __init__(self, most: int = MOST, period: float = PERIOD, addresses: int = MOST_ADDRESSES) -> None:
        self._most, self._period, self._addresses = most, period, addresses
        self._seen: dict[str, tuple[float, int]] = {}  # end of the period, how many came; in the order of their ends

    def admit(self, address: str, now: float) -> bool:
        """Count a complaint; tell whether it is to be told. What :meth:`due` gives must have been taken before."""
        if address not in self._seen and len(self._seen) >= self._addresses:
            address = EVERYBODY
        end, count = self._seen.get(address, (now + self._period, 0))
        self._seen[address] = end, count + 1
        return count < self._most

    def due(self, now: float) -> list[tuple[str, int]]:
        """Take out the addresses whose period is over: each with the number of complaints that were not told."""
        over = [address for address, (end, _) in self._seen.items() if end <= now]
        return [(address, self._seen.pop(address)[1] - self._most) for address in over]

    def next(self) -> float | None:
        """Give when the next period is over, or None."""
        return min((end for end, _ in self._seen.values()), default=None)


class Complaints:
    """Logs warnings, a few for each address. Any thread.

    Args:
        log: Where to.
        at: Has a function called at a time of ``time.monotonic``, in some thread.
    """

    def __init__(self, log: logging.Logger, at: Callable[[float, Callable[[], None]], None]) -> None:
        self._log = log
        self._at = at
        self._tally = Tally()
        self._lock = threading.Lock()
        self._planned = False

    def warn(self, address: str, text: str, *args: object) -> None:
        """Log a warning about somebody, unless enough was said about that address lately.

        Args:
            address: Whom it is about, as in :attr:`~agentlab.control.auth.Peer.address`; the port does not count.
            text: As for :mod:`logging`.
            *args: What stands in the text.
        """
        now = time.monotonic()
        with self._lock:
            over = self._tally.due(now)
            told = self._tally.admit(_host(address), now)
            plan, self._planned = not told and not self._planned, self._planned or not told
        self._sum_up(over)
        if told:
            self._log.warning(text, *args)
        if plan:
            self._plan()

    def _plan(self) -> None:
        with self._lock:
            due = self._tally.next()
            self._planned = due is not None
        if due is not None:
            self._at(due, self._look)

    def _look(self) -> None:
        with self._lock:
            over = self._tally.due(time.monotonic())
        self._sum_up(over)
        self._plan()

    def _sum_up(self, over: list[tuple[str, int]]) -> None:
        for address, untold in over:
            if untold > 0:
                self._log.warning("%d more such warnings about %s within %g s were not written", untold, address, PERIOD)


def _host(address: str) -> str:
    """Give an address without its port, which a stranger changes with every connection."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdigit() else address
