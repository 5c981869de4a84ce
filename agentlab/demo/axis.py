"""An axis of a plot: where its ticks stand, what they say, and where a value lies. Pure calculation."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A range of values that ends on round numbers.

    Attributes:
        low: Value at its beginning.
        high: Value at its end.
        step: Distance of its ticks.
        label: What it shows, with the unit.
    """

    low: float
    high: float
    step: float
    label: str

    @classmethod
    def around(cls, values: tuple[float, ...], label: str, *, most_ticks: int, from_zero: bool = False) -> Axis:
        """Give the axis that holds all values, with at most so many ticks."""
        low, high = (0.0 if from_zero else min(values)), max(values)
        span = (high - low) or abs(high) or 1.0
        step = _round_step(span / (most_ticks - 1))
        first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
        return cls(first * step, max(last, first + 1) * step, step, label)

    def part(self, value: float) -> float:
        """Give where a value lies: 0 at the beginning, 1 at the end."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Give the ticks, ascending: value and text."""
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        count = round((self.high - self.low) / self.step)
        return [(value, f"{value:.{decimals}f}") for value in (self.low + i * self.step for i in range(count + 1))]


def _round_step(least: float) -> float:
    """Give the next of 1, 2, 5, 10, 20, 50… (and their tenths) that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
