"""How a process learns that another one is gone: the kernel's signal, pidfds, and a thread that waits for end-of-file.

On Linux the kernel itself kills a child whose fork server died (``PR_SET_PDEATHSIG``, prctl(2)). The signal comes with the
death of the creating *thread*, so it is asked for only below the single-threaded fork server.
"""

from __future__ import annotations

import ctypes
import functools
import os
import selectors
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15  # <linux/prctl.h>
_SYS_PIDFD_OPEN = 434  # the same number on every architecture, <asm-generic/unistd.h>

KERNEL_KILLS = sys.platform.startswith("linux")
"""Whether the kernel ends a process together with its fork server."""


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def signal_when_parent_dies(parent_pid: int, signum: int) -> None:
    """Have the kernel send this process a signal when the thread that created it ends; does nothing but check off Linux.

    Args:
        parent_pid: Who must be the parent now. When it is not, it died before we asked, and this process exits with 1.
        signum: Which signal.
    """
    if KERNEL_KILLS:
        _libc().prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def name_process(name: str) -> None:
    """Set the name that ``top`` and ``ps -o comm`` show (Linux; 15 bytes of it)."""
    if KERNEL_KILLS and name:
        _libc().prctl(_PR_SET_NAME, name.encode("utf-8", "replace")[:15], 0, 0, 0)


def open_pidfd(pid: int) -> int:
    """Give a descriptor that becomes readable when that process ends, whoever's child it is. The caller closes it.

    Raises:
        ProcessLookupError: there is no such process.
        OSError: this system has no pidfds.
    """
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        return os.pidfd_open(pid)
    if not KERNEL_KILLS:
        raise OSError(f"pidfds exist on Linux only, this is {sys.platform}")
    # Some distributions build Python against kernel headers that are older than the kernel it runs on.
    fd: int = _libc().syscall(_SYS_PIDFD_OPEN, pid, 0)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    os.set_inheritable(fd, False)
    return fd


def when_readable(fd: int, action: Callable[[], None]) -> threading.Thread:
    """Call something once, in a new daemon thread, when a descriptor becomes readable or reaches its end.

    The thread ends after that. It needs the GIL to act: a C call that keeps it keeps this from happening.
    """

    def wait() -> None:
        if hasattr(signal, "pthread_sigmask"):
            # A signal for the process may be given to any thread, after a freeze above all; only the main one wakes for it.
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            while not selector.select():
                pass
        action()

    thread = threading.Thread(target=wait, name="agentlab-parentwatch", daemon=True)
    thread.start()
    return thread
