"""Calls that are waited for later: threads that make them, and futures that know for whom an agent waits."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from agentlab.agent import local
from agentlab.errors import DeadlockError

MOST_THREADS = 64
IDLE_LIFE = 5.0  # seconds; a thread costs memory, starting one 50 µs


class CallFuture(Future[Any]):
    """The answer of a call under way. An agent's loop that waits for it counts as waiting for the agent that is called.

    Args:
        name: Who is called.
        uri: Where that one is.
        safe: Whether that one's loop is needed for the answer.
    """

    def __init__(self, name: str, uri: str, safe: bool) -> None:
        super().__init__()
        self._name, self._uri, self._safe = name, uri, safe

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the answer and give it, or raise what the call raised.

        Args:
            timeout: Seconds; None: for ever.

        Raises:
            TimeoutError: there is none in time.
            DeadlockError: the agent whose loop would have to answer is the one that waits.
        """
        self._check()
        with local.waiting(self._name, self._uri, safe=self._safe):
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the answer and give the exception that the call raised, or None. Args and Raises: as for :meth:`result`."""
        self._check()
        with local.waiting(self._name, self._uri, safe=self._safe):
            return super().exception(timeout)

    def _check(self) -> None:
        door = local.current()
        if self._safe and door is not None and door.uri == self._uri and not self.done():
            raise DeadlockError(
                f"agent {door.agent.name!r} waits for a safe call of itself, which only its own loop could run: "
                "use .unsafe, add_done_callback(), or call it directly"
            )


class Callers:
    """Daemon threads that make calls: as many as there is work for, up to a limit; they end when there is none.

    They are daemons, so a call that never ends does not keep a program from ending. Any thread may :meth:`submit`.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._jobs: queue.SimpleQueue[tuple[CallFuture, Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0  # threads that wait, less the jobs that are there for them

    def submit(self, name: str, uri: str, safe: bool, call: Callable[[], Any]) -> CallFuture:
        """Make a call in another thread.

        Args:
            name: Who is called.
            uri: Where that one is.
            safe: Whether the call is a safe one.
            call: What calls.

        Raises:
            RuntimeError: the system gives no further thread; nothing is called then.
        """
        future = CallFuture(name, uri, safe)
        with self._lock:
            self._free -= 1
            start = self._free < 0 and self._threads < MOST_THREADS
            if start:
                self._threads += 1
                self._free += 1
            self._jobs.put((future, call))
        if start:
            self._start(future)
        return future

    def _start(self, future: CallFuture) -> None:
        try:
            threading.Thread(target=self._work, name="agentlab-future", daemon=True).start()
        except RuntimeError:
            future.cancel()  # whoever takes it out of the queue passes it over
            with self._lock:
                self._threads -= 1
                self._free -= 1
            raise

    def _work(self) -> None:
        while True:
            try:
                future, call = self._jobs.get(timeout=IDLE_LIFE)
            except queue.Empty:
                with self._lock:
                    if not self._jobs.empty():
                        continue  # put between the two lines above
                    self._threads -= 1
                    self._free -= 1
                    return
            _fulfil(future, call)
            del future, call  # a thread that waits keeps nothing alive
            with self._lock:
                self._free += 1


def _fulfil(future: CallFuture, call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - a door: whatever it is, it belongs to whoever waits
        future.set_exception(error)
    else:
        future.set_result(result)


_lock = threading.Lock()
_callers: Callers | None = None


def submit(name: str, uri: str, safe: bool, call: Callable[[], Any]) -> CallFuture:
    """Make a call in another thread of this process. Args: as for :meth:`Callers.submit`."""
    global _callers  # noqa: PLW0603 - one per process, made when first used; a fork has no threads, so it makes its own
    with _lock:
        if _callers is None or _callers.pid != os.getpid():
            _callers = Callers()
        callers = _callers
    return callers.submit(name, uri, safe, call)
