"""What is to be drawn of a run, whatever draws it: a curve over one axis, or a map over two. Pure calculation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentlab.errors import RunError, nearest
from agentlab.runs.codec import is_number
from agentlab.runs.model import Column, Grid, RunInfo

MOST_POINTS = 4000
"""Of a curve that is drawn: more than twice as many as a picture has columns."""
NUMBER = "point"


@dataclass(frozen=True)
class Curve:
    """A line, in pieces where values are missing.

    Attributes:
        title: Text above.
        x: What is to the right, with its unit.
        y: What is upwards, with its unit.
        pieces: Points of each piece, in the order in which the line goes; at least one point in all.
        marks: x, y and text of points to mark; in pictures alone.
        from_zero: Whether y begins at zero, however far the values are above it.
    """

    title: str
    x: str
    y: str
    pieces: list[list[tuple[float, float]]]
    marks: tuple[tuple[float, float, str], ...] = ()
    from_zero: bool = False

    @property
    def points(self) -> list[tuple[float, float]]:
        """All points."""
        return [point for piece in self.pieces for point in piece]


@dataclass(frozen=True)
class Map:
    """Values over two axes.

    Attributes:
        title: Text above.
        x: What is to the right (the inner axis), with its unit.
        y: What is upwards (the outer axis), with its unit.
        z: What the colours mean, with its unit.
        across: Values of x, ascending.
        up: Values of y, ascending.
        values: For each of `up`, for each of `across`; NaN where there is none.
    """

    title: str
    x: str
    y: str
    z: str
    across: list[float]
    up: list[float]
    values: list[list[float]]


def figure(info: RunInfo, data: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], y: str | None = None) -> Curve | Map:
    """Give what is to be drawn.

    Args:
        info: The run.
        data: Its columns by name.
        axes: Values of its axes by name, the outermost first.
        y: What to draw; None: the first reading that is a number.

    Raises:
        RunError: there is no such column, or it has no number.
    """
    column = _chosen(info, data, y)
    values = _numbers(data[column.name])
    _check_span(info, column, values)
    inner = info.axes[-2:]
    if len(inner) == 2 and all(_is_ladder(axes[axis.name]) for axis in inner):
        made = _map(info, column, values, inner, axes)
        if any(map(math.isfinite, (value for row in made.values for value in row))):
            return made
    by = inner[-1] if inner else None
    places = _numbers(data[by.name]) if by is not None else []
    if by is None or not any(map(is_number, places)):
        places, label = [float(i) for i in range(len(values))], NUMBER
    else:
        label = by.label
    return Curve(info.title, label, column.label, pieces(places, values))


def _check_span(info: RunInfo, column: Column, values: Sequence[float]) -> None:
    known = [value for value in values if math.isfinite(value)]
    if known and not math.isfinite(4 * (max(known) - min(known))):
        raise RunError(f"{column.name} of {info.title} has values too far apart to be drawn; export it instead")


def pieces(x: Sequence[float], y: Sequence[float]) -> list[list[tuple[float, float]]]:
    """Give the pieces of a line through points, broken where a value is missing, thinned where there are very many."""
    found: list[list[tuple[float, float]]] = [[]]
    for point in zip(x, y, strict=True):
        if math.isfinite(point[0]) and math.isfinite(point[1]):
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    whole = [piece for piece in found if piece]
    count = sum(map(len, whole))
    return whole if count <= MOST_POINTS else [_thin(piece, math.ceil(2 * count / MOST_POINTS)) for piece in whole]


def _thin(points: list[tuple[float, float]], size: int) -> list[tuple[float, float]]:
    """Keep the lowest and the highest of every so many points: a line through them looks the same."""
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        low, high = (part.index(choice(part, key=lambda point: point[1])) for choice in (min, max))
        kept += [part[i] for i in sorted({low, high})]
    return kept


def _chosen(info: RunInfo, data: Mapping[str, Any], y: str | None) -> Column:
    known = {column.name: column for column in info.columns}
    if y is not None and y not in known:
        raise RunError(f"{info.title} has no column {y!r}{nearest(y, known)}")
    for column in [known[y]] if y is not None else info.readings:
        if any(map(is_number, _numbers(data[column.name]))):
            return column
    if not info.rows:
        raise RunError(f"{info.title} has no rows yet, so there is nothing to draw")
    what = repr(y) if y is not None else "no reading"
    raise RunError(f"{what} of {info.title} is a number that can be drawn; export it instead")


def _numbers(column: Any) -> list[float]:
    """Give the values of a column as numbers; NaN for what is none."""
    values = column.tolist() if hasattr(column, "tolist") else column
    return [float(value) if isinstance(value, int | float) else math.nan for value in values]


def _is_ladder(values: Sequence[Any]) -> bool:
    """Tell whether an axis can be one of a map: numbers, no two alike."""
    return all(map(is_number, values)) and len(set(values)) == len(values)


def _map(info: RunInfo, column: Column, values: list[float], inner: Sequence[Column], axes: Mapping[str, Sequence[Any]]) -> Map:
    """Give the map over the two innermost axes; of more axes, the slice that is measured last."""
    rows, width = info.shape[-2:]
    size = rows * width
    flat = [math.nan] * size
    first = (len(values) - 1) // size * size
    for number, place in enumerate(Grid(info.shape, snake=info.snake).places(len(values))):
        if number >= first:
            flat[place % size] = values[number]
    outer, across = ([float(value) for value in axes[axis.name]] for axis in inner)
    up = sorted(range(rows), key=outer.__getitem__)
    right = sorted(range(width), key=across.__getitem__)
    table = [[flat[i * width + j] for j in right] for i in up]
    return Map(
        info.title, inner[1].label, inner[0].label, column.label, [across[j] for j in right], [outer[i] for i in up], table
    )
