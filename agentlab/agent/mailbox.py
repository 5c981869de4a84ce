"""What other threads ask of the loop's thread: calls, each answered once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from agentlab.errors import AgentStoppedError, CallTimeoutError


class Call:
    """One function to run in the loop's thread, and the place of its answer."""

    __slots__ = ("_done", "_then", "error", "function", "result")

    def __init__(self, function: Callable[[], Any], then: Callable[[Call], object] | None = None) -> None:
        self.function = function
        self._then = then
        self.result: Any = None
        self.error: BaseException | None = None
        self._done = threading.Lock()  # a bare lock is the cheapest thing that one thread can wait for
        self._done.acquire()

    def run(self) -> None:
        """Run the function and keep its answer; what it raises belongs to whoever asked."""
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - a door: sys.exit in a call must reach the caller, not end the loop
            self.error = error
        self._answered()

    def refuse(self, error: BaseException) -> None:
        """Answer with an error instead of running."""
        self.error = error
        self._answered()

    def _answered(self) -> None:
        self._done.release()
        if self._then is not None:
            self._then(self)

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the answer and give it, or raise what the function raised.

        Raises:
            CallTimeoutError: no answer within `timeout` seconds.
        """
        if not self._done.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            raise CallTimeoutError(f"the agent's loop did not answer within {timeout:g} s; it may run the call yet")
        self._done.release()
        if self.error is not None:
            raise self.error
        return self.result


class Mailbox:
    """Calls in the order in which they came; put by any thread, taken by the loop's thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._calls: deque[Call] = deque()
        self._closed: str | None = None
        self.sleeping = False
        """True while the loop's thread waits: only then must it be woken."""

    def post(self, function: Callable[[], Any], then: Callable[[Call], object] | None = None) -> Call:
        """Put a function for the loop's thread; its answer is had by :meth:`Call.wait`, or given to `then` in that thread."""
        call = Call(function, then)
        if self._closed is not None:
            call.refuse(AgentStoppedError(self._closed))
            return call
        self._calls.append(call)
        if self._closed is not None:  # closed between the check and the append: nobody would look again
            self._refuse_all(self._closed)  # type: ignore[unreachable]
        elif self.sleeping:
            self._wake()
        return call

    def __len__(self) -> int:
        return len(self._calls)

    def run_one(self) -> bool:
        """Run the oldest call; False when there is none. Only in the loop's thread."""
        try:
            call = self._calls.popleft()
        except IndexError:
            return False
        call.run()
        return True

    def close(self, reason: str) -> None:
        """Refuse what waits and all that comes, with `reason`."""
        self._closed = reason
        self._refuse_all(reason)

    def _refuse_all(self, reason: str) -> None:
        while True:
            try:
                call = self._calls.popleft()
            except IndexError:
                return
            call.refuse(AgentStoppedError(reason))
