"""For users' own drivers: marks for annotations, and a base class whose actions can be cancelled and tell their progress.

None of it is needed: any class is a driver. A class that says more about itself is served better::

    class Supply(Device):
        def __init__(self, port: str) -> None:
            self._port = open_port(port)

        @property
        def voltage(self) -> Annotated[float, Unit("V"), Range(0, 30)]:
            return self._port.ask("VOLT?")

        @voltage.setter
        def voltage(self, value: float) -> None:
            self._port.tell(f"VOLT {value}")

        def warm_up(self, seconds: float) -> None:
            for second in range(100):
                self.progress = second / 100
                self.sleep(seconds / 100)

        def safe(self) -> None:
            self.voltage = 0
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from agentlab.errors import CancelledCallError

Method = TypeVar("Method", bound=Callable[..., Any])
_READS = "__agentlab_reads__"


@dataclass(frozen=True, slots=True)
class Unit:
    """Says the unit of a value in its annotation: ``Annotated[float, Unit("V")]``."""

    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """Says the limits of what may be set, in the value's unit; None: no limit on that side."""

    minimum: float | None = None
    maximum: float | None = None


class Choices:
    """Says the only values that may be set: ``Annotated[str, Choices("slow", "fast")]``."""

    __slots__ = ("values",)

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __repr__(self) -> str:
        return f"Choices({', '.join(map(repr, self.values))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choices) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)


def reads(method: Method) -> Method:
    """Mark an action as one that changes nothing: it needs no ownership, and goes on while the safe state is latched."""
    setattr(method, _READS, True)
    return method


def is_reading(method: object) -> bool:
    """Tell whether a method was marked by :func:`reads`."""
    return getattr(method, _READS, False) is True


class Device:
    """Base of drivers whose long actions can be cancelled. Its ``__init__`` need not be called.

    Attributes:
        cancelled: Whether the running action is to end; it is set from another thread, and cleared before each action.
        progress: How far the running action has come, 0 to 1; None: it does not say.
    """

    _cancelled: threading.Event
    _progress: float | None

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Any:
        """Make the instance with what cancelling needs, so that a subclass may forget ``super().__init__()``."""
        self = super().__new__(cls)
        self._cancelled = threading.Event()
        self._progress = None
        return self

    @property
    def cancelled(self) -> bool:
        """Whether the running action is to end soon. Any thread may ask, and set it."""
        return self._cancelled.is_set()

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        if value:
            self._cancelled.set()
        else:
            self._cancelled.clear()

    @property
    def progress(self) -> float | None:
        """How far the running action has come, 0 to 1; None: it does not say. Any thread may ask."""
        return self._progress

    @progress.setter
    def progress(self, value: float | None) -> None:
        self._progress = None if value is None else min(1.0, max(0.0, float(value)))

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the action is cancelled.

        Args:
            seconds: How long; 0 or less only looks.

        Raises:
            CancelledCallError: it was cancelled.
        """
        if self._cancelled.wait(max(0.0, seconds)):
            raise CancelledCallError("the action was cancelled while it ran; what it had done stays done")
