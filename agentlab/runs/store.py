"""The run store: one SQLite file with every run of a user, written while it is measured, read by any number of processes."""

from __future__ import annotations

import contextlib
import getpass
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from agentlab.errors import RunError
from agentlab.runs import contents, lookup, tables
from agentlab.runs.codec import pack_column
from agentlab.runs.database import Database
from agentlab.runs.model import Axis, Column, Grid, RunInfo
from agentlab.runs.place import Process, store_path
from agentlab.runs.plain import plain_all, plain_text
from agentlab.runs.run import Run
from agentlab.runs.snapshots import storable
from agentlab.runs.writer import RunWriter, is_open
from agentlab.version import __version__

LAST = "last"
_POLL = 0.1
"""Seconds between two looks of somebody who follows a run."""
_MOST = 2**63 - 1
"""The greatest number that SQLite knows."""
_OPENING = threading.Lock()
"""Held while this process opens a run again: two threads would both find that nobody writes it."""


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

    def runs(self, most: int | None = None) -> list[Run]:
        """Give all runs, the oldest first; none where there is no such file.

        Args:
            most: Only so many, the newest; None: all.

        Raises:
            RunError: the file cannot be read.
        """
        if not self._database.exists():
            return []
        with self._database.reading() as connection, self._database.decoding():
            return [Run(self, info) for info in lookup.infos(connection, most=most)]

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
            infos = lookup.infos(connection, wanted, most=1)
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
            "name": plain_text(name),
            "state": "running",
            "started": time.time(),
            "reason": "",
            "planned": grid.total,
            "shape": list(grid.shape),
            "snake": snake,
            "columns": [[plain_text(column.name), plain_text(column.unit), column.role] for column in columns],
            "host": process.host,
            "pid": process.pid,
            "stamp": process.stamp,
            "user": _user(),
            "version": __version__,
        }
        number: int | None = None
        try:
            with self._database.writing() as connection:
                self._mark_dead(connection)
                made = connection.execute(sa.insert(tables.run).values(values)).inserted_primary_key
                assert made is not None
                number = int(made[0])
                packed = [pack_column(plain_all(axis.values)) for axis in axes]
                rows = [{"run": number, "number": i, "code": code, "data": data} for i, (code, data) in enumerate(packed)]
                if rows:
                    connection.execute(sa.insert(tables.axis), rows)
                if instruments:
                    taken = {"run": number, "taken": time.time(), "instruments": storable(instruments)}
                    connection.execute(sa.insert(tables.snapshot), [taken])
            return RunWriter(self._database, number, grid, len(columns), process)
        except BaseException:
            self._not_opened(number, process)
            raise

    def resume(self, which: int | str | Run) -> RunWriter:
        """Open a run that has ended again, to add the rows after its last; it belongs to this process then.

        Raises:
            RunError: there is no such run, it still runs, or the file cannot be written.
        """
        run = self.run(which.id if isinstance(which, Run) else which)
        process = Process.this()
        ours: int | None = None
        with _OPENING:
            try:
                with self._database.writing() as connection:
                    self._mark_dead(connection)
                    info = self._there(connection, run)
                    if info.is_running and not self._is_left_open(info):
                        raise RunError(self._still_measured(info))
                    ours = run.id
                    values = {"state": "running", "ended": None, "reason": "", "host": process.host, "pid": process.pid}
                    found = sa.update(tables.run).where(tables.run.c.id == ours)
                    connection.execute(found.values(**values, stamp=process.stamp))
                return RunWriter(self._database, ours, Grid(info.shape, snake=info.snake), len(info.columns), process)
            except BaseException:
                self._not_opened(ours, process)
                raise

    def abort(self, which: int | str | Run) -> None:
        """Mark a run as aborted whose process has died where this machine cannot see it: on another one.

        Those of this machine are known to be dead. If its process lives on, its further rows are kept, and its end is written.

        Raises:
            RunError: there is no such run, or its process is alive on this machine.
        """
        run = self.run(which.id if isinstance(which, Run) else which)
        with self._database.writing() as connection:
            self._mark_dead(connection)
            info = self._there(connection, run)
            if not info.is_running:
                return
            if info.host == Process.this().host and not self._is_left_open(info):
                raise RunError(self._still_measured(info))
            found = sa.update(tables.run).where(tables.run.c.id == run.id)
            connection.execute(found.values(state="aborted", reason=f"given up by {_user()}", ended=time.time()))

    def _not_opened(self, run: int | None, process: Process) -> None:
        """Have the file say no more that this process writes a run, where opening it failed or Ctrl-C came just then.

        What was undone left its number free: by now it may be a run of somebody else, who measures.
        """
        if run is None or is_open(self.path, run):
            return
        column = tables.run.c
        ours = (column.host == process.host, column.pid == process.pid, column.stamp == process.stamp)
        with contextlib.suppress(RunError), self._database.writing() as connection:
            found = sa.update(tables.run).where(column.id == run, column.state == "running", *ours)
            connection.execute(found.values(state="aborted", reason="it could not be opened", ended=time.time()))

    def _there(self, connection: sa.Connection, run: Run) -> RunInfo:
        infos = lookup.infos(connection, tables.run.c.id == run.id)
        if not infos:
            raise self._deleted(run.id)
        return infos[0]

    def _is_left_open(self, info: RunInfo) -> bool:
        """Tell whether a run that is said to be measured by this process, which lives, is not: its end could not be written."""
        this = Process.this()
        return (info.host, info.pid) == (this.host, this.pid) and not is_open(self.path, info.id)

    def _still_measured(self, info: RunInfo) -> str:
        cure = "end that first"
        if info.host != Process.this().host:
            cure += f", or, if that process has gone, mark it: agentlab runs abort {info.id}"
        return f"{info.title} is still being measured, by process {info.pid} on {info.host}; {cure}"

    def _deleted(self, run: int) -> RunError:
        return RunError(f"run {run} is no more in {str(self.path)!r}; it was deleted")

    def delete(self, which: int | str | Run) -> None:
        """Remove a run with its rows; its room in the file is used again.

        Raises:
            RunError: there is no such run, or it is still being measured.
        """
        run = self.run(which.id if isinstance(which, Run) else which)
        with self._database.writing() as connection:
            info = self._there(connection, run)
            if info.is_running and not self._is_left_open(info):
                raise RunError(self._still_measured(info))
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
            raise self._deleted(run)
        return infos[0]

    def axes(self, run: int) -> list[list[Any]]:
        """Give the values of a run's axes, the outermost first."""
        return contents.axes(self._database, run)

    def snapshots(self, run: int) -> list[tuple[float, dict[str, Any]]]:
        """Give the times and contents of a run's snapshots: one at each start of it."""
        return contents.snapshots(self._database, run)

    def remarks(self, run: int) -> list[tuple[int, str, str]]:
        """Give number of the row, column and text of what was remarked."""
        return contents.remarks(self._database, run)

    def columns(self, run: int, width: int) -> list[Any]:
        """Give all rows of a run as columns: arrays where numpy is there, else lists."""
        return contents.columns(self._database, run, width)

    def rows(self, run: int, start: int = 0, stop: int | None = None) -> Iterator[tuple[Any, ...]]:
        """Give rows of a run in their order, at most so many as there are now."""
        return contents.rows(self._database, run, start, stop)

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
