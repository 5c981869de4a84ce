"""An axis of a plot: where its ticks stand, what they say, and where a value lies. Pure calculation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentlab.errors import RunError

_LEAST_SPAN = 1e-12
"""Part of a value that is its last digits: a span below it is none."""
_TINY = 1e-290
"""Numbers below it lose their digits: for a plot they are zero."""
_DIGITS = 7


@dataclass(frozen=True)
class Scale:
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
    def around(
        cls, values: Iterable[float], label: str, *, most_ticks: int, tight: bool = False, from_zero: bool = False
    ) -> Scale:
        """Give the scale that holds all values, with at most about so many ticks.

        Args:
            values: Finite numbers, at least one.
            label: What they are.
            most_ticks: A number.
            tight: End at the values themselves instead of at round numbers.
            from_zero: Begin at zero; no value is below it.

        Raises:
            RunError: they are so far apart that no number is between them.
        """
        known = list(values)
        low, high = 0.0 if from_zero else min(known), max(known)
        if high - low <= max(_TINY, _LEAST_SPAN * max(abs(low), abs(high))):
            room = abs(high) / 2 if abs(high) > _TINY else 1.0
            low, high = low - room, high + room
        if not math.isfinite(4 * (high - low)):  # with room for round numbers at its ends
            raise RunError(f"values from {low:.4g} to {high:.4g} are too far apart to be drawn; export them instead")
        step = _round_step((high - low) / (most_ticks - 1))
        if tight:
            return cls(low, high, step, label)
        first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
        return cls(first * step, max(last, first + 1) * step, step, label)

    @classmethod
    def cells(cls, values: Sequence[float], label: str, *, most_ticks: int) -> Scale:
        """Give the scale of cells whose middles are these values, ascending: it ends half a cell outside."""
        low, high = values[0], values[-1]
        if len(values) > 1:
            low, high = low - (values[1] - low) / 2, high + (high - values[-2]) / 2
        return cls.around((low, high), label, most_ticks=most_ticks, tight=True)

    def part(self, value: float) -> float:
        """Give where a value lies: 0 at the beginning, 1 at the end."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Give the ticks, ascending: value and text."""
        first, last = math.ceil(self.low / self.step - 1e-6), math.floor(self.high / self.step + 1e-6)
        values = [i * self.step for i in range(first, last + 1)]
        return [(value, self._text(value)) for value in values]

    def _text(self, value: float) -> str:
        most = max(abs(self.low), abs(self.high))
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        whole = max(1, math.floor(math.log10(most)) + 1)
        if whole + decimals <= _DIGITS and decimals < _DIGITS:
            return f"{value:.{decimals}f}"
        digits = max(1, math.floor(math.log10(most)) - math.floor(math.log10(self.step) + 1e-9) + 1)
        return f"{value:.{digits}g}" if value else "0"


def _round_step(least: float) -> float:
    """Give the next of 1, 2, 5, 10, 20, 50… (and their tenths) that is not less."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
