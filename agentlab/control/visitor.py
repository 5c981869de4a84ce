"""Connections that somebody else than the daemon's workers serves for a while."""

from __future__ import annotations

from typing import Protocol

from agentlab.control.session import Session


class Host(Protocol):
    """Whose connection it is."""

    def serve_visitor(self, session: Session) -> bool:
        """Serve what can be read, and tell whether the connection is still a visitor."""
        ...

    def leave(self, session: Session) -> None:
        """Take the connection back."""
        ...


class Visitor:
    """A connection that somebody else than the workers serves, in a thread of his own: an agent's loop.

    Args:
        session: The connection.
        serving: Whose it was.
    """

    def __init__(self, session: Session, serving: Host) -> None:
        self._session = session
        self._serving = serving

    def fileno(self) -> int:
        """Give the descriptor that is readable when there is something to serve."""
        return self._session.stream.sock.fileno()

    def serve(self) -> bool:
        """Serve what can be read, in this thread; tell whether the connection is still a visitor. Never waits for it."""
        return self._serving.serve_visitor(self._session)

    def leave(self) -> None:
        """Give the connection back to the daemon."""
        self._serving.leave(self._session)
