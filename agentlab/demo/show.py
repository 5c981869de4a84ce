"""A spectrum for people: a table and a plot in the terminal, a picture and a table of numbers in files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentlab.demo.spectrum import Spectrum
from agentlab.instruments.simulated.sample import Line, line_near
from agentlab.runs import export, plot, terminal
from agentlab.runs.figures import Curve

ROWS = 12
NEAR_NM = 0.0006
"""nm between a minimum that was found and the line that it is said to be: a little more than half a line's width."""
X_LABEL, Y_LABEL = "wavelength in vacuum (nm)", "power (mW)"
WIDEST = 78


def show(spectrum: Spectrum, console: Console) -> None:
    """Print a table of some points, and a plot of all. It fits a terminal of 80 columns, and narrower ones down to 40."""
    lines = _lines(spectrum)
    chosen = spectrum.selection(ROWS)
    table = Table(title=f"{len(chosen)} of {len(spectrum.powers_mw)} points", title_justify="left", title_style="")
    for heading in ("point", "wavelength (nm)", "power (mW)"):
        table.add_column(heading, justify="right")
    table.add_column("absorption line")
    for i in chosen:
        found = lines.get(i)
        name = "" if i not in lines else found.name if found is not None else "not known"
        style = "bold" if name else ""
        table.add_row(str(i + 1), f"{spectrum.wavelengths_nm[i]:.4f}", f"{spectrum.powers_mw[i]:.3f}", name, style=style)
    console.print(table)
    console.print()
    for text in terminal.draw(_curve(spectrum), width=max(40, min(WIDEST, console.width - 1))):
        # As it is: a plot has nothing to highlight, and a line broken in two is no plot any more.
        shown = terminal.as_ascii(text) if console.options.ascii_only else text
        console.print(shown, markup=False, highlight=False, soft_wrap=True)
    console.print()


def save_files(spectrum: Spectrum, directory: Path, title: str) -> list[Path]:
    """Write ``spectrum.csv`` and ``spectrum.png`` and give their paths; older ones are replaced. Raises RunError: it cannot."""
    picture = plot.draw(_curve(spectrum, title))
    return [
        export.write(directory / "spectrum.csv", lambda file: file.write(spectrum.csv().encode())),
        export.write(directory / "spectrum.png", lambda file: picture.save(file, "PNG", dpi=(144, 144))),
    ]


def _lines(spectrum: Spectrum) -> dict[int, Line | None]:
    return {i: line_near(spectrum.wavelengths_nm[i], NEAR_NM) for i in spectrum.lines()}


def _curve(spectrum: Spectrum, title: str = "") -> Curve:
    points = list(zip(spectrum.wavelengths_nm, spectrum.powers_mw, strict=True))
    marks = tuple((*points[i], line.name) for i, line in _lines(spectrum).items() if line is not None)
    return Curve(title, X_LABEL, Y_LABEL, [points], marks, from_zero=True)
