"""Safe, unsafe, oneway, future, awaited and timed calls."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from agentlab import AgentProcess, AgentStoppedError, CallTimeoutError, MessageTimeoutError, Proxy, config, run_agent
from tests.runtime_agents.actors import Actor
from tests.runtime_agents.helpers import gone, wait_until, within
from tests.timing import soon


@pytest.fixture
def actor(ns):
    return run_agent("actor", base=Actor)


def test_safe_calls_run_in_the_loop_and_unsafe_ones_beside_it(actor):
    assert actor.thread() is True
    assert actor.safe.thread() is True
    assert actor.unsafe.thread() is False


def test_views_change_nothing_of_their_proxy(actor):
    unsafe = actor.unsafe
    assert unsafe.thread() is False
    assert unsafe.thread() is False
    assert actor.thread() is True
    assert unsafe.safe.thread() is True
    assert actor.oneway.add(1) is None
    assert actor.add(1) == 2
    assert unsafe.timeout(2.0).thread() is False
    assert actor.timeout(2.0).unsafe.thread() is False
    assert actor.future.unsafe.thread().result(10) is False
    assert actor.unsafe.future.thread().result(10) is False


@pytest.mark.parametrize("where", ["argument", "config", "environment"])
def test_default_of_safety(ns, monkeypatch, where):
    run_agent("actor", base=Actor)
    if where == "config":
        config["SAFE"] = False
    elif where == "environment":
        monkeypatch.setenv("AGENTLAB_DEFAULT_SAFE", "false")
    proxy = Proxy("actor", safe=False if where == "argument" else None)
    assert proxy.thread() is False
    assert proxy.safe.thread() is True


def test_safe_default_of_run_agent(ns):
    assert run_agent("actor", base=Actor, safe=False).thread() is False


def test_oneway_returns_at_once(actor):
    with within(0.5):
        assert actor.oneway.nap(1.0) is None
    actor.oneway.event("told")
    wait_until(lambda: "told" in actor.events)


def test_oneway_failure_is_counted_and_logged_there(actor):
    actor.oneway.fail(ValueError, "nobody waits")
    wait_until(lambda: actor.error_count() == 1)
    assert "nobody waits" in actor.last_error()


def test_always_unsafe_methods_answer_while_the_loop_is_busy(actor):
    busy = actor.future.nap(1.5)
    wait_until(lambda: actor.napping)
    with within(3.0):
        assert actor.ping() == "pong"
        assert actor.is_running() is True
        assert actor.get_attr("number") == 1
        assert actor.number == 1
        assert actor.run() is None
        assert actor._private() == "private"
        assert not busy.done()
    assert busy.result(3.0) == "slept"


def test_attributes_are_read_while_the_loop_is_busy(actor):
    busy = actor.future.nap(1.0)
    wait_until(lambda: actor.napping)
    assert actor.colour == "blue"
    assert "colour" in dir(actor)
    assert not busy.done()
    busy.result(3.0)


def test_futures_run_side_by_side(actor):
    with within(3.0):
        futures = [actor.unsafe.future.nap(0.5) for _ in range(10)]
        done, _ = wait(futures, 3.0)
        assert [f.result() for f in done] == ["slept"] * 10


def test_future_carries_the_error(actor):
    assert isinstance(actor.future.fail(LookupError, "no").exception(3.0), LookupError)


def test_more_futures_than_threads_of_the_pool(actor):
    futures = [actor.future.add(i) for i in range(500)]
    assert [f.result(10.0) for f in futures] == [i + 1 for i in range(500)]


def test_await(actor):
    async def main():
        assert await actor.aio.add(1, b=2) == 3
        with pytest.raises(KeyError):
            await actor.aio.fail(KeyError, "x")
        began = time.monotonic()
        results = await asyncio.gather(*(actor.unsafe.aio.nap(0.4) for _ in range(8)))
        assert time.monotonic() - began < soon(2.5)
        return results

    assert asyncio.run(main()) == ["slept"] * 8


def test_timeout(actor):
    with within(1.0), pytest.raises(CallTimeoutError) as caught:
        actor.timeout(0.2).nap(1.0)
    assert str(caught.value) == "agent 'actor' did not answer nap() within 0.2 s; the call may have run, or may run yet"
    assert isinstance(caught.value, TimeoutError)
    assert actor.ping() == "pong"
    assert actor.add(1) == 2, "the next call on the same proxy gets its own answer"


def test_timeout_of_attributes(actor):
    busy = actor.future.nap(1.0)
    wait_until(lambda: actor.napping)
    with pytest.raises(TimeoutError):
        actor.timeout(0.2).set_attr(x=1)
    assert not busy.done()
    busy.result(3.0)


def test_wait_for_running(ns):
    process = AgentProcess("later", base=Actor)
    process.start()
    proxy = Proxy("later")
    with within(1.0), pytest.raises(MessageTimeoutError, match="^Timed out"):
        proxy.wait_for_running(0.2)
    with pytest.raises(TimeoutError):
        proxy.wait_for_running(timeout=0)
    threading.Timer(0.3, proxy.run).start()
    assert proxy.wait_for_running(-1) is proxy
    assert proxy.wait_for_running() is proxy


def test_stopped_agent(actor):
    assert actor.stop() == "OK"
    wait_until(lambda: not actor.is_running())
    with within(1.0), pytest.raises(AgentStoppedError, match="run\\(\\)"):
        actor.add(1)
    assert actor.unsafe.add(1) == 2
    assert actor.number == 1
    assert actor.ping() == "pong"
    actor.run()
    assert actor.is_running()
    assert actor.add(1) == 2
    assert actor.events.count("before_loop") == 2


def test_stop_and_run_many_times(actor):
    for _ in range(30):
        assert actor.stop() == "OK"
        actor.run()
        assert actor.add(2) == 3


def test_call_waiting_when_the_agent_stops_is_answered(actor):
    napping = actor.future.nap(0.5)
    wait_until(lambda: actor.napping)
    waiting = actor.future.add(1)
    time.sleep(0.1)
    actor.unsafe.stop()
    assert napping.result(3.0) == "slept"
    with within(3.0):
        error = waiting.exception(3.0)
    assert error is None or isinstance(error, AgentStoppedError)


def test_agent_that_never_ran_answers_calls(ns):
    process = AgentProcess("new", base=Actor)
    process.start()
    proxy = process.proxy()
    assert proxy.add(1) == 2
    assert proxy.thread() is True
    proxy.bind("PUSH", alias="out")
    proxy.shutdown()
    process.join(10.0)
    assert process.exitcode == 0


def test_call_of_an_agent_that_has_ended(actor, ns):
    pid = actor.pid()
    actor.shutdown()
    wait_until(lambda: not ns.agents())
    with within(5.0), pytest.raises((ConnectionError, AgentStoppedError)):
        actor.add(1)  # it may come while the agent is still ending
    wait_until(lambda: gone(pid))
    with within(2.0), pytest.raises(ConnectionError, match="actor"):
        actor.add(1)
    with within(2.0), pytest.raises(ConnectionError):
        actor.oneway.add(1)
    with within(2.0), pytest.raises(ConnectionError):
        _ = actor.colour


def test_fifty_threads_use_one_proxy(actor):
    barrier = threading.Barrier(50)

    def work(number):
        barrier.wait(10.0)
        return [actor.add(number * 1000, i) for i in range(40)] == [number * 1000 + i for i in range(40)] and [
            actor.unsafe.add(number, i) for i in range(10)
        ] == [number + i for i in range(10)]

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(work, range(50)))


def test_a_thousand_proxies_to_one_agent(actor):
    began = time.monotonic()
    proxies = [Proxy("actor") for _ in range(1000)]
    assert sum(proxy.add(0) for proxy in proxies) == 1000
    assert sum(proxy.add(0) for proxy in proxies) == 1000
    assert time.monotonic() - began < soon(30.0)
    assert actor.ping() == "pong"


def test_a_dropped_proxy_closes_its_connections_at_once(actor):
    """A cycle would keep them until a garbage collection: a program with many short-lived proxies runs out of files."""
    gc.disable()
    try:
        proxy = Proxy(actor.get_attr("name"))
        proxy.ping()
        client = weakref.ref(proxy._core._caller._client)
        del proxy
        assert client() is None
    finally:
        gc.enable()


def test_pickled_proxy(actor, ns):
    copy = pickle.loads(pickle.dumps(actor))
    assert copy.add(2) == 3
    assert copy == actor and hash(copy) == hash(actor)
    assert copy.nsaddr() == ns.addr()
    assert pickle.loads(pickle.dumps(actor.unsafe)).thread() is False, "a view pickles as what it is"


def test_proxy_sent_to_an_agent(actor, ns):
    other = run_agent("other", base=Actor)
    assert other.call(actor, "add", 5) == 6
    assert other.call_unsafe(actor, "thread") is False
    other.set_attr(friend=actor)
    assert other.friend.add(1) == 2
    assert other.execute_as_method(lambda agent: agent.friend.colour) == "blue"


def test_release_and_context_manager(actor):
    with Proxy("actor") as proxy:
        assert proxy.add(1) == 2
    assert proxy.add(1) == 2
    proxy.release()
    proxy.release()
    assert proxy.ping() == "pong"


def test_proxy_is_equal_to_another_of_the_same_agent(actor, ns):
    other = run_agent("other")
    assert Proxy("actor") == actor
    assert actor != other
    assert len({actor, Proxy("actor"), other}) == 2
    assert "actor" in repr(actor)


def test_proxy_waits_for_the_name(ns):
    starting = threading.Timer(0.3, run_agent, ["late"])
    starting.start()
    with within(3.0):
        assert Proxy("late", timeout=3.0).ping() == "pong"
    starting.join()


def test_addr_by_proxy(actor, ns):
    address = actor.bind("PUSH", alias="out")
    assert actor.addr("out") == address
    assert ns.addr("actor", "out") == address
    with pytest.raises(LookupError, match="'out'"):
        actor.addr("uot")
