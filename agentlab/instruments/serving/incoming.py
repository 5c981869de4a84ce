"""What comes with a call from another process, checked: nobody's rubbish may reach a clock, a log or somebody else. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentlab.errors import InstrumentError
from agentlab.instruments.engine.claims import Client

NAMELESS = Client("nameless", "a program without a name")
"""Who calls without saying who it is: what never owns anything. No identity at all is that of the instrument itself."""
FOREVER = 1e8
"""Seconds, some three years: what is longer is as good as without end."""
LONGEST_TEXT = 300


def caller_of(note: Any) -> tuple[Client, float | None]:
    """Give who calls, and for how many seconds that one waits (None: without end).

    Raises:
        InstrumentError: what came with the call tells neither.
    """
    if not isinstance(note, Mapping):
        raise InstrumentError(f"a call says who calls by a {type(note).__name__}; it is said by client, label, token and limit")
    token = note.get("token")
    if token is not None and not isinstance(token, str):
        raise InstrumentError(f"the token of a lock is text, not of type {type(token).__name__}")
    limit = note.get("limit")
    client = one_line(note.get("client"))
    label = one_line(note.get("label")) or client or NAMELESS.label
    return Client(client or NAMELESS.id, label, token), None if limit is None else seconds("a time limit", limit)


def seconds(what: str, value: Any) -> float:
    """Give a time span: never negative, and never so long that no clock could wait for it.

    Raises:
        InstrumentError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:  # noqa: PLR0124 - NaN
        raise InstrumentError(f"{what} of {one_line(repr(value))} cannot be; give seconds")
    return float(max(0.0, min(value, FOREVER)))


def one_line(value: Any) -> str:
    """Give what somebody says as a text that any log and any message can carry; empty: nothing was said."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else f"({type(value).__name__})"
    text = "".join(one if one.isprintable() else " " for one in text[: 2 * LONGEST_TEXT])
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
