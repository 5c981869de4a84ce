"""Plots as pictures, drawn with pillow: a line, or a map in colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agentlab.runs.figures import Curve, Map
from agentlab.runs.scale import Scale
from agentlab.runs.terminal import nearest_places

if TYPE_CHECKING:
    from PIL import Image

WIDTH, HEIGHT = 1000, 620
"""Pixels."""
LEFT, RIGHT, TOP, BOTTOM = 92, 46, 62, 78
"""Pixels between the plot and the picture's edges."""
BAR = 90
"""Pixels more to the right, for what the colours of a map mean."""
FINER = 3
"""The picture is drawn so many times larger and then reduced: pillow's lines have no soft edges of their own."""
TICKS = 7

INK, FAINT, LINE, MARK, NOTHING = "#222222", "#e4e4e8", "#1f5fa8", "#b0413e", (238, 238, 240)
_COLOURS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""From low to high, in equal steps: dark to bright, so that a print in grey shows the same."""


def draw(figure: Curve | Map) -> Image.Image:
    """Draw a figure.

    Returns:
        The picture, 1000 by 620 pixels.
    """
    from PIL import Image

    drawing = _draw_curve(figure) if isinstance(figure, Curve) else _draw_map(figure)
    drawing.labels(figure.title)
    return drawing.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def _draw_curve(figure: Curve) -> _Drawing:
    points = figure.points
    x = Scale.around((point[0] for point in points), figure.x, most_ticks=TICKS)
    y = Scale.around((point[1] for point in points), figure.y, most_ticks=TICKS, from_zero=figure.from_zero)
    drawing = _Drawing(x, y, RIGHT)
    drawing.grid()
    for piece in figure.pieces:
        drawing.curve(piece)
    for mark in figure.marks:
        drawing.mark(*mark)
    return drawing


def _draw_map(figure: Map) -> _Drawing:
    known = [value for row in figure.values for value in row if math.isfinite(value)]
    x = Scale.cells(figure.across, figure.x, most_ticks=TICKS)
    y = Scale.cells(figure.up, figure.y, most_ticks=TICKS)
    drawing = _Drawing(x, y, RIGHT + BAR)
    drawing.colours(figure, min(known), max(known))
    drawing.ticks(lines=False)
    drawing.bar(Scale.around(known, figure.z, most_ticks=TICKS, tight=True))
    return drawing


def colour(part: float) -> tuple[int, int, int]:
    """Give the colour of a value: 0 the lowest, 1 the highest; NaN is grey."""
    if not math.isfinite(part):
        return NOTHING
    place = min(1.0, max(0.0, part)) * (len(_COLOURS) - 1)
    low = min(int(place), len(_COLOURS) - 2)
    red, green, blue = (round(a + (b - a) * (place - low)) for a, b in zip(_COLOURS[low], _COLOURS[low + 1], strict=True))
    return red, green, blue


class _Drawing:
    """A plot while it is drawn; all lengths are those of the picture before it is reduced."""

    def __init__(self, x: Scale, y: Scale, right: int) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self.x, self.y = x, y
        self.image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.box = (LEFT * FINER, TOP * FINER, (WIDTH - right) * FINER, (HEIGHT - BOTTOM) * FINER)
        self.small, self.large = (ImageFont.load_default(size * FINER) for size in (17, 21))

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return left + self.x.part(x) * (right - left), bottom - self.y.part(y) * (bottom - top)

    def grid(self) -> None:
        self.ticks(lines=True)
        self.pen.rectangle(self.box, outline=INK, width=FINER)

    def ticks(self, *, lines: bool) -> None:
        left, top, right, bottom = self.box
        tick = 6 * FINER
        for value, text in self.x.ticks():
            place, _ = self.at(value, self.y.low)
            if lines:
                self.pen.line((place, top, place, bottom), FAINT, FINER)
            self.pen.line((place, bottom, place, bottom + tick), INK, FINER)
            self.pen.text((place, bottom + 2 * tick), text, INK, self.small, anchor="mt")
        for value, text in self.y.ticks():
            _, place = self.at(self.x.low, value)
            if lines:
                self.pen.line((left, place, right, place), FAINT, FINER)
            self.pen.line((left - tick, place, left, place), INK, FINER)
            self.pen.text((left - 2 * tick, place), text, INK, self.small, anchor="rm")

    def curve(self, points: list[tuple[float, float]]) -> None:
        places = [self.at(*point) for point in points]
        if len(places) > 1:
            self.pen.line(places, LINE, 2 * FINER, joint="curve")
        if len(places) <= 60:  # few points are seen as such
            size = 3 * FINER
            for across, down in places:
                self.pen.ellipse((across - size, down - size, across + size, down + size), LINE)

    def mark(self, x: float, y: float, text: str) -> None:
        across, down = self.at(x, y)
        size = 4 * FINER
        self.pen.ellipse((across - size, down - size, across + size, down + size), "white", MARK, FINER * 3 // 2)
        half = self.pen.textlength(text, self.small) / 2 + size
        across = min(max(across, self.box[0] + half), self.box[2] - half)
        self.pen.text((across, down + 3 * size), text, MARK, self.small, anchor="mt")

    def colours(self, figure: Map, low: float, high: float) -> None:
        """Fill the box: each of its pixels has the colour of the nearest value."""
        from PIL import Image

        left, top, right, bottom = self.box
        width, height = (right - left) // FINER, (bottom - top) // FINER
        span = (high - low) or 1.0
        across = nearest_places(figure.across, self.x, width)
        lines: dict[int, bytes] = {}
        for i in set(nearest_places(figure.up, self.y, height)):
            shades = [bytes(colour((value - low) / span)) for value in figure.values[i]]
            lines[i] = b"".join(shades[j] for j in across)
        content = b"".join(lines[i] for i in reversed(nearest_places(figure.up, self.y, height)))
        piece = Image.frombytes("RGB", (width, height), content)
        self.image.paste(piece.resize((right - left, bottom - top), Image.Resampling.NEAREST), (left, top))
        self.pen.rectangle(self.box, outline=INK, width=FINER)

    def bar(self, z: Scale) -> None:
        """Draw what the colours mean, at the right."""
        _, top, right, bottom = self.box
        left, tick = right + 14 * FINER, 4 * FINER
        end = left + 16 * FINER
        for place in range(top, bottom):
            self.pen.line((left, place, end, place), colour((bottom - place) / (bottom - top)))
        self.pen.rectangle((left, top, end, bottom), outline=INK, width=FINER)
        for value, text in z.ticks():
            place = bottom - round(z.part(value) * (bottom - top))
            self.pen.line((end, place, end + tick, place), INK, FINER)
            self.pen.text((end + 2 * tick, place), text, INK, self.small, anchor="lm")
        self.pen.text((self.image.width - 12 * FINER, top - 12 * FINER), z.label, INK, self.small, anchor="rs")

    def labels(self, title: str) -> None:
        left, top, right, bottom = self.box
        self.pen.text((left, top - 16 * FINER), title, INK, self.large, anchor="ls")
        self.pen.text(((left + right) / 2, bottom + 44 * FINER), self.x.label, INK, self.small, anchor="mt")
        self._upright(self.y.label, (24 * FINER, (top + bottom) // 2))

    def _upright(self, text: str, centre: tuple[int, int]) -> None:
        """Write a text from below to above; pillow writes only to the right, so it is turned."""
        from PIL import Image, ImageDraw

        box = self.small.getbbox(text)
        size = (int(box[2]) + 2, int(box[3]) + 2 * FINER)
        piece = Image.new("L", size, 0)
        ImageDraw.Draw(piece).text((0, 0), text, 255, self.small)
        turned = piece.rotate(90, expand=True)
        place = (centre[0] - turned.width // 2, centre[1] - turned.height // 2)
        self.image.paste(Image.new("RGB", turned.size, INK), place, turned)
