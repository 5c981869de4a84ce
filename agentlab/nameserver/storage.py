"""Where a name server keeps its names so that they outlast it: behind the pure table, one change after another.

==========  ======================================  ================================================================
kind        file                                    keeps
==========  ======================================  ================================================================
memory      none                                    nothing; agents tell a restarted server who they are (see leases)
sql         one SQLite database                     everything
dbm         a dbm file, a journal beside it         everything but metadata
==========  ======================================  ================================================================

What is promised: a change that :meth:`Storage.apply` has returned from is there after the process was killed at any
moment. A change of a name *without* a lease is also there after a power failure, for nobody would register it again; one
with a lease is written without waiting for the disk, as its agent, which the failure ended too, would have to come anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from agentlab.errors import ConfigurationError, NameServerError
from agentlab.nameserver.registration import Change, Registration

KINDS = ("memory", "dbm", "sql")
LOCK_PATIENCE = 1.0
"""Seconds that a file's former owner may take to let go: it may be ending right now."""
_STEP = 0.01


class Storage(Protocol):
    """Names in a file. One thread at a time; every call blocks as long as the disk does."""

    def load(self) -> list[Registration]:
        """Give what is kept, as it was when the file was opened or changed last."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Keep changes, all of them or none; they are kept when it returns.

        Raises:
            NameServerError: they cannot be written, as where the disk is full. What was kept before is still kept, and
                a later call may succeed.
        """

    def close(self) -> None:
        """Put the file in order and let go of it; twice is fine."""


def open_storage(kind: str, path: str | os.PathLike[str] | None) -> Storage | None:
    """Open, or make, the file of a name server's names, and hold it against every other name server.

    Args:
        kind: ``memory``, ``dbm`` or ``sql``.
        path: The file; its directory is made where it is missing. Not looked at for ``memory``.

    Returns:
        The storage; None for ``memory``.

    Raises:
        ConfigurationError: there is no such kind, no file is named, or it cannot be written, is corrupt, holds
            something else, or another name server has it open. The text says which, and what to do.
    """
    if kind == "memory":
        return None
    if kind not in KINDS:
        raise ConfigurationError(f"storage type {kind!r} does not exist; allowed are {', '.join(KINDS)}")
    if path is None or not os.fspath(path):
        raise ConfigurationError(f"storage type {kind!r} needs a file; give storage_file, or use the type 'memory'")
    file = Path(path).expanduser().absolute()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        is_directory = file.is_dir()
    except OSError as error:
        raise unusable(file, f"its directory cannot be made or read: {error.strerror}", "choose another storage_file") from None
    if is_directory:
        raise unusable(file, "it is a directory", "choose another storage_file")
    if kind == "sql":
        from agentlab.nameserver.storage_sql import SqlStorage  # only whoever keeps names in it needs it

        return SqlStorage(file)
    from agentlab.nameserver.storage_dbm import DbmStorage

    return DbmStorage(file)


def unusable(file: Path, reason: str, cure: str) -> ConfigurationError:
    """Give the error of a file that cannot be opened as a storage."""
    return ConfigurationError(f"cannot keep names in {str(file)!r}: {reason}; {cure}")


def in_use(file: Path) -> ConfigurationError:
    """Give the error of a file that another name server holds."""
    return unusable(file, "another name server has it open", "stop that one, or choose another storage_file")


def corrupt(file: Path, reason: str) -> ConfigurationError:
    """Give the error of a file that cannot be read."""
    return unusable(file, f"it is corrupt ({reason})", "restore it from a copy, or move it away to begin with no names")


def not_written(file: Path, reason: str) -> NameServerError:
    """Give the error of a change that could not be written."""
    return NameServerError(f"refused: the name server cannot write {str(file)!r} ({reason}); make room there and try again")


class FileLock:
    """Holds a file against other processes, and against others of this one; the system frees it when the process ends.

    Args:
        path: A file for this alone, made where it is missing. It stays, empty.

    Raises:
        BlockingIOError: somebody holds it, and did not let go within :data:`LOCK_PATIENCE`.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] | None = path.open("ab")
        try:
            deadline = time.monotonic() + LOCK_PATIENCE
            while not _try_lock(self._file.fileno()):
                if time.monotonic() > deadline:
                    raise BlockingIOError(f"{path} is locked")
                time.sleep(_STEP)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go; twice is fine."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    except (BlockingIOError, PermissionError):
        return False
    return True
