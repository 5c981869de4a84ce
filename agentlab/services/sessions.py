"""An instance for each client of a service."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agentlab.errors import AgentStoppedError
from agentlab.services.executor import Executor
from agentlab.services.place import Call, Done, Place, Recipe, import_class

MOST_SESSIONS = 256
"""Clients that one service may have at a time."""


def _key(token: str, connection: int) -> bytes | int:
    """Give what a client is known by: its token, or where it has none its connection, which no token can be taken for.

    Of the token a digest, as tokens may be of any length and are kept.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest() if token else connection


@dataclass(eq=False)
class _Session:
    connections: set[int] = field(default_factory=set)
    place: Place | None = None


class SessionRun:
    """An instance for each client, made at its first call, closed when its last connection has gone.

    Args:
        recipe: How instances are made.
        executor: Gives the thread of a new instance.
        shared: Whether that is the same for all.
        is_connected: Tells whether a connection still stands.
    """

    def __init__(
        self, recipe: Recipe, executor: Callable[[], Executor], *, shared: bool, is_connected: Callable[[int], bool]
    ) -> None:
        self._recipe, self._executor, self._shared, self._is_connected = recipe, executor, shared, is_connected
        self._lock = threading.Lock()
        self._sessions: dict[bytes | int, _Session] = {}
        self._ending: list[Place] = []
        self._over = False

    def begin(self, done: Done, after: Callable[[], object] | None = None) -> None:
        """Import the class; no instance is made."""
        import_class(self._recipe, self._executor(), self, done, after, shared=self._shared)

    def submit(self, call: Call, token: str, connection: int) -> None:
        """Have a call run by the instance of its client."""
        place, problem = self._place(_key(token, connection), connection)
        if place is not None:
            place.submit(call)
        else:
            call.refuse(AgentStoppedError(f"service {self._recipe.name!r} {problem}"))
        if not self._is_connected(connection):
            self.disconnected(connection)  # it was called by somebody who did not wait, and has gone already

    def attach(self, token: str, connection: int) -> None:
        """Note that a client has one more connection."""
        with self._lock:
            key = _key(token, connection)
            if not self._over and token and (key in self._sessions or len(self._sessions) < MOST_SESSIONS):
                self._sessions.setdefault(key, _Session()).connections.add(connection)
        if not self._is_connected(connection):
            self.disconnected(connection)

    def disconnected(self, connection: int) -> None:
        """Close the instances of clients that have no connection any more."""
        with self._lock:
            over = []
            for key, session in list(self._sessions.items()):
                session.connections.discard(connection)
                if not session.connections:
                    del self._sessions[key]
                    over += [session.place] if session.place is not None else []
            self._ending = [place for place in self._ending if not place.join(0.0)] + over
        for place in over:
            place.end(refuse=False)  # somebody who does not wait may have called and gone

    def end(self) -> None:
        """Close all instances, each after the call that it runs."""
        with self._lock:
            self._over = True
            over = [session.place for session in self._sessions.values() if session.place is not None]
            self._sessions.clear()
            self._ending += over
        for place in over:
            place.end()

    def join(self, timeout: float) -> bool:
        """Wait until all instances are closed."""
        with self._lock:
            ending = list(self._ending)
        deadline = time.monotonic() + timeout
        return all(place.join(deadline - time.monotonic()) for place in ending)

    def waiting(self) -> int:
        """Count the calls that have not begun."""
        return sum(place.waiting() for place in self._places())

    def running(self) -> list[tuple[str, float]]:
        """Give what runs, and since when."""
        return [one for place in self._places() for one in place.running()]

    def instances(self) -> int:
        """Count the clients' instances."""
        return len(self._places())

    def _places(self) -> list[Place]:
        with self._lock:
            return [session.place for session in self._sessions.values() if session.place is not None]

    def _place(self, key: bytes | int, connection: int) -> tuple[Place | None, str]:
        with self._lock:
            if self._over:
                return None, "has stopped; start it again"
            session = self._sessions.get(key)
            if session is None:
                if len(self._sessions) >= MOST_SESSIONS:
                    return None, f"has {MOST_SESSIONS} clients already; release one, or use instancemode 'single'"
                session = self._sessions[key] = _Session()
            session.connections.add(connection)
            if session.place is None or session.place.problem is not None:  # a constructor that failed is tried again
                failed, session.place = session.place, Place(self._recipe, self._executor(), shared=self._shared)
                if failed is not None:
                    failed.end()
                session.place.begin(lambda *_: None)
            return session.place, ""
