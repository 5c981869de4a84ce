"""Putting an agent onto a bench: other sockets, another clock, coroutines without a thread, names without a name server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import Any, cast

from agentlab.agent.agent import Agent
from agentlab.agent.coroutines import Coroutines, without_exit
from agentlab.errors import UnknownNameError, nearest
from agentlab.testing.clock import ClockedEventLoop, ClockedTimers
from agentlab.testing.network import Network, QueuePoller
from agentlab.testing.turns import Turns


def fit(agent: Agent, turns: Turns, network: Network, note: Callable[[BaseException], object]) -> None:
    """Replace the parts of a new agent that would need a process.

    Args:
        agent: Just built, before its ``on_init``.
        turns: Who lets it serve.
        network: Where its sockets are.
        note: Called with what its handlers, timers and hooks raise, besides the agent's own counting.
    """
    clock = turns.clock
    failed = agent._faults.failed

    def note_too(error: BaseException, what: str) -> None:
        note(error)
        failed(error, what)

    agent._faults.failed = note_too  # type: ignore[method-assign]
    agent._loop.use(QueuePoller(), ClockedTimers(clock), ClockedTimers(clock), clock.now, note_too)
    agent._loop.owner = threading.get_ident()
    agent._links._desk.open_socket = cast(Any, network.socket)
    agent._coroutines = agent._links._desk.coroutines = BenchCoroutines(agent, turns)
    agent.run = lambda: turns.start(agent)  # type: ignore[method-assign]


class BenchCoroutines(Coroutines):
    """Runs the coroutines of an agent in the bench's asyncio loop instead of a thread."""

    def __init__(self, agent: Agent, turns: Turns) -> None:
        super().__init__(agent._loop, agent._faults.failed)
        self._turns = turns
        self._tasks: set[Any] = set()

    def _event_loop(self) -> ClockedEventLoop:
        if self._turns.event_loop is None:
            self._turns.event_loop = ClockedEventLoop(self._turns.clock)
        return self._turns.event_loop

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


class BenchDirectory:
    """Finds the sockets of the agents of a bench by name.

    Args:
        agents: Them by name.
        turns: Who lets them serve meanwhile.
    """

    def __init__(self, agents: dict[str, Agent], turns: Turns) -> None:
        self._agents = agents
        self._turns = turns

    def address(self, agent: str, alias: str, timeout: float) -> Any:
        """Give the address of an agent's socket, waiting up to `timeout` seconds of the clock for it.

        Raises:
            UnknownNameError: there is none.
        """
        agents = self._agents
        if not self._turns.wait(lambda: agent in agents and agents[agent].has_socket(alias), timeout):
            raise UnknownNameError(f"no agent is called {agent!r} with a socket {alias!r}{nearest(agent, agents)}")
        return agents[agent].addr(alias)

    def follow(self, agent: str, alias: str, moved: Callable[[Any], None], gone: Callable[[str], None] | None = None) -> None:
        """Do nothing: agents of a bench do not move."""
