"""The agents that this program has started and that have not ended: also those that have no name any more, or not yet again.

A frozen agent loses its name; one that is being started again has neither name nor process for a moment.
"""

from __future__ import annotations

import threading
import weakref
from typing import Protocol

from agentlab.wire.address import SocketAddress


class Started(Protocol):
    """What is known of such an agent, and what can be done to it. Any thread."""

    name: str

    @property
    def nsaddr(self) -> SocketAddress:
        """Its name server's address."""
        ...

    @property
    def instance(self) -> str:
        """By what the name server tells this incarnation from others."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        ...

    def expect_end(self) -> None:
        """Do not start it again from now on."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


_lock = threading.Lock()
_started: weakref.WeakSet[Started] = weakref.WeakSet()


def note(agent: Started) -> None:
    """Note that an agent is started."""
    with _lock:
        _started.add(agent)


def unfinished(nsaddr: SocketAddress) -> list[Started]:
    """Give those of a name server that have not ended."""
    with _lock:
        return [agent for agent in _started if agent.nsaddr == nsaddr and not agent.is_over]
