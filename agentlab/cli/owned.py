"""Whose locks end when instruments' agents are stopped: for ``stop``, ``restart`` and ``reload``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agentlab.cli.door import say
from agentlab.cli.instrumentlooks import KIND, Place, ask_all, lock_of


def owners(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Ask the instruments among a lab's units who owns them, and give that with the reason, by unit; free ones are left out.

    One that does not answer within a second is left out, too: who runs the lab must not have to wait for it.

    Args:
        rows: As the lab's supervisor gives them.
    """
    running = {row["unit"]: Place(row["unit"], row["uri"]) for row in rows if row["kind"] == KIND and row.get("uri")}
    answers = ask_all(running.values(), lock_of)
    known = {answer.place.name: answer.value for answer in answers if answer.error is None}
    return {unit: _shown(info) for unit, info in known.items() if info["owner"]}


def _shown(info: Mapping[str, Any]) -> str:
    return f"{info['owner']}, for: {info['reason']}" if info["reason"] else str(info["owner"])


def tell(unit: str, owned: Mapping[str, str]) -> None:
    """Say who loses a lock with the agent of a unit; nothing where nobody does."""
    if unit in owned:
        say(f"{unit} was owned by {owned[unit]}; that lock ends with its agent")
