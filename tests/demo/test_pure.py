"""What the demonstration calculates and draws, without any agent."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from agentlab.demo.axis import Axis
from agentlab.demo.picture import HEIGHT, WIDTH, draw_plot
from agentlab.demo.sample import LINES, line_near, transmission
from agentlab.demo.show import save_files, show
from agentlab.demo.spectrum import Spectrum
from agentlab.demo.textplot import as_ascii, text_plot


def ideal(points=241):
    wavelengths = [780.225 + 0.03 * i / (points - 1) for i in range(points)]
    return Spectrum.of([(nm, transmission(nm)) for nm in wavelengths])


def test_light_is_absorbed_at_the_lines_and_passes_between():
    assert transmission(780.225) == pytest.approx(1.0, abs=1e-6)
    for line in LINES:
        assert transmission(line.wavelength_nm) == pytest.approx(math.exp(-line.depth), rel=0.01)
    assert LINES[-1].wavelength_nm == pytest.approx(780.2464, abs=1e-4)  # Steck: 780.2412 nm, 2.563 GHz to the red


def test_a_line_is_named_only_where_it_is():
    assert line_near(LINES[0].wavelength_nm + 0.0001, 0.0006) is LINES[0]
    assert line_near(780.2350, 0.0006) is None


@pytest.mark.parametrize("points", [101, 121, 241, 1000])
def test_every_line_is_found_once(points):
    spectrum = ideal(points)
    found = [line_near(spectrum.wavelengths_nm[i], 0.0006) for i in spectrum.lines()]
    assert found == list(LINES)


@pytest.mark.parametrize("powers", [[1.0] * 50, [0.0] * 50, [1.0], [float(i) for i in range(50)]])
def test_no_line_is_found_where_there_is_none(powers):
    assert Spectrum.of([(780 + i, power) for i, power in enumerate(powers)]).lines() == []


def test_the_selection_has_the_ends_and_the_lines_and_no_more_than_asked():
    spectrum = ideal()
    chosen = spectrum.selection(12)
    assert {0, 240, *spectrum.lines()} <= set(chosen)
    assert chosen == sorted(set(chosen))
    assert 8 <= len(chosen) <= 12


def test_csv_says_names_and_units():
    assert Spectrum.of([(780.2, 1.0), (780.1, 0.123456)]).csv() == "wavelength_nm,power_mw\n780.1000,0.12346\n780.2000,1.00000\n"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.integers(2, 12), st.booleans())
def test_an_axis_holds_its_values_and_has_as_many_ticks_as_fit(values, most, from_zero):
    if from_zero:
        values = [abs(value) for value in values]
    axis = Axis.around(tuple(values), "x", most_ticks=most, from_zero=from_zero)
    slack = 2e-6
    assert all(-slack <= axis.part(value) <= 1 + slack for value in values)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= most + 2
    assert [value for value, _ in ticks] == sorted(value for value, _ in ticks)


def test_ticks_are_round_and_say_what_they_mean():
    axis = Axis.around((780.225, 780.255), "nm", most_ticks=7)
    assert [text for _, text in axis.ticks()] == ["780.225", "780.230", "780.235", "780.240", "780.245", "780.250", "780.255"]


def test_the_plot_fits_its_width_and_shows_line_ticks_and_units():
    spectrum = ideal()
    points = list(zip(spectrum.wavelengths_nm, spectrum.powers_mw, strict=True))
    x = Axis.around(spectrum.wavelengths_nm, "wavelength (nm)", most_ticks=7)
    y = Axis.around(spectrum.powers_mw, "power (mW)", most_ticks=7, from_zero=True)
    plot = text_plot(x, y, points, width=78, height=16)
    assert max(map(len, plot)) <= 78
    assert all(unicodedata.east_asian_width(c) not in "WF" for line in plot for c in line)
    text = "\n".join(plot)
    assert all(word in text for word in ("power (mW)", "wavelength (nm)", "1.0 ┤", "780.225", "780.255"))
    dots = {(row, column) for row, line in enumerate(plot) for column, c in enumerate(line) if "\u2801" <= c <= "\u28ff"}
    assert len({column for _, column in dots}) > 60, "the line goes from one side to the other"
    deepest = max(row for row, _ in dots)
    number = [i for i, line in enumerate(plot) if "┤" in line and float(line.split("┤")[0]) in (0.2, 0.4)]
    assert number[0] <= deepest <= number[1]
    assert "\n".join(map(as_ascii, plot)).isascii()


def test_the_picture_has_axes_a_line_and_the_marks(tmp_path):
    spectrum = ideal()
    paths = save_files(spectrum, tmp_path, "a title")
    assert [path.name for path in paths] == ["spectrum.csv", "spectrum.png"]
    with Image.open(paths[1]) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(WIDTH * HEIGHT)}
    for wanted in ((0x1F, 0x5F, 0xA8), (0xB0, 0x41, 0x3E), (0x22, 0x22, 0x22)):
        assert any(sum(abs(a - b) for a, b in zip(wanted, colour, strict=True)) < 30 for colour in colours), wanted


def test_a_point_is_drawn_where_it_belongs():
    axis = Axis(0.0, 10.0, 5.0, "s")
    flat = draw_plot(axis, axis, [(0.0, 5.0), (10.0, 5.0)], "", []).convert("RGB")
    blue = [y for y in range(HEIGHT) if flat.getpixel((WIDTH // 3, y))[2] > flat.getpixel((WIDTH // 3, y))[0] + 60]
    assert blue
    assert abs(sum(blue) / len(blue) - (62 + (HEIGHT - 62 - 78) / 2)) < 2


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_can_be_shown_on_any_terminal(encoding, tmp_path):
    with (tmp_path / "shown").open("w", encoding=encoding) as file:
        show(ideal(), Console(file=file, width=80))
    lines = (tmp_path / "shown").read_text(encoding).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("Rb-8" in line for line in lines) == len(LINES)
