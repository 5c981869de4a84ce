"""Connections of closed ipc sockets that are kept until the other side has read what is on its way.

When a unix socket is closed while its reader is at the high-water mark, libzmq (4.3.5, ``stream_engine_base_t``) takes the
hang-up for an error and never reads what the kernel still holds: up to some hundred messages of a sender that ends are lost.
So the connections of a closing socket are duplicated before ZeroMQ closes them, which the reader does not notice, and the
duplicates are closed when the kernel holds nothing more for the reader, or when the linger is over. Linux only; over TCP
there is no such hang-up.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import stat
import sys
import threading
import time
from pathlib import Path

if sys.platform == "linux":
    import fcntl

SIOCOUTQ = 0x5411
"""ioctl(2) on a socket: bytes that the other side has not read (linux/sockios.h)."""
STEP = 0.001


class _Held:
    """One duplicated connection, and until when it is held (None: until it is read)."""

    def __init__(self, connection: socket.socket, deadline: float | None) -> None:
        self.connection = connection
        self.deadline = deadline

    def is_over(self, now: float) -> bool:
        if self.deadline is not None and now >= self.deadline:
            return True
        pending = array.array("i", [0])
        try:
            fcntl.ioctl(self.connection.fileno(), SIOCOUTQ, pending)
        except OSError:
            return True
        if pending[0]:
            return False
        # Read by the other side, or not written yet: while ZeroMQ holds its own end, more may come.
        return not _is_open_elsewhere(self.connection)


_held: list[_Held] = []
_lock = threading.Lock()
_thread: threading.Thread | None = None
_watching = False
"""Whether that thread will look again at what is held; it decides under the lock, some time before it has ended."""


def hold(path: str, linger: float) -> None:
    """Hold the connections of the ipc socket at `path`, which is about to be closed.

    Args:
        path: Of its socket file.
        linger: Seconds; negative: until all is read.
    """
    global _thread, _watching  # noqa: PLW0603 - one thread for all that is held, gone when nothing is
    if sys.platform != "linux" or linger == 0:
        return
    deadline = None if linger < 0 else time.monotonic() + linger
    connections = _connections(path)
    if not connections:
        return
    with _lock:
        _held.extend(_Held(connection, deadline) for connection in connections)
        if not _watching or _thread is None or not _thread.is_alive():  # a forked process has the flag, and no thread
            _watching = True
            _thread = threading.Thread(target=_watch, name="agentlab-linger", daemon=True)
            _thread.start()


def wait(timeout: float | None) -> None:
    """Wait until nothing is held any more, up to `timeout` seconds (None: for ever)."""
    thread = _thread
    if thread is not None:
        thread.join(timeout)


def _watch() -> None:
    global _watching  # noqa: PLW0603 - see there
    while True:
        with _lock:
            now = time.monotonic()
            for held in [held for held in _held if held.is_over(now)]:
                _held.remove(held)
                held.connection.close()
            if not _held:
                _watching = False
                return
        time.sleep(STEP)


def _connections(path: str) -> list[socket.socket]:
    """Give duplicates of this process's connected unix sockets that have `path` at one end."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names alone, thousands of times
        with contextlib.suppress(OSError):
            number = int(name)
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            copy = socket.socket(fileno=os.dup(number))
            if copy.family == socket.AF_UNIX and path in _ends(copy):
                found.append(copy)
            else:
                copy.close()
    return found


def _ends(connection: socket.socket) -> tuple[str, str]:
    try:
        return str(connection.getpeername()), str(connection.getsockname())
    except OSError:  # it listens, or has been left by the other side
        return "", ""


def _is_open_elsewhere(connection: socket.socket) -> bool:
    """Tell whether a descriptor of this process that we do not hold ourselves is the same socket."""
    own, inode = {held.connection.fileno() for held in _held}, os.fstat(connection.fileno()).st_ino
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if int(entry.name) not in own and entry.stat().st_ino == inode and stat.S_ISSOCK(entry.stat().st_mode):
                return True
    return False
