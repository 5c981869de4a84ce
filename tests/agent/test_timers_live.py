"""Timers of running agents."""

from __future__ import annotations

import itertools
import time

import pytest

from agentlab import Agent, AliasError, HandlerError, run_agent
from agentlab.testing import wait_agent_attr, wait_condition
from tests.agent.live import Collector, echo
from tests.timing import soon


def tick(agent, *args, **kwargs):
    agent.received.append((args, kwargs))


def note_time(agent):
    agent.received.append(time.monotonic())


@pytest.fixture
def agent(ns):
    return run_agent("agent", base=Collector)


@pytest.mark.parametrize(
    "method",
    ["ping_back", tick, lambda agent, *args, **kwargs: agent.received.append((args, kwargs))],
    ids=["name", "function", "lambda"],
)
def test_each_and_after_call_every_form_with_its_arguments(agent, method):
    agent.set_method(ping_back=tick)
    alias = agent.each(0.01, method, 1, x=2)
    assert wait_agent_attr(agent, length=3)
    assert agent.stop_timer(alias)
    agent.set_attr(received=[])
    agent.after(0.01, method, 3, y=4)
    assert wait_agent_attr(agent, value=[((3,), {"y": 4})])
    assert agent.list_timers() == []


def test_the_first_tick_of_each_comes_at_once(agent):
    agent.each(60, tick)
    assert wait_agent_attr(agent, value=[((), {})])


def test_a_bound_method_and_an_async_one(agent):
    async def later(agent):
        agent.received.append("async")

    agent.after(0, later)
    assert wait_agent_attr(agent, value=["async"])
    agent.execute_as_method(lambda agent: agent.after(0, agent.take, "bound"))
    assert wait_agent_attr(agent, value=["async", "bound"])


def test_aliases(agent):
    one = agent.each(60, tick)
    assert agent.each(60, tick, alias="mine") == "mine"
    assert sorted(agent.list_timers()) == sorted([one, "mine"])
    with pytest.raises(AliasError, match="'mine' runs already"):
        agent.after(1, tick, alias="mine")
    assert agent.stop_timer("mine") is True
    assert agent.stop_timer("mine") is False
    assert agent.list_timers() == [one]
    agent.stop_all_timers()
    assert agent.list_timers() == []


def test_a_stopped_timer_ticks_no_more(agent):
    alias = agent.each(0.001, tick)
    assert wait_agent_attr(agent, length=3)
    seen = agent.execute_as_method(_stop_and_count, alias)
    done = agent.execute_as_method(lambda agent: agent.after(0.05, lambda agent: agent.set_attr(later=True)))
    assert done
    assert wait_agent_attr(agent, "later", value=True)
    assert len(agent.received) == seen


def _stop_and_count(agent, alias):
    agent.stop_timer(alias)
    return len(agent.received)


def test_a_timer_may_stop_itself_and_start_another(agent):
    def once(agent):
        agent.received.append("once")
        agent.stop_timer("self")
        agent.after(0, lambda agent: agent.received.append("other"))

    agent.each(0.001, once, alias="self")
    assert wait_agent_attr(agent, value=["once", "other"])
    assert wait_condition(lambda: agent.list_timers() == [])


def test_wrong_timers_are_refused(agent):
    with pytest.raises(HandlerError, match="no method 'nothing'"):
        agent.each(1, "nothing")
    with pytest.raises(TypeError):
        agent.after(1, 5)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="cannot be"):
            agent.each(wrong, tick)
    assert agent.list_timers() == []


def test_an_error_in_a_timer_is_counted_and_the_timer_goes_on(agent):
    def bad(agent):
        agent.received.append(1)
        raise ValueError("tick")

    agent.each(0.005, bad)
    assert wait_agent_attr(agent, length=3)
    assert wait_condition(lambda: agent.error_count() >= 3)
    assert "ValueError: tick" in agent.last_error()
    assert agent.is_running()


def test_periods_are_from_start_to_start(agent):
    def slow(agent):
        agent.received.append(time.monotonic())
        time.sleep(0.02)  # the work of a handler

    agent.each(0.05, slow)
    assert wait_agent_attr(agent, length=11, timeout=5)
    times = agent.received[:11]
    assert (times[-1] - times[0]) / 10 == pytest.approx(0.05, abs=0.01)


def test_ticks_are_skipped_and_not_bunched_when_an_action_is_slower(agent):
    def slow(agent):
        agent.received.append(time.monotonic())
        if len(agent.received) == 2:
            time.sleep(0.2)  # the work of a handler

    agent.each(0.05, slow)
    assert wait_agent_attr(agent, length=6, timeout=5)
    times = agent.received
    gaps = [b - a for a, b in itertools.pairwise(times[2:])]
    assert all(gap > 0.02 for gap in gaps)
    assert times[2] - times[1] > 0.19


def test_each_of_zero_starves_nobody(ns, agent):
    def spin(agent):
        agent.spins = getattr(agent, "spins", 0) + 1

    agent.each(0, spin)
    agent.each(0.01, tick)
    client = run_agent("client")
    client.connect(agent.bind("REP", handler=echo), alias="req")
    for number in range(50):
        assert client.send_recv("req", number, timeout=2) == number
        assert agent.get_attr("spins") >= 0
        assert agent.has_socket("nothing") is False
    assert wait_agent_attr(agent, length=3)
    assert agent.spins > 50


def test_a_flood_of_messages_starves_no_timer(ns, agent):
    sender = run_agent("sender")
    agent.connect(sender.bind("PUSH", alias="out", hwm=2), handler=lambda agent, message: time.sleep(0.0001), hwm=2)
    sender.each(0, lambda agent: agent.send_many("out", list(range(100))))
    agent.each(0.01, note_time)
    assert wait_agent_attr(agent, length=30, timeout=20)
    sender.stop_all_timers()
    times = agent.received[:30]
    assert (times[-1] - times[0]) / 29 < soon(0.1)


def test_ticks_of_an_idle_agent_are_accurate(agent):
    agent.each(0.01, note_time)
    assert wait_agent_attr(agent, length=101, timeout=20)
    times = agent.received[:101]
    late = sorted(t - times[0] - 0.01 * n for n, t in enumerate(times))
    assert late[0] > -0.002
    assert late[50] < soon(0.02)  # other programs share the machine


def test_after_is_not_early(agent):
    def start(agent):
        agent.began = time.monotonic()
        agent.after(0.05, note_time)

    agent.execute_as_method(start)
    assert wait_agent_attr(agent, length=1)
    assert 0.0499 <= agent.received[0] - agent.began < soon(1.0)


def test_timers_may_be_started_in_on_init(ns):
    class Early(Agent):
        def on_init(self):
            self.received = []
            self.each(0.005, self.tick)
            self.after(0.0, "other")

        def tick(self):
            self.received.append("tick")

        def other(self):
            self.received.append("other")

    agent = run_agent("early", base=Early)
    assert wait_agent_attr(agent, length=5)
    assert agent.received.count("other") == 1


def test_no_thread_per_timer(agent):
    import threading

    before = agent.execute_as_method(lambda agent: threading.active_count())
    for _ in range(100):
        agent.each(0.01, tick)
    assert wait_agent_attr(agent, length=200)
    assert agent.execute_as_method(lambda agent: threading.active_count()) == before


def test_timers_stand_still_while_the_agent_is_stopped(agent):
    agent.each(0.005, tick)
    assert wait_agent_attr(agent, length=2)
    agent.stop()
    assert wait_condition(lambda: not agent.is_running())
    count = len(agent.get_attr("received"))
    assert not wait_condition(lambda: len(agent.get_attr("received")) > count, timeout=0.1)
    agent.run()
    assert wait_condition(lambda: len(agent.get_attr("received")) > count)
