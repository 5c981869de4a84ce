"""The rule by which a hang is told from work: pure, the time is handed in."""

from __future__ import annotations

SUSPECT_AFTER = 2.0
"""Seconds without a turn of its loop until a unit is suspected."""
LEAST_LIMIT = 1.5
"""Seconds below which no limit to a hang is taken: a loop that has nothing to do turns once a second."""
LONGEST_STEP = 1.0
"""Seconds that one look can add to a silence: a supervisor that stood still itself blames nobody for that time."""


class Silence:
    """How long one unit's loop has not turned, as far as somebody was there to see it."""

    def __init__(self) -> None:
        self._turned: float | None = None
        self._looked = 0.0
        self.seconds = 0.0

    def look(self, turned: float, *, excused: bool, now: float) -> float:
        """Look once.

        Args:
            turned: When the loop last turned.
            excused: Whether it need not turn, as it is busy on purpose or does not run.
            now: The time, of the same clock.

        Returns:
            The seconds of silence.
        """
        if excused or turned != self._turned:
            self._turned = turned
            self.seconds = 0.0 if excused else max(0.0, min(now - turned, LONGEST_STEP))
        else:
            self.seconds = min(now - turned, self.seconds + min(now - self._looked, LONGEST_STEP))
        self._looked = now
        return self.seconds


def limits(hang_timeout: float) -> tuple[float, float]:
    """Give the seconds until suspicion, 2 at most, and until the end."""
    limit = max(hang_timeout, LEAST_LIMIT)
    return min(SUSPECT_AFTER, 0.8 * limit), limit
