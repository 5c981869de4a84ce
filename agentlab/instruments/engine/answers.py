"""The answer of a call that the driver's thread, or the end of somebody's lease, will give: once, to whoever asks for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from agentlab.agent.beside import Done, Pending
from agentlab.errors import CallTimeoutError

_log = logging.getLogger(__name__)


def _always() -> bool:
    return True


class Answer(Pending):
    """One answer. Any thread may give it and any thread may ask for it; the first that is given counts.

    The call is under way already when its caller gets this: :meth:`start` only says where the answer goes.
    """

    __slots__ = ("_done", "_error", "_lock", "_over", "_result", "_wanted")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: Done | None = None
        self._wanted: Callable[[], bool] = _always
        self._over = False
        self._result: Any = None
        self._error: BaseException | None = None

    @classmethod
    def failed(cls, error: BaseException) -> Answer:
        """Give an answer that is an error already."""
        answer = cls()
        answer.fail(error)
        return answer

    def start(self, done: Done, wanted: Callable[[], bool] = _always) -> None:
        """Have the answer given to `done`: now in this thread if it is there, else later in another.

        Args:
            done: Called once with result and error. It must not block.
            wanted: Tells whether the caller still waits; a call that is not wanted when its turn comes is not executed.
        """
        with self._lock:
            self._wanted = wanted
            if not self._over:
                self._done = done
                return
        _tell(done, self._result, self._error)

    def give(self, result: Any) -> bool:
        """Answer with a result; False when it was answered before."""
        return self._settle(result, None)

    def fail(self, error: BaseException) -> bool:
        """Answer with an error; False when it was answered before."""
        return self._settle(None, error)

    def _settle(self, result: Any, error: BaseException | None) -> bool:
        with self._lock:
            if self._over:
                return False
            self._over, self._result, self._error = True, result, error
            done, self._done = self._done, None
        if done is not None:
            _tell(done, result, error)
        return True

    @property
    def over(self) -> bool:
        """Whether it has been answered."""
        return self._over

    def wanted(self) -> bool:
        """Tell whether the caller still waits for it."""
        return self._wanted()

    def wait(self, timeout: float | None = None) -> Any:
        """Wait for the answer in this thread and give it, or raise what the call raised.

        Args:
            timeout: Seconds; None: as long as it takes.

        Raises:
            CallTimeoutError: there is no answer yet; the call may run, or run yet.
        """
        came = threading.Event()
        self.start(lambda _result, _error: came.set())
        if not came.wait(timeout):
            raise CallTimeoutError(f"no answer within {timeout:g} s; the call may run yet")
        if self._error is not None:
            raise self._error
        return self._result


def _tell(done: Done, result: Any, error: BaseException | None) -> None:
    try:
        done(result, error)
    except BaseException:  # noqa: BLE001 - a door: the driver's thread must not end by it
        _log.exception("an answer could not be handed over")
