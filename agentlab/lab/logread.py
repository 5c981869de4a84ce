"""Reading a lab's log, while its supervisor writes it or long after: files of all units, merged in order of time."""

from __future__ import annotations

import contextlib
import heapq
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from agentlab.errors import ConfigurationError, UnknownUnitError, nearest
from agentlab.lab.logfile import SUFFIX, older, unit_of
from agentlab.lab.loglines import LEVELS, LogRecord

POLL = 0.1
"""Seconds between two looks for new records; nothing tells when a file grows."""

_REORDER = 256  # a unit's records are nearly in order: a traceback waits for its end, an agent gives its own times
_BLOCK = 256 * 1024


def level_number(level: str) -> int:
    """Give the rank of a level, in any case.

    Raises:
        ConfigurationError: there is no such level.
    """
    try:
        return LEVELS[level.upper()]
    except KeyError:
        raise ConfigurationError(f"no level is called {level!r}{nearest(level.upper(), LEVELS)}") from None


def logged_units(directory: Path) -> list[str]:
    """Give the units that have log files."""
    return sorted({unit_of(path) for path in directory.glob(f"*{SUFFIX}")}) if directory.is_dir() else []


@dataclass(frozen=True)
class Query:
    """Which records are wanted.

    Args:
        names: Units, as ``agent/Laser`` or ``Laser``; none: all.
        level: The lowest level, as a number of :data:`LEVELS`.
    """

    names: tuple[str, ...] = ()
    level: int = 0

    def wants_unit(self, unit: str) -> bool:
        """Tell whether records of a unit are wanted."""
        return not self.names or unit in self.names or unit.partition("/")[2] in self.names

    def wants(self, record: LogRecord) -> bool:
        """Tell whether a record is wanted."""
        return LEVELS.get(record.level, 0) >= self.level and self.wants_unit(record.unit)

    def check(self, known: Iterable[str]) -> None:
        """See that there is such a unit for each name.

        Raises:
            UnknownUnitError: there is not; the text names the nearest one.
        """
        units = set(known)
        bare = {unit.partition("/")[2] or unit for unit in units}
        for name in self.names:
            if name not in units | bare:
                raise UnknownUnitError(f"no unit is called {name!r}{nearest(name, units if '/' in name else bare)}")


@dataclass
class Follower:
    """Reads the files of one unit: first all that there is, oldest first, then what has come since.

    Args:
        path: The newest file of the unit; it need not exist yet.
    """

    path: Path
    _file: BinaryIO | None = field(default=None, repr=False)
    _rest: bytes = b""

    def read(self) -> Iterator[LogRecord]:
        """Give the records that came since the last call."""
        if self._file is None and not self._begin():
            return
        while True:
            yield from self._read_on()
            successor = self._successor()
            if successor is None:
                return
            yield from self._read_on()  # what came between the reading and the renaming
            self.close()
            self._file, self._rest = successor, b""

    def close(self) -> None:
        """Close the file; twice is fine."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self) -> bool:
        for path in (*older(self.path), self.path):
            self._file = _open(path)
            if self._file is not None:
                return True
        return False

    def _read_on(self) -> Iterator[LogRecord]:
        assert self._file is not None
        while block := self._file.read(_BLOCK):
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                record = LogRecord.from_line(line)
                if record is not None:
                    yield record

    def _successor(self) -> BinaryIO | None:
        """Give the next newer file, open, when the present one has been put aside."""
        assert self._file is not None
        mine = _identity(self._file)
        with contextlib.suppress(OSError):  # just being renamed, or removed
            info = self.path.stat()
            if (info.st_dev, info.st_ino) == mine:
                return None  # the usual case, cheaply
        newer: BinaryIO | None = None
        for path in (self.path, *reversed(older(self.path))):  # newest first
            candidate = _open(path)
            if candidate is None:
                continue
            if _identity(candidate) == mine:
                candidate.close()
                return newer
            if newer is not None:
                newer.close()
            newer = candidate
        return newer  # the present one is older than all that are kept


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except OSError:
        return None


def _identity(file: BinaryIO) -> tuple[int, int]:
    info = os.fstat(file.fileno())
    return info.st_dev, info.st_ino


class LogReader:
    """Reads the log of a lab, also while nobody runs it. For one thread. Close it, or use ``with``.

    Args:
        directory: Where the log's files are.
        query: Which records are wanted.
    """

    def __init__(self, directory: Path, query: Query) -> None:
        self._directory = directory
        self._query = query
        self._followers: dict[Path, Follower] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> Iterator[LogRecord]:
        """Give the wanted records that came since the last call, in order of time."""
        self._look()
        streams = [self._ordered(follower) for follower in self._followers.values()]
        return heapq.merge(*streams, key=_by_time)

    def last(self, n: int | None) -> list[LogRecord]:
        """Give the last ``n`` of them (None: all), in order of time."""
        if n is None:
            return list(self.read())
        numbered = ((record.time, number, record) for number, record in enumerate(self.read()))
        return [record for _, _, record in sorted(heapq.nlargest(n, numbered))] if n > 0 else _exhaust(self.read())

    def follow(self, pause: Callable[[float], object] = time.sleep) -> Iterator[LogRecord]:
        """Give the records that come from now on, for ever."""
        while True:
            yield from self.read()
            pause(POLL)

    def close(self) -> None:
        """Close the files."""
        for follower in self._followers.values():
            follower.close()

    def _look(self) -> None:
        """Find the files of units that have begun to write."""
        if self._directory.is_dir():
            for path in sorted(self._directory.glob(f"*{SUFFIX}")):
                if path not in self._followers and self._query.wants_unit(unit_of(path)):
                    self._followers[path] = Follower(path)

    def _ordered(self, follower: Follower) -> Iterator[LogRecord]:
        heap: list[tuple[float, int, LogRecord]] = []
        for number, record in enumerate(follower.read()):
            if self._query.wants(record):
                heapq.heappush(heap, (record.time, number, record))
                if len(heap) > _REORDER:
                    yield heapq.heappop(heap)[2]
        while heap:
            yield heapq.heappop(heap)[2]


def read_log(directory: Path, names: Sequence[str] = (), level: str = "DEBUG", *, last: int | None = None) -> list[LogRecord]:
    """Give records of a lab's log, in order of time.

    Args:
        directory: Where the log's files are.
        names: Units, as ``agent/Laser`` or ``Laser``; none: all.
        level: The lowest level.
        last: How many at most, the newest ones; None: all.

    Raises:
        ConfigurationError: there is no such level.
    """
    with LogReader(directory, Query(tuple(names), level_number(level))) as reader:
        return reader.last(last)


def _by_time(record: LogRecord) -> float:
    return record.time


def _exhaust(records: Iterator[LogRecord]) -> list[LogRecord]:
    for _ in records:
        pass
    return []
