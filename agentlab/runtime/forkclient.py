"""The starter's side of a fork server: start it, ask for children, hear how they end."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from agentlab.errors import AgentStartError
from agentlab.runtime.bootstrap import interpreter_command
from agentlab.runtime.forkserver import DETACH, ENDED, FRESH, REFUSED, REPLY, REQUEST, STARTED
from agentlab.runtime.link import send_frame
from agentlab.runtime.monitor import Monitor
from agentlab.runtime.parentwatch import open_pidfd

Outputs = tuple[int | None, int | None]
"""Descriptors of a child's stdout and stderr; None: those that this process has when the child is made."""


class Process(Protocol):
    """Who is told what happens to a child; in the monitor's thread, so nothing here may block."""

    detach: bool

    def began(self, pid: int) -> None:
        """It exists."""

    def ended(self, exitcode: int | None) -> None:
        """It exists no longer; None: nobody could say with which exit code."""

    def refused(self, reason: str) -> None:
        """It was never made."""


class ServerGoneError(AgentStartError):
    """The fork server has ended; never leaves this package."""


class ForkServer:
    """One fork server of this process.

    Making it returns before the server has finished its imports: requests wait in its socket.

    Args:
        monitor: Watches its socket.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._asked: dict[int, Process] = {}
        self._running: dict[int, Process] = {}
        self._buffer = b""
        self.gone = threading.Event()
        self._control, control = socket.socketpair()
        self._lifeline, lifeline = socket.socketpair()
        with control, lifeline, _opened((None, None)) as (_, err):
            fds = (control.fileno(), lifeline.fileno())
            command = interpreter_command("agentlab.runtime.forkserver", *fds, os.getpid())
            self._popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, pass_fds=fds, start_new_session=True
            )
        self.pid = self._popen.pid
        send_frame(self._control, b"P", pickle.dumps(list(sys.path)))
        self._control.settimeout(None)
        monitor.watch(self._control.fileno(), self._on_replies)

    def request(self, process: Process, link: socket.socket, *, fresh: bool, outputs: Outputs = (None, None)) -> None:
        """Ask for a child; ``process.began`` or ``process.refused`` follows.

        Args:
            process: Who is told.
            link: The child's end of its link; the caller closes it afterwards.
            fresh: Whether it shall be a fresh interpreter.
            outputs: Its stdout and stderr; they stay the caller's.

        Raises:
            ServerGoneError: it has ended; nothing was asked, nobody will be told.
        """
        number = next(self._numbers)
        flags = (DETACH if process.detach else 0) | (FRESH if fresh else 0)
        with self._sending, _opened(outputs) as (out, err):
            self._asked[number] = process
            try:
                socket.send_fds(self._control, [REQUEST.pack(number, flags)], [link.fileno(), out, err])
                return
            except OSError:  # it is dead, or its end was seen and the socket closed
                del self._asked[number]
        self.gone.wait(1.0)  # so that who asks again is given another one
        raise ServerGoneError

    def close(self, timeout: float) -> None:
        """Let it end: its children get SIGTERM, after a second SIGKILL. Waits for its end; kills it after ``timeout`` seconds."""
        with self._sending, contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
        if not self.gone.wait(timeout):
            self._popen.kill()
            self.gone.wait(timeout)

    def abandon(self) -> None:
        """Close the sockets in a forked process: the server is not its, and must see its real starter die."""
        self._control.close()
        self._lifeline.close()
        self._popen.returncode = 0  # not our child: nothing to wait for, nothing to warn of

    def _on_replies(self) -> None:
        try:
            data = self._control.recv(65536, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._on_end()
            return
        self._buffer += data
        whole = len(self._buffer) - len(self._buffer) % REPLY.size
        replies, self._buffer = self._buffer[:whole], self._buffer[whole:]
        for kind, number, value in REPLY.iter_unpack(replies):
            self._on_reply(kind, number, value)

    def _on_reply(self, kind: bytes, number: int, value: int) -> None:
        if kind == STARTED:
            process = self._running[value] = self._asked.pop(number)
            process.began(value)
        elif kind == ENDED:
            self._running.pop(number).ended(value)
        elif kind == REFUSED:
            self._asked.pop(number).refused(os.strerror(value))

    def _on_end(self) -> None:
        """In the monitor's thread: the server died, or was closed."""
        with self._sending:
            self.gone.set()
            self._monitor.forget(self._control.detach())
            self._lifeline.close()
        for process in self._asked.values():
            process.refused("")
        for pid, process in self._running.items():
            self._watch_orphan(pid, process)
        self._asked.clear()
        self._running.clear()
        try:
            self._popen.wait(1.0)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _watch_orphan(self, pid: int, process: Process) -> None:
        """Follow a child whose server died before it: the kernel is about to kill it, unless it is detached."""
        exitcode = None if process.detach else -signal.SIGKILL
        try:
            fd = open_pidfd(pid)
        except ProcessLookupError:
            process.ended(exitcode)
            return
        except OSError:
            fd = -1
        if not process.detach:  # the kernel does it where it can; a socket closes a moment before that
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

        def on_end() -> None:
            self._monitor.forget(fd)
            process.ended(exitcode)

        if fd >= 0:
            self._monitor.watch(fd, on_end)
        else:
            threading.Thread(target=_poll, args=(pid, process, exitcode), name="agentlab-orphan", daemon=True).start()


def _poll(pid: int, process: Process, exitcode: int | None) -> None:
    """Wait for the end of a process that is not our child, on a system without pidfds."""
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            time.sleep(0.05)
    process.ended(exitcode)


@contextlib.contextmanager
def _opened(outputs: Outputs) -> Iterator[tuple[int, int]]:
    """Give descriptors of stdout and stderr: those given, else this process's as they are now; /dev/null for a closed one."""
    with contextlib.ExitStack() as stack:
        fds = []
        for given, standard in zip(outputs, (1, 2), strict=True):
            fd = standard if given is None else given
            try:
                os.fstat(fd)
                fds.append(fd)
            except OSError:
                fds.append(os.open(os.devnull, os.O_RDWR))
                stack.callback(os.close, fds[-1])
        yield fds[0], fds[1]
