"""The starter's two threads: one watches sockets for what happens to children, the other calls what users asked for.

They are two so that a user's function may itself start a child and wait for it.
"""

from __future__ import annotations

import logging
import os
import queue
import selectors
import socket
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Monitor:
    """Watches descriptors in a daemon thread of its own until it is stopped. All methods may be called in any thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._selector.register(self._wake, selectors.EVENT_READ, self._on_wake)
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._watch, name="agentlab-monitor", daemon=True),
            threading.Thread(target=self._call, name="agentlab-exits", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def watch(self, fd: int, action: Callable[[], None]) -> None:
        """Call ``action`` in the watching thread whenever the descriptor is readable; it must not block or raise."""
        self._do(lambda: self._register(fd, action))

    def forget(self, fd: int) -> None:
        """Watch it no longer, and close it: both in the watching thread, so that its number is not reused in between."""
        self._do(lambda: self._close(fd))

    def call(self, function: Callable[[], None]) -> None:
        """Call a user's function in the second thread, after those that wait there; what it raises is logged."""
        self._calls.put(function)

    def stop(self, timeout: float) -> None:
        """End both threads and close what is watched; waits for them, up to ``timeout`` seconds each."""
        self._calls.put(None)
        self._do(self._stop)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout)

    def abandon(self) -> None:
        """Close the descriptors in a forked process, where the threads do not exist."""
        # epoll is one object shared with the process that forked us: nothing may be unregistered, only closed.
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def _do(self, task: Callable[[], None]) -> None:
        if threading.current_thread() is self._threads[0]:
            task()
            return
        self._tasks.put(task)
        try:
            self._waker.send(b"x")
        except OSError:  # stopped
            return

    def _register(self, fd: int, action: Callable[[], None]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, action)

    def _close(self, fd: int) -> None:
        self._selector.unregister(fd)
        os.close(fd)

    def _stop(self) -> None:
        self._stopped = True

    def _watch(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select():
                key.data()
        for fd in [key.fd for key in self._selector.get_map().values() if key.fileobj is not self._wake]:
            self._close(fd)
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def _on_wake(self) -> None:
        self._wake.recv(4096)
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            task()

    def _call(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                function()
            except Exception:  # noqa: BLE001 - a door: it is a user's function, and the next one must be called all the same
                _log.exception("what was to be done when a child ended raised an error")
