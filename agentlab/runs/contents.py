"""What is in a run, read from its store: rows as they are or as columns, the values of axes, snapshots, remarks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from agentlab.runs import lookup, tables
from agentlab.runs.codec import columns_of, join_column, pack_column, unpack, unpack_column
from agentlab.runs.database import Database

_CHUNK = 16
"""Blocks that are in memory at a time while rows are gone through."""


def axes(database: Database, run: int) -> list[list[Any]]:
    """Give the values of a run's axes, the outermost first."""
    column = tables.axis.c
    with database.reading() as connection:
        rows = connection.execute(sa.select(column.code, column.data).where(column.run == run).order_by(column.number)).all()
    with database.decoding():
        return [unpack_column(row.code, row.data) for row in rows]


def snapshots(database: Database, run: int) -> list[tuple[float, dict[str, Any]]]:
    """Give the times and contents of a run's snapshots: one at each start of it."""
    column = tables.snapshot.c
    with database.reading() as connection, database.decoding():
        wanted = sa.select(column.taken, column.instruments).where(column.run == run).order_by(column.taken)
        return [(row.taken, row.instruments) for row in connection.execute(wanted)]


def remarks(database: Database, run: int) -> list[tuple[int, str, str]]:
    """Give number of the row, column and text of what was remarked."""
    column = tables.remark.c
    with database.reading() as connection:
        wanted = sa.select(column.point, column.column, column.text).where(column.run == run)
        return [(row.point, row.column, row.text) for row in connection.execute(wanted.order_by(column.point))]


def columns(database: Database, run: int, width: int) -> list[Any]:
    """Give all rows of a run as columns: arrays where numpy is there, else lists."""
    parts: list[list[tuple[str, bytes]]] = [[] for _ in range(width)]
    with database.reading() as connection:
        blocks, points = lookup.blocks(connection, run), lookup.points(connection, run)
    with database.decoding():
        loose = [unpack(data) for _, data in points]
        packed = [unpack(data) for _, _, data in blocks]
        for block in [*packed, [pack_column(column) for column in columns_of(loose)]] if loose else packed:
            for i, (code, data) in enumerate(block):
                parts[i].append((code, data))
        return [join_column(part) for part in parts]


def rows(database: Database, run: int, start: int = 0, stop: int | None = None) -> Iterator[tuple[Any, ...]]:
    """Give rows of a run in their order, at most so many as there are now."""
    while stop is None or start < stop:
        with database.reading() as connection:
            blocks = lookup.blocks(connection, run, start, _CHUNK)
            points = [] if len(blocks) == _CHUNK else lookup.points(connection, run, start)
        with database.decoding():
            found = [(first, list(zip(*(unpack_column(*c) for c in unpack(data)), strict=True))) for first, _, data in blocks]
            found += [(number, [tuple(unpack(data))]) for number, data in points]
        before = start
        for first, several in found:
            for number, row in enumerate(several, first):
                if number < start or (stop is not None and number >= stop):
                    continue
                start = number + 1
                yield row
        if points or start == before:
            return
