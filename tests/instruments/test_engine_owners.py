"""Ownership of a running instrument: refusals, waits, leases that run out, and what becomes of writes that wait."""

from __future__ import annotations

import itertools
import logging
import threading
import time

import pytest

from agentlab.errors import LockedError
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.board import Board
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.owners import Owners
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.testing.waiting import wait_condition
from tests.instruments.fake_driver import Rig
from tests.timing import soon

ANNA, BERT, CARL = Client("a", "anna"), Client("b", "bert"), Client("c", "carl")


@pytest.fixture
def rig():
    with Rig() as one:
        one.online()
        yield one


def test_writes_are_the_owners_and_reads_are_free(rig):
    token = rig.engine.acquire(ANNA, reason="calibration").wait(10)["token"]
    rig.engine.set("voltage", 1, ANNA).wait(10)
    rig.engine.set("voltage", 2, Client("x", "x", token)).wait(10)
    did = list(rig.driver.did)
    for refused in (rig.engine.set("voltage", 3, BERT), rig.engine.call("fire", client=BERT)):
        with pytest.raises(LockedError, match=r"psu is owned by anna .*calibration") as caught:
            refused.wait(0)
        assert (caught.value.owner, caught.value.reason) == ("anna", "calibration")
        assert abs(caught.value.since - time.time()) < 10
    assert rig.driver.did == did
    assert rig.engine.get("voltage", BERT).wait(10).value == 2.0
    assert rig.engine.call("look", client=BERT).wait(10) == "look"
    assert rig.engine.release(token) is True
    rig.engine.set("voltage", 3, BERT).wait(10)


def test_ten_thousand_refusals_harm_nobody_and_take_no_time(rig):
    token = rig.engine.acquire(ANNA).wait(10)["token"]
    rig.slow(ANNA)
    times = [time.perf_counter()]
    for _ in range(10_000):
        assert rig.engine.set("voltage", 3, BERT).over
        times.append(time.perf_counter())
    took = sorted(after - before for before, after in itertools.pairwise(times))
    assert took[9_500] < soon(0.05), "but for those that the machine itself may have held up"
    rig.driver.free.set()
    rig.engine.set("voltage", 1, Client("a", "anna", token)).wait(10)
    assert rig.driver.count("set") == 1
    assert rig.engine.status()["queue"] == []


def test_ownership_may_be_required():
    with Rig(owner_required=True) as rig:
        rig.online()
        with pytest.raises(LockedError, match=r"lock it first: `with x.lock\(\):`, or `agentlab lock psu` in a shell"):
            rig.engine.set("voltage", 1, ANNA).wait(0)
        rig.engine.acquire(ANNA).wait(10)
        rig.engine.set("voltage", 1, ANNA).wait(10)


def test_ownership_needs_no_device():
    with Rig() as rig:
        rig.driver.away = "unplugged"
        token = rig.engine.acquire(ANNA).wait(10)["token"]
        assert rig.engine.lock_info()["owner"] == "anna"
        assert rig.engine.renew(token)["until"] > time.time()
        rig.engine.release(token)


def test_waiters_are_served_in_order_and_who_has_gone_is_passed_over(rig):
    token = rig.engine.acquire(ANNA).wait(10)["token"]
    served = []
    bert = rig.engine.acquire(BERT, timeout=60.0)
    gone = rig.engine.acquire(Client("g", "gone"), timeout=60.0)
    carl = rig.engine.acquire(CARL, timeout=60.0)
    bert.start(lambda got, _error: served.append(("bert", got["token"])))
    left = []
    gone.start(lambda *one: left.append(one), lambda: False)
    carl.start(lambda got, _error: served.append(("carl", got["token"])))
    assert rig.engine.lock_info()["queue"] == ["bert", "gone", "carl"]
    rig.engine.release(token)
    assert [one[0] for one in served] == ["bert"]
    rig.engine.release(served[0][1])
    assert [one[0] for one in served] == ["bert", "carl"]
    assert rig.engine.status()["owner"] == "carl"
    assert [type(error) for _, error in left] == [LockedError], "whoever keeps count of open answers gets this one, too"


def test_a_wait_ends_in_time_and_says_who_has_it(rig):
    rig.engine.acquire(ANNA, reason="scan").wait(10)
    before = time.monotonic()
    with pytest.raises(LockedError, match=r"owned by anna .*scan"):
        rig.engine.acquire(BERT, timeout=0.05).wait(5)
    assert 0.04 < time.monotonic() - before < soon(1.0)


def test_a_lease_that_is_no_time_is_refused(rig):
    with pytest.raises(ValueError, match="a lease of -1"):
        rig.engine.acquire(ANNA, lease=-1).wait(0)


def test_a_silent_owner_loses_it_to_who_waits_even_while_the_driver_is_stuck(rig):
    rig.engine.acquire(ANNA, lease=0.1).wait(10)
    rig.slow(ANNA)
    before = time.monotonic()
    got = rig.engine.acquire(BERT, timeout=60.0).wait(5)
    assert time.monotonic() - before < soon(1.1)
    assert rig.engine.lock_info()["owner"] == "bert"
    assert wait_condition(lambda: rig.changes[-1]["owner"] == "bert")
    rig.engine.release(got["token"])


def test_a_renewing_owner_keeps_it(rig):
    token = rig.engine.acquire(ANNA, lease=0.1).wait(10)["token"]
    until = time.monotonic() + 0.4
    while time.monotonic() < until:
        rig.engine.renew(token)
        threading.Event().wait(0.02)
    assert rig.engine.lock_info()["owner"] == "anna"
    rig.engine.release(token)


def test_an_owner_comes_back_with_its_token(rig):
    token = rig.engine.acquire(ANNA).wait(10)["token"]
    again = rig.engine.acquire(Client("a2", "anna2"), token=token).wait(10)
    assert (again["token"], again["again"]) == (token, True)
    assert rig.engine.lock_info()["owner"] == "anna2"


def test_writes_that_waited_are_not_done_for_who_has_lost_it(rig):
    rig.engine.acquire(ANNA, lease=0.1).wait(10)
    rig.slow(ANNA)
    queued = rig.engine.set("voltage", 9, ANNA)
    free = rig.engine.get("voltage", ANNA)
    assert wait_condition(lambda: rig.engine.lock_info()["owner"] == "")
    rig.driver.free.set()
    with pytest.raises(LockedError, match="another ownership of psu, which is over"):
        queued.wait(10)
    assert free.wait(10).value == 0.0
    assert rig.driver.count("set") == 0


def test_a_write_of_nobodys_is_not_done_once_somebody_owns_it(rig):
    rig.slow(ANNA)
    queued = rig.engine.set("voltage", 9, BERT)
    rig.engine.acquire(ANNA).wait(10)
    rig.driver.free.set()
    with pytest.raises(LockedError, match="owned by anna"):
        queued.wait(10)
    assert rig.driver.count("set") == 0


def test_a_ramp_stops_when_its_owner_is_lost():
    with Rig(parameters={"current": {"step": 1.0, "delay": 0.02}}) as rig:
        rig.online()
        rig.engine.acquire(ANNA, lease=0.1).wait(10)
        ramp = rig.engine.set("current", 100, ANNA)
        with pytest.raises(LockedError):
            ramp.wait(5)
        assert rig.driver.values["current"] < 50


def test_breaking_is_logged_and_told_and_makes_nothing_safe(caplog):
    with Rig(on_owner_lost="safe") as rig:
        rig.online()
        token = rig.engine.acquire(ANNA, reason="lunch").wait(10)["token"]
        assert rig.engine.break_lock("needed now", "bert") == {"broken": True, "owner": "anna", "reason": "lunch"}
        assert rig.engine.break_lock("again", "bert")["broken"] is False
        with pytest.raises(LockedError, match="owned by nobody"):
            rig.engine.renew(token)
        rig.engine.get("voltage").wait(10)
        assert rig.driver.count("safe") == 0
    assert "the lock of anna on psu was broken by bert: needed now" in caplog.text


@pytest.mark.parametrize("can_abort", [True, False])
def test_an_owner_lost_in_the_middle_of_a_long_call_ends_with_the_output_off(can_abort):
    with Rig(on_owner_lost="safe") as rig:
        rig.driver.can_abort = can_abort
        rig.online()
        rig.engine.acquire(ANNA, lease=0.1).wait(10)
        rig.engine.set("output", True, ANNA).wait(10)
        slow = rig.slow(ANNA)
        if not can_abort:
            assert wait_condition(lambda: rig.engine.status()["safe"]["pending"])
            assert not slow.over
            rig.driver.free.set()
        assert wait_condition(lambda: rig.driver.values["output"] is False, timeout=2.0)
        assert rig.engine.latched is False
        rig.engine.set("voltage", 1, BERT).wait(10)


def test_by_default_a_lost_owner_changes_nothing(rig):
    rig.engine.acquire(ANNA, lease=0.05).wait(10)
    rig.engine.set("output", True, ANNA).wait(10)
    assert wait_condition(lambda: rig.engine.lock_info()["owner"] == "")
    rig.engine.get("output").wait(10)
    assert rig.driver.values["output"] is True
    assert rig.driver.count("safe") == 0


def test_many_threads_that_wait_own_it_one_after_the_other(rig):
    inside, wrong, turns = [], [], []

    def work(number):
        client = Client(str(number), str(number))
        for _ in range(50):
            token = rig.engine.acquire(client, timeout=60.0).wait(60)["token"]
            inside.append(number)
            wrong.append(inside != [number])
            inside.remove(number)
            turns.append(number)
            rig.engine.release(token)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(wrong)
    assert len(turns) == 400
    assert rig.engine.lock_info()["queue"] == []


def test_another_clients_call_can_be_cancelled_unless_somebody_else_owns_the_instrument(rig):
    rig.driver.hears_cancel = True
    rig.engine.acquire(ANNA).wait(10)
    slow = rig.slow(ANNA)
    with pytest.raises(LockedError):
        rig.engine.cancel(BERT)
    assert not slow.over
    rig.engine.break_lock("", "bert")
    assert rig.engine.cancel(BERT).wait(10)["cancelled"] == "slow"
    assert wait_condition(lambda: slow.over)


def test_the_safe_state_of_a_lost_owner_is_ordered_before_the_next_owner_may_write(monkeypatch):
    now, story = [100.0], []
    board = Board(InstrumentSpec("psu", "fake:Fake", on_owner_lost="safe"), clock=lambda: now[0])
    owners = Owners(
        board, lost=lambda label: story.append(f"{label} lost"), tell=lambda: None, by=lambda _when: None, log=logging.getLogger()
    )
    owners.acquire(ANNA, 0.0, 1.0, "", None).wait(0)
    now[0] += 2.0
    monkeypatch.setattr(Answer, "give", lambda _self, _result: story.append("bert has it"))
    owners.acquire(BERT, 0.0, 1.0, "", None)
    assert story == ["anna lost", "bert has it"]
