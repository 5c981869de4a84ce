"""The latch of the safe state: once set it stays, whoever comes back, until somebody resets it. No clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agentlab.errors import LatchedError


@dataclass(frozen=True, slots=True)
class Latched:
    """Why and by whom, since when (seconds since 1970)."""

    reason: str
    by: str
    since: float


class Latch:
    """Refuses writes while it is set. The caller keeps threads apart.

    Args:
        what: The instrument's name, for messages.
    """

    def __init__(self, what: str = "it") -> None:
        self._what = what
        self._first: Latched | None = None
        self._times = 0

    def set(self, reason: str, by: str, now: float) -> bool:
        """Set it; False when it was set already: then the first reason stays, for it is the cause."""
        self._times += 1
        if self._first is not None:
            return False
        self._first = Latched(reason, by, now)
        return True

    def reset(self) -> Latched | None:
        """Let go, and give what was latched; None: nothing was."""
        found, self._first, self._times = self._first, None, 0
        return found

    @property
    def latched(self) -> Latched | None:
        """What is latched; None: nothing."""
        return self._first

    def __bool__(self) -> bool:
        return self._first is not None

    def refusal(self) -> LatchedError | None:
        """Give the error that a write gets now; None: it may write."""
        found = self._first
        if found is None:
            return None
        by = f" by {found.by}" if found.by else ""
        return LatchedError(
            f"{self._what} was made safe{by}: {found.reason or 'no reason given'}; see to the cause, then reset it"
        )

    def info(self) -> dict[str, Any] | None:
        """Give ``reason``, ``by``, ``since`` (seconds since 1970) and ``times``: how often it was set; None: it is not."""
        found = self._first
        if found is None:
            return None
        return {"reason": found.reason, "by": found.by, "since": found.since, "times": self._times}
