"""A power supply, a heater and a thermometer, simulated."""

from __future__ import annotations

from typing import Annotated

from agentlab.instruments.model.device import Range, Unit
from agentlab.instruments.simulated.base import SimulatedDevice
from agentlab.instruments.simulated.limits import within
from agentlab.instruments.simulated.world import AMBIENT, World

LOAD = 10.0
"""Resistance at the supply's output, ohm."""


class PowerSupply(SimulatedDevice):
    """A laboratory supply of 30 V and 3 A, with a resistor of 10 ohm at its output.

    Args:
        seed: Of the noise of a world of its own.
        world: Where its noise comes from; None: a world of its own.
    """

    _called = "supply"

    def __init__(self, seed: int = 1, *, world: World | None = None) -> None:
        super().__init__(seed, world=world)
        self._voltage, self._limit, self._output = 0.0, 1.0, False

    @property
    def voltage(self) -> Annotated[float, Unit("V"), Range(0, 30)]:
        """Voltage that is set; what is at the output is ``measured_voltage``."""
        return self._voltage

    @voltage.setter
    def voltage(self, value: float) -> None:
        self._voltage = within("voltage", value, 0, 30)

    @property
    def current(self) -> Annotated[float, Unit("A"), Range(0, 3)]:
        """Current that is never exceeded."""
        return self._limit

    @current.setter
    def current(self, value: float) -> None:
        self._limit = within("current", value, 0, 3)

    @property
    def output(self) -> bool:
        """Whether the output is on."""
        return self._output

    @output.setter
    def output(self, value: bool) -> None:
        self._output = bool(value)

    @property
    def measured_voltage(self) -> Annotated[float, Unit("V")]:
        """Voltage at the output."""
        return self._flowing() * LOAD + self._world.noise(5e-4)

    @property
    def measured_current(self) -> Annotated[float, Unit("A")]:
        """Current through the output."""
        return self._flowing() + self._world.noise(5e-5)

    def safe(self) -> None:
        """Switch the output off and take the voltage away."""
        self._output, self._voltage = False, 0.0

    def _flowing(self) -> float:
        return min(self._voltage / LOAD, self._limit) if self._output else 0.0


class Heater(SimulatedDevice):
    """A heater of 100 W, which warms what a thermometer of the same world measures.

    Args:
        seed: Of the noise of a world of its own.
        world: What it heats; None: a world of its own.
    """

    _called = "heater"

    def __init__(self, seed: int = 1, *, world: World | None = None) -> None:
        super().__init__(seed, world=world)
        self._power, self._output = 0.0, False

    @property
    def power(self) -> Annotated[float, Unit("W"), Range(0, 100)]:
        """Power that it gives off while it is on."""
        return self._power

    @power.setter
    def power(self, value: float) -> None:
        self._power = within("power", value, 0, 100)
        self._heat()

    @property
    def output(self) -> bool:
        """Whether it is on."""
        return self._output

    @output.setter
    def output(self, value: bool) -> None:
        self._output = bool(value)
        self._heat()

    def safe(self) -> None:
        """Switch it off."""
        self.output = False

    def _heat(self) -> None:
        self._world.heat(self._power if self._output else 0.0)


class Thermometer(SimulatedDevice):
    """A thermometer. Without a world of others it drifts around the temperature of the room.

    Args:
        seed: Of the noise of a world of its own.
        world: What it measures; None: a world of its own.
    """

    _called = "thermometer"

    @property
    def temperature(self) -> Annotated[float, Unit("K")]:
        """Temperature of what the heater warms."""
        return self._world.temperature() + self._world.noise(0.005)

    @property
    def ambient(self) -> Annotated[float, Unit("K")]:
        """Temperature of the room."""
        return AMBIENT
