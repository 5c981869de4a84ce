"""Fixtures of the attack suite: a name server, a victim that has every kind of socket, and an honest peer of it."""

from __future__ import annotations

import contextlib

import pytest

from agentlab import AgentLabError, run_agent, run_nameserver
from tests.security.agents import Honest, Victim
from tests.security.helpers import wait_until


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
        self.is_raw = serializer == "raw"
        self._sent: list[int] = []
        self.pid = self.victim.own_pid()
        self.honest.meet(self.sockets)
        for kind in ("PUB", "SYNC_PUB"):
            self.victim.wait_for_subscribers(kind)

    def round(self, n: int = 5) -> None:
        """Let honest messages go every way there is; fail when one is lost, or comes twice or in another order."""
        numbers = range(len(self._sent), len(self._sent) + n)
        self._sent += numbers
        self.honest.talk(list(numbers))
        self.victim.publish(list(numbers))
        wait_until(lambda: self._lacks() == {}, 10.0, self._lacks)

    def _lacks(self) -> dict[str, list[int]]:
        wanted = [b"honest %d" % n if self.is_raw else f"honest {n}" for n in self._sent]
        got = {**self.victim.got, **self.honest.got}
        return {
            way: sorted(set(wanted) - set(messages)) or ["order or number"] for way, messages in got.items() if messages != wanted
        }

    def newcomer(self) -> None:
        """Let an honest agent that comes only now do the same."""
        other = run_agent(base=Honest)
        other.meet(self.sockets)
        other.ask(b"honest new" if self.is_raw else "honest new")
        wait_until(lambda: other.got["ASYNC_REP"] and other.got["SYNC_PUB replies"], 10.0, lambda: other.got)
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
