"""How an agent finds the sockets of other agents by name, and follows them when they come back elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from agentlab.errors import AgentLabError, AliasError, CommunicationError, NameServerError
from agentlab.nameserver.client import Change, NameServerClient
from agentlab.nameserver.follow import Watch
from agentlab.runtime.calling import Caller
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel

log = logging.getLogger(__name__)

Address = AgentAddress | AgentChannel
Moved = Callable[[Address], None]
STEP = 0.05


class NameDirectory:
    """Looks sockets up at a name server. One watch serves all that is followed; it starts with the first.

    Args:
        nsaddr: The name server's address.
    """

    def __init__(self, nsaddr: object) -> None:
        self._names = NameServerClient(nsaddr)
        self._watch: Watch | None = None
        self._followed: list[tuple[str, str, Moved]] = []
        self._instances: dict[str, str] = {}
        self._lock = threading.Lock()

    def address(self, agent: str, alias: str, timeout: float) -> Address:
        """Give the address of an agent's socket; both are waited for.

        Raises:
            UnknownNameError: no such agent in time.
            AliasError: it has no such socket in time.
        """
        deadline = time.monotonic() + timeout
        uri = self._names.wait_for(agent, timeout).uri
        caller = Caller(agent, uri, None)
        try:
            while True:
                try:
                    found = caller.call("addr", (alias,), {}, safe=False, timeout=max(0.1, deadline - time.monotonic()))
                except AliasError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(STEP)  # nobody announces new sockets
                else:
                    return found  # type: ignore[no-any-return]
        finally:
            caller.close()

    def follow(self, agent: str, alias: str, moved: Moved) -> None:
        """Call `moved` with the new address, from a thread of ours, when that agent was started again."""
        with self._lock:
            self._followed.append((agent, alias, moved))
            if self._watch is None:
                self._watch = self._names.watch(self._changed)

    def _changed(self, change: Change) -> None:
        if change.kind == "removed":
            return
        name, instance = change.name, change.registration.instance
        known = self._instances.get(name)
        self._instances[name] = instance
        if known == instance:
            return
        for agent, alias, moved in list(self._followed):
            if agent == name:
                self._tell(agent, alias, moved)

    def _tell(self, agent: str, alias: str, moved: Moved) -> None:
        try:
            moved(self.address(agent, alias, 10.0))
        except (AgentLabError, CommunicationError, NameServerError) as error:
            log.warning("cannot connect to %r of agent %r again: %s", alias, agent, error)

    def close(self) -> None:
        """End the watch; twice is fine."""
        with self._lock:
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        self._names.close()
