"""Ownership between processes: refusals, a killed owner, an idle one, a token, and who comes next."""

from __future__ import annotations

import threading
import time

import pytest

from agentlab import Proxy, run_nameserver
from agentlab.errors import LockedError
from agentlab.testing.waiting import wait_condition
from tests.instruments.live import Benches, end, owner, timed
from tests.timing import soon

LEASE = 1.0


@pytest.fixture(scope="module")
def lab():
    ns = run_nameserver()
    found = Benches(ns.addr())
    yield found
    found.close()
    ns.shutdown(4.0)
    ns.release()


@pytest.fixture(scope="module")
def psu(lab):
    return lab.run("psu")


def test_refusing_is_quick_two_thousand_times_and_harms_nobody(lab, psu):
    mine, other = Proxy("psu", lab.nsaddr), Proxy("psu", lab.nsaddr)

    def refused() -> None:
        with pytest.raises(LockedError):
            other.set("voltage", 3.0)

    with mine.lock(lease=LEASE, reason="a long scan"):
        psu_heard = len(lab.server.order("heard", "b0"))
        times = sorted(timed(refused) for _ in range(2_000))
        assert len(lab.server.order("heard", "b0")) == psu_heard  # no byte
        assert times[1_900] < soon(0.05), times[-100::10]  # but for what the machine itself held up
        mine.voltage = 4.0
        assert other.voltage == 4.0
    assert psu.status()["state"] == "online"
    other.voltage = 1.0
    assert wait_condition(lambda: lab.value("VOLT") == 1.0)  # nothing answers to a set


def test_a_killed_owner_loses_it_soon_after_its_lease(lab, psu):
    with owner("psu", lab.nsaddr, LEASE) as (process, _):
        with pytest.raises(LockedError, match="all night"):
            psu.voltage = 2.0
        info = psu.lock_info()
        assert str(process.pid) in info["owner"] and info["reason"] == "measuring all night"
        process.kill()
        began = time.monotonic()
        with psu.lock(timeout=LEASE + 10.0) as own:
            assert time.monotonic() - began < soon(LEASE + 3.0)
            assert own.token
            psu.voltage = 2.0
    assert not psu.lock_info()["owner"]


def test_an_idle_owner_keeps_it(lab, psu):
    mine = Proxy("psu", lab.nsaddr)
    with mine.lock(lease=0.6):
        assert not wait_condition(lambda: not psu.lock_info()["owner"], timeout=2.0, poll=0.1)
        mine.voltage = 2.5
    assert wait_condition(lambda: lab.value("VOLT") == 2.5)  # nothing answers to a set


def test_an_owner_comes_back_with_its_token(lab, psu):
    with owner("psu", lab.nsaddr, 30.0) as (process, token):
        process.kill()
        process.wait(5)
        with pytest.raises(LockedError):
            psu.voltage = 2.0
        with pytest.raises(LockedError):
            psu.lock(timeout=0, token="0" * len(token))
        with psu.lock(token=token):
            psu.voltage = 2.0
    assert not psu.lock_info()["owner"]


def test_waiters_are_served_in_order(lab, psu):
    served: list[int] = []

    def wait_for_it(number: int) -> None:
        with Proxy("psu", lab.nsaddr).lock(timeout=20):
            served.append(number)

    first = psu.lock()
    waiters = [threading.Thread(target=wait_for_it, args=(number,)) for number in range(5)]
    for number, waiter in enumerate(waiters):
        waiter.start()
        assert wait_condition(lambda number=number: len(psu.lock_info()["queue"]) == number + 1)
    first.release()
    for waiter in waiters:
        waiter.join(20)
    assert served == [0, 1, 2, 3, 4]


def test_a_lock_can_be_broken_and_its_owner_is_told(lab, psu):
    mine = Proxy("psu", lab.nsaddr)
    own = mine.lock(lease=0.5)
    psu.break_lock("the building is on fire")
    psu.voltage = 1.5
    with pytest.raises(LockedError):
        mine.voltage = 2.0
    assert wait_condition(lambda: own.lost)
    own.release()
    mine.voltage = 2.0


def test_a_killed_owner_s_output_goes_off(lab):
    heater = lab.run("heater", lease=LEASE, on_owner_lost="safe")
    heater.voltage = 12.0
    with owner("heater", lab.nsaddr, LEASE) as (process, _):
        assert lab.value("VOLT") == 12.0
        process.kill()
        began = time.monotonic()
        assert wait_condition(lambda: lab.value("VOLT") == 0.0, timeout=10.0)
        assert time.monotonic() - began < soon(4.0)
    end(heater)


def test_a_killed_owner_s_output_goes_off_in_the_middle_of_a_long_call(lab):
    heater = lab.run("oven", lease=LEASE, on_owner_lost="safe")
    heater.voltage = 12.0
    with owner("oven", lab.nsaddr, LEASE, 10.0) as (process, _):
        assert wait_condition(lambda: heater.status()["state"] == "busy")
        process.kill()
        began = time.monotonic()
        assert wait_condition(lambda: lab.value("VOLT") == 0.0, timeout=10.0)
        assert time.monotonic() - began < soon(4.0)
    end(heater)
