"""A line plot as a picture, drawn with pillow."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from agentlab.demo.axis import Axis

WIDTH, HEIGHT = 1000, 620
"""Pixels."""
LEFT, RIGHT, TOP, BOTTOM = 92, 46, 62, 78
"""Pixels between the plot and the picture's edges."""
FINER = 3
"""The picture is drawn so many times larger and then reduced: pillow's lines have no soft edges of their own."""

INK, FAINT, LINE, MARK = "#222222", "#e4e4e8", "#1f5fa8", "#b0413e"


def draw_plot(
    x: Axis, y: Axis, points: list[tuple[float, float]], title: str, marks: list[tuple[float, float, str]]
) -> Image.Image:
    """Draw a line through points, with axes, a grid and marked points.

    Args:
        x: The axis to the right.
        y: The axis upwards.
        points: x and y of each point, in the order in which the line goes.
        title: The text above.
        marks: x, y and text of points to mark.

    Returns:
        The picture, 1000 by 620 pixels.
    """
    drawing = _Drawing(x, y)
    drawing.grid()
    drawing.curve(points)
    for mark in marks:
        drawing.mark(*mark)
    drawing.labels(title)
    return drawing.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


class _Drawing:
    """A plot while it is drawn; all lengths are those of the picture before it is reduced."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self.x, self.y = x, y
        self.image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), "white")
        self.pen = ImageDraw.Draw(self.image)
        self.box = (LEFT * FINER, TOP * FINER, (WIDTH - RIGHT) * FINER, (HEIGHT - BOTTOM) * FINER)
        self.small, self.large = (ImageFont.load_default(size * FINER) for size in (17, 21))

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self.box
        return left + self.x.part(x) * (right - left), bottom - self.y.part(y) * (bottom - top)

    def grid(self) -> None:
        left, top, right, bottom = self.box
        tick = 6 * FINER
        for value, text in self.x.ticks():
            place, _ = self.at(value, self.y.low)
            self.pen.line((place, top, place, bottom), FAINT, FINER)
            self.pen.line((place, bottom, place, bottom + tick), INK, FINER)
            self.pen.text((place, bottom + 2 * tick), text, INK, self.small, anchor="mt")
        for value, text in self.y.ticks():
            _, place = self.at(self.x.low, value)
            self.pen.line((left, place, right, place), FAINT, FINER)
            self.pen.line((left - tick, place, left, place), INK, FINER)
            self.pen.text((left - 2 * tick, place), text, INK, self.small, anchor="rm")
        self.pen.rectangle(self.box, outline=INK, width=FINER)

    def curve(self, points: list[tuple[float, float]]) -> None:
        places = [self.at(*point) for point in points]
        self.pen.line(places, LINE, 2 * FINER, joint="curve")

    def mark(self, x: float, y: float, text: str) -> None:
        across, down = self.at(x, y)
        size = 4 * FINER
        self.pen.ellipse((across - size, down - size, across + size, down + size), "white", MARK, FINER * 3 // 2)
        half = self.pen.textlength(text, self.small) / 2 + size
        across = min(max(across, self.box[0] + half), self.box[2] - half)
        self.pen.text((across, down + 3 * size), text, MARK, self.small, anchor="mt")

    def labels(self, title: str) -> None:
        left, top, right, bottom = self.box
        self.pen.text((left, top - 16 * FINER), title, INK, self.large, anchor="ls")
        self.pen.text(((left + right) / 2, bottom + 44 * FINER), self.x.label, INK, self.small, anchor="mt")
        self._upright(self.y.label, (24 * FINER, (top + bottom) // 2))

    def _upright(self, text: str, centre: tuple[int, int]) -> None:
        """Write a text from below to above; pillow writes only to the right, so it is turned."""
        box = self.small.getbbox(text)
        size = (int(box[2]) + 2, int(box[3]) + 2 * FINER)
        piece = Image.new("L", size, 0)
        ImageDraw.Draw(piece).text((0, 0), text, 255, self.small)
        turned = piece.rotate(90, expand=True)
        place = (centre[0] - turned.width // 2, centre[1] - turned.height // 2)
        self.image.paste(Image.new("RGB", turned.size, INK), place, turned)
