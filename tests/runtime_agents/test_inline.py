"""Agents in a thread of the caller."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest

from agentlab import Agent, NameTakenError, Proxy, run_agent
from tests.runtime_agents.actors import Actor, Caller
from tests.runtime_agents.helpers import wait_until, within


@pytest.fixture
def agent(ns):
    agent = run_agent("inline", base=Actor, inline=True)
    yield agent
    with contextlib.suppress(ConnectionError, RuntimeError):  # a test may have ended it
        agent.shutdown()
    wait_until(lambda: not agent_threads("inline"))


def agent_threads(name):
    return [t for t in threading.enumerate() if t.name == f"agentlab-{name}"]


def test_runs_in_this_process(agent, ns):
    assert agent.pid() == os.getpid()
    assert agent.is_running()
    assert ns.agents() == ["inline"]
    assert agent.add(1) == 2
    assert agent.thread() is True and agent.unsafe.thread() is False
    assert Proxy("inline").colour == "blue"


def test_sees_the_callers_objects(ns):
    seen = []

    class Sees(Agent):
        def note(self, value):
            seen.append(value)

    agent = run_agent("sees", base=Sees, inline=True)
    agent.note("x")
    assert seen == ["x"]
    agent.shutdown()
    wait_until(lambda: not agent_threads("sees"))


def test_talks_with_agents_in_processes(agent, ns):
    other = run_agent("other", base=Actor)
    address = agent.bind("PULL", alias="in", handler=lambda agent, message: agent.events.append(message))
    other.connect(address, alias="out")
    other.send("out", "hello")
    wait_until(lambda: "hello" in agent.events)
    assert other.call(agent, "add", 2) == 3


def test_errors_while_building_are_the_callers(ns):
    class Broken(Agent):
        def on_init(self):
            raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        run_agent("broken", base=Broken, inline=True)
    assert ns.agents() == []
    run_agent("taken")
    with pytest.raises(NameTakenError):
        run_agent("taken", inline=True)
    wait_until(lambda: not agent_threads("broken"))


def test_error_before_the_loop(ns):
    class Broken(Agent):
        def before_loop(self):
            raise LookupError("before")

    with pytest.raises(LookupError, match="before"):
        run_agent("broken", base=Broken, inline=True)
    wait_until(lambda: ns.agents() == [])
    wait_until(lambda: not agent_threads("broken"))


def test_stop_and_run(agent):
    agent.stop()
    wait_until(lambda: not agent.is_running())
    agent.run()
    assert agent.add(1) == 2


def test_shutdown_frees_name_and_thread(ns):
    agent = run_agent("short", inline=True)
    with within(1.0):
        agent.shutdown()
        wait_until(lambda: ns.agents() == [])
        wait_until(lambda: not agent_threads("short"))
    again = run_agent("short", inline=True)
    again.oneway.kill()
    wait_until(lambda: not agent_threads("short"))


def test_shutdown_agents_ends_inline_agents_and_not_the_program(ns):
    run_agent("one", inline=True), run_agent("two", inline=True)
    with within(2.0):
        ns.shutdown_agents()
    wait_until(lambda: not agent_threads("one") and not agent_threads("two"))


def test_inline_agents_that_call_each_other(ns):
    a, b = run_agent("a", base=Caller, inline=True), run_agent("b", base=Caller, inline=True)
    a.set_attr(next=b), b.set_attr(next=a)
    assert a.pass_on(1) == "arrived at b"
    with within(2.0), pytest.raises(RuntimeError, match="waits"):
        a.pass_on(2)
    ns.shutdown_agents()
    wait_until(lambda: not agent_threads("a") and not agent_threads("b"))
