"""What a starter knows of one child, and what it can do to it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable

_KILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows: either is TerminateProcess
_CONTINUE: int | None = getattr(signal, "SIGCONT", None)


class Child:
    """One child process. All methods may be called in any thread.

    Made by :func:`~agentlab.runtime.child.start_child`, never by hand.

    Attributes:
        name: The name given to ``start_child``.
        detach: Whether it outlives this process.
        pid: Its process id.
        ready: What it gave to ``link.ready``.
    """

    def __init__(
        self,
        name: str,
        *,
        detach: bool,
        on_exit: Callable[[Child], None] | None,
        call: Callable[[Callable[[], None]], None],
        forget: Callable[[Child], None],
    ) -> None:
        self.name = name
        self.detach = detach
        self.pid = 0
        self.ready = b""
        self.refusal: str | None = None
        self._exitcode: int | None = None
        self._on_exit, self._call, self._forget = on_exit, call, forget
        self._lock = threading.Lock()
        self._known = threading.Event()
        self._ended = threading.Event()
        self._is_ready = False
        self._unwanted = False
        self._link: socket.socket | None = None

    def __repr__(self) -> str:
        state = "alive" if self.is_alive() else f"ended with {self.exitcode}"
        return f"<Child {self.name!r}, pid {self.pid}, {state}>"

    @property
    def exitcode(self) -> int | None:
        """How it ended: an exit code, or minus the number of the signal that killed it. None while it lives.

        It stays None when nobody could know: a detached child that ended after its fork server was killed.
        """
        return self._exitcode

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it is ready; stays true after its end."""
        return self._is_ready

    def is_alive(self) -> bool:
        """Whether it runs (or is frozen); false within some milliseconds of its end."""
        return not self._ended.is_set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for its end, up to ``timeout`` seconds (None: for ever).

        Returns:
            Whether it has ended.
        """
        return self._ended.wait(timeout)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM; on Windows it is killed). Returns at once; does nothing when it has ended."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it (SIGKILL), frozen or not. Returns at once; does nothing when it has ended."""
        self._signal(_KILL)

    def stop(self) -> None:
        """Ask it to end even if it is frozen or does not exist yet. Returns at once."""
        with self._lock:
            self._unwanted = True
        if _CONTINUE is not None:
            # A frozen process hears nothing, so it is woken, and before it is asked: a SIGTERM that waits while all threads
            # are frozen goes to any of them, and only the main thread would wake up of it.
            self._signal(_CONTINUE)
        self._signal(signal.SIGTERM)

    def attach(self, link: socket.socket) -> None:
        """Remember the starter's end of its link, to close it when it is not needed any more."""
        with self._lock:
            self._link = link
            if self._ended.is_set():
                self._wake_reader()

    def wait_until_known(self, timeout: float) -> bool:
        """Wait until ``pid`` is set, or it is known that it will never be: its own word may come before its fork server's.

        Returns:
            Whether one of them came in time.
        """
        return self._known.wait(timeout)

    def began(self, pid: int) -> None:
        """It exists. For the one that made it; may come in any thread."""
        with self._lock:
            self.pid = pid
            unwanted = self._unwanted
            self._known.set()
        if unwanted:
            self.kill()

    def ended(self, exitcode: int | None) -> None:
        """It exists no longer. For the one that watches it."""
        with self._lock:
            if self._ended.is_set():
                return
            self._exitcode = exitcode
            self._ended.set()
            self._known.set()
            self._wake_reader()
            ready = self._is_ready
            if ready:
                self._close_link()
        self._forget(self)
        if ready:
            self._tell()

    def refused(self, reason: str) -> None:
        """It was never made; an empty reason means that its fork server died. For the one that should have made it."""
        self.refusal = reason
        self.ended(None)

    def became_ready(self, payload: bytes, *, keep_link: bool) -> None:
        """It has said that it is ready. For the one that reads its link."""
        with self._lock:
            self.ready = payload
            self._is_ready = True
            ended = self._ended.is_set()
            if ended or not keep_link:
                self._close_link()
        if ended:
            self._tell()

    def discard(self, timeout: float) -> None:
        """Give up a child that did not become ready: kill it, now or as soon as it exists, and wait for its end."""
        with self._lock:
            self._unwanted = True
            began = self.pid != 0
        self.kill()
        if began:
            self.join(timeout)
        with self._lock:
            self._close_link()
        self._forget(self)

    def abandon(self) -> None:
        """Close what a forked process has inherited of it; without the lock, which a thread may have held at the fork."""
        self._close_link()

    def _signal(self, number: int) -> None:
        with self._lock:
            if self.pid and not self._ended.is_set():
                with contextlib.suppress(ProcessLookupError, PermissionError):  # it ended, and we have not heard of it yet
                    os.kill(self.pid, number)

    def _tell(self) -> None:
        on_exit = self._on_exit
        if on_exit is not None:
            self._call(lambda: on_exit(self))

    def _wake_reader(self) -> None:
        # A process of the child's own may hold the link open: its starter must not wait for an end-of-file.
        if self._link is not None and not self._is_ready:
            with contextlib.suppress(OSError):
                self._link.shutdown(socket.SHUT_RD)

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
