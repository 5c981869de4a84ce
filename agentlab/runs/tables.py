"""The tables of a run store.

A row is written into ``point`` the moment it is measured, so that it survives whatever happens next, and others see it.
Every :data:`BLOCK` rows, or :data:`BLOCK_BYTES`, they move into one row of ``block``, column by column: that is what loads fast.
"""

from __future__ import annotations

import sqlalchemy as sa

from agentlab.runs.database import Layout

BLOCK = 1000
"""Rows of a block."""
BLOCK_BYTES = 4_000_000
"""Bytes at which a block has fewer rows: who writes or reads traces or pictures has at most so many in memory."""
ROW_BYTES = 900_000_000
"""Of a row, at most: SQLite keeps no more than 1,000,000,000 in one place."""

metadata = sa.MetaData()

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("ended", sa.Float),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("planned", sa.Integer, nullable=False),
    sa.Column("shape", sa.JSON, nullable=False),
    sa.Column("snake", sa.Boolean, nullable=False),
    sa.Column("columns", sa.JSON, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("stamp", sa.Text, nullable=False),
    sa.Column("user", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sqlite_autoincrement=True,  # the number of a run that was deleted is never given again
)

axis = sa.Table(
    "axis",
    metadata,
    sa.Column("run", sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

snapshot = sa.Table(
    "snapshot",
    metadata,
    sa.Column("run", sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("taken", sa.Float, primary_key=True),
    sa.Column("instruments", sa.JSON, nullable=False),
)

point = sa.Table(
    "point",
    metadata,
    sa.Column("run", sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

block = sa.Table(
    "block",
    metadata,
    sa.Column("run", sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("first", sa.Integer, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

remark = sa.Table(
    "remark",
    metadata,
    sa.Column("run", sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("point", sa.Integer, primary_key=True),
    sa.Column("column", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)

LAYOUT = Layout(0x414C5253, 1, metadata, "run store")  # "ALRS"
