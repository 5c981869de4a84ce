"""The history of readings: what an instrument measured, by time, in an SQLite file that any number of programs may share."""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agentlab.errors import RunError
from agentlab.runs.database import Database
from agentlab.runs.readings import LAYOUT, Reading, Sample, given, kept, reading, series

log = logging.getLogger("agentlab.runs")

PERIOD = 0.5
"""Seconds that a reading may wait in memory before it is written."""
MOST_WAITING = 100_000
"""Readings in memory while the file cannot be written; further ones are counted as lost."""
_TIDY = 600.0
"""Seconds between two removals of what is too old."""
_DAY = 86400.0


class HistoryWriter:
    """Writes readings from a thread of its own, many at a time. :meth:`append` never blocks and may be called by any thread.

    While the file cannot be written, as on a full disk, readings wait in memory, the oldest first; that is logged once.

    Args:
        path: The file; several instruments, also of other processes, may write the same.
        keep: Days after which readings are removed; None: never.
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
        self._tidied = -math.inf
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"history {self.path.name}", daemon=True)
        self._thread.start()

    def append(self, reading: Reading, instrument: str) -> None:
        """Take a reading, to be written soon.

        Args:
            reading: What was read; its name is the parameter.
            instrument: The instrument's name.
        """
        if self._closed or self._coming.qsize() >= MOST_WAITING:
            self.lost += 1
            return
        key = (instrument, reading.name, reading.unit)
        row = {"time": reading.timestamp, "value": reading.value, "quality": reading.quality, "sequence": reading.sequence}
        self._coming.put({"key": key, **row})

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
        deadline: float | None = None if not waiting else time.monotonic() + self._period
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
                self.lost += 1
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
                self._tidy(connection)
        except RunError as error:
            self._series.clear()  # new ones among them were not written either
            if not self._failing:
                log.error("readings wait in memory: %s", error)  # noqa: TRY400 - its text says all
            self._failing = str(error)
        else:
            if self._failing:
                log.warning("readings are written into %s again", self.path)
            self._failing = ""
            waiting.clear()

    def _row(self, connection: sa.Connection, one: dict[str, Any]) -> dict[str, Any]:
        key = one["key"]
        number = self._series.get(key)
        if number is None:
            number = self._series[key] = _series_of(connection, key)
        row = {name: one[name] for name in ("time", "quality", "sequence")}
        return {**row, "series": number, "value": kept(one["value"])}

    def _tidy(self, connection: sa.Connection) -> None:
        now = time.monotonic()
        if self._keep is None or now - self._tidied < _TIDY:
            return
        self._tidied = now
        connection.execute(sa.delete(reading).where(reading.c.time < time.time() - self._keep * _DAY))


class History:
    """Reads a history, also while others write it. It holds nothing open.

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
            RunError: the history cannot be read.
        """
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
            rows = connection.execute(query.limit(limit)).all()
        return [Sample(given(row[0]), row[1], row[2], row[3], row[4]) for row in reversed(rows)]


def _series_of(connection: sa.Connection, key: tuple[str, str, str]) -> int:
    values = dict(zip(("instrument", "parameter", "unit"), key, strict=True))
    connection.execute(sa.insert(series).prefix_with("OR IGNORE").values(values))
    column = series.c
    found = sa.select(column.id).where(*(column[name] == value for name, value in values.items()))
    return int(connection.execute(found).scalar_one())
