"""Readings of the past: what one is, and the tables that keep them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from agentlab.errors import RunError
from agentlab.runs.codec import pack, unpack
from agentlab.runs.database import Anything, Layout
from agentlab.runs.plain import MOST_TEXT, plain_all, plain_text

_MOST = 2**63 - 1
"""The greatest number that SQLite knows."""

metadata = sa.MetaData()

series = sa.Table(
    "series",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("parameter", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.UniqueConstraint("instrument", "parameter", "unit"),
)

reading = sa.Table(
    "reading",
    metadata,
    sa.Column("series", sa.ForeignKey("series.id"), primary_key=True),
    sa.Column("time", sa.Float, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("value", Anything),
    sa.Column("quality", sa.Text, nullable=False),
    sqlite_with_rowid=False,  # kept in the order of series and time: the order in which it is asked for
)

LAYOUT = Layout(0x414C4859, 1, metadata, "history")  # "ALHY"


class Sample(NamedTuple):
    """A reading of the past.

    Attributes:
        value: What was read.
        unit: Empty where there is none.
        timestamp: Seconds since 1970.
        quality: ``good``, ``stale``, ``bad`` or ``overload``.
        sequence: Number of the reading, as it was published.
    """

    value: Any
    unit: str
    timestamp: float
    quality: str
    sequence: int


class Reading(Protocol):
    """What is written: a reading of an instrument."""

    @property
    def name(self) -> str:
        """The parameter."""

    @property
    def value(self) -> Any:
        """What was read."""

    @property
    def unit(self) -> str:
        """Its unit."""

    @property
    def timestamp(self) -> float:
        """Seconds since 1970."""

    @property
    def quality(self) -> str:
        """Whether it can be relied on."""

    @property
    def sequence(self) -> int:
        """Its number."""


def kept(value: Any) -> Any:
    """Give a value as SQLite keeps it: numbers and text as such, all else as bytes. It knows no NaN and no truth."""
    try:
        (value,) = plain_all([value])
        as_it_is = isinstance(value, str | int | float) and not isinstance(value, bool)
        return value if as_it_is and not (isinstance(value, float) and math.isnan(value)) else pack(value)
    except RunError:
        return plain_text(value, MOST_TEXT)


def row_of(reading: Reading) -> dict[str, Any] | None:
    """Give a reading as a row of its table, but for its series: as it is now, for a driver may use an array again.

    Returns:
        It; None of a reading without a time or a number, by which it could be found.
    """
    when: Any = reading.timestamp  # whatever its protocol says, a driver may have made it
    sequence: Any = reading.sequence
    if not isinstance(when, int | float) or not math.isfinite(when) or not isinstance(sequence, int):
        return None
    quality = plain_text(reading.quality)
    return {"time": float(when), "sequence": sequence & _MOST, "value": kept(reading.value), "quality": quality}


def given(value: Any) -> Any:
    """Give back what :func:`kept` was given."""
    return unpack(value) if isinstance(value, bytes) else value
