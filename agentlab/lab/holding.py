"""A lab that a program runs itself, by ``Lab.from_file``: the lab's lock is held, and nobody can ask or attach.

A second lock beside the lab's own tells such a program from a supervisor, for those who find the first one taken.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from agentlab.errors import AlreadyUpError
from agentlab.lab.lock import FileLock, held_note
from agentlab.lab.places import Places, lab_places

_PATIENCE = 1.0  # seconds in which those who look at the second lock have looked
_STEP = 0.002


class Holding:
    """Both locks of a lab file, held by this program while it runs the lab.

    Args:
        path: The lab file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._places = lab_places(path)
        self._shown = os.fspath(path)
        self._lock, self._mark = FileLock(self._places.lock), FileLock(self._places.program_lock)

    def take(self) -> None:
        """Take them; twice is fine.

        Raises:
            AlreadyUpError: somebody else runs this lab (a LabError).
            ConfigurationError: the lab's directory cannot be made.
        """
        self._places.make()
        if not self._lock.acquire():
            raise AlreadyUpError(f"the lab of {self._shown} is up already; {self._cure()}")
        self._lock.note(
            f"pid {os.getpid()} ({Path(sys.argv[0] or 'python').name}) runs {self._places.file} by Lab.from_file() "
            f"since {time.strftime('%Y-%m-%d %H:%M:%S %z')}"
        )
        deadline = time.monotonic() + _PATIENCE
        while not self._mark.acquire() and time.monotonic() < deadline:
            time.sleep(_STEP)  # somebody looks at it just now

    def release(self) -> None:
        """Give them back; twice is fine."""
        self._mark.release()
        self._lock.release()

    def _cure(self) -> str:
        if run_by_program(self._places):
            return f"a program runs it: {holder(self._places)}; end that one first"
        return f"use Lab.attach({self._shown!r}), or end it: agentlab down {self._shown}"


def run_by_program(places: Places) -> bool:
    """Tell whether a program runs a lab itself, rather than a supervisor of its own."""
    return held_note(places.program_lock) is not None


def holder(places: Places) -> str:
    """Give what whoever holds a lab's lock has written there, for people."""
    try:
        return places.lock.read_text("utf-8", "replace").strip() or "its lock does not say by whom"
    except OSError:
        return "its lock cannot be read"
