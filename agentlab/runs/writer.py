"""Writing one run. A row that :meth:`RunWriter.append` has returned from survives the death of this process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Self
from weakref import WeakValueDictionary

import sqlalchemy as sa

from agentlab.errors import RunError
from agentlab.runs import tables
from agentlab.runs.codec import columns_of, pack, pack_column, plain_all, unpack
from agentlab.runs.database import Database
from agentlab.runs.model import Grid, State

_ADD = "INSERT INTO point (run, number, data) VALUES (?, ?, ?)"


_OPEN: WeakValueDictionary[tuple[Path, int], RunWriter] = WeakValueDictionary()


def is_open(path: Path, run: int) -> bool:
    """Tell whether this process writes a run: one that could not write that it has ended does so no more."""
    return (path, run) in _OPEN


class RunWriter:
    """Holds a run open for writing. One thread at a time; every method blocks as long as the disk does.

    Made by :meth:`~agentlab.runs.store.RunStore.begin` and :meth:`~agentlab.runs.store.RunStore.resume`; use it in a ``with``
    block: an error marks the run failed, Ctrl-C aborted, and the end done.

    Attributes:
        id: The run's number.
        count: Rows so far.
        grid: Its points.
    """

    def __init__(self, database: Database, run: int, grid: Grid, width: int) -> None:
        self.id = run
        self.grid = grid
        self._database = database
        self._width = width
        self._stack = contextlib.ExitStack()
        self._connection = self._stack.enter_context(database.writer())
        self._ended = False
        _OPEN[database.path, run] = self
        try:
            self._loose, self.count = self._find()
        except BaseException:
            self._stack.close()
            raise

    def append(self, values: Sequence[Any], remarks: Mapping[str, str] | None = None) -> None:
        """Keep one row.

        Args:
            values: One for each column, the time first.
            remarks: Text for columns of this row, such as why a value is missing.

        Raises:
            RunError: a value cannot be kept, or the row cannot be written; the rows before it are kept.
        """
        row = self._row(values)
        with self._database.transaction(self._connection):
            # The driver's own way: this is between two points of a measurement, and the expression language costs twice as much.
            self._connection.exec_driver_sql(_ADD, (self.id, self.count, pack(row)))
            if remarks:
                rows = [{"run": self.id, "point": self.count, "column": name, "text": text} for name, text in remarks.items()]
                self._connection.execute(sa.insert(tables.remark), rows)
            if len(self._loose) + 1 >= tables.BLOCK:
                self._gather([*self._loose, row])
        self.count += 1
        self._loose.append(row)
        if len(self._loose) >= tables.BLOCK:
            self._loose.clear()

    def extend(self, rows: Iterable[Sequence[Any]]) -> None:
        """Keep many rows at once, all or none of each :data:`~agentlab.runs.tables.BLOCK`: for data that is there already.

        Raises:
            RunError: as :meth:`append`.
        """
        coming = iter(rows)
        while len(self._loose) and (one := next(coming, None)) is not None:
            self.append(one)
        while part := [self._row(values) for values in islice(coming, tables.BLOCK)]:
            with self._database.transaction(self._connection):
                self._add_block(self.count, part)
            self.count += len(part)

    def take_snapshot(self, instruments: Mapping[str, Any]) -> None:
        """Keep how the instruments are set, with the time of now."""
        row = {"run": self.id, "taken": time.time(), "instruments": dict(instruments)}
        with self._database.transaction(self._connection):
            self._connection.execute(sa.insert(tables.snapshot), [row])

    def finish(self, state: State, reason: str = "") -> None:
        """End the run; the second time does nothing.

        Args:
            state: How it ended.
            reason: Why, unless it is at its last point.
        """
        if self._ended:
            return
        self._ended = True
        _OPEN.pop((self._database.path, self.id), None)
        try:
            with self._database.transaction(self._connection):
                if self._loose:
                    self._gather(self._loose)
                found = sa.update(tables.run).where(tables.run.c.id == self.id)
                self._connection.execute(found.values(state=state, reason=reason, ended=time.time()))
        finally:
            self._stack.close()

    def _row(self, values: Sequence[Any]) -> list[Any]:
        row = plain_all(values)
        if len(row) != self._width:
            raise RunError(f"a row of run {self.id} has {self._width} values, not {len(row)}")
        return row

    def _find(self) -> tuple[list[list[Any]], int]:
        """Give the rows that are in no block yet, and the number of all."""
        loose, first = tables.point.c, tables.block.c
        with self._database.transaction(self._connection):
            rows = self._connection.execute(sa.select(loose.data).where(loose.run == self.id).order_by(loose.number)).all()
            blocks = sa.func.coalesce(sa.func.max(first.first + first.count), 0)
            before = int(self._connection.execute(sa.select(blocks).where(first.run == self.id)).scalar_one())
        return [unpack(row.data) for row in rows], before + len(rows)

    def _gather(self, rows: list[list[Any]]) -> None:
        """Move the loose rows into a block."""
        point = tables.point.c
        first = int(self._connection.execute(sa.select(sa.func.min(point.number)).where(point.run == self.id)).scalar_one())
        self._add_block(first, rows)
        # One more is there where Ctrl-C came between writing a row and counting it: it stays as it is.
        self._connection.execute(sa.delete(tables.point).where(point.run == self.id, point.number < first + len(rows)))

    def _add_block(self, first: int, rows: list[list[Any]]) -> None:
        data = pack([pack_column(column) for column in columns_of(rows)])
        row = {"run": self.id, "first": first, "count": len(rows), "data": data}
        self._connection.execute(sa.insert(tables.block), [row])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None:
            self.finish("done")
            return
        state: State = "failed" if isinstance(error, Exception) else "aborted"
        text = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
        with contextlib.suppress(RunError):  # what made it end is worth more to the caller than this one
            self.finish(state, "interrupted" if isinstance(error, KeyboardInterrupt) else reason)
