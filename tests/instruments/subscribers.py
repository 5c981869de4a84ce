"""Agents that listen to an instrument's readings: one that counts, and what it takes to stall it."""

from __future__ import annotations

from typing import Any

from agentlab import Agent


class Listener(Agent):
    """Counts the readings of an instrument, by parameter; looks for gaps in their sequence numbers."""

    def listen(self, name: str) -> None:
        """Subscribe to all readings of the instrument `name`."""
        self.last: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.gaps = 0
        self.count = 0
        self.connect((name, "readings"), alias="readings", handler=_count)

    def seen(self) -> dict[str, Any]:
        """Give what was counted: readings, missing sequence numbers, what the socket says it lost, the last numbers."""
        return {
            "count": self.count,
            "gaps": self.gaps,
            "lost": self.lost("readings"),
            "first": dict(self.first),
            "last": dict(self.last),
        }


def _count(agent: Any, reading: dict[str, Any]) -> None:
    name, number = reading["name"], reading["sequence"]
    if number <= agent.last.get(name, -1):
        return  # said again, for somebody who has just come
    agent.count += 1
    agent.first.setdefault(name, number)
    agent.gaps += max(0, number - agent.last.get(name, number - 1) - 1)
    agent.last[name] = number
