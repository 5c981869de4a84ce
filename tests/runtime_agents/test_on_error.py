"""What becomes of an agent whose handler, timer or method raises: continue, stop, restart."""

from __future__ import annotations

import os
import time

import pytest

from agentlab import AgentProcess, Proxy, run_agent
from tests.runtime_agents.actors import Actor, Restarting, Stopping
from tests.runtime_agents.helpers import gone, wait_until, within
from tests.timing import soon


def sender(ns, address):
    push = run_agent("push")
    push.connect(address, alias="out")
    return push


def test_continue_is_the_default(ns):
    agent = run_agent("agent", base=Actor)
    address = agent.bind("PULL", alias="in", handler=lambda agent, message: agent.events.append(10 / message))
    push = sender(ns, address)
    for number in (5, 0, 2):
        push.send("out", number)
    wait_until(lambda: agent.events[-2:] == [2.0, 5.0])
    assert agent.error_count() == 1
    assert "ZeroDivisionError" in agent.last_error()
    assert agent.is_running()


def test_timer_and_call_that_raise(ns):
    agent = run_agent("agent", base=Actor)
    agent.after(0, lambda agent: 1 / 0)
    wait_until(lambda: agent.error_count() == 1)
    with pytest.raises(ValueError, match="x"):
        agent.fail(ValueError, "x")
    assert agent.error_count() == 2
    assert agent.is_running()


@pytest.mark.parametrize("how", ["option", "class", "attribute"])
def test_stop(ns, how):
    if how == "class":
        agent = run_agent("agent", base=Stopping)
    elif how == "option":
        agent = run_agent("agent", on_error="stop")
    else:
        agent = run_agent("agent")
        agent.set_attr(on_error="stop")
    address = agent.bind("PULL", alias="in", handler=lambda agent, message: 1 / 0)
    push = sender(ns, address)
    push.send("out", 1)
    wait_until(lambda: not agent.is_running())
    assert agent.ping() == "pong"
    assert "agent" in ns.agents()
    assert agent.error_count() == 1
    agent.run()
    assert agent.is_running()


def test_stop_because_of_a_call(ns):
    agent = run_agent("agent", base=Actor, on_error="stop")
    with pytest.raises(ZeroDivisionError):
        agent.fail(ZeroDivisionError)
    wait_until(lambda: not agent.is_running())
    assert agent.unsafe.add(1) == 2


def test_wrong_call_is_the_callers_fault(ns):
    """Asking for what is not there stops nobody."""
    agent = run_agent("agent", on_error="stop")
    with pytest.raises(LookupError):
        agent.addr("nothing")
    with pytest.raises(AttributeError):
        agent.nothing()
    with pytest.raises(ValueError, match="REP"):
        agent.bind("NONSENSE")
    assert agent.is_running()
    assert agent.error_count() == 0


def test_wrong_mode(ns):
    agent = run_agent("agent")
    with pytest.raises(ValueError, match="continue, stop, restart"):
        agent.set_attr(on_error="explode")
    assert agent.on_error == "continue"


def test_restart(ns, start_method):
    agent = run_agent("phoenix", base=Restarting, start_method=start_method)
    first = agent.pid()
    with pytest.raises(ValueError, match="asked to"):
        agent.fail()
    wait_until(lambda: gone(first))
    with within(2.0 if start_method == "forkserver" else 5.0):
        wait_until(lambda: "phoenix" in ns.agents(), 5.0)
        assert agent.pid() != first, "the old proxy finds the new process"
    assert Proxy("phoenix").is_running()
    assert agent.has_socket("in")


def test_restart_by_a_handler_takes_less_than_a_second(ns):
    agent = run_agent("phoenix", base=Restarting)
    first = agent.pid()
    push = sender(ns, agent.addr("in"))
    began = time.monotonic()
    push.send("out", 1)
    wait_until(lambda: _pid(agent) not in (None, first), 3.0)
    assert time.monotonic() - began < soon(1.0)
    assert agent.is_running()


def _pid(agent):
    try:
        return agent.pid()
    except (ConnectionError, RuntimeError):
        return None


def test_restarted_again_and_again_until_it_is_too_much(ns):
    process = AgentProcess("phoenix", base=Restarting)
    process.start(run=True)
    agent = process.proxy()
    pids = {process.pid}
    for _ in range(5):
        pid = _wait_pid(agent)
        with pytest.raises(ValueError, match="asked"):
            agent.fail()
        wait_until(lambda pid=pid: gone(pid))
        pids.add(_wait_pid(agent))
    assert len(pids) == 6
    with pytest.raises(ValueError, match="asked"):
        agent.fail()
    process.join(3.0)
    assert not process.is_alive()
    wait_until(lambda: ns.agents() == [], 1.0)


def _wait_pid(agent):
    wait_until(lambda: _pid(agent) is not None, 5.0)
    return _pid(agent)


def test_restart_keeps_on_init_and_attributes(ns):
    agent = run_agent("phoenix", base=Restarting, attributes={"given": 5})
    first = agent.pid()
    with pytest.raises(ValueError, match="asked"):
        agent.fail()
    wait_until(lambda: gone(first))
    _wait_pid(agent)
    assert agent.given == 5


def test_shutdown_is_no_restart(ns):
    process = AgentProcess("phoenix", base=Restarting)
    process.start(run=True)
    process.proxy().shutdown()
    process.join(10.0)
    assert not process.is_alive() and process.exitcode == 0
    time.sleep(0.3)  # nothing may come back in this time
    assert ns.agents() == []


def test_killed_agent_is_not_restarted_unless_asked(ns):
    process = AgentProcess("mortal")
    process.start(run=True)
    os.kill(process.pid, 9)
    process.join(10.0)
    wait_until(lambda: ns.agents() == [], 1.0)
    assert not process.is_alive()


def test_restart_while_the_starter_shuts_everything_down(ns):
    agent = run_agent("phoenix", base=Restarting)
    with pytest.raises(ValueError, match="asked"):
        agent.fail()
    ns.shutdown_agents(5.0)
    wait_until(lambda: ns.agents() == [], 1.0)


def test_sys_exit_in_a_handler(ns):
    agent = run_agent("agent", base=Actor)
    address = agent.bind("PULL", alias="in", handler=lambda agent, message: agent.leave() if message else agent.event("went on"))
    push = sender(ns, address)
    push.send("out", 1)
    push.send("out", 0)
    wait_until(lambda: "went on" in agent.events)
    assert agent.error_count() == 1
    agent.after(0, "leave")
    wait_until(lambda: agent.error_count() == 2)
    assert agent.is_running()
