"""The patience of one call."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentlab.control.stream import Ready
from agentlab.errors import CallTimeoutError

OnWait = Callable[[float], None]


class Waiting:
    """The clock of one call: how long it has waited, whom to tell, when to give up.

    Args:
        uri: Who is called, for the error.
        timeout: Seconds until :class:`~agentlab.errors.CallTimeoutError`; None for ever.
        on_wait: Told each ``step`` seconds how many have passed; what it raises ends the wait.
        step: Seconds.
    """

    __slots__ = ("_deadline", "_next", "_on_wait", "_start", "_step", "_timeout", "_uri", "verdict")

    def __init__(self, uri: str, timeout: float | None, on_wait: OnWait | None, step: float) -> None:
        self._uri = uri
        self._timeout = timeout
        self._on_wait = on_wait
        self._step = step
        self._start = time.monotonic() if timeout is not None or on_wait is not None else 0.0
        self._deadline = None if timeout is None else self._start + timeout
        self._next = self._start + step
        self.verdict: BaseException | None = None
        """What ended the wait from this side: no broken connection, whatever its type."""

    def left(self, most: float) -> float:
        """Give the seconds left until the deadline, at most so many."""
        return most if self._deadline is None else max(min(most, self._deadline - time.monotonic()), 0.0)

    def __call__(self, ready: Ready) -> None:
        """Wait for readiness; raise at the deadline."""
        if self._deadline is None and self._on_wait is None:
            ready(None)
            return
        while True:
            until = self._deadline if self._on_wait is None else self._next
            if self._deadline is not None and until is not None:
                until = min(until, self._deadline)
            assert until is not None
            if ready(until - time.monotonic()):
                return
            now = time.monotonic()
            if self._deadline is not None and now >= self._deadline:
                self.verdict = CallTimeoutError(
                    f"{self._uri} has not answered within {self._timeout:g} s; the call may have run or may run yet:"
                    " give a longer timeout, or see whether it is busy"
                )
                raise self.verdict
            if self._on_wait is not None and now >= self._next:
                self._next += self._step
                self._tell(now - self._start)

    def _tell(self, waited: float) -> None:
        assert self._on_wait is not None
        try:
            self._on_wait(waited)
        except BaseException as error:
            self.verdict = error
            raise
