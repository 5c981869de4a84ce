"""Fixtures of the attack suite: a name server, a victim that has every kind of socket, and an honest peer of it."""

from __future__ import annotations

import contextlib

import pytest

from agentlab import AgentLabError, run_agent, run_nameserver
from tests.security.agents import Honest, Victim


@pytest.fixture
def ns():
    """A name server; it and its agents are ended after the test."""
    server = run_nameserver()
    yield server
    with contextlib.suppress(AgentLabError):  # a test may have ended it
        server.shutdown(5.0)
    server.release()


class Pair:
    """A victim, and an honest agent that is connected to every socket of it before any attack."""

    def __init__(self, transport: str, serializer: str) -> None:
        self.victim = run_agent("Victim", base=Victim, transport=transport, serializer=serializer)
        self.honest = run_agent("Honest", base=Honest, transport=transport, serializer=serializer)
        self.sockets = self.victim.sockets()
        self.honest.meet(self.sockets)

    def round(self, n: int = 5) -> None:
        """Let honest messages go every way there is; fail when one is lost, late or twice there."""
        number = self.honest.attr_number()
        self.honest.talk(n)
        self.victim.publish(number, n)
        self.honest.wait_for_all(self.victim, number + n)
        assert self.victim.is_running()

    def newcomer(self) -> None:
        """Let an honest agent that comes only now do the same."""
        other = run_agent(base=Honest, attributes={"number": 1_000_000})
        other.meet(self.sockets)
        other.ask_all()
        other.shutdown()

    def places(self) -> list[tuple[str, str]]:
        """Give alias and endpoint of each of the victim's sockets."""
        found = []
        for alias, address in self.sockets.items():
            ends = [address] if hasattr(address, "endpoint") else [address.receiver, address.sender]
            found += [(alias, end.endpoint()) for end in dict.fromkeys(ends) if end is not None]
        return found


@pytest.fixture(params=["ipc", "tcp"])
def transport(request):
    return request.param


@pytest.fixture
def serializer():
    return "pickle"


@pytest.fixture
def pair(ns, transport, serializer):
    return Pair(transport, serializer)
