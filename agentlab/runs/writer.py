"""Writing one run. A row that :meth:`RunWriter.append` has returned from survives the death of this process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from weakref import WeakValueDictionary

import sqlalchemy as sa

from agentlab.errors import RunError
from agentlab.runs import tables
from agentlab.runs.codec import columns_of, pack, pack_column, unpack
from agentlab.runs.database import Database
from agentlab.runs.model import Grid, State
from agentlab.runs.place import Process
from agentlab.runs.plain import MOST_TEXT, plain_all, plain_text
from agentlab.runs.snapshots import storable

_ADD = (
    "INSERT INTO point (run, number, data) SELECT ?, ?, ? "
    "WHERE EXISTS (SELECT 1 FROM run WHERE id = ? AND host = ? AND pid = ? AND stamp = ?)"
)
_SIMPLE = frozenset((int, float, bool, str, type(None), complex, bytes))
"""Types of values that nobody can change behind our back."""

_OPEN: WeakValueDictionary[tuple[Path, int], RunWriter] = WeakValueDictionary()


def is_open(path: Path, run: int) -> bool:
    """Tell whether this process writes a run: one that could not write that it has ended does so no more."""
    return (path.resolve(), run) in _OPEN


class RunWriter:
    """Holds a run open for writing. One thread at a time; every method blocks as long as the disk does.

    Made by :meth:`~agentlab.runs.store.RunStore.begin` and :meth:`~agentlab.runs.store.RunStore.resume`; use it in a ``with``
    block: an error marks the run failed, Ctrl-C aborted, and the end done.

    Attributes:
        id: The run's number.
        count: Rows so far.
        grid: Its points.
    """

    def __init__(self, database: Database, run: int, grid: Grid, width: int, owner: Process) -> None:
        self.id = run
        self.grid = grid
        self.count = 0
        self._database = database
        self._width = width
        self._owner = (owner.host, owner.pid, owner.stamp)
        self._key = (database.path.resolve(), run)
        self._loose: list[bytes] = []
        self._size = 0
        self._in_doubt = True
        self._ended = False
        self._stack = contextlib.ExitStack()
        self._connection = self._stack.enter_context(database.writer())
        _OPEN[self._key] = self
        try:
            self._look()
        except BaseException:
            self._close()
            raise

    def append(self, values: Sequence[Any], remarks: Mapping[str, str] | None = None) -> None:
        """Keep one row.

        Args:
            values: One for each column, the time first.
            remarks: Text for columns of this row, such as why a value is missing.

        Raises:
            RunError: a value cannot be kept, or the row cannot be written, or the run has ended or belongs to another process by
                now; the rows before it are kept.
        """
        self._check_open()
        data = pack(self._row(values))
        if len(data) > tables.ROW_BYTES:
            raise RunError(
                f"a row of {len(data) / 1e6:.0f} MB cannot be kept in a run, which takes {tables.ROW_BYTES / 1e6:.0f} MB; "
                "give less, or write it into a file of its own and give its name"
            )
        if self._in_doubt:
            self._look()
        is_full = len(self._loose) + 1 >= tables.BLOCK or self._size + len(data) >= tables.BLOCK_BYTES
        self._in_doubt = True  # Ctrl-C may come between writing a row and counting it
        with self._database.transaction(self._connection):
            # The driver's own way: this is between two points of a measurement, and the expression language costs twice as much.
            if self._connection.exec_driver_sql(_ADD, (self.id, self.count, data, self.id, *self._owner)).rowcount != 1:
                raise self._lost()
            if remarks:
                self._connection.execute(sa.insert(tables.remark), self._remarks(remarks))
            if is_full:
                self._gather([*self._loose, data])
        self.count += 1
        if is_full:
            self._loose, self._size = [], 0
        else:
            self._loose.append(data)
            self._size += len(data)
        self._in_doubt = False

    def extend(self, rows: Iterable[Sequence[Any]]) -> None:
        """Keep many rows at once, all or none of each :data:`~agentlab.runs.tables.BLOCK`: for data that is there already.

        Raises:
            RunError: as :meth:`append`.
        """
        self._check_open()
        coming = iter(rows)
        if self._in_doubt:
            self._look()
        while self._loose and (one := next(coming, None)) is not None:
            self.append(one)
        for part in self._parts(coming):
            self._in_doubt = True
            with self._database.transaction(self._connection):
                self._check_owner()
                self._add_block(self.count, part)
            self.count += len(part)
            self._in_doubt = False

    def take_snapshot(self, instruments: Mapping[str, Any]) -> None:
        """Keep how the instruments are set, with the time of now."""
        self._check_open()
        row = {"run": self.id, "taken": time.time(), "instruments": storable(instruments)}
        with self._database.transaction(self._connection):
            self._connection.execute(sa.insert(tables.snapshot).prefix_with("OR REPLACE"), [row])

    def finish(self, state: State, reason: str = "") -> None:
        """End the run; the second time does nothing.

        Args:
            state: How it ended.
            reason: Why, unless it is at its last point.

        Raises:
            RunError: that cannot be written; its rows are kept all the same.
        """
        if self._ended:
            return
        try:
            self._end(state, reason, tidy=True)
        except RunError:  # as on a disk that is too full for tidying: that it has ended needs no room
            self._end(state, reason, tidy=False)
        except BaseException:  # Ctrl-C just now
            with contextlib.suppress(RunError):
                self._end(state, reason, tidy=False)
            raise
        finally:
            self._ended = True
            self._close()

    def _end(self, state: State, reason: str, *, tidy: bool) -> None:
        if self._in_doubt and tidy:
            self._look()
        with self._database.transaction(self._connection):
            self._check_owner()
            if tidy and self._loose:
                self._gather(self._loose)
            found = sa.update(tables.run).where(tables.run.c.id == self.id)
            values = {"state": state, "reason": plain_text(reason, MOST_TEXT), "ended": time.time()}
            self._connection.execute(found.values(values))

    def _close(self) -> None:
        if _OPEN.get(self._key) is self:
            del _OPEN[self._key]
        self._stack.close()

    def _check_open(self) -> None:
        if self._ended:
            raise RunError(f"run {self.id} has ended, so nothing can be added; open it again with RunStore.resume({self.id})")

    def _check_owner(self) -> None:
        column = tables.run.c
        found = self._connection.execute(sa.select(column.host, column.pid, column.stamp).where(column.id == self.id)).first()
        if found is None or tuple(found) != self._owner:
            raise self._lost()

    def _lost(self) -> RunError:
        return RunError(f"run {self.id} was deleted, or another process goes on with it; begin a new one")

    def _row(self, values: Sequence[Any]) -> list[Any]:
        row = plain_all(values)
        if len(row) != self._width:
            raise RunError(f"a row of run {self.id} has {self._width} values, not {len(row)}")
        return row

    def _parts(self, coming: Iterator[Sequence[Any]]) -> Iterator[list[list[Any]]]:
        """Give rows, as many as make a block, as they are now: who gives them may use an array again for the next one."""
        part: list[list[Any]] = []
        size = 0
        for values in coming:
            row = self._row(values)
            if not all(type(value) in _SIMPLE for value in row):
                data = pack(row)
                row, size = unpack(data), size + len(data)
            part.append(row)
            if len(part) >= tables.BLOCK or size >= tables.BLOCK_BYTES:
                yield part
                part, size = [], 0
        if part:
            yield part

    def _remarks(self, remarks: Mapping[str, str]) -> list[dict[str, Any]]:
        texts = {plain_text(name): plain_text(text, MOST_TEXT) for name, text in remarks.items()}
        return [{"run": self.id, "point": self.count, "column": name, "text": text} for name, text in texts.items()]

    def _look(self) -> None:
        """Look which rows are in no block yet, and how many there are in all: the file knows."""
        loose, block = tables.point.c, tables.block.c
        with self._database.transaction(self._connection):
            rows = self._connection.execute(sa.select(loose.data).where(loose.run == self.id).order_by(loose.number)).all()
            end = sa.func.coalesce(sa.func.max(block.first + block.count), 0)
            before = int(self._connection.execute(sa.select(end).where(block.run == self.id)).scalar_one())
        self._loose = [row.data for row in rows]
        self._size = sum(map(len, self._loose))
        self.count = before + len(rows)
        self._in_doubt = False

    def _gather(self, packed: list[bytes]) -> None:
        """Move the loose rows into a block, as they were written: an array that was given may hold something else by now."""
        first = self.count - len(self._loose)
        self._add_block(first, [unpack(data) for data in packed])
        point = tables.point.c
        self._connection.execute(sa.delete(tables.point).where(point.run == self.id, point.number < first + len(packed)))

    def _add_block(self, first: int, rows: list[list[Any]]) -> None:
        data = pack([pack_column(column) for column in columns_of(rows)])
        row = {"run": self.id, "first": first, "count": len(rows), "data": data}
        self._connection.execute(sa.insert(tables.block), [row])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None:
            self.finish("done")
        else:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the run by what was raised: an error makes it failed, Ctrl-C aborted. A run that has ended stays as it is."""
        state: State = "failed" if isinstance(error, Exception) else "aborted"
        text = " ".join(str(error).split())
        reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
        with contextlib.suppress(RunError):  # what made it end is worth more to the caller than this one
            self.finish(state, "interrupted" if isinstance(error, KeyboardInterrupt) else reason)
