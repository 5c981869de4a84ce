"""A vendor's library: importing it in another process than the driver's would take the ports that the driver has."""

from __future__ import annotations

import dataclasses
import enum
import sys
from typing import Any

if "pytest" in sys.modules:
    raise RuntimeError("a vendor's library was imported by a caller")


class Mode(enum.Enum):
    SLOW = "slow"
    FAST = object()


class StageError(ValueError):
    """What the vendor's library raises."""


class Session:
    """What the vendor's library works with."""


@dataclasses.dataclass
class Scan:
    points: list[float]
    mode: Mode


class Stage:
    """A driver of the vendor."""

    mode: Any = Mode.SLOW
    session: Any = None

    def __init__(self) -> None:
        self.moves = 0

    def scan(self) -> Scan:
        return Scan([1.0, 2.0], Mode.FAST)

    def open(self) -> Session:
        self.moves += 1
        return Session()

    def keep(self) -> None:
        self.session = Session()

    def fail(self) -> None:
        raise StageError("the stage is stuck", 7)

    def fail_with(self) -> None:
        raise ValueError(Session())
