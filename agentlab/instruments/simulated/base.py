"""What simulated devices have in common."""

from __future__ import annotations

from typing import ClassVar

from agentlab.instruments.model.device import Device, reads
from agentlab.instruments.simulated.world import World


class SimulatedDevice(Device):
    """A device that stands in a world.

    Args:
        seed: Of the noise of a world of its own.
        world: Where it stands; None: a world of its own.
    """

    _called: ClassVar[str] = "device"

    def __init__(self, seed: int = 1, *, world: World | None = None) -> None:
        self._world = world or World(seed)

    @reads
    def identity(self) -> str:
        """Give who it is."""
        return f"agentlab,Simulated {self._called},0,1"
