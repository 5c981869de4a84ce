"""A tunable laser and an optical power meter, simulated."""

from __future__ import annotations

import math
from typing import Annotated

from agentlab.errors import LimitError
from agentlab.instruments.model.device import Choices, Range, Unit, reads
from agentlab.instruments.simulated.base import SimulatedDevice
from agentlab.instruments.simulated.limits import within
from agentlab.instruments.simulated.world import World

LOWEST, HIGHEST = 780.22, 780.26
"""Range of the laser, nm."""
_SAMPLE = 0.001
"""Seconds that one sample of the meter takes."""


class Laser(SimulatedDevice):
    """A tunable laser around the D2 line of rubidium. It is dark until its output is switched on.

    Args:
        seed: Of the noise of a world of its own.
        world: Where it shines; None: a world of its own.
    """

    _called = "laser"

    def __init__(self, seed: int = 1, *, world: World | None = None) -> None:
        super().__init__(seed, world=world)
        self._wavelength, self._power, self._output = (LOWEST + HIGHEST) / 2, 1.0, False
        self._shine()

    @property
    def wavelength(self) -> Annotated[float, Unit("nm"), Range(LOWEST, HIGHEST)]:
        """Wavelength in vacuum."""
        return self._wavelength

    @wavelength.setter
    def wavelength(self, value: float) -> None:
        self._wavelength = within("wavelength", value, LOWEST, HIGHEST)
        self._shine()

    @property
    def power(self) -> Annotated[float, Unit("mW"), Range(0, 50)]:
        """Power that is sent while the output is on."""
        return self._power

    @power.setter
    def power(self, value: float) -> None:
        self._power = within("power", value, 0, 50)
        self._shine()

    @property
    def output(self) -> bool:
        """Whether it shines."""
        return self._output

    @output.setter
    def output(self, value: bool) -> None:
        self._output = bool(value)
        self._shine()

    @property
    def temperature(self) -> Annotated[float, Unit("degC")]:
        """Temperature of the diode."""
        return 25.0 + 0.1 * self._power * self._output + self._world.noise(0.01)

    def warm_up(self, seconds: float = 3.0) -> float:
        """Wait until the diode is warm, and give its temperature in degC. It can be cancelled, and tells its progress."""
        steps = max(1, math.ceil(seconds / 0.05))
        for step in range(steps):
            self.progress = step / steps
            self.sleep(seconds / steps)
        self.progress = 1.0
        return self.temperature

    def safe(self) -> None:
        """Switch the output off."""
        self.output = False

    def _shine(self) -> None:
        self._world.shine(self._power if self._output else 0.0, self._wavelength)


class PowerMeter(SimulatedDevice):
    """An optical power meter with some noise. Without a world of others, it sees the light of a laser that is on.

    Args:
        seed: Of the noise of a world of its own.
        world: Where it looks; None: a world of its own.
    """

    _called = "power meter"

    def __init__(self, seed: int = 1, *, world: World | None = None) -> None:
        super().__init__(seed, world=world)
        if world is None:
            self._world.shine(1.0, (LOWEST + HIGHEST) / 2)
        self._averages, self._scale, self._zero = 10, 10.0, 0.0
        self._offset = 0.002

    @property
    def power(self) -> Annotated[float, Unit("mW")]:
        """Power that falls on the detector, averaged; infinite (overload) beyond 1.2 times its full scale."""
        self.sleep(self._averages * _SAMPLE)
        found = self._sample()
        return found if found <= 1.2 * self._scale else math.inf

    @property
    def full_scale(self) -> Annotated[float, Unit("mW"), Choices(0.1, 1.0, 10.0, 100.0)]:
        """The largest power that it is made for; its noise is a part of it."""
        return self._scale

    @full_scale.setter
    def full_scale(self, value: float) -> None:
        if value not in (0.1, 1.0, 10.0, 100.0):
            raise LimitError(f"full_scale = {value:g} mW is none of 0.1, 1, 10, 100")
        self._scale = value

    @property
    def averages(self) -> Annotated[int, Range(1, 1000)]:
        """Samples, of 1 ms each, that make one reading."""
        return self._averages

    @averages.setter
    def averages(self, value: int) -> None:
        self._averages = int(within("averages", value, 1, 1000))

    def zero(self, seconds: float = 1.0) -> float:
        """Take what is seen now as nothing, and give it in mW. It can be cancelled, and tells its progress."""
        for step in range(20):
            self.progress = step / 20
            self.sleep(seconds / 20)
        self._zero += self._sample()
        return self._zero

    @reads
    def samples(self, count: int = 100) -> list[float]:
        """Give so many single samples, mW; 100,000 at most."""
        count = int(within("count", count, 1, 100_000))
        self.sleep(count * _SAMPLE)
        return [self._sample(1) for _ in range(count)]

    def _sample(self, averages: int | None = None) -> float:
        deviation = 2e-3 * self._scale / math.sqrt(averages or self._averages)
        return self._world.light() + self._offset - self._zero + self._world.noise(deviation)
