"""A driver that does not come back, and calls that do not end: what people are told, and what goes on meanwhile."""

from __future__ import annotations

import threading

import pytest

from agentlab.errors import CancelledCallError, ExpiredError, LatchedError, OfflineError
from agentlab.instruments.engine import board as board_module
from agentlab.instruments.engine import cancelling
from agentlab.instruments.engine.board import BRIEF, HANG, Board
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.emergency import LONGEST_REMINDER
from agentlab.instruments.engine.queue import Job
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.testing.waiting import wait_condition
from tests.instruments.fake_driver import FakeDriver, Rig, silent

ANNA, BERT = Client("a", "anna"), Client("b", "bert")
CURE = "if it hangs, start the agent again: `agentlab restart psu` in a lab"


class Stuck(FakeDriver):
    """Its reads of the voltage, and what else a test names, come back when it is free."""

    def __init__(self, *what):
        super().__init__()
        self.what = {"get voltage", *what}

    def _touch(self, what, *args):
        super()._touch(what, *args)
        if " ".join((what, *map(str, args))) in self.what:
            self.inside.set()
            assert self.free.wait(20)


@pytest.fixture
def soon_a_hang(monkeypatch):
    monkeypatch.setattr(board_module, "HANG", 0.06)


class Desk:
    """A board, its clock, and a job that is in the driver since second 100."""

    def __init__(self, what="get voltage", *, timeout=None, action=False):
        self.now = 100.0
        self.board = Board(InstrumentSpec("psu", "fake:Fake", timeout=timeout), clock=lambda: self.now)
        self.board.states.move("opened", self.now)
        self.job = Job(what, lambda _hand: None, put_at=self.now, action=action)
        self.job.started = self.now
        self.board.current, self.board.inside = self.job, (what, self.now)

    def hanging(self, after):
        return self.board.hanging(100.0 + after)


def test_a_read_that_does_not_come_back_hangs_after_a_while():
    desk = Desk()
    assert desk.hanging(HANG - 0.1) is None
    text = f"get voltage has not come back from the driver for 10 s; {CURE}"
    assert desk.hanging(HANG) == {"what": "get voltage", "seconds": HANG, "cure": CURE, "text": text}
    assert desk.board.hang_text(142.0) == f"get voltage has not come back from the driver for 42 s; {CURE}"
    desk.board.inside = None
    assert desk.hanging(1e6) is None


def test_a_slow_device_is_given_the_time_that_it_says():
    desk = Desk(timeout=60.0)
    assert desk.hanging(179.0) is None
    assert desk.hanging(181.0)


def test_an_action_may_last_until_it_was_to_end():
    desk = Desk("selftest", action=True)
    assert desk.hanging(1e6) is None
    desk.job.cancel("by anna", 200.0)
    desk.job.cancel("by bert", 500.0)  # the first counts
    assert desk.job.cancelled == "by anna"
    assert desk.hanging(100.0 + HANG - 0.1) is None
    assert desk.hanging(100.0 + HANG)["seconds"] == 100.0 + HANG


def test_those_who_wait_behind_it_are_told_what_helps():
    desk = Desk()
    late = Job("set voltage to 1 V", lambda _hand: None, put_at=110.0, limit=5.0)
    desk.now = 105.0
    assert str(desk.board.expired(late)).endswith("allow it more time")
    desk.now = 142.0
    assert str(desk.board.expired(late)).endswith(f"has not come back from the driver for 42 s; {CURE}")


def test_stop_and_status_work_while_the_driver_hangs_and_say_what_helps(soon_a_hang, caplog):
    with Rig(Stuck()) as rig:
        rig.online()
        read = rig.engine.get("voltage", ANNA)
        assert rig.driver.inside.wait(5)
        assert wait_condition(lambda: "psu: get voltage has not come back from the driver" in caplog.text)
        assert rig.changes[-1]["hangs"]["what"] == "get voltage"
        assert rig.engine.status()["state"] == "busy"
        with pytest.raises(ExpiredError, match="agentlab restart psu"):
            rig.engine.get("output", BERT, 0.01).wait(5)
        rig.driver.can_abort = False
        told = rig.engine.estop_within(0.05, "smoke", "bert").wait(5)
        assert told["latched"] and told["pending"].startswith("get voltage has been running") and CURE in told["pending"]
        with pytest.raises(LatchedError):
            rig.engine.set("output", True, ANNA).wait(0)
        assert rig.engine.status()["hangs"]["seconds"] > 0
        assert rig.engine.close(timeout=0.05) is False
        with pytest.raises(OfflineError, match="get voltage did not end in time"):
            read.wait(0)
        rig.driver.free.set()
    assert caplog.text.count("get voltage has not come back from the driver") == 1


def test_what_is_slow_each_time_is_told_once(soon_a_hang, caplog):
    with Rig(Stuck()) as rig:
        rig.online()
        for _ in range(3):
            rig.driver.free.clear()
            read = rig.engine.get("voltage")
            assert wait_condition(lambda: (rig.engine.status()["hangs"] or {}).get("what") == "get voltage")
            rig.driver.free.set()
            assert read.wait(10).value == 0.0
            assert rig.engine.status()["hangs"] is None
    assert caplog.text.count("get voltage has not come back from the driver") == 1


def test_a_driver_that_hangs_before_the_device_was_ever_there_is_told_too(soon_a_hang):
    go = threading.Event()
    driver = FakeDriver()

    def load(_spec):
        assert go.wait(20)
        return driver

    with Rig(driver, load=load) as rig:
        assert wait_condition(lambda: rig.engine.status()["hangs"])
        status = rig.engine.status()
        assert (status["state"], status["hangs"]["what"]) == ("connecting", "the attempt to connect")
        assert status["reason"].startswith("the attempt to connect has not come back")
        assert CURE in rig.engine.estop("smoke")["pending"]
        go.set()
        assert rig.until("safe")
        assert rig.engine.status()["hangs"] is None


def test_readings_grow_stale_while_a_driver_hangs_in_mending_its_session():
    with Rig(Stuck("recover"), poll={"output": 0.01, "temperature": 0.01}) as rig:
        rig.online()
        assert wait_condition(lambda: len({one.name for one in rig.readings}) == 2)
        rig.driver.raising["get"] = [silent()]  # for one of them; the other was read just before
        assert rig.driver.inside.wait(5)
        assert wait_condition(lambda: {one.quality for one in rig.readings[-2:]} == {"bad", "stale"})
        assert rig.engine.status()["state"] == rig.engine.link == "connecting"
        rig.driver.free.set()
        rig.online()


# ---------------------------------------------------------------- cancelling what does not end


def test_a_cancel_says_when_the_action_runs_on(monkeypatch):
    monkeypatch.setattr(cancelling, "ENDS_WITHIN", 0.02)
    with Rig() as rig:
        rig.online()
        slow = rig.slow(ANNA)
        told = rig.engine.cancel(ANNA).wait(5)
        assert (told["cancelled"], told["queued"]) == ("slow", 0)
        assert told["runs_on"] == (
            "slow has not ended within 0.02 s, and runs on until it asks for `self.cancelled`, or ends by itself; "
            "an emergency stop would abort it"
        )
        assert rig.engine._board.current.at_end == []  # nobody waits any more
        assert not slow.over
        rig.driver.free.set()
        assert slow.wait(10) == "slept"
        rig.online()


def test_a_cancel_is_answered_when_the_action_has_ended(monkeypatch):
    monkeypatch.setattr(cancelling, "ENDS_WITHIN", 60.0)
    with Rig() as rig:
        rig.online()
        slow = rig.slow(ANNA)
        cancelled = rig.engine.cancel(ANNA)
        assert not cancelled.over
        rig.driver.free.set()  # it does not ask, and ends by itself
        assert cancelled.wait(5) == {"cancelled": "slow", "queued": 0, "runs_on": ""}
        assert slow.over


def test_a_cancel_is_answered_when_the_device_goes_away_in_it():
    with Rig(parameters={"current": {"delay": 30.0}}) as rig:
        rig.online()
        ramp = rig.engine.set("current", 100, ANNA)
        assert wait_condition(lambda: rig.driver.count("set"))
        rig.driver.away = "unplugged"
        with pytest.raises(OfflineError):
            rig.engine.get("voltage").wait(5)
        with pytest.raises(OfflineError):
            ramp.wait(5)
        assert rig.engine.cancel(ANNA).wait(5)["cancelled"] is None
        rig.driver.away = ""


def test_a_call_that_does_not_end_is_asked_again_ever_more_rarely():
    with Rig() as rig:
        rig.online()
        rig.slow(ANNA)
        board, emergency = rig.engine._board, rig.engine._emergency
        board.current.cancel("by anna", board.clock())
        board.current.cancelled_at += 3600.0  # just now, however slow this machine is
        assert emergency.remind() - board.clock() <= BRIEF
        board.current.cancelled_at -= 7200.0
        emergency._remind_at = 0.0
        when = emergency.remind()
        assert BRIEF < when - board.clock() <= LONGEST_REMINDER
        asked = []
        rig.driver.cancel = lambda: asked.append(1)
        assert emergency.remind() == when and asked == []  # however often the watch looks
        rig.driver.free.set()


def test_a_cancelled_ramp_says_that_it_is_over():
    with Rig(parameters={"current": {"delay": 30.0}}) as rig:
        rig.online()
        ramp = rig.engine.set("current", 100, ANNA)
        assert wait_condition(lambda: rig.driver.count("set"))
        assert rig.engine.cancel(ANNA).wait(5) == {"cancelled": "set current to 100 A", "queued": 0, "runs_on": ""}
        with pytest.raises(CancelledCallError):
            ramp.wait(0)
