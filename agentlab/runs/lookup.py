"""What is asked of a run store's tables. Every function sees the store as its connection does: at one moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from agentlab.runs import tables
from agentlab.runs.model import Column, RunInfo
from agentlab.runs.place import Process

KILLED = "its process was killed"


def infos(connection: sa.Connection, wanted: Any = None, *, most: int | None = None) -> list[RunInfo]:
    """Give what is known of runs, the oldest first.

    Args:
        connection: Of the store.
        wanted: Condition of table ``run``; None: all.
        most: Only so many of them, the newest; None: all.
    """
    column = tables.run.c
    query = sa.select(tables.run).order_by(column.id.desc()).limit(most)
    if wanted is not None:
        query = query.where(wanted)
    rows = connection.execute(query).all()
    return [_settled(_info(row, _count(connection, row.id)), row.stamp) for row in reversed(rows)]


def _settled(info: RunInfo, stamp: str) -> RunInfo:
    if info.is_running and Process(info.host, info.pid, stamp).is_dead():
        return replace(info, state="aborted", reason=KILLED)
    return info


def _info(row: Any, rows: int) -> RunInfo:
    columns = tuple(Column(name, unit, role) for name, unit, role in row.columns)
    plainly = {name: getattr(row, name) for name in ("id", "name", "state", "started", "ended", "reason", "planned", "snake")}
    who = {name: getattr(row, name) for name in ("host", "pid", "user", "version")}
    return RunInfo(**plainly, **who, rows=rows, shape=tuple(row.shape), columns=columns)


def _count(connection: sa.Connection, run: int) -> int:
    loose, block = tables.point.c, tables.block.c
    last = connection.execute(sa.select(sa.func.max(loose.number)).where(loose.run == run)).scalar_one()
    if last is not None:
        return int(last) + 1
    newest = sa.select(block.first, block.count).where(block.run == run).order_by(block.first.desc()).limit(1)
    found = connection.execute(newest).first()
    return 0 if found is None else int(found[0]) + int(found[1])


def blocks(connection: sa.Connection, run: int, start: int = 0, limit: int | None = None) -> list[tuple[int, int, bytes]]:
    """Give first row, number of rows and content of a run's blocks, from the one that holds row `start`."""
    column = tables.block.c
    wanted = sa.select(column.first, column.count, column.data).where(column.run == run)
    if start:
        wanted = wanted.where(column.first + column.count > start)
    rows = connection.execute(wanted.order_by(column.first).limit(limit))
    return [(row[0], row[1], row[2]) for row in rows]


def points(connection: sa.Connection, run: int, start: int = 0) -> list[tuple[int, bytes]]:
    """Give number and content of the rows that are in no block yet, from row `start`."""
    column = tables.point.c
    wanted = sa.select(column.number, column.data).where(column.run == run, column.number >= start)
    rows = connection.execute(wanted.order_by(column.number))
    return [(row[0], row[1]) for row in rows]
