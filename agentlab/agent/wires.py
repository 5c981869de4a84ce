"""Wires: connections to other agents' sockets that are made when those agents are there, however often they come and go.

An agent does not wait for its wires. The directory says, from threads of its own, where a server is or why it is not
there; the loop then connects, or connects again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentlab.agent import handlers
from agentlab.agent.calls import Directory
from agentlab.agent.link import Link
from agentlab.agent.loop import FAILURES
from agentlab.errors import AgentLabError, AgentStartError, HandlerError
from agentlab.wire.address import AgentAddress
from agentlab.wire.channel import AgentChannel

if TYPE_CHECKING:
    from agentlab.agent.agent import Agent

Address = AgentAddress | AgentChannel
Names = str | Sequence[str]
"""One name of a method, or several, which are called in order."""


@dataclass(frozen=True)
class WireSpec:
    """A connection to another agent's socket, made when that agent is there and again whenever it comes back elsewhere.

    Attributes:
        server: Name of the agent and alias of its socket.
        alias: The own name for it; None: it needs none.
        handler: The name of a method, or a dict topic -> name, that gets what comes; None: the wire is for sending.
    """

    server: tuple[str, str]
    alias: str | None = None
    handler: Names | Mapping[str, Names] | None = None


@dataclass
class _Line:
    """The wires to one socket of another agent: they share one link."""

    server: tuple[str, str]
    specs: list[WireSpec] = field(default_factory=list)
    link: Link | None = None
    made: bool = False
    why: str = ""

    @property
    def shown(self) -> str:
        return ".".join(self.server)

    @property
    def sends(self) -> bool:
        return all(spec.handler is None for spec in self.specs)


_NOT_THERE: dict[str, Any] = {"kind": None, "role": "client", "address": None, "serializer": None, "topics": []}


class Wires:
    """The wires of one agent.

    Args:
        agent: Whose they are, after its ``on_init``.
        specs: Several to one socket of another agent are fine, also of one topic.

    Raises:
        AgentStartError: a handler is no method of the agent, or a socket is given both a handler and topics.
    """

    def __init__(self, agent: Agent, specs: Sequence[WireSpec]) -> None:
        self._agent = agent
        self._lines: dict[tuple[str, str], _Line] = {}
        for spec in specs:
            server = (spec.server[0], spec.server[1])
            line = self._lines.setdefault(server, _Line(server))
            line.specs.append(spec)
            self._check(line, spec)
            self._expect(line, f"agent {server[0]!r} has not been seen yet")
        self._due: set[tuple[str, str]] = set()

    def _check(self, line: _Line, spec: WireSpec) -> None:
        try:
            for names in _by_topic(spec.handler).values():
                for name in names:
                    handlers.resolve_topic(self._agent, name)
        except HandlerError as error:
            raise AgentStartError(f"the wire from {line.shown!r} to agent {self._agent.name!r} cannot be: {error}") from None

    def follow(self, directory: Directory, is_there: Callable[[str], bool] = lambda _: True) -> None:
        """Have the wires made, now and whenever their servers come back. Returns at once.

        Args:
            directory: Tells where the servers are.
            is_there: Whether an agent has its name now: wires to those that have not keep nobody waiting.
        """
        there = {agent for agent in {server[0] for server in self._lines} if is_there(agent)}
        self._due = {server for server in self._lines if server[0] in there}
        post = self._agent._loop.post
        for line in self._lines.values():

            def here(address: Address, line: _Line = line) -> None:
                post(lambda: self._make(line, address))

            def gone(why: str, line: _Line = line) -> None:
                post(lambda: self._expect(line, why))

            directory.follow(*line.server, here, gone)

    def are_due(self) -> bool:
        """Tell whether a wire is about to be made, as its server was there: what the loop does may need it."""
        return bool(self._due)

    def describe(self, sockets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give the agent's sockets with the wires that wait added: a socket of one whose server has left waits, too.

        Any thread.

        Args:
            sockets: As :func:`~agentlab.agent.describe.socket` gives them.
        """
        for line in [line for line in self._lines.values() if not line.made]:
            waits = {"state": "waiting", "why": line.why}
            there = [row for row in sockets if row["remote"] == list(line.server)]
            for row in there:
                row.update(waits)
            known = {row["alias"] for row in there} if there else set()
            sockets += [
                {**_NOT_THERE, "alias": alias, "remote": list(line.server), "sends": line.sends, **waits}
                for alias in {spec.alias for spec in line.specs} - known
            ]
        return sockets

    def _expect(self, line: _Line, why: str) -> None:
        line.made, line.why = False, why
        for spec in line.specs:
            if spec.alias is not None:
                self._agent._links.expected[spec.alias] = f"the wire to {line.shown!r} is not made: {why}"

    def _make(self, line: _Line, server: Address) -> None:
        """Connect, or connect again. In the loop's thread."""
        self._due.discard(line.server)
        links = self._agent._links
        try:
            if line.link is not None and _is_like(line.link, server):
                links.renew(line.link, server)
            else:
                if line.link is not None and not line.link.closed:
                    links.close(line.link.address, 0.0)  # that agent has come back with a socket of another sort
                line.link = self._connect(line, server)
        except (AgentLabError, ValueError) as error:
            self._expect(line, str(error))
            self._agent.log_error(f"the wire to {line.shown!r} cannot be made: {error}")
            return
        line.made, line.why = True, ""

    def _connect(self, line: _Line, server: Address) -> Link:
        links = self._agent._links
        kind = str(server.twin().kind)
        links.check_free([spec.alias for spec in line.specs], server.twin())
        address = links.connect(server, None, _merged(self._agent, kind, line.specs), None)
        for spec in line.specs:
            if spec.alias is not None:
                links.connect(server, spec.alias, None, None)  # the same link under one name more
        link = links.get(address)
        link.remote = line.server
        return link


def _is_like(link: Link, server: Address) -> bool:
    """Tell whether a link can simply be connected elsewhere."""
    old, new = link.address, server.twin()
    return not link.closed and (old.kind, old.transport, old.serializer) == (new.kind, new.transport, new.serializer)


def _by_topic(handler: Names | Mapping[str, Names] | None) -> dict[str, list[str]]:
    """Give topic -> names of methods for whatever form the handler of a wire has."""
    if handler is None:
        return {}
    given = handler if isinstance(handler, Mapping) else {"": handler}
    return {topic: [names] if isinstance(names, str) else list(names) for topic, names in given.items()}


def _merged(agent: Agent, kind: str, specs: Sequence[WireSpec]) -> Any:
    """Give one handler, as ``connect`` takes it, for all wires of a link; None where there is none."""
    topics: dict[str, list[str]] = {}
    for spec in specs:
        for topic, names in _by_topic(spec.handler).items():
            topics.setdefault(topic, []).extend(names)
    if not topics:
        return None
    if kind in ("SUB", "SYNC_SUB"):
        return {topic: names[0] if len(names) == 1 else _all_of(agent, names) for topic, names in topics.items()}
    if set(topics) != {""}:
        raise HandlerError(f"a {kind} socket knows no topics, so its wire takes the name of one method, not {topics}")
    names = topics[""]
    if kind == "PULL":
        return names
    if len(names) > 1:
        raise HandlerError(f"a {kind} socket has one handler, but its wires name {len(names)}: {', '.join(names)}")
    return names[0]


def _all_of(agent: Agent, names: Sequence[str]) -> Callable[[Any, Any, Any], None]:
    """Give a handler of (agent, message, topic) that calls several methods; one that raises harms no other."""
    steps = [handlers.resolve_topic(agent, name) for name in names]

    def run_all(_agent: Any, message: Any, topic: Any) -> None:
        for name, step in zip(names, steps, strict=True):
            try:
                agent._coroutines.take(step(message, topic))
            except FAILURES as error:  # a door: as for handlers of different topics
                agent._faults.failed(error, f"handler {name}()")

    return run_all
