"""A device of ophyd-async: its simulated motor and soft signals beside it."""

from __future__ import annotations

from ophyd_async.core import StandardReadable, StandardReadableFormat, soft_signal_rw
from ophyd_async.sim import SimMotor


class SoftBench(StandardReadable):
    """A voltage that is only a number, and ophyd-async's simulated motor."""

    def __init__(self, name: str = "") -> None:
        with self.add_children_as_readables(StandardReadableFormat.HINTED_SIGNAL):
            self.voltage = soft_signal_rw(float, 1.25, units="V")
            self.current = soft_signal_rw(float, 0.5, units="A")
        self.motor = SimMotor(instant=False)
        super().__init__(name=name)
