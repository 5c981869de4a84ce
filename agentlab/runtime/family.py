"""All children of this process, the threads that watch them and the fork server that makes them.

One :class:`Family` a process, made with the first child. A process forked by the user has none of it: it closes what it
has inherited, and makes its own when it starts a child.
"""

from __future__ import annotations

import atexit
import os
import threading
import time

from agentlab.errors import AgentStartError
from agentlab.runtime.forkclient import ForkServer
from agentlab.runtime.monitor import Monitor
from agentlab.runtime.process import Child

AT_EXIT_TIMEOUT = 5.0
"""Seconds that children have to end when their starter ends."""

_KILL_TIMEOUT = 2.5  # more than the fork server takes to end whatever is left


class Family:
    """Children, monitor and fork server of one process. All methods may be called in any thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.monitor = Monitor()
        self.closing = False
        self._lock = threading.Lock()
        self._children: set[Child] = set()
        self._server: ForkServer | None = None

    def server(self) -> ForkServer:
        """Give the fork server; start one when there is none or it has died."""
        with self._lock:
            if self._server is None or self._server.gone.is_set():
                self._check()
                self._server = ForkServer(self.monitor)
            return self._server

    def add(self, child: Child) -> None:
        """Count a child in, before it exists."""
        with self._lock:
            self._check()
            self._children.add(child)

    def remove(self, child: Child) -> None:
        """Count out a child that has ended; one that is not there is no error."""
        with self._lock:
            self._children.discard(child)

    def children(self) -> list[Child]:
        """Give all children that live, are starting or are about to."""
        with self._lock:
            return list(self._children)

    def stop_all(self, timeout: float) -> None:
        """See :func:`stop_all`."""
        children = [child for child in self.children() if not child.detach]
        for child in children:
            child.stop()
        deadline = time.monotonic() + timeout
        # A child that is not made yet is killed by whoever waits for it.
        late = [child for child in children if child.pid and not child.join(max(0.0, deadline - time.monotonic()))]
        for child in late:
            child.kill()
        for child in late:
            child.join(_KILL_TIMEOUT)

    def close(self, timeout: float) -> None:
        """Stop all children, the fork server and the threads."""
        with self._lock:
            self.closing = True
        self.stop_all(timeout)
        if self._server is not None:
            self._server.close(_KILL_TIMEOUT)
        self.monitor.stop(_KILL_TIMEOUT)

    def abandon(self) -> None:
        """Close everything in a forked process, without a word to the threads and processes, which are its parent's."""
        self.monitor.abandon()
        if self._server is not None:
            self._server.abandon()
        for child in self._children:
            child.abandon()

    def _check(self) -> None:
        if self.closing:
            raise AgentStartError("this process is stopping its children, so none can be started; start it before, or afterwards")


class _Here:
    """What this process has: one object, so that no function has to rebind a global."""

    family: Family | None = None
    guard = threading.Lock()
    registered = False


_here = _Here()


def family() -> Family:
    """Give the family of this process; make it when there is none."""
    with _here.guard:
        if _here.family is None or _here.family.pid != os.getpid():
            _register()
            _here.family = Family()
        return _here.family


def stop_all(timeout: float = AT_EXIT_TIMEOUT) -> None:
    """End all children of this process that were not started detached, in parallel: SIGTERM, and SIGKILL for what is left.

    Called when the interpreter ends, with 5 s. Blocks until they have ended. The fork server stays, for the next child;
    :func:`shutdown` ends it too.

    Args:
        timeout: Seconds between the two signals.
    """
    if _here.family is not None:
        _here.family.stop_all(timeout)


def active_children() -> list[Child]:
    """Give the children of this process that are ready and live, detached ones too."""
    children = [] if _here.family is None else _here.family.children()
    return [child for child in children if child.is_ready and child.is_alive()]


def shutdown(timeout: float = AT_EXIT_TIMEOUT) -> None:
    """Do as :func:`stop_all`, then end the fork server and the watching threads too. The next child starts new ones.

    The end of detached children is not noticed any more.

    Args:
        timeout: Seconds that the children have.
    """
    here = _here.family
    if here is not None:
        here.close(timeout)
        with _here.guard:
            if _here.family is here:
                _here.family = None


def _register() -> None:
    if not _here.registered:
        _here.registered = True
        atexit.register(_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)


def _at_exit() -> None:
    if _here.family is not None:
        _here.family.close(AT_EXIT_TIMEOUT)  # and it stays closing: whatever runs later in this exit starts nothing


def _after_fork() -> None:
    inherited, _here.family = _here.family, None
    _here.guard = threading.Lock()  # another thread may have held the old one when we were forked
    if inherited is not None:
        inherited.abandon()
