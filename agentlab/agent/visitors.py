"""Connections of callers that the loop serves itself, for as long as safe calls come on them one after another.

A safe call that comes to a worker thread goes from there to the loop and back: two changes of thread, which cost more than
the call. A connection that brought a safe call therefore visits the loop: the next one is read, run and answered there.
Callers keep safe and unsafe calls on different connections, so nothing that must be answered at once waits here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from agentlab.agent.loop import Loop
from agentlab.control.daemon import Visitor

MOST = 16
"""Connections that may visit at a time: each costs the loop a little in every turn."""
STAY = 1.0
"""Seconds without a call after which a connection goes back to the daemon."""


class Visitors:
    """The visitors of one loop.

    Args:
        loop: Whose they are.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._here: set[_Visit] = set()
        self._open = False

    def adopt(self, visitor: Visitor) -> bool:
        """Take a connection whose last call was run by the loop; False when it stays with the daemon. Any thread."""
        if not self._open or len(self._here) >= MOST:
            return False
        self._loop.post(lambda: self._enter(visitor))
        return True

    def open(self) -> None:
        """Take visitors from now on; in the loop's thread."""
        self._open = True

    def _enter(self, visitor: Visitor) -> None:
        if not self._open:
            visitor.leave()
            return
        visit = _Visit(visitor, self._gone)
        self._here.add(visit)
        self._loop.add(visit)
        self._watch(visit, STAY)

    def _watch(self, visit: _Visit, delay: float) -> None:
        self._loop.after_internal(delay, lambda: self._look(visit))

    def _look(self, visit: _Visit) -> None:
        if visit not in self._here:
            return
        left = visit.last + STAY - time.monotonic()
        if left > 0:
            self._watch(visit, left)
        else:
            self._send_away(visit)

    def _gone(self, visit: _Visit) -> None:
        self._here.discard(visit)
        self._loop.remove(visit)

    def _send_away(self, visit: _Visit) -> None:
        self._gone(visit)
        visit.visitor.leave()

    def close(self) -> None:
        """Send all visitors back to the daemon and take no more; in the loop's thread. Twice is fine."""
        self._open = False
        for visit in list(self._here):
            self._send_away(visit)


class _Visit:
    backlog = False

    def __init__(self, visitor: Visitor, gone: Callable[[_Visit], None]) -> None:
        self.visitor = visitor
        self.socket = visitor.fileno()
        self.last = time.monotonic()
        self._gone = gone

    def serve(self, limit: int) -> bool:  # noqa: ARG002 - a caller waits for its answer before it asks again
        self.last = time.monotonic()
        if not self.visitor.serve():
            self._gone(self)
        return True
