"""What a run is, as values that know no file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["running", "done", "aborted", "failed"]
"""Under way; at its end; interrupted, or its process was killed; ended by an error."""
Role = Literal["time", "axis", "reading"]
TIME = "time"
"""Name of a run's first column: when the row was measured, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a run's rows.

    Attributes:
        name: Unique in its run, such as ``dmm.voltage``.
        unit: Empty where there is none.
        role: The time of the row, a value that was set, or one that was read.
    """

    name: str
    unit: str = ""
    role: Role = "reading"

    @property
    def label(self) -> str:
        """The name with its unit: ``dmm.voltage (V)``."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, slots=True)
class Axis:
    """What a scan steps through.

    Attributes:
        name: Of its column.
        unit: Of its values.
        values: In their order.
    """

    name: str
    unit: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What is known of a run besides its rows.

    Attributes:
        id: Its number in its store.
        name: What the user called it; may be empty.
        state: See :data:`State`.
        started: Seconds since 1970.
        ended: The same; None while it runs.
        reason: Why it ended before its last point; empty where it did not.
        planned: Points of the whole scan.
        rows: Rows so far.
        shape: Points of each axis, the outermost first.
        snake: Whether every other line is scanned backwards.
        columns: Of its rows, time first, then axes, then what was read.
        host: The machine whose process measured it.
        pid: That process.
        user: Whose it was.
        version: Of agentlab.
    """

    id: int
    name: str
    state: State
    started: float
    ended: float | None
    reason: str
    planned: int
    rows: int
    shape: tuple[int, ...]
    snake: bool
    columns: tuple[Column, ...]
    host: str
    pid: int
    user: str
    version: str

    @property
    def axes(self) -> tuple[Column, ...]:
        """The columns that were set, the outermost first."""
        return tuple(column for column in self.columns if column.role == "axis")

    @property
    def readings(self) -> tuple[Column, ...]:
        """The columns that were read."""
        return tuple(column for column in self.columns if column.role == "reading")

    @property
    def is_running(self) -> bool:
        """Whether rows may still come."""
        return self.state == "running"

    @property
    def title(self) -> str:
        """``run 3``, with its name where it has one."""
        return f"run {self.id}{f' {self.name!r}' if self.name else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values, for JSON and for the headers of exported files."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "started": self.started,
            "ended": self.ended,
            "reason": self.reason,
            "planned": self.planned,
            "rows": self.rows,
            "shape": list(self.shape),
            "snake": self.snake,
            "columns": [{"name": c.name, "unit": c.unit, "role": c.role} for c in self.columns],
            "host": self.host,
            "pid": self.pid,
            "user": self.user,
            "version": self.version,
        }


class Grid:
    """The points of a scan in the order in which they are measured. The first axis is the outermost: it moves last.

    Args:
        shape: Points of each axis.
        snake: Scan every other line backwards, so that no axis ever jumps.
    """

    def __init__(self, shape: Sequence[int], *, snake: bool = False) -> None:
        self.shape = tuple(shape)
        self.snake = snake
        self.total = math.prod(self.shape)
        self._strides = tuple(math.prod(self.shape[i + 1 :]) for i in range(len(self.shape)))

    def indices(self, number: int) -> tuple[int, ...]:
        """Give where on each axis a point lies.

        Args:
            number: Of the point, from 0.
        """
        found = []
        for size, stride in zip(self.shape, self._strides, strict=True):
            step = number // stride
            index, line = step % size, step // size
            found.append(size - 1 - index if self.snake and line % 2 else index)
        return tuple(found)

    def places(self, count: int) -> list[int]:
        """Give for the first `count` points where each lies in an array of this shape that is laid flat."""
        if not self.snake or len(self.shape) < 2:
            return list(range(count))
        return [sum(i * s for i, s in zip(self.indices(n), self._strides, strict=True)) for n in range(count)]
