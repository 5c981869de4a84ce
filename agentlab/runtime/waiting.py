"""What is done while a call waits for its answer: look for signs of life, and for agents that wait for each other in a circle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentlab.agent.local import Wait
from agentlab.errors import CallTimeoutError, CommunicationError, DeadlockError
from agentlab.settings import config

if TYPE_CHECKING:
    from agentlab.agent.door import Door

MOST_HOPS = 32
STEP, STEP_OF_AGENTS = 1.0, 0.5  # seconds between two looks; an agent needs two to see a circle

Circle = tuple[tuple[str, int, str], ...]
"""Where somebody waits, the number of that wait, and the name of whom it is for."""

Probe = Callable[[str, str | None], list[Wait]]
"""Asks the agent at a URI what its loop, or on behalf of another loop its other threads, waits for."""


class Watch:
    """One call that waits.

    Args:
        name: Who is called.
        uri: Where that one is.
        probe: Asks an agent what it waits for; raises CommunicationError when it does not answer.
        safe: Whether the called one's loop is needed.
        behalf: The agent whose loop may stand still until the answer is there; None: no agent's.
        kind: What is called, for messages.
    """

    def __init__(self, name: str, uri: str, probe: Probe, *, safe: bool, behalf: Door | None, kind: str = "agent") -> None:
        self._kind = kind
        self._name, self._uri = name, uri
        self._probe = probe
        self._safe = safe
        self._behalf = behalf
        self._last_life = time.monotonic()
        self._circle: Circle = ()
        self.step = STEP if behalf is None else STEP_OF_AGENTS
        """Seconds between two looks."""

    def look(self, _waited: float) -> None:
        """Look once.

        Raises:
            CallTimeoutError: no sign of life for ``config['PATIENCE']`` seconds.
            DeadlockError: nobody in a circle of waiting agents can answer.
        """
        door = self._behalf
        try:
            if door is None or not any(uri == self._uri for uri, *_ in door.waits.on_behalf()):
                self._probe(self._uri, None)
                circle: Circle = ()
            else:
                circle = self._find_circle(door.uri)
            self._last_life = time.monotonic()
        except CommunicationError as error:
            self._check_patience(error)
            return
        # Seen twice, wait for wait: then all of them have waited at one and the same moment, and no answer was on its way.
        if circle and circle == self._circle:
            way = ", which waits for ".join(repr(name) for *_, name in circle)
            raise DeadlockError(
                f"{self._kind} {self._name!r} waits for {way}, which waits for this very call: none of them could ever answer; "
                "use .unsafe or .oneway, or send a message. The call may run yet"
            )
        self._circle = circle

    def _check_patience(self, error: CommunicationError) -> None:
        silent = time.monotonic() - self._last_life
        if silent > config["PATIENCE"]:
            raise CallTimeoutError(
                f"{self._kind} {self._name!r} has shown no sign of life for {silent:.1f} s (frozen, or stuck in C code); "
                "the call may have run"
            ) from error

    def _find_circle(self, own: str) -> Circle:
        """Give the waits that lead from the agent that is called back to our own loop; empty: none do.

        Raises:
            CommunicationError: the agent that is called does not answer.
        """
        todo: list[tuple[str, str | None, Circle]] = [(self._uri, None if self._safe else own, ())]
        seen: set[tuple[str, str | None]] = set()
        while todo and len(seen) < MOST_HOPS:
            uri, behalf, way = todo.pop()
            if (uri, behalf) in seen:
                continue
            seen.add((uri, behalf))
            try:
                waits = self._probe(uri, behalf)
            except CommunicationError:
                if not way:
                    raise
                continue  # whoever waits for that one will notice
            for to, safe, token, name in waits:
                longer = (*way, (uri, token, name))
                if safe and to == own:
                    return longer
                todo.append((to, None if safe else behalf or uri, longer))
        return ()
