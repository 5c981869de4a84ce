"""Waiting for sockets and for other threads at once."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Hashable

import zmq

from agentlab.transport.sockets import Socket


class WakeUp:
    """Lets any thread end another thread's wait. Cheap: one system call."""

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) if sys.platform.startswith("linux") else None
        self._pair = None if self._event is not None else socket.socketpair()
        if self._pair is not None:
            for end in self._pair:
                end.setblocking(False)
        self.closed = False

    def fileno(self) -> int:
        """Give the descriptor that is readable after :meth:`set`."""
        return self._event if self._event is not None else self._pair[0].fileno()  # type: ignore[index]

    def set(self) -> None:
        """Wake the waiting thread; from any thread, and from a signal handler."""
        if self.closed:
            return
        try:
            if self._event is not None:
                os.eventfd_write(self._event, 1)
            elif self._pair is not None:
                self._pair[1].send(b"\0")
        except (OSError, ValueError):
            pass  # full means that the wake-up is already there; closed means that nobody waits any more

    def clear(self) -> None:
        """Forget the wake-ups so far."""
        try:
            if self._event is not None:
                os.eventfd_read(self._event)
            elif self._pair is not None:
                self._pair[0].recv(4096)
        except BlockingIOError:
            pass  # nothing was set

    def close(self) -> None:
        """Free the descriptors; twice is fine."""
        if self.closed:
            return
        self.closed = True
        if self._event is not None:
            event, self._event = self._event, -1
            os.close(event)
        elif self._pair is not None:
            for end in self._pair:
                end.close()


class Poller:
    """Waits for readable sockets and for one wake-up. Used by the owner's thread alone, but for :meth:`wake`."""

    def __init__(self) -> None:
        self._wake = WakeUp()
        self._poller = zmq.Poller()
        self._keys: dict[object, Hashable] = {}
        self._poller.register(self._wake.fileno(), zmq.POLLIN)
        self._orders = zmq.Poller()
        self._orders.register(self._wake.fileno(), zmq.POLLIN)

    def add(self, key: Hashable, source: Socket | int) -> None:
        """Watch a socket or a file descriptor; :meth:`wait` names it by `key`."""
        raw = source.z if isinstance(source, Socket) else source
        self._keys[raw] = key
        self._poller.register(raw, zmq.POLLIN)

    def remove(self, source: Socket | int) -> None:
        """Stop watching; unknown ones are ignored."""
        raw = source.z if isinstance(source, Socket) else source
        if self._keys.pop(raw, None) is not None:
            self._poller.unregister(raw)

    def wait(self, timeout: float | None) -> list[Hashable]:
        """Wait until something is readable, or woken, or `timeout` seconds are over; give the keys of what is readable."""
        # rounded up: a timer that is woken a little early would have to sleep once more
        timeout_ms = None if timeout is None else max(0, int(timeout * 1000 + 0.999))
        ready = []
        for raw, _ in self._poller.poll(timeout_ms):
            key = self._keys.get(raw)
            if key is not None:
                ready.append(key)
            elif raw == self._wake.fileno():
                self._wake.clear()
        return ready

    def wait_for_wake(self) -> None:
        """Wait for :meth:`wake` alone, whatever comes on the sockets."""
        self._orders.poll()
        self._wake.clear()

    def wake(self) -> None:
        """End the wait; from any thread."""
        self._wake.set()

    def close(self) -> None:
        """Free the wake-up; twice is fine."""
        self._wake.close()
