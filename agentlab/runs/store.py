"""The run store: one SQLite file with every run of a user, written while it is measured, read by any number of processes."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agentlab.errors import RunError
from agentlab.runs import lookup, tables
from agentlab.runs.codec import columns_of, join_column, pack_column, plain_all, unpack, unpack_column
from agentlab.runs.database import Database
from agentlab.runs.model import Axis, Column, Grid, RunInfo
from agentlab.runs.place import Process, store_path
from agentlab.runs.run import Run
from agentlab.runs.writer import RunWriter, is_open
from agentlab.version import __version__

LAST = "last"
_POLL = 0.1
"""Seconds between two looks of somebody who follows a run."""
_MOST = 2**63 - 1
"""The greatest number that SQLite knows."""
_CHUNK = 64
"""Blocks that are in memory at a time while rows are gone through."""


class RunStore:
    """The runs in one file.

    Any number of stores, threads and processes may use one file at the same time. Making one touches nothing; the file is
    made by the first run. Nothing has to be closed. All methods block as long as the disk does.

    Args:
        path: The file; None: ``AGENTLAB_RUNS``, else ``runs.sqlite`` in the user's data directory.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = store_path() if path is None else Path(path).expanduser()
        self._database = Database(self.path, tables.LAYOUT)

    def runs(self) -> list[Run]:
        """Give all runs, the oldest first; none where there is no such file.

        Raises:
            RunError: the file cannot be read.
        """
        if not self._database.exists():
            return []
        with self._database.reading() as connection, self._database.decoding():
            return [Run(self, info) for info in lookup.infos(connection)]

    def run(self, which: int | str) -> Run:
        """Give one run.

        Args:
            which: Its number, ``last`` for the newest, or a name: the newest of that name.

        Raises:
            RunError: there is none.
        """
        found = self.find(which)
        if found is None:
            newest = self.find(LAST)
            last = "; it has no run yet" if newest is None else f"; the newest is {newest.info.title}"
            raise RunError(f"no run {which!r} in {str(self.path)!r}{last}")
        return found

    def find(self, which: int | str) -> Run | None:
        """Give one run as :meth:`run` does, or None."""
        if not self._database.exists():
            return None
        column = tables.run.c
        wanted: Any = sa.true()
        if isinstance(which, int) or (which.isdecimal() and len(which) < 100):
            wanted = column.id == min(int(which), _MOST)
        elif which != LAST:
            wanted = column.name == which
        with self._database.reading() as connection, self._database.decoding():
            infos = lookup.infos(connection, wanted, newest=True)
        return Run(self, infos[0]) if infos else None

    def begin(
        self,
        name: str = "",
        axes: Sequence[Axis] = (),
        readings: Sequence[Column] = (),
        *,
        snake: bool = False,
        instruments: Mapping[str, Any] | None = None,
    ) -> RunWriter:
        """Begin a run, which belongs to this process until it ends.

        Args:
            name: For people; not necessarily unique.
            axes: The outermost first.
            readings: The columns that are read.
            snake: Every other line is measured backwards.
            instruments: The snapshot: name -> parameter -> value.

        Returns:
            What writes its rows: the time, the value of each axis, the readings.

        Raises:
            RunError: it cannot be written.
        """
        grid = Grid([len(axis.values) for axis in axes], snake=snake)
        columns = [Column("time", "s", "time"), *(Column(a.name, a.unit, "axis") for a in axes), *readings]
        process = Process.this()
        values = {
            "name": name,
            "state": "running",
            "started": time.time(),
            "reason": "",
            "planned": grid.total,
            "shape": list(grid.shape),
            "snake": snake,
            "columns": [[column.name, column.unit, column.role] for column in columns],
            "host": process.host,
            "pid": process.pid,
            "stamp": process.stamp,
            "user": _user(),
            "version": __version__,
        }
        with self._database.writing() as connection:
            self._mark_dead(connection)
            made = connection.execute(sa.insert(tables.run).values(values)).inserted_primary_key
            assert made is not None
            number = int(made[0])
            packed = [pack_column(plain_all(axis.values)) for axis in axes]
            rows = [{"run": number, "number": i, "code": code, "data": data} for i, (code, data) in enumerate(packed)]
            if rows:
                connection.execute(sa.insert(tables.axis), rows)
        writer = RunWriter(self._database, number, grid, len(columns))
        if instruments:
            writer.take_snapshot(instruments)
        return writer

    def resume(self, which: int | str | Run) -> RunWriter:
        """Open a run that has ended again, to add the rows after its last; it belongs to this process then.

        Raises:
            RunError: there is no such run, it still runs, or the file cannot be written.
        """
        run = self.run(which.id if isinstance(which, Run) else which)
        process = Process.this()
        column = tables.run.c
        with self._database.writing() as connection:
            self._mark_dead(connection)
            info = lookup.infos(connection, column.id == run.id)[0]
            ours = Process(info.host, info.pid, process.stamp) == process
            if info.is_running and not (ours and not is_open(self.path, run.id)):
                raise RunError(f"{info.title} is still being measured, by process {info.pid} on {info.host}; end that first")
            values = {"state": "running", "ended": None, "reason": "", "host": process.host, "pid": process.pid}
            found = sa.update(tables.run).where(column.id == run.id)
            connection.execute(found.values(**values, stamp=process.stamp))
        return RunWriter(self._database, run.id, Grid(info.shape, snake=info.snake), len(info.columns))

    def delete(self, which: int | str | Run) -> None:
        """Remove a run with its rows; its room in the file is used again.

        Raises:
            RunError: there is no such run, or it is still being measured.
        """
        run = self.run(which.id if isinstance(which, Run) else which)
        if run.info.is_running:
            raise RunError(f"{run.info.title} is still being measured; end that first")
        with self._database.writing() as connection:
            for table in (tables.point, tables.block, tables.remark, tables.snapshot, tables.axis):
                connection.execute(sa.delete(table).where(table.c.run == run.id))
            connection.execute(sa.delete(tables.run).where(tables.run.c.id == run.id))

    def follow(self, which: int | str | Run, *, start: int = 0, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Give the rows of a run as they are measured, by whichever process, until the run ends.

        Args:
            which: As for :meth:`run`.
            start: Number of the first row that is wanted.
            timeout: Seconds without a new row after which it gives up; None: never.

        Raises:
            RunError: there is no such run.
            TimeoutError: no row came in time.
        """
        run = self.run(which.id if isinstance(which, Run) else which)
        heard = time.monotonic()
        while True:
            info = self.info(run.id)  # before the rows: one that ends between the two has told them all next time
            for row in run.rows(start):
                start += 1
                heard = time.monotonic()
                yield row
            if not info.is_running:
                return
            if timeout is not None and time.monotonic() - heard > timeout:
                raise TimeoutError(f"no row of {info.title} came within {timeout:g} s")
            time.sleep(_POLL)

    # -------------------------------------------------------------------------------- what a Run asks for

    def info(self, run: int) -> RunInfo:
        """Give what is known of a run by now."""
        with self._database.reading() as connection, self._database.decoding():
            infos = lookup.infos(connection, tables.run.c.id == run)
        if not infos:
            raise RunError(f"run {run} is no more in {str(self.path)!r}; it was deleted")
        return infos[0]

    def axes(self, run: int) -> list[list[Any]]:
        """Give the values of a run's axes, the outermost first."""
        column = tables.axis.c
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(column.code, column.data).where(column.run == run).order_by(column.number)).all()
        with self._database.decoding():
            return [unpack_column(row.code, row.data) for row in rows]

    def snapshots(self, run: int) -> list[tuple[float, dict[str, Any]]]:
        """Give the times and contents of a run's snapshots: one at each start of it."""
        column = tables.snapshot.c
        with self._database.reading() as connection, self._database.decoding():
            wanted = sa.select(column.taken, column.instruments).where(column.run == run).order_by(column.taken)
            return [(row.taken, row.instruments) for row in connection.execute(wanted)]

    def remarks(self, run: int) -> list[tuple[int, str, str]]:
        """Give number of the row, column and text of what was remarked."""
        column = tables.remark.c
        with self._database.reading() as connection:
            wanted = sa.select(column.point, column.column, column.text).where(column.run == run)
            return [(row.point, row.column, row.text) for row in connection.execute(wanted.order_by(column.point))]

    def columns(self, run: int, width: int) -> list[Any]:
        """Give all rows of a run as columns: arrays where numpy is there, else lists."""
        parts: list[list[tuple[str, bytes]]] = [[] for _ in range(width)]
        with self._database.reading() as connection:
            blocks, points = lookup.blocks(connection, run), lookup.points(connection, run)
        with self._database.decoding():
            loose = [unpack(data) for _, data in points]
            packed = [unpack(data) for _, _, data in blocks]
            for block in [*packed, [pack_column(column) for column in columns_of(loose)]] if loose else packed:
                for i, (code, data) in enumerate(block):
                    parts[i].append((code, data))
            return [join_column(part) for part in parts]

    def rows(self, run: int, start: int = 0, stop: int | None = None) -> Iterator[tuple[Any, ...]]:
        """Give rows of a run in their order, at most so many as there are now."""
        while stop is None or start < stop:
            with self._database.reading() as connection:
                blocks = lookup.blocks(connection, run, start, _CHUNK)
                points = [] if len(blocks) == _CHUNK else lookup.points(connection, run, start)
            with self._database.decoding():
                found = [(first, list(zip(*(unpack_column(*c) for c in unpack(data)), strict=True))) for first, _, data in blocks]
                found += [(number, [tuple(unpack(data))]) for number, data in points]
            before = start
            for first, rows in found:
                for number, row in enumerate(rows, first):
                    if number < start or (stop is not None and number >= stop):
                        continue
                    start = number + 1
                    yield row
            if points or start == before:
                return

    def _mark_dead(self, connection: sa.Connection) -> None:
        """Write down of runs whose process was killed that they are aborted: whoever only reads sees it by itself."""
        for row in connection.execute(sa.select(tables.run).where(tables.run.c.state == "running")).all():
            if Process(row.host, row.pid, row.stamp).is_dead():
                found = sa.update(tables.run).where(tables.run.c.id == row.id)
                connection.execute(found.values(state="aborted", reason=lookup.KILLED))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else ""
