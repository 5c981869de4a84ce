"""Readings: a value with its unit, the moment it was read, and how far it can be trusted. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

QUALITIES = ("good", "stale", "bad", "overload")
"""``stale``: the device is offline since, or the value is older than three poll periods; ``bad``: there is no value;
``overload``: the device said that the quantity is beyond its range, and the value is infinite."""
STALE_PERIODS = 3.0
"""Poll periods after which a reading is stale."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a parameter was. ``float(reading)`` is the number, ``str(reading)`` is ``1.234 V``, ``f"{reading:.2f}"`` ``1.23``.

    Calculate and compare with ``value``: a reading has a unit and a quality, which a sum of two would lose.

    Args:
        value: Of the parameter's type; None where ``quality`` is ``bad``.
        unit: The parameter's unit; empty: none.
        timestamp: When the device had answered, seconds since 1970.
        quality: ``good``, ``stale``, ``bad`` or ``overload``.
        name: The parameter's name.
        sequence: Counts the readings of a parameter that are published, from 1: who misses some can count them. 0: it was not.
    """

    value: Any
    unit: str = ""
    timestamp: float = 0.0
    quality: str = "good"
    name: str = ""
    sequence: int = 0

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        text = value_text(self.value)
        if self.unit:
            text = f"{text} {self.unit}"
        return text if self.quality == "good" else f"{text} ({self.quality})"

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)

    @property
    def is_good(self) -> bool:
        """Whether the value is what the device said last, and within its range."""
        return self.quality == "good"

    def aged(self, now: float, poll: float | None) -> Reading:
        """Give the reading as it is to be shown at a moment.

        Args:
            now: Seconds since 1970.
            poll: The parameter's poll period, seconds; None: it is not polled and does not grow stale.

        Returns:
            Itself, or with quality ``stale`` if it was good and is older than three poll periods.
        """
        if poll is None or self.quality != "good" or now - self.timestamp <= STALE_PERIODS * poll:
            return self
        return dataclasses.replace(self, quality="stale")

    def to_dict(self) -> dict[str, Any]:
        """Give it as the message that is published: plain values, if the value is one."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "timestamp": self.timestamp,
            "quality": self.quality,
            "sequence": self.sequence,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Reading:
        """Give the reading that :meth:`to_dict` described; keys of a newer version are passed over."""
        return cls(**{key: value for key, value in values.items() if key in cls.__slots__})


def quality_of(value: Any) -> str:
    """Give the quality of a value that a device has just given: ``overload`` if infinite, ``bad`` if NaN, else ``good``."""
    if isinstance(value, float) and not math.isfinite(value):
        return "bad" if math.isnan(value) else "overload"
    return "good"


def value_text(value: Any) -> str:
    """Give a value for people: floats with at most nine digits, long arrays shortened."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not hasattr(value, "__len__"):
        return str(value)
    if len(value) > 6:
        return f"[{', '.join(value_text(one) for one in list(value[:3]))}, … {len(value)} values]"
    return f"[{', '.join(value_text(one) for one in value)}]" if isinstance(value, (list, tuple)) else str(value)
