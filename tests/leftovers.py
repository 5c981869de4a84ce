"""What a test may leave behind: nothing. Looks at processes, threads and socket files; used by conftest.py."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

FORK_SERVER = "agentlab.runtime.forkserver"  # one per process; it outlives a test, as the next one starts faster with it
TRACKER = "multiprocessing.resource_tracker"  # Python's own: it ends when the process that started it ends
MARK = "AGENTLAB_IPC_DIR"  # its value is this run's own, and everything that a test starts inherits it

LIMIT = 10.0  # seconds that an agent which was told to end may take until it is called left behind


@dataclass(frozen=True)
class Snapshot:
    """What there is at one moment; ``pids`` are those of the whole machine, which cost less than to ask whose they are."""

    threads: frozenset[threading.Thread]
    sockets: frozenset[Path]
    pids: frozenset[int]


def snapshot(socket_dir: Path) -> Snapshot:
    """See what there is now: processes, threads that are no daemons, socket files."""
    return Snapshot(frozenset(_threads()), frozenset(_sockets(socket_dir)), frozenset(psutil.pids()))


def find_new(before: Snapshot, socket_dir: Path, *, fork_server_may_stay: bool) -> dict[str, list[str]]:
    """Name what was not there before.

    Returns:
        ``processes``, ``threads`` and ``socket files``: one text for each thing left; empty ones are left out.
    """
    left = {
        "processes": [
            text for process in _processes(before) if (text := _describe(process.pid, fork_server_may_stay=fork_server_may_stay))
        ],
        "threads": [repr(thread) for thread in _threads() if thread not in before.threads],
        "socket files": [str(path) for path in sorted(set(_sockets(socket_dir)) - before.sockets)],
    }
    return {kind: texts for kind, texts in left.items() if texts}


def wait_until_clean(look: Callable[[], dict[str, list[str]]]) -> dict[str, list[str]]:
    """Look until nothing is left, or for :data:`LIMIT` seconds.

    Returns:
        What is still left; empty when all went.
    """
    deadline = time.monotonic() + LIMIT
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.005)  # nothing tells when a grandchild is gone
    return left


def clean_up(before: Snapshot, socket_dir: Path, *, fork_server_may_stay: bool) -> None:
    """End and remove what a test left, so that it does not spoil the tests after it; threads cannot be ended."""
    for process in list(_processes(before)):
        try:
            if _describe(process.pid, fork_server_may_stay=fork_server_may_stay):
                process.kill()
                process.wait(1.0)
        except (psutil.NoSuchProcess, psutil.TimeoutExpired):
            continue
    for path in set(_sockets(socket_dir)) - before.sockets:
        path.unlink(missing_ok=True)


def report(left: dict[str, list[str]], who: str) -> str:
    """Give one text that names all that is left."""
    return "\n".join([f"{who} left behind:", *(f"  {kind}: {text}" for kind, texts in left.items() for text in texts)])


def _processes(before: Snapshot) -> Iterator[psutil.Process]:
    """Give those that are new and ours: below this one, or without their parent but with this run's mark."""
    for pid in sorted(frozenset(psutil.pids()) - before.pids):
        try:
            process = psutil.Process(pid)
            if any(parent.pid == os.getpid() for parent in process.parents()) or _is_marked(process):
                yield process
        except psutil.NoSuchProcess:
            continue


def _is_marked(process: psutil.Process) -> bool:
    mark = os.environ.get(MARK)
    try:
        return mark is not None and process.environ().get(MARK) == mark
    except (psutil.ZombieProcess, psutil.AccessDenied):  # a zombie is its parent's affair, and another user's process not ours
        return False


def _describe(pid: int, *, fork_server_may_stay: bool) -> str | None:
    """Give a text for a process, or None for one that is gone or may stay."""
    try:
        process = psutil.Process(pid)
        command, parent, status = " ".join(process.cmdline()), process.ppid(), process.status()
    except psutil.ZombieProcess as error:  # ended, but whoever started it never asked how
        command, parent, status = error.name or "", error.ppid or 0, psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    ours = parent == os.getpid()  # an agent is forked from the fork server and has its command line, but not its parent
    if ours and (TRACKER in command or (fork_server_may_stay and FORK_SERVER in command)):
        return None
    return f"pid {pid} (child of {parent}, {status}): {command or '?'}"


def _threads() -> Iterator[threading.Thread]:
    return (thread for thread in threading.enumerate() if not thread.daemon)


def _sockets(directory: Path) -> Iterator[Path]:
    for path in directory.rglob("*"):
        try:
            if stat.S_ISSOCK(path.lstat().st_mode):
                yield path
        except FileNotFoundError:
            continue
