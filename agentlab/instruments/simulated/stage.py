"""A linear stage, simulated: motion takes its time, and can be stopped."""

from __future__ import annotations

import threading
from typing import Annotated

from agentlab.errors import CancelledCallError
from agentlab.instruments.model.device import Range, Unit
from agentlab.instruments.simulated.base import SimulatedDevice
from agentlab.instruments.simulated.limits import within
from agentlab.instruments.simulated.world import World

TRAVEL = 25.0
"""mm."""
_LOOK = 0.01


class Stage(SimulatedDevice):
    """A linear stage that carries a pinhole into the beam. Setting the position waits until it is there.

    Args:
        seed: Of a world of its own.
        speed: mm/s.
        world: Where it stands; None: a world of its own.
    """

    _called = "stage"

    def __init__(self, seed: int = 1, speed: float = 50.0, *, world: World | None = None) -> None:
        super().__init__(seed, world=world)
        self._clock = self._world.clock
        self._mutex = threading.Lock()
        self._from = self._target = 0.0
        self._began = self._clock()
        self._moves = 0
        self._stopped = False
        self._speed = 1.0
        self.speed = speed
        self._world.add_stage(self._where)

    @property
    def position(self) -> Annotated[float, Unit("mm"), Range(0, TRAVEL)]:
        """Where it is, also while it moves; setting it waits until it is there, and can be cancelled."""
        return self._where()

    @position.setter
    def position(self, value: float) -> None:
        self.move(value)

    @property
    def speed(self) -> Annotated[float, Unit("mm/s"), Range(0.1, 200)]:
        """How fast it moves."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        value = within("speed", value, 0.1, 200)
        with self._mutex:
            self._from, self._began = self._at(self._clock()), self._clock()
            self._speed = float(value)

    @property
    def moving(self) -> bool:
        """Whether it is on its way."""
        with self._mutex:
            return self._at(self._clock()) != self._target

    def start(self, target: float) -> None:
        """Begin to move, and return at once.

        Args:
            target: mm.
        """
        target = within("position", target, 0, TRAVEL)
        with self._mutex:
            now = self._clock()
            self._from, self._target, self._began, self._stopped = self._at(now), float(target), now, False
            self._moves += 1

    def wait(self) -> float:
        """Wait until it stands, and give where, in mm. It can be cancelled, which stops the motion, and tells its progress."""
        with self._mutex:
            move, origin, target = self._moves, self._from, self._target
        way = abs(target - origin)
        while self.moving:
            self.progress = abs(self._where() - origin) / way if way else None
            try:
                self.sleep(_LOOK)
            except CancelledCallError:
                self.abort()
                raise CancelledCallError(
                    f"the stage was stopped at {self._where():.4g} mm, on its way to {target:g} mm"
                ) from None
        if self._stopped and move == self._moves:
            raise CancelledCallError(f"the stage was stopped at {self._where():.4g} mm, on its way to {target:g} mm")
        self.progress = 1.0
        return self._where()

    def move(self, target: float) -> float:
        """Move and wait until it is there; give where it is, in mm.

        Args:
            target: mm.
        """
        self.start(target)
        return self.wait()

    def home(self) -> float:
        """Move to 0."""
        return self.move(0.0)

    def safe(self) -> None:
        """Stand still."""
        self.abort()

    def abort(self) -> None:
        """Stop where it is, at once; any thread may do it."""
        with self._mutex:
            now = self._clock()
            here = self._at(now)
            self._stopped = self._stopped or here != self._target
            self._from = self._target = here
            self._began = now

    def _where(self) -> float:
        with self._mutex:
            return self._at(self._clock())

    def _at(self, now: float) -> float:
        way = self._target - self._from
        gone = self._speed * (now - self._began)
        return self._target if gone >= abs(way) else self._from + (gone if way > 0 else -gone)
