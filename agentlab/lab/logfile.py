"""The file of one unit's records, and the older ones beside it: ``agent.Laser.jsonl``, ``agent.Laser.jsonl.1`` and so on."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

SUFFIX = ".jsonl"
_NAME_LIMIT = 200  # bytes; file systems end at 255


def file_name(unit: str) -> str:
    """Give the name of a unit's file. No character of it means anything to a file system."""
    kind, _, name = unit.partition("/")
    stem = f"{kind}.{quote(name, safe='')}" if name else quote(kind, safe="").replace(".", "%2E")
    return stem[:_NAME_LIMIT] + SUFFIX


def unit_of(path: Path) -> str:
    """Give the unit whose file that is, by its name."""
    kind, _, name = path.name.removesuffix(SUFFIX).partition(".")
    return f"{kind}/{unquote(name)}" if name else unquote(kind)


def older(path: Path, keep: int = 100) -> list[Path]:
    """Give the older files of a unit's file, oldest first."""
    found = []
    for number in range(1, keep + 1):
        candidate = path.with_name(f"{path.name}.{number}")
        if not candidate.exists():
            break
        found.append(candidate)
    return found[::-1]


class RotatingFile:
    """Appends whole lines to a file; when it has reached its size, it becomes number 1, and a new one is begun.

    For one thread. Other processes may read it meanwhile.

    Args:
        path: The file.
        size: Bytes at which it is put aside.
        keep: How many older ones are kept.
    """

    def __init__(self, path: Path, size: int, keep: int) -> None:
        self._path, self._size, self._keep = path, size, keep
        self._descriptor: int | None = None
        self._length = 0
        self._torn = False

    def write(self, lines: bytes) -> None:
        """Append lines, in one piece.

        Raises:
            OSError: the disk is full, or the file cannot be made; part of the lines may be there.
        """
        if self._descriptor is not None and self._length >= self._size:
            self._rotate()
        if self._descriptor is None:
            self._open()
        if self._torn:
            lines = b"\n" + lines  # so that only the record that a full disk has cut is lost
        descriptor = self._descriptor
        assert descriptor is not None
        while lines:
            written = os.write(descriptor, lines)
            self._length += written
            lines = lines[written:]
            self._torn = bool(lines)
        self._torn = False

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._path, flags, 0o600)
        self._length = os.fstat(self._descriptor).st_size
        self._torn = self._length > 0 and not _ends_in_newline(self._path)  # a supervisor that was killed

    def _rotate(self) -> None:
        self.close()
        try:
            for number in range(self._keep, 1, -1):
                source = self._path.with_name(f"{self._path.name}.{number - 1}")
                if source.exists():
                    source.replace(self._path.with_name(f"{self._path.name}.{number}"))
            if self._keep > 0:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            else:
                self._path.unlink()
        except OSError:  # Windows: somebody reads it just now; the next write tries again
            return


def _ends_in_newline(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True
