"""What a process must let go of that an agent's own code forks, as multiprocessing does.

It inherits copies of the agent's sockets and locks. While it keeps them, a dead agent looks alive: callers connect to nobody,
and the names of socket files stay taken. It inherits the agent's signal handlers too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
from pathlib import Path

from agentlab.settings import runtime_dir

_LISTINGS = (Path("/proc/self/fd"), Path("/dev/fd"))


def guard_forks() -> None:
    """Have every process that is forked from this one let go of what is the agent's own."""
    if hasattr(os, "register_at_fork"):
        directory = str(runtime_dir())
        os.register_at_fork(after_in_child=lambda: _let_go(directory))


def _let_go(directory: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)  # which would wake the agent
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        for descriptor in _open_descriptors():
            if descriptor != nothing and _belongs_to(descriptor, directory):
                # Overwritten, not closed: objects know them by number, and another file might get the number.
                os.dup2(nothing, descriptor, inheritable=False)
    finally:
        os.close(nothing)


def _open_descriptors() -> list[int]:
    for listing in _LISTINGS:
        with contextlib.suppress(OSError):
            return [int(path.name) for path in listing.iterdir()]
    return []


def _belongs_to(descriptor: int, directory: str) -> bool:
    """Tell whether it is a socket file's, a connection to or from one, or a lock: all that lies in the agents' directory."""
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return str((_LISTINGS[0] / str(descriptor)).readlink()).startswith(directory)
        if not stat.S_ISSOCK(mode):
            return False
        sock = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        if sock.family != getattr(socket, "AF_UNIX", None):
            return False
        names = [sock.getsockname()]
        with contextlib.suppress(OSError):
            names.append(sock.getpeername())
        return any(isinstance(name, str) and name.startswith(directory) for name in names)
    except OSError:
        return False
    finally:
        sock.detach()
