"""What the demonstration calculates and draws, without any agent."""

import math

import pytest
from PIL import Image
from rich.console import Console

from agentlab.demo.show import save_files, show
from agentlab.demo.spectrum import Spectrum
from agentlab.instruments.simulated.sample import LINES, line_near, transmission
from agentlab.runs.plot import HEIGHT, WIDTH


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


def test_the_picture_has_axes_a_line_and_the_marks(tmp_path):
    spectrum = ideal()
    paths = save_files(spectrum, tmp_path, "a title")
    assert [path.name for path in paths] == ["spectrum.csv", "spectrum.png"]
    with Image.open(paths[1]) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(WIDTH * HEIGHT)}
    for wanted in ((0x1F, 0x5F, 0xA8), (0xB0, 0x41, 0x3E), (0x22, 0x22, 0x22)):
        assert any(sum(abs(a - b) for a, b in zip(wanted, colour, strict=True)) < 30 for colour in colours), wanted


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_can_be_shown_on_any_terminal(encoding, tmp_path):
    with (tmp_path / "shown").open("w", encoding=encoding) as file:
        show(ideal(), Console(file=file, width=80))
    lines = (tmp_path / "shown").read_text(encoding).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("Rb-8" in line for line in lines) == len(LINES)
