"""The latch of an instrument on disk, so that neither a crash nor a restart of its agent lets go of a safe state."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from agentlab.errors import ConfigurationError
from agentlab.instruments.engine.latch import Latched
from agentlab.settings import STATE_VARIABLE, private_dir

_KEY_SIZE = 16  # hex digits


def latch_path(directory: Path, name: str) -> Path:
    """Give where the latch of an instrument stands; nothing is made.

    Args:
        directory: Where those of its laboratory stand.
        name: Its name, which may hold what no file's name may.
    """
    return directory / f"{hashlib.sha256(name.encode()).hexdigest()[:_KEY_SIZE]}.json"


class LatchFile:
    """A file that is there as long as an instrument is latched. Any thread.

    It stands against the crash of a process and not of the machine: nothing waits for the disk in an emergency. What cannot be
    read of it counts as latched.

    Args:
        path: The file; its directory is made when it is needed, for this user alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._written: Latched | None = None

    def read(self) -> Latched | None:
        """Give the latch as it was kept last; None: there is none."""
        with self._lock:
            try:
                found = json.loads(self._path.read_bytes())
                self._written = Latched(str(found["reason"]), str(found["by"]), float(found["since"]))
            except FileNotFoundError:
                self._written = None
            except (OSError, ValueError, KeyError, TypeError) as error:
                why = f"its latch was kept in {self._path}, which cannot be read ({type(error).__name__})"
                self._written = Latched(why, "", time.time())
            return self._written

    def keep(self, now: Callable[[], Latched | None]) -> None:
        """Write down what is latched, or that nothing is.

        Args:
            now: Gives it. It is asked when the file's turn has come: whoever is last writes what is true last.

        Raises:
            OSError: it cannot be written or removed.
            ConfigurationError: the directory cannot be made, or is somebody else's.
        """
        with self._lock:
            latched = now()
            if latched == self._written:
                return
            if latched is None:
                self._path.unlink(missing_ok=True)
            else:
                self._write(latched)
            self._written = latched

    def _write(self, latched: Latched) -> None:
        private_dir(self._path.parent, setting=STATE_VARIABLE)
        draft = self._path.with_suffix(f".{secrets.token_hex(4)}")
        content = json.dumps({"reason": latched.reason, "by": latched.by, "since": latched.since})
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(content)
            draft.replace(self._path)  # whole or not at all
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise


KEEPING_FAILED = (OSError, ConfigurationError)
"""What :meth:`LatchFile.keep` raises: it is told, and the latch holds in memory."""
