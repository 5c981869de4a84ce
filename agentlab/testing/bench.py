"""Agents in the test's own thread, step by step: no processes, no sockets, no sleeping."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar, cast

from agentlab.agent.agent import Agent
from agentlab.agent.coroutines import Coroutines, without_exit
from agentlab.agent.loop import FAILURES, IDLE_AFTER
from agentlab.errors import ConfigurationError, MessageTimeoutError, UnknownNameError, nearest
from agentlab.testing.clock import ClockedEventLoop, ClockedTimers, ManualClock
from agentlab.testing.network import Network, QueuePoller

A = TypeVar("A", bound=Agent)

MOST_TURNS = 10_000
MOST_WAITS_IN_VAIN = 1000
SAME_MOMENT = 1e-9
"""Seconds within which two times are one: ten times 0.1 is a little less than 1."""


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
        self.network = Network(self._wait)
        self.agents: dict[str, Agent] = {}
        self._strict = strict
        self._errors: list[BaseException] = []
        self._serving: list[Agent] = []
        self._all: list[Agent] = []
        self._active: dict[Agent, float] = {}
        self._askers: dict[Any, Agent] = {}
        self._in_vain = 0
        self._aio: ClockedEventLoop | None = None

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
        """Build an agent, call its ``on_init`` and, if `run`, its ``before_loop``; give the agent itself.

        Raises:
            Exception: whatever these raise.
        """
        name = name or f"{base.__name__}-{len(self._all) + 1}"
        if name in self.agents:
            raise ConfigurationError(f"there is an agent called {name!r} on this bench; choose another name")
        agent = self._build(base, name, serializer, transport, attributes)
        try:
            agent.on_init()
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
        self._fit(agent)
        self._all.append(agent)
        return agent

    def _fit(self, agent: Agent) -> None:
        clock = self.clock
        agent._loop.use(QueuePoller(), ClockedTimers(clock), ClockedTimers(clock), clock.now)
        agent._loop.owner = threading.get_ident()
        coroutines = BenchCoroutines(agent, self._event_loop)
        agent._coroutines = agent._links._desk.coroutines = coroutines
        agent._links._desk.open_socket = cast(Any, self.network.socket)
        agent._directory = _Directory(self)
        failed = agent._faults.failed

        def note(error: BaseException, what: str) -> None:
            self._errors.append(error)
            failed(error, what)

        agent._faults.failed = note  # type: ignore[method-assign]
        agent.run = lambda: self._start(agent)  # type: ignore[method-assign]

    def _event_loop(self) -> ClockedEventLoop:
        if self._aio is None:
            self._aio = ClockedEventLoop(self.clock)
        return self._aio

    def _start(self, agent: Agent) -> None:
        agent._state.stop_asked = False
        agent.before_loop()
        agent._state.running.set()
        self._active[agent] = self.clock.now()

    # --- running --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Let all agents work until none has anything to do at this moment.

        Raises:
            AssertionError: they never become quiet, as with ``each(0)`` or two that answer each other for ever.
            Exception: the first one that a handler, timer or hook raised, if the bench is strict.
        """
        for _ in range(MOST_TURNS):
            if not self.turn():
                break
        else:
            raise AssertionError(f"the agents are not quiet after {MOST_TURNS} turns; use turn() where they never are")
        self._raise_first()

    def turn(self) -> bool:
        """Let every agent serve once what it has; tell whether any had something."""
        self._in_vain += 1
        did = [self._turn_of(agent) for agent in list(self._all) if agent not in self._serving]
        if self._aio is not None:
            did.append(self._aio.step())
        if any(did):
            self._in_vain = 0
        return any(did)

    def advance(self, seconds: float) -> None:
        """Let time pass: what falls due within it happens at its own moment, in order. Raises as :meth:`run`.

        Args:
            seconds: How long.
        """
        until = self.clock.now() + seconds
        self.run()
        while (when := self._next_time()) is not None and when <= until + SAME_MOMENT:
            self.clock.reach(when)
            self.run()
        self.clock.reach(until)
        self.run()

    def _turn_of(self, agent: Agent) -> bool:
        state = agent._state
        if state.ending:
            self._shut_down(agent)
            return True
        if state.stop_asked:
            state.running.clear()
        if not state.running.is_set():
            return False
        self._serving.append(agent)
        try:
            did = agent._loop.turn(lambda: not state.stop_asked and not state.ending)
            idle = self._idle_time(agent)
            if not did and idle is not None and idle <= self.clock.now():
                self._guarded(agent, agent.idle, "idle")
                did = True
        finally:
            self._serving.remove(agent)
        if did:
            self._active[agent] = self.clock.now()
        return did

    def _next_time(self) -> float | None:
        times = [] if self._aio is None else [self._aio.next_time()]
        for agent in self._all:
            if agent._state.running.is_set():
                loop = agent._loop
                times += [loop.timers.next_time(), loop.deadlines.next_time(), self._idle_time(agent)]
        return min((t for t in times if t is not None), default=None)

    def _idle_time(self, agent: Agent) -> float | None:
        return None if type(agent).idle is Agent.idle else self._active[agent] + IDLE_AFTER

    def _wait(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Let the others work until a condition is true; for the sockets of an agent that waits."""
        until = None if timeout is None else self.clock.now() + timeout
        turns = 0
        while not condition():
            if self.turn():
                turns += 1
                if turns > MOST_TURNS:
                    raise AssertionError(f"an agent waits, and the others are not quiet after {MOST_TURNS} turns")
                continue
            when = self._next_time()
            if (when is None and until is None) or self._in_vain > MOST_WAITS_IN_VAIN:
                self._in_vain = 0
                raise AssertionError("an agent waits for a message that nobody will ever send")
            if when is None or (until is not None and when > until):
                assert until is not None
                self.clock.reach(until)
                return condition()
            self.clock.reach(when)
            turns = 0
        return True

    def _guarded(self, agent: Agent, action: Callable[[], object], what: str) -> None:
        try:
            action()
        except FAILURES as error:
            agent._faults.failed(error, what)

    def _raise_first(self) -> None:
        errors, self._errors = self._errors, []
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
        """Ask a REP, ASYNC_REP or SYNC_PUB socket; give the reply, or raise the error that came instead.

        Raises:
            MessageTimeoutError: no reply within `timeout` seconds of the bench's clock.
        """
        client = self._client(address)
        own = client.connect(address)
        if str(address.kind) == "REP":
            return client.send_recv(own, message, timeout=timeout)
        replies: list[Any] = []
        errors: list[Any] = []
        note = errors.append
        client.send(own, message, handler=lambda _, reply: replies.append(reply), on_error=lambda _, error: note(error))
        if not self._wait(lambda: bool(replies or errors), timeout):
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
        for agent in list(self._all):
            self._shut_down(agent)
        if self._aio is not None:
            self._aio.close()
            self._aio = None
        self._raise_first()

    def _shut_down(self, agent: Agent) -> None:
        self._guarded(agent, agent.on_stop, "on_stop()")
        self._end(agent)

    def _end(self, agent: Agent) -> None:
        if self.agents.get(agent.name) is agent:
            del self.agents[agent.name]
        if agent in self._all:
            self._all.remove(agent)
        agent._state.running.clear()
        agent._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._errors.clear()  # one error at a time: the first is on its way
            self._strict = False
        self.close()


class BenchCoroutines(Coroutines):
    """Runs the coroutines of an agent in the bench's asyncio loop instead of a thread."""

    def __init__(self, agent: Agent, event_loop: Callable[[], ClockedEventLoop]) -> None:
        super().__init__(agent._loop, lambda error, what: agent._faults.failed(error, what))
        self._event_loop = event_loop
        self._tasks: set[Any] = set()

    def start(self, coroutine: Coroutine[Any, Any, Any], done: Callable[[Any], object]) -> None:
        """Run a coroutine; `done` is called with its task."""
        task = self._event_loop().create_task(without_exit(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda finished: finished.cancelled() or done(finished))

    def close(self, timeout: float = 1.0) -> None:  # noqa: ARG002 - nothing is waited for
        """Cancel what runs; twice is fine."""
        for task in list(self._tasks):
            task.cancel()
        while self._tasks and self._event_loop().step():
            pass


class _Directory:
    """Finds the sockets of the other agents of a bench by name."""

    def __init__(self, bench: TestBench) -> None:
        self._bench = bench

    def address(self, agent: str, alias: str, timeout: float) -> Any:
        agents = self._bench.agents
        if not self._bench._wait(lambda: agent in agents and agents[agent].has_socket(alias), timeout):
            raise UnknownNameError(f"no agent is called {agent!r} with a socket {alias!r}{nearest(agent, agents)}")
        return agents[agent].addr(alias)

    def follow(self, agent: str, alias: str, moved: Callable[[Any], None]) -> None:
        """Do nothing: agents of a bench do not move."""
