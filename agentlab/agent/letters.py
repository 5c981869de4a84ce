"""What callers and agents agree on: the letters of answers, and which methods run where. Imports next to nothing."""

from __future__ import annotations

from agentlab.errors import DeadlockError

RESULT, ERROR, UNIMPORTABLE = b"R", b"E", b"U"

ALWAYS_UNSAFE = frozenset(
    ("run", "get_attr", "kill", "is_running", "ping", "error_count", "bad_message_count", "last_error", "ending", "lost")
)
"""Methods that answer while the loop is busy, whatever was asked; so does what starts with an underscore."""
WHEN_STOPPED = frozenset(("run", "stop", "shutdown", "close_all"))
"""Safe methods that a stopped agent still executes."""


def deadlock(name: str, method: str) -> DeadlockError:
    """Give the error of a safe call whose path holds the very agent that should execute it."""
    return DeadlockError(
        f"agent {name!r} waits, directly or through others, for this very call of {method}(), so it can never run: "
        "use .unsafe or .oneway, or send a message"
    )
