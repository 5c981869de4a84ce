"""The history of readings: what an instrument measured, by time, in an SQLite file that any number of programs may share."""

from __future__ import annotations

import logging
import math
import numbers
import os
import queue
import threading
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agentlab.errors import ConfigurationError, RunError
from agentlab.runs.database import Database
from agentlab.runs.plain import plain_text
from agentlab.runs.readings import LAYOUT, Reading, Sample, given, reading, row_of, series

log = logging.getLogger("agentlab.runs")

PERIOD = 0.5
"""Seconds that a reading may wait in memory before it is written."""
MOST_WAITING = 100_000
"""Readings in memory while the file cannot be written; further ones are counted as lost."""
_LONGEST = 10.0
"""Seconds between two attempts to write, at most, while none succeeds."""
_TIDY = 600.0
"""Seconds between two removals of what is too old."""
_DAY = 86400.0


class HistoryWriter:
    """Writes readings from a thread of its own, many at a time. :meth:`append` never blocks and may be called by any thread.

    While the file cannot be written, as on a full disk, readings wait in memory, the oldest first; that is logged once.

    Args:
        path: The file; several instruments, also of other processes, may write the same.
        keep: Days after which readings are removed, of the instruments that it writes for; None: never.
        period: Seconds that a reading may wait in memory.

    Raises:
        RunError: the file cannot be written now.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep: float | None = None, period: float = PERIOD) -> None:
        self.path = Path(path).expanduser()
        self.lost = 0
        self._keep = keep
        self._period = period
        self._database = Database(self.path, LAYOUT)
        self._database.make()
        self._series: dict[tuple[str, str, str], int] = {}
        self._coming: queue.SimpleQueue[dict[str, Any] | threading.Event | None] = queue.SimpleQueue()
        self._failing = ""
        self._pause = period
        self._tidied = -math.inf
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"history {self.path.name}", daemon=True)
        self._thread.start()

    def append(self, reading: Reading, instrument: str) -> None:
        """Take a reading, to be written soon, as it is now.

        Args:
            reading: What was read; its name is the parameter. One without a time is counted as lost.
            instrument: The instrument's name.
        """
        row = None if self._closed or self._coming.qsize() >= MOST_WAITING else row_of(reading)
        if row is None:
            self._lose()
            return
        self._coming.put({"key": (plain_text(instrument), plain_text(reading.name), plain_text(reading.unit or "")), **row})

    def _lose(self) -> None:
        if not self.lost and not self._closed:
            log.warning("readings for %s are lost, of which this is the first: too many wait, or it has no time", self.path)
        self.lost += 1

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until what was taken before is written; False: it is not, by now."""
        done = threading.Event()
        self._coming.put(done)
        return done.wait(timeout) and not self._failing

    def close(self, timeout: float = 10.0) -> None:
        """Write what is left and end the thread; twice is fine.

        Args:
            timeout: Seconds to wait at most.
        """
        if not self._closed:
            self._closed = True
            self._coming.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        waiting: list[dict[str, Any]] = []
        asked: list[threading.Event] = []
        ending = False
        while not ending:
            ending = self._gather(waiting, asked)
            self._write(waiting)
            for event in asked:
                event.set()
            asked.clear()
        if waiting:
            self.lost += len(waiting)
            log.error("%d readings were not written into %s: %s", len(waiting), self.path, self._failing)

    def _gather(self, waiting: list[dict[str, Any]], asked: list[threading.Event]) -> bool:
        """Take what comes for a period, or until somebody asks; True: it is the end."""
        deadline: float | None = None if not waiting else time.monotonic() + self._pause
        while True:
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                one = self._coming.get(timeout=left)
            except queue.Empty:
                return False
            if one is None:
                return True
            if isinstance(one, threading.Event):
                asked.append(one)
                return False
            if len(waiting) >= MOST_WAITING:
                self._lose()
            else:
                waiting.append(one)
            deadline = deadline or time.monotonic() + self._period

    def _write(self, waiting: list[dict[str, Any]]) -> None:
        """Write what waits; what cannot be written goes on waiting."""
        if not waiting:
            return
        try:
            with self._database.writing() as connection:
                rows = [self._row(connection, one) for one in waiting]
                connection.execute(sa.insert(reading).prefix_with("OR REPLACE"), rows)
            self._tidy()
        except RunError as error:
            self._series.clear()  # new ones among them were not written either
            self._pause = min(_LONGEST, 2 * self._pause)
            if not self._failing:
                log.error("readings wait in memory: %s", error)  # noqa: TRY400 - its text says all
            self._failing = str(error)
        else:
            if self._failing:
                log.warning("readings are written into %s again", self.path)
            self._failing, self._pause = "", self._period
            waiting.clear()

    def _row(self, connection: sa.Connection, one: dict[str, Any]) -> dict[str, Any]:
        key = one["key"]
        number = self._series.get(key)
        if number is None:
            number = self._series[key] = _series_of(connection, key)
        return {"series": number, **{name: one[name] for name in ("time", "sequence", "value", "quality")}}

    def _tidy(self) -> None:
        now = time.monotonic()
        if self._keep is None or now - self._tidied < _TIDY:
            return
        self._tidied = now
        mine = {instrument for instrument, _, _ in self._series}  # others, in the same file, may be kept longer
        _remove(self._database, time.time() - self._keep * _DAY, series.c.instrument.in_(mine))


class History:
    """Reads a history, and removes what is too old, also while others write it. It holds nothing open.

    Args:
        path: The file. There need not be one yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        self._database = Database(self.path, LAYOUT)

    def parameters(self) -> list[tuple[str, str]]:
        """Give instrument and parameter of all that is in it.

        Raises:
            RunError: it cannot be read.
        """
        if not self._database.exists():
            return []
        with self._database.reading() as connection:
            column = series.c
            found = sa.select(column.instrument, column.parameter).distinct().order_by(column.instrument, column.parameter)
            return [(row.instrument, row.parameter) for row in connection.execute(found)]

    def query(
        self,
        instrument: str,
        parameter: str,
        start: float | None = None,
        stop: float | None = None,
        *,
        limit: int | None = None,
        every: float | None = None,
    ) -> list[Sample]:
        """Give readings in the order of their time.

        Args:
            instrument: Its name.
            parameter: Its name.
            start: Seconds since 1970 of the first that is wanted; None: from the beginning.
            stop: The same of the end, which is not wanted itself; None: until now.
            limit: At most so many, the newest; None: all.
            every: Seconds of which only the last reading is wanted, to see long times at a glance; None: all.

        Returns:
            The readings; none where nothing was written.

        Raises:
            ConfigurationError: a time or a number is none.
            RunError: the history cannot be read.
        """
        start, stop, every = _seconds("start", start), _seconds("stop", stop), _seconds("every", every)
        most = _whole("limit", limit)
        if not self._database.exists():
            return []
        column = reading.c
        last = sa.func.max(column.time) if every else column.time
        query = sa.select(column.value, series.c.unit, last.label("time"), column.quality, column.sequence)
        query = query.join(series, series.c.id == column.series)
        query = query.where(series.c.instrument == instrument, series.c.parameter == parameter)
        if start is not None:
            query = query.where(column.time >= start)
        if stop is not None:
            query = query.where(column.time < stop)
        if every:  # SQLite promises: the other columns are those of the row with the maximum
            query = query.group_by(sa.cast(column.time / every, sa.Integer))
        query = query.order_by(sa.desc("time"), column.sequence.desc())
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(most)).all()
        with self._database.decoding():
            return [Sample(given(row[0]), row[1], row[2], row[3], row[4]) for row in reversed(rows)]

    def remove(self, before: float) -> int:
        """Remove readings of all instruments; their room in the file is used again.

        Args:
            before: Seconds since 1970: older ones go.

        Returns:
            How many there were.

        Raises:
            ConfigurationError: that is no time.
            RunError: the history cannot be written.
        """
        end = _seconds("before", before)
        if end is None:
            raise ConfigurationError("before is None; give seconds since 1970")
        return _remove(self._database, end) if self._database.exists() else 0


def _remove(database: Database, before: float, *which: sa.ColumnElement[bool]) -> int:
    """Remove what is older, one series after another: others write in between, and the table is in that order."""
    with database.reading() as connection:
        numbers = connection.execute(sa.select(series.c.id).where(*which)).scalars().all()
    count = 0
    for number in numbers:
        with database.writing() as connection:
            old = sa.delete(reading).where(reading.c.series == number, reading.c.time < before)
            count += connection.execute(old).rowcount
    return count


def _seconds(key: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or math.isnan(value):
        raise ConfigurationError(f"{key} is {value!r}; give seconds{'' if key == 'every' else ' since 1970'}")
    return float(value)


def _whole(key: str, value: Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Integral)):
        raise ConfigurationError(f"{key} is {value!r}; give a whole number")
    return None if value is None else int(value)


def _series_of(connection: sa.Connection, key: tuple[str, str, str]) -> int:
    values = dict(zip(("instrument", "parameter", "unit"), key, strict=True))
    connection.execute(sa.insert(series).prefix_with("OR IGNORE").values(values))
    column = series.c
    found = sa.select(column.id).where(*(column[name] == value for name, value in values.items()))
    return int(connection.execute(found).scalar_one())
