"""What connects simulated devices: light that reaches a detector, heat that reaches a thermometer. Seeded.

The beam of a laser passes a vapour cell, whose lines are at 780.23 to 780.25 nm, and then a pinhole on a stage: a scan of
the stage gives a peak, a scan of the wavelength gives dips.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable

from agentlab.instruments.simulated.sample import transmission

AMBIENT = 295.0
"""Kelvin."""
_WAIST = 1.5
"""Radius of the beam at the stage, mm, where its intensity has fallen to exp(-2)."""


class World:
    """The state that simulated devices share. Every method may be called in any thread.

    Args:
        seed: Of all noise; None: another one each time.
        clock: Gives the time in seconds; it only has to go forward.
        beam_at: Where the beam is on the stage's axis, mm.
    """

    def __init__(self, seed: int | None = 1, clock: Callable[[], float] = time.monotonic, beam_at: float = 12.5) -> None:
        self._random = random.Random(seed)  # noqa: S311 - noise, no secret
        self._mutex = threading.Lock()
        self.clock = clock
        self.beam_at = beam_at
        self._light = (0.0, 780.24)
        self._stages: list[Callable[[], float]] = []
        self._heat, self._temperature, self._looked = 0.0, AMBIENT, clock()
        self.heat_capacity = 20.0  # J/K
        self.heat_resistance = 1.0  # K/W

    def shine(self, power: float, wavelength: float) -> None:
        """Set what the laser sends: mW, 0 for nothing, and nm in vacuum."""
        with self._mutex:
            self._light = (power, wavelength)

    def add_stage(self, position: Callable[[], float]) -> None:
        """Put a stage with a pinhole into the beam; what is given tells its position in mm."""
        with self._mutex:
            self._stages.append(position)

    def light(self) -> float:
        """Give the light at the detector, mW, without noise."""
        with self._mutex:
            (power, wavelength), stages = self._light, list(self._stages)
        for position in stages:
            power *= math.exp(-2 * ((position() - self.beam_at) / _WAIST) ** 2)
        return power * transmission(wavelength) if power > 0 else 0.0

    def noise(self, deviation: float) -> float:
        """Give a random number of a normal distribution around 0."""
        with self._mutex:
            return self._random.gauss(0.0, deviation)

    def heat(self, power: float) -> None:
        """Set what the heater gives off, W."""
        with self._mutex:
            self._warm()
            self._heat = power

    def temperature(self) -> float:
        """Give the temperature of what is heated, K."""
        with self._mutex:
            self._warm()
            return self._temperature

    def _warm(self) -> None:
        """Bring the temperature up to now: it nears that of equilibrium with a time constant."""
        now = self.clock()
        goal = AMBIENT + self._heat * self.heat_resistance
        constant = self.heat_capacity * self.heat_resistance
        self._temperature = goal + (self._temperature - goal) * math.exp(-(now - self._looked) / constant)
        self._looked = now
