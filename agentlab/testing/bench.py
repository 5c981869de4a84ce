"""Agents in the test's own thread, step by step: no processes, no sockets, no sleeping."""

from __future__ import annotations

from typing import Any, Self, TypeVar

from agentlab.agent.agent import Agent
from agentlab.agent.declared import bind_declared
from agentlab.errors import ConfigurationError, MessageTimeoutError
from agentlab.testing.clock import ManualClock
from agentlab.testing.fitting import BenchDirectory, fit
from agentlab.testing.network import Network
from agentlab.testing.turns import Turns

A = TypeVar("A", bound=Agent)


class TestBench:
    """A bench on which agents are tested: the agents are plain objects, and nothing happens until the test says so.

    ::

        with TestBench() as bench:
            meter = bench.agent(Meter, "Meter", attributes={"gain": 2})
            published = bench.collect(meter.addr("power"))
            bench.advance(1.0)  # a second passes; timers tick, messages arrive
            assert published == [4.2]

    Sockets, channels, topics, timers, ``async def`` handlers and time-outs work as in processes, in the test's own
    thread and by the bench's clock, which only the test moves. An agent that waits (``send_recv``, ``recv``, a full
    ``send``) lets the others work meanwhile. Proxies and the name server are not there; ``connect(("Name", "alias"))`` is.

    Args:
        strict: Raise the first error of a handler, timer or hook from the call of the bench in which it happened;
            False: agents only count and log them, as they do in processes.

    Attributes:
        clock: The :class:`ManualClock` of all its agents.
        network: The :class:`Network` of all their sockets.
        agents: The agents that the test has built, by name, as long as they are not shut down.
    """

    __test__ = False  # it is no test, whatever pytest makes of its name

    def __init__(self, *, strict: bool = True) -> None:
        self.clock = ManualClock()
        self._turns = Turns(self.clock, self._shut_down)
        self.network = Network(self._turns.wait)
        self.agents: dict[str, Agent] = {}
        self._strict = strict
        self._errors: list[BaseException] = []
        self._askers: dict[Any, Agent] = {}

    # --- building -------------------------------------------------------------------------------------------------

    def agent(
        self,
        base: type[A] = Agent,  # type: ignore[assignment]  # the default of a bound type variable
        name: str = "",
        *,
        attributes: dict[str, Any] | None = None,
        serializer: str | None = None,
        transport: str | None = None,
        run: bool = True,
    ) -> A:
        """Build an agent, call its ``on_init``, bind what it declares and, if `run`, call its ``before_loop``; give it.

        Raises:
            Exception: whatever these raise.
        """
        name = name or f"{base.__name__}-{len(self._turns.agents) + 1}"
        if name in self.agents:
            raise ConfigurationError(f"there is an agent called {name!r} on this bench; choose another name")
        agent = self._build(base, name, serializer, transport, attributes)
        try:
            agent.on_init()
            bind_declared(agent, {})
            self.agents[name] = agent
            if run:
                agent.run()
        except BaseException:
            self._end(agent)
            raise
        return agent

    def _build(self, base: type[A], *args: Any) -> A:
        name, serializer, transport, attributes = args
        agent = base(name, None, serializer, transport, attributes)
        fit(agent, self._turns, self.network, self._errors.append)
        agent._directory = BenchDirectory(self.agents, self._turns)
        self._turns.agents.append(agent)
        return agent

    # --- running --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Let all agents work until none has anything to do at this moment.

        Raises:
            AssertionError: they never become quiet, as with ``each(0)`` or two that answer each other for ever.
            Exception: the first one that a handler, timer or hook raised, if the bench is strict.
        """
        self._turns.run()
        self._raise_first()

    def turn(self) -> bool:
        """Let every agent serve once what it has; tell whether any had something. Errors are raised by the next :meth:`run`."""
        return self._turns.turn()

    def advance(self, seconds: float) -> None:
        """Let time pass: what falls due within it happens at its own moment, in order. Raises as :meth:`run`.

        Args:
            seconds: How long.
        """
        self._turns.advance(seconds)
        self._raise_first()

    def _raise_first(self) -> None:
        errors = list(self._errors)
        self._errors.clear()
        if errors and self._strict:
            raise errors[0]

    # --- the test's own sockets -----------------------------------------------------------------------------------

    def collect(self, address: Any, topics: Any = "") -> list[Any]:
        """Connect to a PUSH, PUB or SYNC_PUB socket; give a list that its messages will be put into.

        Args:
            address: The server's address or channel.
            topics: PUB, SYNC_PUB: a topic, or a list of topics.
        """
        messages: list[Any] = []

        def keep(agent: Agent, message: Any) -> None:  # noqa: ARG001 - a handler is given its agent
            messages.append(message)

        wanted = [topics] if isinstance(topics, (str, bytes)) else list(topics)
        publishes = str(address.kind) in ("PUB", "SYNC_PUB")
        self._client(None).connect(address, handler=dict.fromkeys(wanted, keep) if publishes else keep)
        self.run()
        return messages

    def tell(self, address: Any, message: Any, topic: str | bytes | None = None) -> None:
        """Send a message to a PULL or SUB socket, and let the agents handle it. Raises as :meth:`run`.

        Args:
            address: The server's address.
            message: What its serializer can write.
            topic: SUB: the topic.
        """
        client = self._client(address)
        own = client.connect(address)
        self.run()  # the subscriptions arrive
        client.send(own, message, topic=topic)
        self.run()

    def ask(self, address: Any, message: Any, timeout: float = 3.0) -> Any:
        """Ask a REP, ASYNC_REP or SYNC_PUB socket; give the reply.

        Raises:
            MessageTimeoutError: no reply within `timeout` seconds of the bench's clock.
            Exception: the error that came instead; it is not raised again by :meth:`run`.
        """
        before = len(self._errors)
        try:
            return self._reply(address, message, timeout)
        except Exception:
            del self._errors[before:]
            raise

    def _reply(self, address: Any, message: Any, timeout: float) -> Any:
        client = self._client(address)
        own = client.connect(address)
        if str(address.kind) == "REP":
            return client.send_recv(own, message, timeout=timeout)
        replies: list[Any] = []
        errors: list[Any] = []
        note = errors.append
        client.send(own, message, handler=lambda _, reply: replies.append(reply), on_error=lambda _, error: note(error))
        if not self._turns.wait(lambda: bool(replies or errors), timeout):
            raise MessageTimeoutError(f"no reply came within {timeout:g} s")
        if errors:
            raise errors[0]
        return replies[0]

    def _client(self, address: Any) -> Agent:
        """Give the test's own agent for an address, or a new one for None: each list has its own socket."""
        if address in self._askers:
            return self._askers[address]
        agent = self._build(Agent, "test bench", None, None, None)
        agent.run()
        if address is not None:
            self._askers[address] = agent
        return agent

    # --- the end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Shut all agents down: ``on_stop``, then their sockets; twice is fine. Raises as :meth:`run`."""
        for agent in list(self._turns.agents):
            self._shut_down(agent)
        if self._turns.event_loop is not None:
            self._turns.event_loop.close()
            self._turns.event_loop = None
        self._raise_first()

    def _shut_down(self, agent: Agent) -> None:
        self._turns.guarded(agent, agent.on_stop, "on_stop()")
        self._end(agent)

    def _end(self, agent: Agent) -> None:
        if self.agents.get(agent.name) is agent:
            del self.agents[agent.name]
        self._turns.forget(agent)
        agent._state.running.clear()
        agent._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._strict = self._strict and kind is None  # one error at a time: the first is on its way
        self.close()
