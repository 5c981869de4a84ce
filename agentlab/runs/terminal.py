"""Plots as text: a line of braille dots, each character 2 dots wide and 4 high; a map of shades. Pure calculation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agentlab.runs.figures import Curve, Map
from agentlab.runs.scale import Scale

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character: row from above, column from the left."""
_SHADES = "·░▒▓█"
_OVERHANG = 3
"""Characters to the right of the plot, so that the last number can stand in the middle under its tick."""
_TICKS = 7
_ASCII = str.maketrans(
    "".join(map(chr, range(_BRAILLE, _BRAILLE + 256))) + "─│┤┬└" + _SHADES, " " + "*" * 255 + "-|+++" + ".:+#@"
)


def draw(figure: Curve | Map, *, width: int = 78, height: int = 16) -> list[str]:
    """Draw a figure.

    Args:
        figure: What.
        width: Characters of a line of text, labels included; at least 30.
        height: Lines of text of the plot itself.

    Returns:
        Lines of text, the labels of both axes included; none is longer than `width`.
    """
    if isinstance(figure, Curve):
        points = figure.points
        x = Scale.around((point[0] for point in points), figure.x, most_ticks=_TICKS)
        y = Scale.around(
            (point[1] for point in points), figure.y, most_ticks=min(_TICKS, max(2, height // 2)), from_zero=figure.from_zero
        )
        columns = width - _margin(y) - 1 - _OVERHANG
        return _framed(x, y, _line(x, y, figure.pieces, columns, height), width)
    x = Scale.cells(figure.across, figure.x, most_ticks=_TICKS)
    y = Scale.cells(figure.up, figure.y, most_ticks=min(_TICKS, max(2, height // 2)))
    columns = width - _margin(y) - 1 - _OVERHANG
    lines = _framed(x, y, _shaded(figure, x, y, columns, height), width)
    known = [value for row in figure.values for value in row if math.isfinite(value)]
    low, high = min(known), max(known)
    return [*lines, " " * _margin(y) + f" {_SHADES[0]} {low:.4g} to {_SHADES[-1]} {high:.4g}: {figure.z}"[: columns + _OVERHANG]]


def as_ascii(line: str) -> str:
    """Give a line of a plot for a terminal that shows ASCII alone."""
    return line.translate(_ASCII)


def _margin(y: Scale) -> int:
    return max(len(text) for _, text in y.ticks()) + 1


def _framed(x: Scale, y: Scale, canvas: Sequence[str], width: int) -> list[str]:
    margin, height = _margin(y), len(canvas)
    columns = width - margin - 1 - _OVERHANG
    labels = {_row(y.part(value), height): text for value, text in y.ticks()}
    lines = [(" " * max(0, margin - 3) + y.label)[:width]]
    for row, content in enumerate(canvas):
        text = labels.get(row, "")
        lines.append(f"{text:>{margin - 1}} {'┤' if text else '│'}{content}")
    lines += [*_bottom(x, margin, columns), " " * margin + f" {x.label[:columns]:^{columns}}"]
    return [line.rstrip(chr(_BRAILLE) + " ") for line in lines]


def _row(part: float, height: int) -> int:
    return min(height - 1, max(0, round((1 - part) * (height * 4 - 1)) // 4))


def _line(x: Scale, y: Scale, pieces: list[list[tuple[float, float]]], columns: int, height: int) -> list[str]:
    canvas = [[0] * columns for _ in range(height)]
    across, down = columns * 2 - 1, height * 4 - 1
    for piece in pieces:
        dots = [(round(x.part(px) * across), round((1 - y.part(py)) * down)) for px, py in piece]
        for (x0, y0), (x1, y1) in zip(dots, dots[1:] or dots, strict=False):
            steps = max(abs(x1 - x0), abs(y1 - y0), 1)
            for i in range(steps + 1):
                dx, dy = round(x0 + (x1 - x0) * i / steps), round(y0 + (y1 - y0) * i / steps)
                if 0 <= dx <= across and 0 <= dy <= down:
                    canvas[dy // 4][dx // 2] |= _DOTS[dy % 4][dx % 2]
    return ["".join(chr(_BRAILLE + bits) for bits in row) for row in canvas]


def _shaded(figure: Map, x: Scale, y: Scale, columns: int, height: int) -> list[str]:
    """Give for each character the shade of the value that is nearest to its middle; a blank where there is none."""
    known = [value for row in figure.values for value in row if math.isfinite(value)]
    low, span = min(known), (max(known) - min(known)) or 1.0
    right = nearest_places(figure.across, x, columns)
    lines = []
    for i in reversed(nearest_places(figure.up, y, height)):
        row = figure.values[i]
        shades = (_SHADES[min(4, int((row[j] - low) / span * 5))] if math.isfinite(row[j]) else " " for j in right)
        lines.append("".join(shades))
    return lines


def nearest_places(values: Sequence[float], scale: Scale, count: int) -> list[int]:
    """Give for each of `count` equal parts of a scale which of the values, ascending, is nearest to its middle."""
    found, place = [], 0
    for i in range(count):
        middle = scale.low + (i + 0.5) / count * (scale.high - scale.low)
        while place + 1 < len(values) and abs(values[place + 1] - middle) <= abs(values[place] - middle):
            place += 1
        found.append(place)
    return found


def _bottom(x: Scale, margin: int, columns: int) -> tuple[str, str]:
    """Give the rule with its ticks, and the numbers under them: those that find room."""
    rule, numbers = ["─"] * columns, [" "] * (margin + 1 + columns + _OVERHANG)
    for value, text in x.ticks():
        place = min(columns - 1, max(0, round(x.part(value) * (columns - 1))))
        rule[place] = "┬"
        start = min(margin + 1 + place - len(text) // 2, len(numbers) - len(text))
        if start >= 0 and all(c == " " for c in numbers[max(0, start - 1) : start + len(text) + 1]):
            numbers[start : start + len(text)] = text
    return " " * margin + "└" + "".join(rule), "".join(numbers)
