"""A spectrum as a value: what was measured, where its lines are, and as a file of numbers. Pure calculation."""

from __future__ import annotations

import csv
import io
import statistics
from dataclasses import dataclass

SMOOTHING = 5
"""Points that are averaged before lines are looked for: noise has minima too."""
LEAST_DEPTH = 0.12
"""Part of the light that must be missing for a minimum to count as a line."""


@dataclass(frozen=True)
class Spectrum:
    """Points of a scan: wavelengths in nm, ascending, and at each of them the power in mW."""

    wavelengths_nm: tuple[float, ...]
    powers_mw: tuple[float, ...]

    @classmethod
    def of(cls, points: list[tuple[float, float]]) -> Spectrum:
        """Give the spectrum of points (wavelength in nm, power in mW) in any order."""
        ordered = sorted(points)
        return cls(tuple(point[0] for point in ordered), tuple(point[1] for point in ordered))

    def lines(self) -> list[int]:
        """Give the indices of the points where absorption lines are deepest."""
        smooth = self._smoothed()
        reach = max(2, len(smooth) // 40)
        top = max(smooth, default=0.0)
        found: list[int] = []
        for i, power in enumerate(smooth):
            around = smooth[max(0, i - reach) : i + reach + 1]
            is_inside = reach <= i < len(smooth) - reach
            if is_inside and power == min(around) and power < top * (1 - LEAST_DEPTH) and (not found or i - found[-1] > reach):
                found.append(i)
        return found

    def selection(self, most: int) -> list[int]:
        """Give indices of points that show what there is: both ends, every line, and others evenly between, sorted."""
        last = len(self.powers_mw) - 1
        lines = self.lines()
        spare = max(0, most - len(lines) - 2)
        between = (round((i + 1) * last / (spare + 1)) for i in range(spare))
        apart = last / most / 4  # a row beside the one of a line would say the same again
        return sorted({0, last, *lines, *(i for i in between if all(abs(i - line) > apart for line in lines))})

    def csv(self) -> str:
        """Give it as the text of a CSV file with a line of names."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["wavelength_nm", "power_mw"])
        writer.writerows((f"{nm:.4f}", f"{mw:.5f}") for nm, mw in zip(self.wavelengths_nm, self.powers_mw, strict=True))
        return text.getvalue()

    def _smoothed(self) -> list[float]:
        half = SMOOTHING // 2
        return [statistics.fmean(self.powers_mw[max(0, i - half) : i + half + 1]) for i in range(len(self.powers_mw))]
