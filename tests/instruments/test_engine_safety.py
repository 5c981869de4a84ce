"""Emergency stop, safe state, latch, watchdog and interlocks of a running instrument."""

from __future__ import annotations

import itertools
import logging
import time

import pytest

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    InstrumentError,
    LatchedError,
    LimitError,
    LockedError,
    OfflineError,
)
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.engine.interlocks import parse_interlock
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action, Table
from agentlab.testing.waiting import wait_condition
from tests.instruments.fake_driver import TABLE, FakeDriver, Rig, silent
from tests.timing import soon

ANNA, BERT = Client("a", "anna"), Client("b", "bert")
BARE = Table.of("fake", TABLE.parameters.values(), [*TABLE.actions.values(), Action("off")])


@pytest.fixture
def rig():
    with Rig() as one:
        one.online()
        one.engine.set("output", True).wait(10)
        yield one


def test_an_emergency_stop_makes_safe_and_latches_until_it_is_reset(rig):
    told = rig.engine.estop("smoke", "bert")
    assert (told["latched"], told["aborted"], told["reason"]) == (True, False, "smoke")
    assert rig.until("safe")
    assert rig.driver.values["output"] is False
    status = rig.engine.status()
    assert status["latch"]["reason"] == "smoke" and status["latch"]["by"] == "bert"
    assert status["safe"] == {"pending": None, "failed": []}
    did = list(rig.driver.did)
    for refused in (rig.engine.set("output", True, ANNA), rig.engine.call("fire", client=ANNA)):
        with pytest.raises(LatchedError, match="psu was made safe by bert: smoke; see to the cause, then reset it"):
            refused.wait(0)
    assert rig.driver.did == did
    rig.engine.get("voltage").wait(10)
    rig.engine.call("look").wait(10)
    assert rig.engine.reset(ANNA) == {"reset": True, "reason": "smoke", "by": "bert"}
    assert rig.engine.reset(ANNA)["reset"] is False
    rig.engine.set("output", True, ANNA).wait(10)
    assert rig.engine.status()["state"] == "online"


def test_a_long_call_is_aborted_and_the_safe_state_is_next(rig):
    slow = rig.slow(ANNA)
    queued = rig.engine.set("voltage", 9, ANNA)
    read = rig.engine.get("voltage", ANNA)
    before = time.monotonic()
    told = rig.engine.estop("smoke", "bert")
    assert time.monotonic() - before < soon(1.0)
    assert told["latched"] and told["aborted"]
    assert told["pending"].startswith("slow has been running for ") and "it is being aborted" in told["pending"]
    with pytest.raises(LatchedError):
        queued.wait(0)
    assert slow.wait(10) == "slept"
    read.wait(10)
    assert time.monotonic() - before < soon(2)
    after = [one[0] for one in rig.driver.did]
    assert after[after.index("call") :] == ["call", "abort", "safe", "prove", "get"]


def test_a_call_that_cannot_be_aborted_is_waited_for_and_status_says_so(caplog):
    driver = FakeDriver(Table.of("fake", TABLE.parameters.values(), TABLE.actions.values(), has_safe=True))
    driver.can_abort = False
    with Rig(driver) as rig:
        rig.online()
        slow = rig.slow(ANNA)
        told = rig.engine.estop("smoke", "bert")
        assert told["aborted"] is False
        assert "its driver cannot abort it" in told["pending"]
        assert "its driver cannot abort it" in rig.engine.status()["safe"]["pending"]
        assert wait_condition(lambda: "cannot abort slow" in caplog.text)
        assert driver.count("safe") == 0 and not slow.over
        driver.free.set()
        assert rig.until("safe")
        assert driver.count("safe") == 1


def test_a_call_that_ends_by_itself_in_a_moment_is_not_aborted(rig):
    slow = rig.slow(ANNA)
    rig.engine.estop("smoke", "bert")
    rig.driver.free.set()
    slow.wait(10)
    assert rig.until("safe")
    assert rig.driver.count("abort") == 0


def test_an_action_that_asks_hears_of_the_stop(rig):
    rig.driver.hears_cancel, rig.driver.can_abort = True, False
    slow = rig.slow(ANNA)
    rig.engine.estop("smoke", "bert")
    with pytest.raises(CancelledCallError):
        slow.wait(10)
    assert rig.until("safe")


def test_an_abort_that_fails_harms_nothing_else(rig, caplog):
    rig.driver.abort = lambda: 1 / 0
    slow = rig.slow(ANNA)
    rig.engine.estop("smoke", "bert")
    assert wait_condition(lambda: "could not abort slow" in caplog.text)
    rig.driver.free.set()
    slow.wait(10)
    assert rig.until("safe")


def test_a_ramp_ends_with_the_stop():
    with Rig(parameters={"current": {"delay": 10.0}}) as rig:
        rig.online()
        ramp = rig.engine.set("current", 100, ANNA)
        assert wait_condition(lambda: rig.driver.count("set"))
        rig.engine.estop("smoke", "bert")
        with pytest.raises(LatchedError):
            ramp.wait(10)
        assert rig.until("safe")
        assert rig.driver.count("set") == 1


def test_the_answer_of_a_stop_can_wait_for_the_safe_state(rig):
    told = rig.engine.estop_within(5.0, "smoke", "bert").wait(10)
    assert (told["pending"], told["state"], told["latched"]) == (None, "safe", True)
    assert rig.driver.count("safe") == 1


def test_or_tells_after_a_while_why_it_is_not_reached():
    driver = FakeDriver()
    driver.can_abort = False
    with Rig(driver) as rig:
        rig.online()
        rig.slow(ANNA)
        before = time.monotonic()
        told = rig.engine.estop_within(0.1, "smoke", "bert").wait(10)
        assert 0.05 < time.monotonic() - before < soon(1.5)
        assert "slow has been running" in told["pending"]


def test_a_stop_reaches_a_device_that_is_away_when_it_is_back(rig):
    rig.driver.away = "unplugged"
    with pytest.raises(OfflineError):
        rig.engine.get("voltage").wait(10)
    told = rig.engine.estop("smoke", "bert")
    assert told["pending"] == "offline: unplugged; it is made safe when it is back"
    with pytest.raises(LatchedError):
        rig.engine.set("voltage", 1).wait(0)
    assert rig.driver.values["output"] is True
    rig.driver.away = ""
    assert rig.until("safe")
    assert wait_condition(lambda: rig.driver.values["output"] is False)
    assert wait_condition(lambda: rig.engine.status()["safe"]["pending"] is None)


def test_a_latched_device_that_comes_back_is_made_safe_again(rig):
    rig.engine.estop("smoke", "bert")
    assert wait_condition(lambda: rig.driver.values["output"] is False)
    rig.driver.away = "power cut"
    with pytest.raises(OfflineError):
        rig.engine.get("voltage").wait(10)
    rig.driver.values["output"] = True  # as it is after its power came back
    rig.driver.away = ""
    assert wait_condition(lambda: rig.driver.values["output"] is False)
    assert rig.engine.latched


def test_an_instrument_that_never_was_online_is_made_safe_when_it_is():
    driver = FakeDriver()
    driver.away = "unplugged"
    with Rig(driver) as rig:
        assert rig.until("offline")
        rig.engine.estop("smoke", "bert")
        driver.away = ""
        assert rig.until("safe")
        assert driver.count("safe") == 1


def test_safe_alone_latches_nothing_and_anybody_may(rig):
    rig.engine.acquire(ANNA).wait(10)
    rig.engine.safe(BERT).wait(10)
    assert rig.driver.values["output"] is False
    assert not rig.engine.latched
    rig.engine.set("output", True, ANNA).wait(10)
    rig.engine.call("safe", client=BERT).wait(10)
    assert rig.driver.values["output"] is False


def test_safe_says_at_once_that_the_device_is_away_and_is_done_when_it_is_back(rig):
    rig.driver.away = "unplugged"
    with pytest.raises(OfflineError):
        rig.engine.get("voltage").wait(10)
    with pytest.raises(OfflineError, match="psu is offline"):
        rig.engine.safe(BERT).wait(0)
    rig.driver.away = ""
    assert wait_condition(lambda: rig.driver.values["output"] is False)


def test_a_table_of_sets_is_carried_out_in_its_order_and_ramps_as_it_must():
    with Rig(safe={"voltage": 0, "output": False, "current": "0 A"}) as rig:
        rig.online()
        rig.driver.values.update(current=25.0, output=True, voltage=5.0)
        rig.engine.safe().wait(10)
        sets = [one[1:] for one in rig.driver.did if one[0] == "set"]
        assert sets == [("voltage", 0.0), ("output", False), ("current", 15.0), ("current", 5.0), ("current", 0.0)]
        assert rig.driver.count("safe") == 0


def test_the_names_of_actions_are_a_safe_state_too():
    with Rig(FakeDriver(BARE), safe=["off()", "fire"]) as rig:
        rig.online()
        rig.engine.safe().wait(10)
        assert [one[1] for one in rig.driver.did if one[0] == "call"] == ["off", "fire"]


@pytest.mark.parametrize(
    ("safe", "text"),
    [
        ({"votlage": 0}, "did you mean 'voltage'"),
        ({"voltage": 11}, "voltage"),
        ({"serial": "x"}, "only read"),
        ("of", "did you mean 'off'"),
        (["off", "voltage"], "is a parameter"),
    ],
)
def test_a_safe_state_that_cannot_be_is_a_fault(safe, text):
    with Rig(FakeDriver(BARE), safe=safe) as rig:
        assert rig.until("fault")
        assert rig.engine.status()["reason"].startswith("the safe state of 'psu' cannot be: ")
        assert text in rig.engine.status()["reason"]


@pytest.mark.parametrize(
    ("deed", "text"),
    [
        ("psu.votlage = 0", "did you mean 'voltage'"),
        ("psu.voltage = 11 V", "voltage = 11 V is out of limits"),
        ("psu.serial = x", "only read"),
        ("psu.of()", "did you mean 'off'"),
        ("psu.voltage()", "is a parameter"),
    ],
)
def test_a_rule_that_could_not_be_carried_out_is_a_fault_before_it_has_to_be(deed, text):
    with Rig(FakeDriver(BARE), interlocks=[f"oven.temperature > 5 K -> {deed}"]) as rig:
        assert rig.until("fault")
        assert "could not be carried out: " in rig.engine.status()["reason"]
        assert text in rig.engine.status()["reason"]


def test_rules_that_can_be_carried_out_are_no_fault():
    rules = [f"oven.temperature > 5 K -> psu.{deed}" for deed in ("safe()", "off()", "voltage = 0 mV")]
    with Rig(FakeDriver(BARE), interlocks=rules) as rig:
        rig.online()


def test_without_a_safe_state_a_stop_latches_and_there_is_nothing_to_wait_for():
    for driver, safe in ((FakeDriver(BARE), None), (FakeDriver(), False)):
        with Rig(driver, safe=safe) as rig:
            rig.online()
            told = rig.engine.estop_within(5.0, "smoke", "bert").wait(10)
            assert (told["latched"], told["pending"], told["state"]) == (True, None, "safe")
            rig.engine.get("voltage").wait(10)
        assert driver.count("safe") == 0


def test_what_fails_of_a_safe_state_is_told_and_the_rest_is_done(caplog):
    with Rig(FakeDriver(BARE), safe={"voltage": 0, "output": False}) as rig:
        rig.online()
        rig.driver.values["output"] = True
        rig.driver.raising["set"] = [ValueError("stuck relay")]
        told = rig.engine.estop_within(5.0, "smoke", "bert").wait(10)
        assert told["pending"] == "voltage = 0: ValueError: stuck relay"
        assert rig.driver.values["output"] is False
        assert rig.engine.status()["safe"]["failed"] == ["voltage = 0: ValueError: stuck relay"]
        assert rig.engine.latched
        rig.driver.raising["set"] = [ValueError("stuck relay")]
        with pytest.raises(InstrumentError, match="psu could not be made safe: voltage = 0"):
            rig.engine.safe().wait(10)
        rig.driver.raising.clear()
    assert "psu could not be made safe" in caplog.text


def test_a_safe_state_out_of_step_is_tried_again_after_recovery():
    with Rig() as rig:
        rig.online()
        rig.driver.raising["safe"] = [silent()]
        rig.engine.safe().wait(10)
        assert [one[0] for one in rig.driver.did[-4:]] == ["safe", "recover", "safe", "prove"]
        rig.driver.raising["safe"] = silent()
        with pytest.raises(InstrumentError, match="could not be made safe: safe.*no reply"):
            rig.engine.safe().wait(10)
        rig.driver.raising.clear()


def test_readings_go_on_while_a_safe_state_ramps_down_and_writes_wait():
    with Rig(safe={"current": 0}, parameters={"current": {"delay": 0.02}}, poll={"voltage": 0.01}) as rig:
        rig.online()
        rig.driver.values["current"] = 100.0
        safe = rig.engine.safe()
        assert wait_condition(lambda: rig.driver.count("set"))
        write = rig.engine.set("voltage", 1, ANNA)
        polled = len(rig.readings)
        assert rig.engine.get("temperature").wait(10).value == 300.0
        assert not safe.over and not write.over
        safe.wait(10)
        assert len(rig.readings) > polled
        write.wait(10)
        assert rig.driver.did.index(("set", "voltage", 1.0)) > rig.driver.did.index(("set", "current", 0))


def test_a_shutdown_makes_safe_what_was_online_and_only_that():
    with Rig() as rig:
        rig.online()
        rig.engine.set("output", True).wait(10)
    assert rig.driver.values["output"] is False
    assert [one[0] for one in rig.driver.did[-3:]] == ["safe", "prove", "close"]
    with Rig(safe=False) as rig:
        rig.online()
    assert rig.driver.count("safe") == 0
    driver = FakeDriver()
    driver.away = "unplugged"
    with Rig(driver) as rig:
        assert rig.until("offline")
    assert driver.count("safe") == 0
    assert driver.did[-1] == ("close",)


def test_a_shutdown_whose_safe_state_fails_says_so_and_closes(caplog):
    with Rig() as rig:
        rig.online()
        rig.driver.raising["safe"] = ValueError("stuck relay")
    assert "could not be made safe when it was closed: safe(): ValueError: stuck relay" in caplog.text
    assert rig.driver.did[-1] == ("close",)


def test_the_watchdog_makes_safe_who_is_not_kicked_and_a_later_kick_clears_nothing(caplog):
    with Rig(watchdog=0.1) as rig:
        rig.online()
        rig.engine.get("voltage").wait(10)
        assert rig.engine.status()["watchdog"] is None, "it sleeps until somebody writes or kicks"
        assert rig.engine.kick(ANNA) == 0.1
        rig.engine.set("output", True, ANNA).wait(10)
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            rig.engine.kick(ANNA)
            assert not wait_condition(lambda: rig.engine.latched, timeout=0.02)
        assert wait_condition(lambda: rig.engine.latched, timeout=2.0)
        assert wait_condition(lambda: rig.driver.values["output"] is False)
        rig.engine.kick(ANNA)
        assert rig.engine.latched
        with pytest.raises(LatchedError, match="the watchdog: nobody kicked it for 0.1 s"):
            rig.engine.set("output", True, ANNA).wait(0)
        rig.engine.reset(ANNA)
        assert rig.engine.status()["watchdog"] is None


def test_a_write_wakes_the_watchdog():
    with Rig(watchdog=0.05) as rig:
        rig.online()
        rig.engine.set("output", True, ANNA).wait(10)
        assert wait_condition(lambda: rig.engine.latched, timeout=2.0)


def test_only_the_owners_kicks_count_and_only_where_there_is_a_watchdog(rig):
    with pytest.raises(InstrumentError, match="psu has no watchdog"):
        rig.engine.kick(ANNA)
    with Rig(watchdog=60.0) as other:
        other.online()
        other.engine.acquire(ANNA).wait(10)
        other.engine.kick(ANNA)
        with pytest.raises(LockedError):
            other.engine.kick(BERT)


def test_an_interlock_acts_whoever_owns_it_and_latches(rig):
    rig.engine.acquire(ANNA).wait(10)
    rule = parse_interlock("stage.temperature > 320 K -> psu.safe()")
    rig.engine.enforce(rule, "stage.temperature is 321 K, > 320 K")
    assert wait_condition(lambda: rig.driver.values["output"] is False)
    with pytest.raises(LatchedError, match=r"psu was made safe by interlock stage.temperature > 320 K -> psu.safe\(\): stage"):
        rig.engine.set("output", True, ANNA).wait(0)


def test_an_interlock_may_set_or_call_beside_owner_and_latch(rig):
    rig.engine.acquire(ANNA).wait(10)
    rig.engine.estop("smoke", "bert")
    rig.engine.enforce(parse_interlock("a.b > 3 -> psu.voltage = 5 mV"), "why").wait(10)
    assert rig.driver.values["voltage"] == 0.005
    assert rig.engine.enforce(parse_interlock("a.b > 3 -> psu.fire()"), "why").wait(10) == "fire"
    with pytest.raises(LimitError):
        rig.engine.enforce(parse_interlock("a.b > 3 -> psu.voltage = 11"), "why").wait(10)


def test_a_stop_while_the_link_flaps_is_carried_out_in_the_end(rig):
    for n in range(10):
        rig.driver.away = "unplugged" if n % 2 == 0 else ""
        rig.engine.estop("smoke", "bert")
        assert rig.until("offline" if n % 2 == 0 else "safe")
        rig.driver.values["output"] = True
    rig.engine.estop("smoke", "bert")
    assert wait_condition(lambda: rig.driver.values["output"] is False)


def test_orders_are_logged_as_warnings(rig, caplog):
    caplog.set_level(logging.INFO)
    rig.engine.estop("smoke", "bert")
    assert wait_condition(lambda: "in its safe state" in caplog.text)
    rig.engine.reset(ANNA)
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert said == [
        "psu is to be safe and latched, by bert: smoke",
        "psu is in its safe state: smoke",
        "psu was reset by anna; it was latched: smoke",
    ]


def test_parameters_of_a_safe_state_may_be_write_only():
    table = Table.of("fake", [Parameter("secret", readable=False, step=1.0)])
    with Rig(FakeDriver(table), safe={"secret": 0}) as rig:
        rig.online()
        rig.engine.safe().wait(10)
        assert rig.driver.count("set", "secret", 0) == 1


def test_what_could_not_be_made_safe_is_shown_as_a_fault_and_can_be_ordered_again(rig):
    rig.driver.raising["safe"] = ValueError("stuck relay")
    rig.engine.estop("smoke", "bert")
    assert rig.until("fault")
    assert rig.engine.status()["reason"] == "could not be made safe: safe(): ValueError: stuck relay"
    rig.driver.raising.clear()
    rig.engine.safe(ANNA).wait(10)
    assert rig.engine.status()["state"] == "safe"


def test_a_ramp_that_an_emergency_ended_does_not_go_on_after_a_reset():
    with Rig() as rig:
        engine = rig.online()
        ramp = engine.set("current", 100.0, ANNA, None)
        assert wait_condition(lambda: rig.driver.count("set", "current") >= 1)
        rig.driver.can_abort = False
        rig.slow(BERT)
        at = rig.driver.values["current"]
        assert at < 100.0
        engine.estop("smoke")
        engine.reset()  # before the driver's thread has had a turn
        rig.driver.free.set()
        with pytest.raises((CancelledCallError, LatchedError)):
            ramp.wait(10)
        assert wait_condition(lambda: rig.driver.count("safe") == 1)
        assert rig.driver.values["current"] == at
        assert engine.get("current").wait(10).value == at


def test_waits_without_end_do_not_end_the_watch():
    with Rig() as rig:
        engine = rig.online()
        engine.acquire(ANNA, lease=0.05).wait(10)
        rig.slow(ANNA)
        late = engine.get("voltage", BERT, 1e300)
        waits = engine.acquire(BERT, timeout=1e9)
        assert waits.wait(10)["token"]  # the lease ran out all the same
        rig.driver.free.set()
        assert late.wait(10).value == 0.0


class Clinging(FakeDriver):
    """Has a lock around everything, as careful authors do: cancel and progress wait for the call that they are about."""

    def cancel(self):
        self.free.wait(20)

    def progress(self):
        self.free.wait(20)
        return 0.5


def test_a_driver_whose_cancel_and_progress_hang_keeps_nobody_waiting():
    with Rig(Clinging(), on_owner_lost="safe") as rig:
        engine = rig.online()
        rig.driver.can_abort = False
        engine.acquire(ANNA, lease=0.3).wait(10)
        slow = rig.slow(ANNA)
        began = time.monotonic()
        assert engine.status()["action"] == "slow"
        cancelled = engine.cancel(ANNA)
        assert engine.status()["progress"] is None
        assert engine.estop("smoke")["latched"]
        assert engine.lock_info()["owner"] == "anna"
        with pytest.raises(LatchedError):
            engine.set("voltage", 1.0, ANNA).wait(0)
        assert time.monotonic() - began < soon(1.0)
        assert wait_condition(lambda: not engine.lock_info()["owner"])
        rig.driver.free.set()
        assert slow.wait(10) == "slept"
        assert cancelled.wait(10)["cancelled"] == "slow"
        assert rig.until("safe")


def qualities(rig):
    return {name: one.quality for name, one in rig.engine.snapshot().items()}


def test_after_a_safe_state_what_was_set_before_is_stale_until_it_is_read(rig):
    rig.engine.set("voltage", 3).wait(10)
    rig.engine.get("serial").wait(10)
    assert set(qualities(rig).values()) == {"good"}
    rig.engine.estop("smoke")
    assert rig.until("safe")
    assert qualities(rig) == {"voltage": "stale", "output": "stale", "serial": "good"}  # the serial number cannot be set
    rig.engine.get("output").wait(10)
    assert (rig.engine.snapshot()["output"].value, qualities(rig)["output"]) == (False, "good")


def test_what_a_table_of_safe_values_has_set_is_its_last_reading():
    with Rig(FakeDriver(BARE), safe={"output": False, "current": 20}) as rig:
        rig.online()
        for name, value in (("output", True), ("current", 50), ("voltage", 4)):
            rig.engine.set(name, value).wait(10)
        rig.engine.safe().wait(10)
        found = {name: (one.value, one.quality) for name, one in rig.engine.snapshot().items()}
        assert found == {"output": (False, "good"), "current": (20.0, "good"), "voltage": (4.0, "stale")}


def test_what_the_drivers_own_safe_state_is_known_to_set_is_a_last_reading(rig):
    rig.driver.safe_values = lambda: {"output": False, "hidden": 1}
    rig.engine.set("voltage", 3).wait(10)
    rig.engine.safe().wait(10)
    found = {name: (one.value, one.quality) for name, one in rig.engine.snapshot().items()}
    assert found == {"output": (False, "good"), "voltage": (3.0, "stale")}


def test_what_could_not_be_set_is_not_told_as_set():
    with Rig(FakeDriver(BARE), safe={"voltage": 0, "output": False}) as rig:
        rig.online()
        rig.engine.set("voltage", 4).wait(10)
        rig.driver.raising["set"] = [ValueError("no")]
        with pytest.raises(InstrumentError, match="could not be made safe"):
            rig.engine.safe().wait(10)
        found = {name: (one.value, one.quality) for name, one in rig.engine.snapshot().items()}
        assert found == {"voltage": (4.0, "stale"), "output": (False, "good")}


def test_who_was_away_may_have_forgotten_what_it_was_told(rig):
    rig.driver.away = "cable pulled"
    with pytest.raises(OfflineError):
        rig.engine.get("voltage").wait(10)
    rig.driver.away = ""
    assert rig.until("online")
    assert qualities(rig)["output"] == "stale"


def test_the_order_stands_in_the_log_before_what_became_of_it(rig, caplog, monkeypatch):
    log, warning = rig.engine._emergency._log, rig.engine._emergency._log.warning

    def slowly(text, *args):
        if "is to be safe" in text:
            wait_condition(lambda: "is in its safe state" in caplog.text, timeout=0.05)
        warning(text, *args)

    monkeypatch.setattr(log, "warning", slowly)
    rig.engine.estop("smoke", "bert")
    assert wait_condition(lambda: "is in its safe state" in caplog.text)
    assert caplog.text.index("is to be safe and latched") < caplog.text.index("is in its safe state")


class Torn(FakeDriver):
    """Its abort ends the call by taking the connection from under it."""

    def _slow(self):
        super()._slow()
        raise ConnectionResetError(104, "reset by abort")


def test_a_shutdown_that_aborts_a_call_mends_the_session_and_makes_safe():
    with Rig(Torn()) as rig:
        rig.online()
        rig.engine.set("output", True).wait(10)
        slow = rig.slow(ANNA)
        assert rig.engine.close(timeout=10.0)
    assert [one[0] for one in rig.driver.did[-5:]] == ["abort", "recover", "safe", "prove", "close"]
    assert rig.driver.values["output"] is False
    with pytest.raises(OfflineError):
        slow.wait(0)


def test_a_shutdown_asks_once_for_a_device_that_went_away_in_its_last_call(caplog):
    with Rig(Torn()) as rig:
        rig.online()
        rig.slow(ANNA)
        rig.driver.away = "unplugged"
        assert rig.engine.close(timeout=10.0)
    assert [one[0] for one in rig.driver.did[-3:]] == ["abort", "recover", "close"]
    assert "psu cannot be made safe before it is closed: unplugged" in caplog.text


def test_a_ramp_of_an_interlock_does_not_go_on_from_the_safe_state():
    rule = parse_interlock("oven.temperature > 3 -> psu.current = 100")
    with Rig(FakeDriver(BARE), safe={"current": 0}, parameters={"current": {"delay": 0.005}}) as rig:
        rig.online()
        ramp = rig.engine.enforce(rule, "hot")
        assert wait_condition(lambda: rig.driver.values["current"] >= 20)
        rig.engine.estop("smoke")
        with pytest.raises(CancelledCallError, match="made safe: smoke"):
            ramp.wait(5)
        assert rig.until("safe")
        assert rig.driver.values["current"] == 0
        rig.engine.enforce(rule, "hot").wait(5)  # and the rule may begin anew, from where it is now
        last = [one[2] for one in rig.driver.did if one[:2] == ("set", "current")]
        assert max(after - before for before, after in itertools.pairwise(last)) <= 10


def test_nor_does_one_that_was_in_its_first_step():
    with Rig() as rig:
        rig.online()
        read = rig.driver.get
        rig.driver.get = lambda name: (rig.engine.estop("smoke"), read(name))[1]  # while it asks where the ramp begins
        ramp = rig.engine.enforce(parse_interlock("oven.temperature > 3 -> psu.current = 100"), "hot")
        with pytest.raises(CancelledCallError):
            ramp.wait(5)
        assert rig.until("safe")
        assert rig.driver.count("set", "current") == 1 and rig.driver.did[-2:] == [("safe",), ("prove",)]


def test_a_rule_that_waits_behind_a_long_call_waits_once():
    rule = parse_interlock("oven.temperature > 3 -> psu.output = off")
    with Rig() as rig:
        rig.online()
        rig.slow(ANNA)
        first = rig.engine.enforce(rule, "hot")
        for _ in range(100):
            assert "is being carried out" in rig.engine.enforce(rule, "hot")["pending"]
        assert [one["what"] for one in rig.engine.status()["queue"]] == ["set output to False"]
        rig.engine.cancel(Client("", "a program without a name"))  # takes nothing of the rule away
        rig.driver.free.set()
        assert first.wait(5).value is False
        assert rig.engine.enforce(rule, "hot").wait(5).value is False


def test_orders_for_a_device_that_is_away_pile_up_nothing(rig):
    rig.driver.away = "unplugged"
    with pytest.raises(OfflineError):
        rig.engine.get("voltage").wait(10)
    for _ in range(20):
        with pytest.raises(OfflineError):
            rig.engine.safe(BERT).wait(0)
    assert len(rig.engine._board.order.answers) <= 1
    rig.driver.away = ""


def test_stops_that_may_wait_for_long_pile_up_nothing(rig):
    for _ in range(3):
        assert rig.engine.estop_within(1e8, "smoke").wait(5)["pending"] is None
    assert rig.engine._watcher._alarms == []


def test_what_is_due_and_fails_keeps_nothing_else_from_being_done(rig, caplog):
    done = []
    for action in (lambda: 1 / 0, lambda: done.append(1)):
        rig.engine.later(0.0, action)
    assert wait_condition(lambda: done)
    assert "something that was due failed" in caplog.text


def test_whoever_listens_and_fails_harms_no_call_and_is_told_once(caplog):
    def deaf(_value):
        raise ValueError("no room on the disk")

    rig = Rig(poll={"voltage": 0.005})
    rig.engine._on_reading = rig.engine._on_change = deaf
    with rig:
        rig.online()
        assert rig.engine.call("fire").wait(10) == "fire"
        assert wait_condition(lambda: rig.driver.count("get", "voltage") > 5)
        assert rig.engine.status()["errors"]["others"] == 0
    assert caplog.text.count("psu could not tell of a reading") == caplog.text.count("psu could not tell of a change") == 1
    assert rig.driver.did[-3:] == [("safe",), ("prove",), ("close",)]


def test_readings_are_told_to_be_of_a_device_that_is_gone_when_it_is_closed():
    links = []
    rig = Rig(poll={"voltage": 60.0})
    rig.engine._on_reading = lambda reading: links.append((reading.quality, rig.engine.link))
    with rig:
        rig.online()
        assert wait_condition(lambda: links)
    assert links == [("good", "online"), ("stale", "offline")]


@pytest.mark.parametrize("reads", [float("nan"), float("inf"), 1e12, silent(), ValueError("no number")])
def test_a_safe_value_is_set_at_once_where_its_ramp_cannot_be_known(reads):
    with Rig(FakeDriver(BARE), safe={"current": 20}) as rig:
        rig.online()
        if isinstance(reads, Exception):
            rig.driver.raising["get"] = [reads]
        else:
            rig.driver.values["current"] = reads
        rig.engine.estop_within(5.0, "smoke").wait(5)
        assert rig.until("safe") and rig.engine.status()["safe"]["failed"] == []
        assert [one[2] for one in rig.driver.did if one[0] == "set"] == [20.0]
        if reads.__class__ is not float:
            assert [one[0] for one in rig.driver.did[-4:-1]] in (["get", "recover", "set"], ["get", "prove", "set"])


@pytest.mark.parametrize("reads", [float("nan"), float("inf")])
def test_a_ramp_that_nobody_knows_the_beginning_of_sets_nothing(reads):
    with Rig() as rig:
        rig.online()
        rig.driver.values["current"] = reads
        with pytest.raises(BadReplyError, match="nobody knows where its ramp would begin; nothing was set"):
            rig.engine.set("current", 20.0).wait(5)
        assert rig.driver.count("set") == 0


def test_nobody_cancels_what_a_rule_demands(caplog):
    rule = parse_interlock("oven.temperature > 3 -> psu.current = 100")
    with Rig(parameters={"current": {"delay": 0.01}}) as rig:
        rig.online()
        ramp = rig.engine.enforce(rule, "hot")
        assert wait_condition(lambda: rig.driver.count("set"))
        for client in (ANNA, Client("", "a program without a name")):
            assert rig.engine.cancel(client).wait(0)["cancelled"] is None
        assert ramp.wait(5).value == 100.0
        for _ in range(5):
            rig.engine.enforce(rule, "hot").wait(5)
    assert caplog.text.count("psu: interlock oven.temperature > 3") == 1  # however often it acts while it is violated


# ---------------------------------------------------------------- a device that hears nothing


@pytest.mark.parametrize("safe", [None, {"output": False}, "off"])
def test_only_a_device_that_answers_after_its_safe_state_is_safe(safe):
    driver = FakeDriver(Table.of("fake", BARE.parameters.values(), BARE.actions.values(), has_safe=True))
    with Rig(driver, safe=safe) as rig:
        rig.online()
        driver.raising = {"prove": silent(), "recover": silent()}  # frozen: what is sent vanishes, and nobody says so
        told = rig.engine.estop_within(0.2, "fire", "bert").wait(10)
        assert told["pending"] and told["state"] != "safe"
        assert wait_condition(lambda: (rig.engine.status()["safe"]["pending"] or "").startswith("offline: no reply within 1 s"))
        driver.did.clear()
        driver.raising = {}
        assert rig.until("safe")
        assert rig.engine.status()["safe"] == {"pending": None, "failed": []}
        what = {None: ("safe",), "off": ("call", "off")}.get(safe if isinstance(safe, str) else None)
        what = ("set", "output", False) if isinstance(safe, dict) else what
        assert driver.did == [one for one in driver.did if one[0] == "recover"] + [what, ("prove",)]


def test_a_safe_state_without_a_latch_is_no_success_at_a_device_that_is_silent(rig):
    rig.driver.raising = {"prove": silent(), "recover": silent()}
    with pytest.raises(OfflineError, match="no reply within 1 s"):
        rig.engine.safe().wait(10)
    rig.driver.raising = {}
    assert wait_condition(lambda: rig.engine.status()["safe"]["pending"] is None and rig.driver.did[-1] == ("prove",))


def test_a_device_that_answers_again_but_never_after_its_safe_state_is_told_of_and_not_asked_for_ever(rig):
    rig.driver.raising = {"prove": silent()}
    with pytest.raises(InstrumentError, match="could not be made safe: no reply within 1 s"):
        rig.engine.safe().wait(10)
    assert rig.driver.count("safe") == 3


def test_a_safe_state_that_keeps_the_device_busy_gets_more_time_for_the_answer_each_time():
    """A reset may take longer than any patience; without more of it the device would be reset again and again."""

    class Resetting(FakeDriver):
        def confirm(self, patience):
            self.did.append(("confirm", patience))
            if patience < 40:
                raise silent()
            return self.identity

    driver = Resetting(Table.of("fake", BARE.parameters.values(), BARE.actions.values(), has_safe=True))
    with Rig(driver) as rig:
        rig.online()
        for patiences in ([10, 20, 40], [10, 20, 40]):
            driver.did.clear()
            rig.engine.safe().wait(10)
            assert [one[1] for one in driver.did if one[0] == "confirm"] == patiences
            assert driver.count("safe") == 3
