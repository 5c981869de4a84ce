"""Readings that are published: none is lost by who keeps up, and who does not knows how many it lost."""

from __future__ import annotations

import os
import signal

import pytest

from agentlab import run_agent, run_nameserver
from agentlab.instruments import run_instrument
from agentlab.settings import config
from agentlab.testing.waiting import wait_condition
from tests.instruments.live import Benches
from tests.instruments.rigs import MODULE
from tests.instruments.subscribers import Listener

COUNT, PERIOD = 20, 0.1
HWM = 100  # messages that a queue holds


@pytest.fixture
def lab():
    ns = run_nameserver()
    found = Benches(ns.addr())
    yield found
    found.close()
    ns.shutdown(4.0)
    ns.release()


def test_two_subscribers_lose_nothing_and_a_stalled_one_counts_its_loss(lab):
    config["HWM"] = HWM
    source = run_instrument("source", f"{MODULE}.crowd:Crowd", COUNT, poll=PERIOD, nsaddr=lab.nsaddr)
    lab.proxies.append(source)
    listeners = [run_agent(f"listener{number}", lab.nsaddr, base=Listener) for number in range(3)]
    lab.proxies.extend(listeners)
    for listener in listeners:
        listener.listen("source")
    assert wait_condition(lambda: all(len(one.seen()["last"]) == COUNT for one in listeners), timeout=5.0)
    stalled = listeners[2].execute_as_function(os.getpid)
    os.kill(stalled, signal.SIGSTOP)
    try:
        before = [one.seen() for one in listeners[:2]]
        assert wait_condition(lambda: min(listeners[0].seen()["last"].values()) >= 40, timeout=15.0)
        after = [one.seen() for one in listeners[:2]]
    finally:
        os.kill(stalled, signal.SIGCONT)
    assert all(one["gaps"] == 0 and one["lost"] == 0 for one in after)
    assert all(one["count"] > two["count"] for one, two in zip(after, before, strict=True))
    for one in after:
        assert one["count"] == sum(one["last"][name] - one["first"][name] + 1 for name in one["last"])
    end = max(source.snapshot()["v00"].sequence, 40) + 5
    assert wait_condition(lambda: min(listeners[2].seen()["last"].values()) >= end, timeout=10.0)
    found = listeners[2].seen()
    assert found["gaps"] > COUNT
    assert found["lost"] == found["gaps"]  # what the socket counts is what is missing
    assert found["count"] + found["gaps"] == sum(found["last"][name] - found["first"][name] + 1 for name in found["last"])


def test_a_late_subscriber_has_the_last_value_at_once(lab):
    lab.run("rare", poll={"voltage": 30.0}).get("voltage")
    listener = run_agent("late", lab.nsaddr, base=Listener)
    lab.proxies.append(listener)
    listener.listen("rare")
    assert wait_condition(lambda: "voltage" in listener.seen()["last"], timeout=10.0)
