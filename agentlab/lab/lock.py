"""One supervisor per lab: a lock of the operating system, which ends with the process that holds it, however that ends.

No process id is ever read back from a file: the system may have given it to somebody else meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Self

_LOCKED_BYTE = 1 << 30
"""Where Windows locks: far beyond the text, which others may then still read."""


class FileLock:
    """A lock on a file, held by an open descriptor that no child process inherits. For one thread.

    The file stays when the lock is released: to remove it would let a second process lock another file of that name.

    Args:
        path: The file; made when it is not there. Its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock if nobody has it; tell whether this object holds it. Never waits.

        Raises:
            OSError: the file cannot be opened.
        """
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        os.set_inheritable(descriptor, False)
        if not _try_lock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def note(self, text: str) -> None:
        """Write who holds the lock into the file, for people to read; no program relies on it."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # a full disk must not keep a lab from running
                os.ftruncate(self._descriptor, 0)
                os.lseek(self._descriptor, 0, os.SEEK_SET)
                os.write(self._descriptor, text.encode())

    def release(self) -> None:
        """Give the lock back; twice is fine."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)  # which ends the lock on every system


def held_note(path: Path) -> str | None:
    """Give what the holder of a lock wrote into its file; None: nobody holds it. Never waits.

    It looks by taking the lock for a moment, so whoever tries just then is refused, and has to try again.
    """
    if not path.exists():
        return None
    try:
        with FileLock(path) as lock:
            if lock.acquire():
                return None
        return path.read_text("utf-8", "replace").strip() or "its lock does not say by whom"
    except OSError:
        return None


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
