"""Plots, from a run's columns to lines of text and pictures."""

import math
import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentlab.errors import RunError
from agentlab.runs import plot, terminal
from agentlab.runs.figures import MOST_POINTS, Curve, Map, figure, pieces
from agentlab.runs.model import Column, RunInfo
from agentlab.runs.plot import HEIGHT, WIDTH
from agentlab.runs.scale import Scale

INFO = RunInfo(3, "peak", "done", 0.0, 1.0, "", 5, 5, (5,), False, (), "host", 1, "me", "0")


def info(*axes, shape, rows=None, readings=("y",), snake=False):
    columns = (
        Column("time", "s", "time"),
        *(Column(name, "V", "axis") for name in axes),
        *(Column(name, "W") for name in readings),
    )
    return replace(INFO, columns=columns, shape=shape, rows=math.prod(shape) if rows is None else rows, snake=snake)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(2, 12), st.booleans())
@example([0.0, 5e-324], 2, False)
@example([1e-320, 1e-300], 3, True)
def test_a_scale_holds_its_values_and_has_as_many_ticks_as_fit(values, most, from_zero):
    if from_zero:
        values = [abs(value) for value in values]
    scale = Scale.around(values, "x", most_ticks=most, from_zero=from_zero)
    slack = 2e-6
    assert all(-slack <= scale.part(value) <= 1 + slack for value in values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= most + 2
    assert [value for value, _ in ticks] == sorted(value for value, _ in ticks)


@pytest.mark.parametrize(
    ("low", "high", "first", "last"),
    [
        (780.225, 780.255, "780.225", "780.255"),
        (0.0, 1e-9, "0", "1e-09"),
        (1e9, 1.2e9, "1e+09", "1.2e+09"),
        (-20.0, 20.0, "-20", "20"),
    ],
)
def test_ticks_are_round_and_say_what_they_mean(low, high, first, last):
    texts = [text for _, text in Scale.around((low, high), "", most_ticks=7).ticks()]
    assert (texts[0], texts[-1]) == (first, last)
    assert len(set(texts)) == len(texts)


def test_a_curve_is_broken_where_values_are_missing():
    nan = math.nan
    assert pieces([1, 2, 3, 4, 5], [nan, 1, nan, 2, 3]) == [[(2, 1)], [(4, 2), (5, 3)]]


def test_many_points_are_thinned_without_losing_a_peak():
    x = [float(i) for i in range(100_000)]
    y = [0.0] * 100_000
    y[54_321], y[77_777] = 9.0, -9.0
    (line,) = pieces(x, y)
    assert len(line) <= MOST_POINTS
    assert (54_321.0, 9.0) in line
    assert (77_777.0, -9.0) in line
    assert line == sorted(line)


def test_one_axis_is_a_curve_and_the_first_number_is_drawn():
    about = info("x", shape=(3,), readings=("text", "y"))
    found = figure(about, {"x": [1, 2, 3], "text": ["a", "b", "c"], "y": [4.0, 5.0, 6.0]}, {"x": [1, 2, 3]})
    assert found == Curve("run 3 'peak'", "x (V)", "y (W)", [[(1.0, 4.0), (2.0, 5.0), (3.0, 6.0)]])


def test_an_axis_of_texts_is_drawn_by_number():
    found = figure(info("x", shape=(2,)), {"x": ["a", "b"], "y": [4.0, 5.0]}, {"x": ["a", "b"]})
    assert found.x == "point"
    assert found.points == [(0.0, 4.0), (1.0, 5.0)]


def test_two_axes_are_a_map_in_order_whatever_the_order_of_measuring():
    about = info("y2", "x", shape=(2, 3), snake=True)
    data = {"y2": [], "x": [], "y": [1.0, 2.0, 3.0, 6.0, 5.0]}
    found = figure(about, data, {"y2": [20, 10], "x": [1, 2, 3]})
    assert isinstance(found, Map)
    assert (found.up, found.across) == ([10.0, 20.0], [1.0, 2.0, 3.0])
    assert found.values[1] == [1.0, 2.0, 3.0]
    assert found.values[0][1:] == [5.0, 6.0]
    assert math.isnan(found.values[0][0])


def test_of_three_axes_the_last_slice_is_drawn():
    about = info("z", "y2", "x", shape=(2, 2, 2), rows=6)
    found = figure(about, {"y": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, {"z": [0, 1], "y2": [0, 1], "x": [0, 1]})
    assert found.values[0] == [5.0, 6.0]
    assert all(map(math.isnan, found.values[1]))


@pytest.mark.parametrize(
    ("y", "rows", "says"),
    [
        ("yy", [1.0], r"has no column 'yy'; did you mean 'y'\?"),
        (None, [], "has no rows yet"),
        (None, ["text"], "no reading of run 3 'peak' is a number"),
        ("y", [math.nan], "'y' of run 3"),
    ],
)
def test_what_cannot_be_drawn_is_told(y, rows, says):
    with pytest.raises(RunError, match=says):
        figure(info("x", shape=(1,), rows=len(rows)), {"x": [1.0] * len(rows), "y": rows}, {"x": [1.0]}, y)


@pytest.mark.parametrize("axes", [("x",), ("u", "x")])
def test_values_too_far_apart_are_told(axes):
    values, shape = [1e308, -1e308], (2, 1)[-len(axes) :] if len(axes) > 1 else (2,)
    about = info(*axes, shape=shape)
    with pytest.raises(RunError, match="y of run 3 'peak' has values too far apart to be drawn; export it instead"):
        figure(about, {"x": values, "u": values, "y": values}, {"x": values[: shape[-1]], "u": values})
    with pytest.raises(RunError, match="too far apart to be drawn"):
        Scale.around(values, "x", most_ticks=7)


PEAK = Curve("a title", "x (V)", "y (W)", [[(i / 10, math.exp(-((i / 10 - 3) ** 2))) for i in range(61)]])
HILL = Map("a title", "x (V)", "y (V)", "z (W)", [0.0, 1.0, 2.0], [0.0, 1.0], [[0.0, 1.0, 2.0], [2.0, 3.0, math.nan]])


@pytest.mark.parametrize("made", [PEAK, HILL, Curve("", "x", "y", [[(1.0, 1.0)]]), Map("", "x", "y", "z", [1.0], [1.0], [[5.0]])])
@pytest.mark.parametrize("width", [30, 78])
def test_a_plot_fits_its_width(made, width):
    lines = terminal.draw(made, width=width, height=10)
    assert max(map(len, lines)) <= width
    assert len(lines) >= 13
    assert all(unicodedata.east_asian_width(c) not in "WF" for line in lines for c in line)
    assert "\n".join(map(terminal.as_ascii, lines)).isascii()


def test_a_curve_shows_its_line_ticks_and_units():
    lines = terminal.draw(PEAK)
    text = "\n".join(lines)
    assert all(word in text for word in ("y (W)", "x (V)", "1.0 ┤", "0.0 ┤"))
    dots = {(row, column) for row, line in enumerate(lines) for column, c in enumerate(line) if "\u2801" <= c <= "\u28ff"}
    top = min(row for row, _ in dots)
    middle = [column for row, column in dots if row == top]
    assert "1.0 ┤" in lines[top], "the peak is at 1"
    assert abs(sum(middle) / len(middle) - 40) < 4, "and in the middle"


def test_a_map_shows_low_and_high_where_they_are():
    lines = terminal.draw(HILL, width=40, height=4)
    upper, lower = lines[1], lines[4]
    assert lower.index("·") < lower.index("░") < lower.index("▓")
    assert "▓" in upper and "█" in upper and upper.endswith("█"), "what is missing is blank"
    assert "z (W)" in lines[-1]


def pixels(image, wanted):
    apart = np.abs(np.asarray(image)[::2, ::2].astype(int) - wanted).sum(axis=2)
    return [(2 * int(x), 2 * int(y)) for y, x in zip(*np.nonzero(apart < 30), strict=True)]


def test_a_picture_has_its_line_where_it_belongs():
    flat = plot.draw(Curve("", "x", "y", [[(i / 10, 5.0) for i in range(101)]])).convert("RGB")
    line = pixels(flat, (0x1F, 0x5F, 0xA8))
    middle = 62 + (HEIGHT - 62 - 78) / 2
    assert line
    assert all(abs(y - middle) < 4 for _, y in line)


def test_a_picture_has_its_marks():
    marked = plot.draw(replace(PEAK, marks=((3.0, 1.0, "here"),))).convert("RGB")
    assert pixels(marked, (0xB0, 0x41, 0x3E))
    assert not pixels(plot.draw(PEAK).convert("RGB"), (0xB0, 0x41, 0x3E))


def test_a_picture_of_a_map_has_low_high_and_missing():
    picture = plot.draw(HILL).convert("RGB")
    assert picture.size == (WIDTH, HEIGHT)
    left_below, right_above = (140, HEIGHT - 120), (WIDTH - 180, 120)
    assert picture.getpixel(left_below) == plot.colour(0.0)
    assert picture.getpixel(right_above) == plot.NOTHING
    assert plot.colour(1.0) != plot.colour(0.0)
