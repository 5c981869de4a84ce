"""A line plot as text: dots of braille characters, each 2 dots wide and 4 high. Pure calculation."""

from __future__ import annotations

from agentlab.demo.axis import Axis

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character: row from above, column from the left."""
_OVERHANG = 3
"""Characters to the right of the plot, so that the last number can stand in the middle under its tick."""
_ASCII = str.maketrans("".join(map(chr, range(_BRAILLE, _BRAILLE + 256))) + "─│┤┬└", " " + "*" * 255 + "-|+++")


def text_plot(x: Axis, y: Axis, points: list[tuple[float, float]], *, width: int = 78, height: int = 16) -> list[str]:
    """Draw a line through points.

    Args:
        x: The axis to the right.
        y: The axis upwards.
        points: x and y of each point, in the order in which the line goes.
        width: Characters of a line of text, labels included.
        height: Lines of text of the plot itself.

    Returns:
        Lines of text, the labels of both axes included; none is longer than `width`.
    """
    margin = max(len(text) for _, text in y.ticks()) + 1
    columns = width - margin - 1 - _OVERHANG
    canvas = _canvas(x, y, points, columns, height)
    labels = {_row(y.part(value), height): text for value, text in y.ticks()}
    lines = [" " * max(0, margin - 3) + y.label]
    for row in range(height):
        text = labels.get(row, "")
        lines.append(f"{text:>{margin - 1}} {'┤' if text else '│'}" + "".join(chr(_BRAILLE + bits) for bits in canvas[row]))
    lines += [*_bottom(x, margin, columns), " " * margin + f" {x.label:^{columns}}"]
    return [line.rstrip(chr(_BRAILLE) + " ") for line in lines]


def as_ascii(line: str) -> str:
    """Give a line of a plot for a terminal that shows ASCII alone."""
    return line.translate(_ASCII)


def _row(part: float, height: int) -> int:
    return min(height - 1, max(0, round((1 - part) * (height * 4 - 1)) // 4))


def _canvas(x: Axis, y: Axis, points: list[tuple[float, float]], columns: int, height: int) -> list[list[int]]:
    canvas = [[0] * columns for _ in range(height)]
    across, down = columns * 2 - 1, height * 4 - 1
    dots = [(round(x.part(px) * across), round((1 - y.part(py)) * down)) for px, py in points]
    for (x0, y0), (x1, y1) in zip(dots, dots[1:] or dots, strict=False):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(steps + 1):
            dx, dy = round(x0 + (x1 - x0) * i / steps), round(y0 + (y1 - y0) * i / steps)
            if 0 <= dx <= across and 0 <= dy <= down:
                canvas[dy // 4][dx // 2] |= _DOTS[dy % 4][dx % 2]
    return canvas


def _bottom(x: Axis, margin: int, columns: int) -> tuple[str, str]:
    """Give the rule with its ticks, and the numbers under them: those that find room."""
    rule, numbers = ["─"] * columns, [" "] * (margin + 1 + columns + _OVERHANG)
    for value, text in x.ticks():
        place = round(x.part(value) * (columns - 1))
        rule[place] = "┬"
        start = min(margin + 1 + place - len(text) // 2, len(numbers) - len(text))
        if start >= 0 and all(c == " " for c in numbers[max(0, start - 1) : start + len(text) + 1]):
            numbers[start : start + len(text)] = text
    return " " * margin + "└" + "".join(rule), "".join(numbers)
