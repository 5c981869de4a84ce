"""Where runs are kept, and whose process writes one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import psutil

VARIABLE = "AGENTLAB_RUNS"
FILE = "runs.sqlite"
_NETWORK = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "sshfs", "afs", "ceph", "glusterfs", "beegfs"}
    | {"lustre", "gpfs", "davfs", "davfs2", "webdav", "rclone", "9p", "vboxsf", "vmhgfs", "prl_fs", "drvfs", "osxfs"}
)
"""Types of drives on which two machines do not share memory."""
_CLOCKS_DIFFER = 2.0
"""Seconds by which two processes may see another one's start differently, where only the wall clock tells."""


def store_path() -> Path:
    """Give the file of this user's runs: ``AGENTLAB_RUNS``, else ``runs.sqlite`` in the user's data directory."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("agentlab")) / FILE


def is_network(path: Path, drives: Iterable[tuple[str, str]] | None = None) -> bool:
    """Tell whether a file is on a network drive, or on one that a virtual machine shares with its host.

    Args:
        path: The file.
        drives: Where each drive of this machine is mounted, and its type, in the order in which they were; None: they are
            asked for.
    """
    if drives is None:
        drives = _drives()
    place = path.resolve()
    if place.drive.startswith("\\\\"):
        return True
    holding = [(Path(where), kind) for where, kind in drives if where and place.is_relative_to(where)]
    # Of two at one place, the later hides the earlier, as a network drive does its automounter.
    kind = max(reversed(holding), key=lambda drive: len(drive[0].parts), default=(place, ""))[1].lower()
    return kind.removeprefix("fuse.") in _NETWORK


def _drives() -> list[tuple[str, str]]:
    """Give where drives are mounted, and their types; none where the system does not tell: most stores are on a disk."""
    try:
        return [(drive.mountpoint, drive.fstype) for drive in psutil.disk_partitions(all=True)]
    except (OSError, RuntimeError, psutil.Error):
        return []


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
        """Tell whether it is certainly gone: nobody can tell that of one of another machine or container, or that is hidden."""
        if self.host != socket.gethostname() or not self.stamp:
            return False
        found = process_stamp(self.pid)
        if found is None:
            return not _is_elsewhere(self.stamp)
        return bool(found) and not _same(found, self.stamp) and not _is_elsewhere(self.stamp)


def process_stamp(pid: int) -> str | None:
    """Give a text that differs for any two processes that ever have this pid; None: there is no such process.

    On Linux that is the boot, the tick of its start and the container in which the pid counts: unlike times of day, no
    correction of the clock moves them. It is empty of a process that is there, of which nobody may know more.
    """
    try:
        boot = _read("/proc/sys/kernel/random/boot_id").strip()
    except OSError:
        return _stamp_by_clock(pid)
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return "" if psutil.pid_exists(pid) and _is_hidden(pid) else None
    dead = fields[0] in ("Z", "X")  # killed, and nobody has asked how it ended
    return None if dead else f"{boot} {fields[19]} {_container()}".strip()


def _read(path: str) -> str:
    return Path(path).read_text("utf-8", "replace")


def _is_hidden(pid: int) -> bool:
    """Tell whether a process is another user's, which a mount option of /proc may hide. For Linux alone: on Windows it kills."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _container() -> str:
    """Give the name of the space in which this process sees pids; empty: there is none."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _is_elsewhere(stamp: str) -> bool:
    """Tell whether a process of this boot is in another container, where its pid means another process than here."""
    boot, _, rest = stamp.partition(" ")
    container = rest.partition(" ")[2]
    this = process_stamp(os.getpid()) or ""
    return bool(container) and this.partition(" ")[0] == boot and container != _container()


def _stamp_by_clock(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.AccessDenied:
        return ""
    except psutil.Error:
        return None


def _same(one: str, other: str) -> bool:
    if one.split(" ")[:2] == other.split(" ")[:2]:
        return True
    try:
        return abs(float(one) - float(other)) < _CLOCKS_DIFFER
    except ValueError:  # stamps of Linux are exact
        return False
