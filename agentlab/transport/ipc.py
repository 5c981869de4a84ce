"""Claims on the socket files of ipc: a second bind on a live path would succeed and steal every new client.

A claim is an flock on ``NAME.lock`` beside the socket file, held as long as the socket lives. The kernel drops it
when its process ends, however it ends, so a lock that can be had marks a file that nobody serves.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import sys
from pathlib import Path

from agentlab.errors import WrongAddressError
from agentlab.settings import runtime_dir

if sys.platform != "win32":  # Windows has no flock, and no ipc either
    import fcntl

MAX_PATH = 107
"""Bytes of the longest path that a unix socket can have."""


def ipc_path(name: str | None) -> str:
    """Give the path of the socket file of a name; make a name up when there is none.

    Args:
        name: A plain name, put into the private directory, or an absolute path, taken as it is.

    Raises:
        WrongAddressError: the name tries to leave the directory, or the absolute path is too long.
    """
    if name is not None and Path(name).is_absolute():
        if len(os.fsencode(name)) > MAX_PATH:
            raise WrongAddressError(f"the ipc path {name!r} is longer than {MAX_PATH} bytes; use a plain name")
        return name
    name = name or secrets.token_hex(8)
    if "/" in name or "\0" in name or name in (".", ".."):
        raise WrongAddressError(f"{name!r} cannot name an ipc socket; use letters, digits, '.', '_' and '-'")
    path = str(runtime_dir() / name)
    if len(os.fsencode(path + ".lock")) > MAX_PATH:
        path = str(runtime_dir() / hashlib.sha256(name.encode()).hexdigest()[:24])
    if len(os.fsencode(path)) > MAX_PATH:
        raise WrongAddressError(f"the directory {str(runtime_dir())!r} is too long for sockets; set IPC_DIR to a shorter one")
    return path


class IpcClaim:
    """Exclusive use of one ipc path by this process, until :meth:`release`.

    Raises:
        WrongAddressError: somebody alive serves that path, or a file is there that was never a socket's.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock_path = path + ".lock"
        if _is_foreign(Path(path)) or _is_foreign(Path(self._lock_path), lock=True):
            raise WrongAddressError(f"cannot bind the ipc path {path!r}: a file of somebody else's is there; choose another path")
        self._descriptor: int | None = self._lock()
        Path(path).unlink(missing_ok=True)  # what a killed process left

    def _lock(self) -> int | None:
        if sys.platform == "win32":
            return None
        while True:
            try:
                descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise WrongAddressError(f"cannot bind the ipc path {self.path!r}: {error.strerror}") from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                raise WrongAddressError(f"Address already in use: the ipc path {self.path!r} is served by somebody") from None
            if _same_file(descriptor, self._lock_path):
                return descriptor
            os.close(descriptor)  # swept away between open and lock: try again

    def release(self) -> None:
        """Give the path back and remove its files; twice is fine."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        for path in (self.path, self._lock_path):
            Path(path).unlink(missing_ok=True)
        os.close(descriptor)


def sweep_stale(directory: Path | None = None) -> int:
    """Remove the socket and lock files of processes that were killed.

    Returns:
        How many claims were removed.
    """
    if sys.platform == "win32":
        return 0
    swept = 0
    for lock_path in (directory or runtime_dir()).glob("*.lock"):
        try:
            descriptor = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(descriptor, str(lock_path)):
                for path in (lock_path.with_suffix(""), lock_path):
                    path.unlink(missing_ok=True)
                swept += 1
        except OSError:
            pass  # somebody holds it: alive
        finally:
            os.close(descriptor)
    return swept


def _is_foreign(path: Path, *, lock: bool = False) -> bool:
    """Tell whether something is there that no process of ours has left: it is not to be lost for a mistake in a path.

    Our own directory holds nothing else than what we left. Elsewhere that is a socket, or an empty lock file.
    """
    try:
        info = path.lstat()
    except OSError:  # nothing is there, or whoever opens it says what is wrong
        return False
    ours = stat.S_ISREG(info.st_mode) and info.st_size == 0 if lock else stat.S_ISSOCK(info.st_mode)
    return not ours and path.parent != runtime_dir()


def _same_file(descriptor: int, path: str) -> bool:
    try:
        there = Path(path).stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
