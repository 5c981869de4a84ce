"""Turns of agents in one thread: who serves when, and how time passes."""

from __future__ import annotations

from collections.abc import Callable

from agentlab.agent.agent import Agent
from agentlab.agent.loop import FAILURES, IDLE_AFTER
from agentlab.testing.clock import ClockedEventLoop, ManualClock

MOST_TURNS = 10_000
MOST_WAITS_IN_VAIN = 1000
SAME_MOMENT = 1e-9
"""Seconds within which two times are one: ten times 0.1 is a little less than 1."""


class Turns:
    """Lets agents serve what they have, one after the other, and moves the clock from one event to the next.

    Args:
        clock: The clock of the agents.
        end: Ends an agent that was told to shut down.
    """

    def __init__(self, clock: ManualClock, end: Callable[[Agent], None]) -> None:
        self.clock = clock
        self.agents: list[Agent] = []
        self.event_loop: ClockedEventLoop | None = None
        self._end = end
        self._serving: list[Agent] = []
        self._active: dict[Agent, float] = {}
        self._in_vain = 0

    def start(self, agent: Agent) -> None:
        """Have an agent run from now on, as its own ``run()`` would."""
        agent._state.stop_asked = False
        agent.before_loop()
        agent._state.running.set()
        self._active[agent] = self.clock.now()

    def forget(self, agent: Agent) -> None:
        """Let an agent serve no more; twice is fine."""
        if agent in self.agents:
            self.agents.remove(agent)
        self._active.pop(agent, None)

    def turn(self) -> bool:
        """Let every agent serve once what it has; tell whether any had something."""
        did = [self._turn_of(agent) for agent in list(self.agents) if agent not in self._serving]
        if self.event_loop is not None:
            did.append(self.event_loop.step())
        self._in_vain = 0 if any(did) else self._in_vain + 1
        return any(did)

    def run(self) -> None:
        """Let all serve until none has anything to do at this moment.

        Raises:
            AssertionError: they never become quiet.
        """
        for _ in range(MOST_TURNS):
            if not self.turn():
                return
        raise AssertionError(f"the agents are not quiet after {MOST_TURNS} turns; use turn() where they never are")

    def advance(self, seconds: float) -> None:
        """Let time pass: what falls due happens at its own moment. Raises as :meth:`run`."""
        until = self.clock.now() + seconds
        self.run()
        while (when := self._next_time()) is not None and when <= until + SAME_MOMENT:
            self.clock.reach(when)
            self.run()
        self.clock.reach(until)
        self.run()

    def wait(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Let the others serve until a condition is true: what an agent does that waits for a message.

        Args:
            condition: What is waited for.
            timeout: Seconds of the clock; None: for ever.

        Returns:
            Whether it became true.

        Raises:
            AssertionError: it never will, as far as anybody can see.
        """
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
            if until is not None and (when is None or when > until):
                self.clock.reach(until)
                return condition()
            assert when is not None
            self.clock.reach(when)
            turns = 0
        return True

    def guarded(self, agent: Agent, action: Callable[[], object], what: str) -> None:
        """Run a hook of an agent; what it raises is an error of the agent."""
        try:
            action()
        except FAILURES as error:
            agent._faults.failed(error, what)

    def _turn_of(self, agent: Agent) -> bool:
        state = agent._state
        if state.ending:
            self._end(agent)
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
                self.guarded(agent, agent.idle, "idle")
                did = True
        finally:
            self._serving.remove(agent)
        if did:
            self._active[agent] = self.clock.now()
        return did

    def _next_time(self) -> float | None:
        times = [] if self.event_loop is None else [self.event_loop.next_time()]
        for agent in self.agents:
            if agent._state.running.is_set():
                loop = agent._loop
                times += [loop.timers.next_time(), loop.deadlines.next_time(), self._idle_time(agent)]
        return min((t for t in times if t is not None), default=None)

    def _idle_time(self, agent: Agent) -> float | None:
        return None if type(agent).idle is Agent.idle else self._active[agent] + IDLE_AFTER
