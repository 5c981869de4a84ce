"""What the simulated light passes through: a glass cell with rubidium vapour. Pure calculation."""

from __future__ import annotations

import math
from dataclasses import dataclass

SPEED_OF_LIGHT = 299_792_458.0
"""m/s."""
CENTRE_GHZ = 384_230.484_468
"""Frequency of the D2 line of rubidium 87, without hyperfine structure; GHz. Source: D. A. Steck, Rubidium 87 D Line Data."""
DOPPLER_GHZ = 0.217
"""Standard deviation of the Doppler-broadened lines at 298 K; GHz."""


@dataclass(frozen=True)
class Line:
    """An absorption line: its name, its distance from :data:`CENTRE_GHZ` in GHz, its optical depth in the middle."""

    name: str
    detuning_ghz: float
    depth: float

    @property
    def wavelength_nm(self) -> float:
        """Its wavelength in vacuum, nm."""
        return SPEED_OF_LIGHT / (CENTRE_GHZ + self.detuning_ghz)


LINES = (
    Line("Rb-87 F=1", 4.272, 0.34),
    Line("Rb-85 F=2", 1.693, 0.85),
    Line("Rb-85 F=3", -1.343, 1.30),
    Line("Rb-87 F=2", -2.563, 0.62),
)
"""The four lines, by ground state. The distances are those of the ground states (Steck); the small structure of the excited
state is left out. The depths are about those of a cell 7 cm long at room temperature."""


def transmission(wavelength_nm: float) -> float:
    """Give the part of the light that passes the cell, 0 to 1.

    Args:
        wavelength_nm: Wavelength in vacuum, nm.
    """
    detuning = SPEED_OF_LIGHT / wavelength_nm - CENTRE_GHZ
    depth = sum(line.depth * math.exp(-(((detuning - line.detuning_ghz) / DOPPLER_GHZ) ** 2) / 2) for line in LINES)
    return math.exp(-depth)


def line_near(wavelength_nm: float, within_nm: float) -> Line | None:
    """Give the line nearest to a wavelength, or None when none is within so many nm."""
    nearest = min(LINES, key=lambda line: abs(line.wavelength_nm - wavelength_nm))
    return nearest if abs(nearest.wavelength_nm - wavelength_nm) <= within_nm else None
