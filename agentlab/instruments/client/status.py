"""The status of something under way, as bluesky.protocols ask for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

from agentlab.errors import CallTimeoutError


class Status:
    """Whether a set that was begun is done, and how it ended. Any thread.

    Args:
        future: Of the call that sets.
        device: What is set.
    """

    def __init__(self, future: Future[Any], device: Any = None) -> None:
        self.device = device
        self._future = future

    @classmethod
    def finished(cls, device: Any = None) -> Self:
        """Give the status of something that is done already."""
        future: Future[Any] = Future()
        future.set_result(None)
        return cls(future, device)

    @property
    def done(self) -> bool:
        """Whether it is over, well or not."""
        return self._future.done()

    @property
    def success(self) -> bool:
        """Whether it is over and went well."""
        return self._future.done() and self._future.exception() is None

    def exception(self, timeout: float | None = 0.0) -> BaseException | None:
        """Wait for the end, and give what went wrong, or None.

        Raises:
            CallTimeoutError: it is not over in time (a TimeoutError).
        """
        try:
            return self._future.exception(timeout)
        except TimeoutError:
            raise self._late(timeout) from None

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end. Raises what went wrong, or CallTimeoutError when it is not over in time."""
        error = self.exception(timeout)
        if error is not None:
            raise error

    def add_callback(self, callback: Callable[[Self], object]) -> None:
        """Call a function with this status when it is over: at once if it is, else from a thread of ours."""
        self._future.add_done_callback(lambda _: callback(self))

    def _late(self, timeout: float | None) -> CallTimeoutError:
        name = getattr(self.device, "path", "it")
        return CallTimeoutError(f"{name} is not done within {timeout or 0.0:g} s; it goes on")

    def __repr__(self) -> str:
        state = "under way" if not self.done else "done" if self.success else f"failed: {self._future.exception()}"
        return f"<status of {getattr(self.device, 'path', 'something')}: {state}>"
