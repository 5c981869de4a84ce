"""The hooks of an agent's life, and what errors in them do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentlab import Agent, AgentStartError, run_agent
from agentlab.testing import agent_dies, wait_agent_attr, wait_condition
from tests.agent.live import Collector


class Hooked(Agent):
    path = ""

    def note(self, text):
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def on_init(self):
        self.note(f"on_init {self.is_running()}")

    def before_loop(self):
        self.note("before_loop")

    def on_stop(self):
        self.note(f"on_stop {self.has_socket('a')}")


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_the_order_of_the_hooks(ns, tmp_path):
    path = tmp_path / "notes"
    agent = run_agent("agent", base=type("Here", (Hooked,), {"path": str(path)}))
    assert lines(path) == ["on_init False", "before_loop"]
    agent.bind("PUSH", alias="a")
    agent.stop()
    assert wait_condition(lambda: not agent.is_running())
    assert lines(path) == ["on_init False", "before_loop"]
    agent.run()
    assert lines(path)[-1] == "before_loop"
    agent.shutdown()
    assert agent_dies("agent", ns)
    assert wait_condition(lambda: lines(path)[-1] == "on_stop True")
    assert lines(path) == ["on_init False", "before_loop", "before_loop", "on_stop True"]


def test_attributes_are_set_before_on_init(ns):
    class Reader(Agent):
        def on_init(self):
            self.seen = self.given * 2

    assert run_agent("reader", base=Reader, attributes={"given": 21}).seen == 42


def test_an_attribute_that_the_agent_has_is_refused(ns):
    with pytest.raises(AgentStartError, match='Agent already has \\\\?"ping\\\\?" attribute!'):
        run_agent("agent", attributes={"ping": 1})
    assert ns.agents() == []


@pytest.mark.parametrize("hook", ["on_init", "before_loop"])
def test_an_error_in_a_hook_of_the_start_reaches_the_starter(ns, hook):
    def bad(self):
        raise KeyError("no instrument")

    with pytest.raises(AgentStartError, match="no instrument"):
        run_agent("agent", base=type("Bad", (Agent,), {hook: bad}))
    assert wait_condition(lambda: ns.agents() == [])


def test_an_error_in_on_stop_does_not_keep_the_agent_alive(ns):
    class Bad(Agent):
        def on_stop(self):
            raise ValueError

    agent = run_agent("agent", base=Bad)
    agent.shutdown()
    assert agent_dies("agent", ns)


def test_idle_runs_when_nothing_came_for_a_second(ns):
    class Idle(Collector):
        def idle(self):
            self.received.append("idle")

    agent = run_agent("agent", base=Idle)
    assert wait_agent_attr(agent, length=2, timeout=4)
    assert set(agent.get_attr("received")) == {"idle"}


def test_idle_that_raises_is_counted(ns):
    class Idle(Agent):
        def idle(self):
            raise ValueError("idle")

    agent = run_agent("agent", base=Idle)
    assert wait_condition(lambda: agent.error_count() >= 1, timeout=3)
    assert agent.is_running()


def test_a_timer_is_no_idleness(ns):
    class Idle(Collector):
        def idle(self):
            self.received.append("idle")

    agent = run_agent("agent", base=Idle)
    agent.each(0.1, lambda agent: None)
    assert not wait_condition(lambda: agent.get_attr("received"), timeout=1.5)


def test_a_subclass_may_override_run_and_shutdown_and_call_super(ns, tmp_path):
    class Careful(Hooked):
        path = str(tmp_path / "notes")

        def run(self):
            self.note("run")
            super().run()
            self.note("ran")

        def shutdown(self):
            self.note("shutdown")
            super().shutdown()

    agent = run_agent("agent", base=Careful)
    agent.shutdown()
    assert agent_dies("agent", ns)
    path = tmp_path / "notes"
    assert wait_condition(lambda: lines(path)[-1:] == ["on_stop False"])
    assert lines(path) == ["on_init False", "run", "before_loop", "shutdown", "ran", "on_stop False"]


def test_a_bare_agent_needs_no_process():
    agent = Agent("bare", attributes={"x": 1})
    try:
        assert agent.x == 1
        assert agent.ping() == "pong"
        agent.bind("PUSH", alias="out", transport="inproc")
        assert agent.sockets().keys() == {"out"}
    finally:
        agent._close()
    assert os.getpid() == agent.execute_as_function(os.getpid)
