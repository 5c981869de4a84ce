"""Where runs are kept, and whose process writes one."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import psutil

VARIABLE = "AGENTLAB_RUNS"
FILE = "runs.sqlite"
_CLOCKS_DIFFER = 2.0
"""Seconds by which two processes may see another one's start differently, where only the wall clock tells."""


def store_path() -> Path:
    """Give the file of this user's runs: ``AGENTLAB_RUNS``, else ``runs.sqlite`` in the user's data directory."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("agentlab")) / FILE


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be taken for another one that has its pid later.

    Attributes:
        host: Its machine.
        pid: Its number there.
        stamp: When it began, as text of :func:`process_stamp`.
    """

    host: str
    pid: int
    stamp: str

    @classmethod
    def this(cls) -> Process:
        """Give the process that asks."""
        return cls(socket.gethostname(), os.getpid(), process_stamp(os.getpid()) or "")

    def is_dead(self) -> bool:
        """Tell whether it is certainly gone: nobody here can tell that of a process of another machine."""
        if self.host != socket.gethostname():
            return False
        found = process_stamp(self.pid)
        return found is None or not _same(found, self.stamp)


def process_stamp(pid: int) -> str | None:
    """Give a text that differs for any two processes that ever have this pid; None: there is no such process.

    On Linux that is the boot and the tick of its start: unlike times of day, no correction of the clock moves them.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except FileNotFoundError:
        return _stamp_by_clock(pid)
    except (OSError, ProcessLookupError):
        return None
    dead = fields[0] in ("Z", "X")  # killed, and nobody has asked how it ended
    return None if dead else f"{boot} {fields[19]}"


def _stamp_by_clock(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return abs(float(one) - float(other)) < _CLOCKS_DIFFER
    except ValueError:  # stamps of Linux are exact
        return False
