"""Agents that call themselves, or each other in circles: an answer or a DeadlockError within seconds, never a hang."""

from __future__ import annotations

import threading

import pytest

from agentlab import DeadlockError, Proxy, run_agent
from tests.runtime_agents.actors import Caller, Chatterer
from tests.runtime_agents.helpers import wait_until, within


@pytest.fixture
def ring(ns):
    """Three agents; each knows the next."""
    agents = [run_agent(name, base=Caller) for name in "abc"]
    for agent, following in zip(agents, [*agents[1:], agents[0]], strict=True):
        agent.next = following
    yield agents
    for agent in agents:
        agent.unsafe.give_up = True


def test_own_proxy(ring):
    a, *_ = ring
    a.me = Proxy("a")
    with within(2.0):
        assert a.own("add", 1) == 2, "a safe call of its own runs at once: the loop is the thread that calls"
        assert a.own_unsafe("add", 1) == 2
        assert a.own_attribute() == "a"
        assert a.unsafe.own("add", 1) == 2
        assert a.own_oneway() is None


def test_own_future_that_is_not_waited_for(ring):
    a, *_ = ring
    a.me = Proxy("a")
    assert a.own_future_later() == "asked"
    wait_until(lambda: a.unsafe.seen == 2)


def test_own_future_that_is_waited_for(ring):
    a, *_ = ring
    a.me = Proxy("a")
    with within(2.0), pytest.raises(DeadlockError, match="'a'"):
        a.own_future()
    with within(2.0):
        assert a.own_future_unsafe() == 2


@pytest.mark.parametrize("hops", [2, 3])
def test_circle_of_safe_calls_in_one_chain(ring, hops):
    """Each calls the next; the last one calls the first, whose loop waits: known at once from the call's path."""
    a, *_ = ring
    if hops == 2:
        ring[1].next = a
    for _ in range(3):  # later calls come on connections that the loop itself serves
        with within(0.5), pytest.raises(DeadlockError, match="'a' waits"):
            a.pass_on(hops)
        for agent in ring:
            assert agent.add(1) == 2


def test_circle_through_an_unsafe_call_ends_in_an_answer(ring):
    a, _, c = ring
    c.unsafe_next = True
    with within(2.0):
        assert a.pass_on(3) == "arrived at a"


def test_circle_whose_middle_is_unsafe(ring):
    """a's loop waits for a thread of b, which waits for c's loop, which waits for a's loop."""
    a, *_ = ring
    a.unsafe_next = True
    with within(1.0), pytest.raises(DeadlockError):
        a.pass_on(3)


def test_line_is_no_circle(ring):
    a, *_ = ring
    assert a.pass_on(2) == "arrived at c"


@pytest.mark.parametrize("hops", [2, 3])
@pytest.mark.parametrize("way", ["safe", "unsafe", "future"])
def test_crossing_calls(ring, hops, way):
    """All call the next one at the same moment: no chain knows of the others."""
    agents = ring[:hops]
    agents[-1].next = agents[0]
    for agent in agents:
        agent.unsafe_next = way == "unsafe"
        agent.future_next = way == "future"
    barrier = threading.Barrier(hops)

    def begin(agent):
        barrier.wait(5.0)
        return agent.meet(agents.index(agent))

    with within(8.0):
        results = run_all([lambda agent=agent: begin(agent) for agent in agents])
    if way == "unsafe":
        assert results == ["pong"] * hops
        return
    (text, *_) = [str(r) for r in results if isinstance(r, DeadlockError)]
    assert all(f"'{name}'" in text for name in "abc"[:hops]), text
    assert all(isinstance(r, DeadlockError) or r == "pong" for r in results)
    for agent in ring:
        assert agent.add(1) == 2


def test_crossing_calls_through_unsafe_threads(ring):
    """a's loop -> thread of b -> c's loop, while c's loop -> a's loop."""
    a, _, c = ring
    a.unsafe_next = True
    threads = [lambda: a.slowly_pass_on(2), lambda: c.slowly_pass_on(1)]
    with within(8.0):
        results = run_all(threads)
    assert any(isinstance(r, DeadlockError) for r in results), results


def test_long_call_is_no_deadlock(ring):
    """b is busy for some time, and calls c and a's friend meanwhile: whoever waits gets the answer."""
    a, _, c = ring
    with within(12.0):
        results = run_all([lambda: a.ask_next_to_nap(2.5), lambda: c.slowly_pass_on(1)])
    assert results == ["slept", "arrived at a"]


def test_busy_traffic_in_a_ring_is_never_taken_for_a_deadlock(ns):
    """Calls go round in both directions all the time, each answered by an unsafe call: nobody ever waits in a circle."""
    agents = [run_agent(f"chat{i}", base=Chatterer) for i in range(3)]
    for i, agent in enumerate(agents):
        agent.friends = [agents[i - 1], agents[(i + 1) % 3]]
    results = run_all([lambda agent=agent: agent.chat(2.2) for agent in agents])
    assert all(isinstance(r, int) and r > 10 for r in results), results


def test_deadlock_ends_when_one_call_times_out(ring):
    a, b, _ = ring
    b.next = a
    with within(5.0):
        results = run_all([lambda: a.meet_with_timeout(0.5), lambda: b.meet(1)])
    assert "TimeoutError" in [r if isinstance(r, str) else type(r).__name__ for r in results], results


def run_all(functions):
    """Run functions at the same time; give what each returned or raised."""
    results = [None] * len(functions)

    def run(i, function):
        try:
            results[i] = function()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=item) for item in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15.0)
        assert not thread.is_alive(), f"it hangs: {results}"
    return results


def test_a_circle_is_logged_in_one_line_by_each_agent(capfd, ns):
    ring = a, b, c = [run_agent(name, base=Caller) for name in "abc"]
    a.next, b.next, c.next = b, c, a
    with pytest.raises(DeadlockError):
        a.pass_on(3)
    for agent in ring:
        wait_until(lambda agent=agent: agent.error_count() == 1)
        assert "Traceback" in agent.last_error()
    logged = ""

    def lines():
        nonlocal logged
        logged += "".join(capfd.readouterr())
        return logged.splitlines()

    wait_until(lambda: len(lines()) >= 3)
    assert len(lines()) == 3, logged
    for line in lines():
        assert "call of pass_on() raised agentlab.errors.DeadlockError: agent 'a' waits" in line
