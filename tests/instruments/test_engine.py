"""Calls to an instrument: its driver's thread, its queue, deadlines, ramps, polls. A driver without a device, no network."""

from __future__ import annotations

import threading
import time

import pytest

from agentlab.errors import (
    CallTimeoutError,
    CancelledCallError,
    DeviceTimeoutError,
    ExpiredError,
    InstrumentError,
    LimitError,
    OfflineError,
    UnitError,
    UnknownParameterError,
)
from agentlab.instruments.engine import calls
from agentlab.instruments.engine.answers import Answer
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.model.reading import Reading
from agentlab.testing.waiting import wait_condition
from tests.instruments.fake_driver import FakeDriver, Rig, silent
from tests.timing import soon

ANNA, BERT = Client("a", "anna"), Client("b", "bert")


@pytest.fixture
def rig():
    with Rig() as one:
        one.online()
        yield one


def test_the_driver_is_built_called_and_closed_in_one_thread():
    with Rig() as rig:
        rig.online().get("voltage").wait(10)
        rig.engine.call("fire").wait(10)
    assert rig.driver.threads == {"psu-driver"}
    assert [one[0] for one in rig.driver.did] == ["open", "prove", "get", "call", "safe", "prove", "close"]
    assert rig.engine.close()


def test_a_read_gives_value_unit_and_time(rig):
    before = time.time()
    reading = rig.engine.get("voltage", ANNA, 1.0).wait(10)
    assert (reading.value, reading.unit, reading.quality, reading.name) == (0.0, "V", "good", "voltage")
    assert before <= reading.timestamp <= time.time()
    assert rig.engine.snapshot()["voltage"] == reading


def test_a_set_is_converted_and_gives_what_was_set(rig):
    assert rig.engine.set("voltage", "5 mV", ANNA, 1.0).wait(10).value == 0.005
    assert rig.driver.did[-1] == ("set", "voltage", 0.005)


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (lambda e: e.get("votlage"), UnknownParameterError, "did you mean 'voltage'"),
        (lambda e: e.set("votlage", 1), UnknownParameterError, "did you mean 'voltage'"),
        (lambda e: e.call("frie"), UnknownParameterError, "did you mean 'fire'"),
        (lambda e: e.call("voltage"), UnknownParameterError, "is a parameter"),
        (lambda e: e.set("voltage", 10.01), LimitError, "voltage"),
        (lambda e: e.set("voltage", "1 K"), UnitError, "voltage"),
        (lambda e: e.set("serial", "x"), LimitError, "only read"),
        (lambda e: e.get("secret"), LimitError, "only set"),
        (lambda e: e.set("secret", 1, tolerance=0.1), LimitError, "only set"),
        (lambda e: e.set("output", True, tolerance=0.1), LimitError, "no number"),
        (lambda e: e.set("voltage", 1, tolerance=-1), LimitError, "tolerance"),
        (lambda e: e.set("voltage", 1, timeout="long"), LimitError, "timeout"),
        (lambda e: e.call("slow", (1, 2)), TypeError, r"slow\(\): too many"),
        (lambda e: e.call("slow", (), {"second": 1}), TypeError, "unexpected"),
    ],
)
def test_what_can_be_refused_is_refused_without_a_byte_even_while_the_driver_is_busy(rig, ask, error, text):
    rig.slow(ANNA)
    did = list(rig.driver.did)
    answer = ask(rig.engine)
    assert answer.over
    with pytest.raises(error, match=text):
        answer.wait(0)
    assert rig.driver.did == did


def test_describing_and_status_send_nothing_and_wait_for_nothing(rig):
    rig.slow(ANNA)
    did = list(rig.driver.did)
    before = time.perf_counter()
    for _ in range(20):
        assert rig.engine.describe()["parameters"][0]["name"] == "voltage"
        status = rig.engine.status()
    assert (time.perf_counter() - before) / 20 < soon(0.05)
    assert rig.driver.did == did
    assert (status["state"], status["action"], status["client"], status["progress"]) == ("busy", "slow", "anna", 0.25)
    assert 0 < status["elapsed"] < 10


def test_a_progress_that_cannot_be_asked_is_none(rig, monkeypatch):
    monkeypatch.setattr(rig.driver, "progress", lambda: 1 / 0)
    rig.slow(ANNA)
    assert rig.engine.status()["progress"] is None


def test_calls_are_served_one_at_a_time_in_order(rig):
    slow = rig.slow(ANNA)
    answers = [rig.engine.call("fire", client=BERT), *(rig.engine.set("voltage", n, ANNA) for n in range(1, 4))]
    waiting = rig.engine.status()["queue"]
    assert [(one["what"], one["who"]) for one in waiting] == [
        ("fire", "bert"), ("set voltage to 1 V", "anna"), ("set voltage to 2 V", "anna"), ("set voltage to 3 V", "anna"),
    ]  # fmt: skip
    rig.driver.free.set()
    assert slow.wait(10) == "slept"
    for answer in answers:
        answer.wait(10)
    assert rig.driver.did[-4:] == [("call", "fire"), *(("set", "voltage", float(n)) for n in range(1, 4))]


def test_a_call_whose_time_is_over_is_told_so_in_time_and_never_executed(rig):
    rig.slow(ANNA)
    before = time.monotonic()
    answer = rig.engine.set("voltage", 5, BERT, 0.05)
    with pytest.raises(
        ExpiredError, match=r"set voltage to 5 V waited its 0.05 s in the queue while slow ran for .* not executed"
    ):
        answer.wait(5)
    assert 0.04 < time.monotonic() - before < soon(1.0)
    rig.driver.free.set()
    rig.engine.get("voltage").wait(10)
    assert rig.driver.count("set") == 0
    assert rig.engine.status()["errors"]["expired"] == 1


def test_a_call_whose_caller_has_gone_is_not_executed(rig):
    rig.slow(ANNA)
    answers = []
    rig.engine.set("voltage", 5, BERT).start(lambda *one: answers.append(one), lambda: False)
    rig.driver.free.set()
    rig.engine.get("voltage").wait(10)
    assert rig.driver.count("set") == 0
    assert len(answers) == 1


def test_a_call_too_many_is_refused(rig, monkeypatch):
    monkeypatch.setattr(calls, "MOST_WAITING", 3)
    rig.slow(ANNA)
    answers = [rig.engine.get("voltage") for _ in range(4)]
    with pytest.raises(InstrumentError, match="3 calls wait for psu already"):
        answers[-1].wait(0)
    rig.driver.free.set()
    assert [one.wait(10).value for one in answers[:3]] == [0.0] * 3


def test_one_client_cannot_take_all_the_room(rig, monkeypatch):
    monkeypatch.setattr(calls, "MOST_OF_ONE", 2)
    rig.slow(ANNA)
    answers = [rig.engine.get("voltage", ANNA) for _ in range(3)]
    with pytest.raises(InstrumentError, match="2 calls of yours wait for psu already"):
        answers[-1].wait(0)
    others = rig.engine.get("voltage", BERT)
    rig.driver.free.set()
    assert [one.wait(10).value for one in (*answers[:2], others)] == [0.0] * 3


def test_an_error_of_the_drivers_own_arrives_as_it_is_and_the_session_is_proved(rig):
    class VendorError(Exception):
        pass

    rig.driver.raising["call"] = [VendorError("interlock open")]
    with pytest.raises(VendorError, match="interlock open"):
        rig.engine.call("fire").wait(10)
    rig.engine.get("voltage").wait(10)
    assert [one[0] for one in rig.driver.did[-3:]] == ["call", "prove", "get"]


def test_a_driver_that_wants_to_end_the_process_ends_nothing(rig):
    rig.driver.raising["call"] = [SystemExit(3), KeyboardInterrupt(), StopIteration(7)]
    for error in (InstrumentError, InstrumentError, RuntimeError):  # a SystemExit would end the caller instead
        with pytest.raises(error):
            rig.engine.call("fire").wait(10)
    assert rig.engine.call("fire").wait(10) == "fire"


def test_an_answer_goes_to_one_place_once():
    answer, seen = Answer(), []
    assert answer.give(1)
    assert not answer.fail(ValueError())
    assert not answer.give(2)
    answer.start(lambda *one: seen.append(one))
    assert seen == [(1, None)]
    assert answer.wait(0) == 1
    with pytest.raises(CallTimeoutError, match="may run yet"):
        Answer().wait(0)


def test_a_receiver_that_fails_harms_nobody(rig, caplog):
    rig.slow(ANNA).start(lambda *_one: 1 / 0)
    rig.driver.free.set()
    assert rig.engine.get("voltage").wait(10).value == 0.0
    assert "could not be handed over" in caplog.text


def test_eight_clients_get_each_the_reply_to_its_own_question(rig):
    """Each writes and reads its own parameter; the fake answers what was asked last, whoever asked."""
    wrong = []

    def work(number):
        client = Client(str(number), str(number))
        for n in range(100):
            if rig.engine.call("echo", (number, n), {}, client, 10.0).wait(10) != (number, n):
                wrong.append((number, n))  # noqa: PERF401 - a call in a comprehension hides it

    table = rig.engine.table
    object.__setattr__(table, "actions", {**table.actions, "echo": table.actions["look"].__class__("echo", reads=True)})
    rig.driver.call = lambda _name, args, _kwargs: args
    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---------------------------------------------------------------- ramps and waiting


def test_a_step_makes_a_set_a_ramp_from_where_it_is(rig):
    rig.driver.values["current"] = 5.0
    assert rig.engine.set("current", 32, ANNA).wait(10).value == 32.0
    assert [one[2] for one in rig.driver.did if one[0] == "set"] == [15.0, 25.0, 32.0]


def test_reads_and_polls_go_on_during_a_ramp():
    driver = FakeDriver()
    with Rig(driver, parameters={"current": {"delay": 0.02}, "voltage": {"poll": 0.01}}) as rig:
        rig.online()
        ramp = rig.engine.set("current", 100, ANNA)
        assert wait_condition(lambda: rig.engine.status()["action"])
        status = rig.engine.status()
        assert (status["state"], status["action"]) == ("busy", "set current to 100 A")
        polled = len(rig.readings)
        rig.engine.get("temperature").wait(10)
        assert not ramp.over
        ramp.wait(5)
        assert len(rig.readings) > polled + 3
        assert 0 < status["progress"] < 1


@pytest.fixture
def slope():
    """Give an instrument whose ramps take two seconds."""
    with Rig(parameters={"current": {"step": 1.0, "delay": 0.02}}) as one:
        one.online()
        yield one


def test_who_sets_a_parameter_anew_ends_its_own_ramp(slope):
    first = slope.engine.set("current", 100, ANNA)
    assert wait_condition(lambda: slope.driver.count("set"))
    second = slope.engine.set("current", 0, ANNA)
    with pytest.raises(CancelledCallError, match="anna has set current anew"):
        first.wait(10)
    assert second.wait(10).value == 0.0
    assert slope.driver.values["current"] == 0.0


def test_another_clients_set_waits_for_the_end_of_a_ramp_and_may_expire(slope):
    ramp = slope.engine.set("current", 30, ANNA)
    assert wait_condition(lambda: slope.driver.count("set"))
    late = slope.engine.set("current", 0, BERT, 0.05)
    patient = slope.engine.set("current", 31, BERT)
    other = slope.engine.set("voltage", 1, Client("c", "carl"))
    other.wait(10)
    with pytest.raises(ExpiredError, match="while set current to 30 A ran"):
        late.wait(10)
    assert not ramp.over and not patient.over
    assert ramp.wait(3).value == 30.0
    assert patient.wait(10).value == 31.0
    assert [one[2] for one in slope.driver.did if one[:2] == ("set", "current")] == [float(n) for n in range(1, 32)]


def test_a_ramp_of_what_cannot_be_read_begins_where_it_was_set_last():
    with Rig(parameters={"secret": {"step": 1.0}}) as rig:
        rig.online()
        rig.engine.set("secret", 3, ANNA).wait(10)
        rig.engine.set("secret", 5.5, ANNA).wait(10)
        assert [one[2] for one in rig.driver.did if one[0] == "set"] == [3.0, 4.0, 5.0, 5.5]


class Lagging(FakeDriver):
    """A temperature that comes half the way nearer at each look."""

    def get(self, name):
        value = super().get(name)
        if name == "temperature" and "goal" in self.values:
            self.values[name] = value + (self.values["goal"] - value) / 2
        return value

    def set(self, name, value):
        super().set(name, value)
        if name == "temperature":
            self.values["temperature"] = 300.0
            self.values["goal"] = value


def test_a_tolerance_waits_for_the_read_back_and_lets_others_in_between():
    with Rig(Lagging()) as rig:
        rig.online()
        wait = rig.engine.set("temperature", 4.0, ANNA, None, 0.5, 20.0)
        assert wait_condition(lambda: rig.engine.status()["progress"])
        assert rig.engine.get("voltage", BERT).wait(10).value == 0.0
        found = wait.wait(10)
        assert abs(found.value - 4.0) <= 0.5
        assert found.name == "temperature"


def test_a_read_back_that_does_not_come_is_an_error_that_doubts_no_reply(rig):
    rig.driver.set = lambda name, value: rig.driver._touch("set", name, value)
    with pytest.raises(DeviceTimeoutError, match=r"temperature was set to 4 K and reads 300 K after 0.05 s, not within 0.5"):
        rig.engine.set("temperature", 4.0, ANNA, None, 0.5, 0.05).wait(10)
    rig.engine.get("voltage").wait(10)
    assert rig.driver.count("recover") == 0


def test_a_wait_nobody_waits_for_ends(rig):
    rig.driver.set = lambda name, value: rig.driver._touch("set", name, value)
    over = []
    wanted = threading.Event()
    wanted.set()
    rig.engine.set("temperature", 4.0, ANNA, None, 0.5, 60.0).start(lambda *one: over.append(one), wanted.is_set)
    assert rig.until("busy")
    wanted.clear()
    assert wait_condition(lambda: over)


# ---------------------------------------------------------------- cancelling


def test_cancel_ends_a_wait_for_a_read_back_at_once(rig):
    rig.driver.set = lambda *_: None
    wait = rig.engine.set("temperature", 4.0, ANNA, None, 0.001, 600.0)
    assert wait_condition(lambda: rig.engine.status()["action"] == "set temperature to 4 K")
    assert rig.engine.cancel(ANNA).wait(10) == {"cancelled": "set temperature to 4 K", "queued": 0, "runs_on": ""}
    with pytest.raises(CancelledCallError, match="set temperature to 4 K was cancelled: by anna"):
        wait.wait(10)
    assert rig.until("online")


def test_cancel_reaches_an_action_that_asks(rig):
    rig.driver.hears_cancel = True
    slow = rig.slow(ANNA)
    assert rig.engine.cancel(ANNA).wait(10) == {"cancelled": "slow", "queued": 0, "runs_on": ""}
    with pytest.raises(CancelledCallError):
        slow.wait(10)
    rig.engine.get("voltage").wait(10)
    assert [one[0] for one in rig.driver.did[-3:]] == ["call", "prove", "get"], "who knows what it left behind"
    assert rig.engine.status()["errors"]["others"] == 0


def test_cancel_is_said_again_to_an_action_that_has_just_cleared_it(rig):
    rig.driver.hears_cancel = True
    slow = rig.slow(ANNA)
    rig.engine.cancel(ANNA)
    rig.driver.cancelled = False  # as a driver does that begins its action in this very moment
    with pytest.raises(CancelledCallError):
        slow.wait(10)


def test_cancel_withdraws_what_the_client_has_in_the_queue_and_nothing_else(rig):
    rig.slow(BERT)
    mine = [rig.engine.set("voltage", n, ANNA) for n in (1, 2)]
    others = rig.engine.set("voltage", 3, BERT)
    done = rig.engine.cancel(ANNA)
    for answer in mine:
        with pytest.raises(CancelledCallError, match="before its turn came"):
            answer.wait(0)
    rig.driver.free.set()
    assert done.wait(10)["queued"] == 2
    assert others.wait(10).value == 3.0


def test_cancel_with_nothing_to_end_says_so(rig):
    assert rig.engine.cancel(ANNA).wait(0) == {"cancelled": None, "queued": 0, "runs_on": ""}


# ---------------------------------------------------------------- polls and readings


def test_polled_parameters_are_published_with_numbers():
    with Rig(poll={"voltage": 0.01, "output": 0.01}) as rig:
        rig.online()
        assert wait_condition(lambda: len(rig.readings) >= 8)
        volts = [one for one in rig.readings if one.name == "voltage"]
        assert [one.sequence for one in volts] == list(range(1, len(volts) + 1))
        assert {(one.value, one.unit, one.quality) for one in volts} == {(0.0, "V", "good")}
        assert rig.engine.status()["polls"] == {"voltage": 0.01, "output": 0.01}


def test_polls_go_on_under_load_and_hold_nobody_up():
    with Rig(poll=0.01) as rig:
        rig.online()
        assert wait_condition(lambda: rig.readings)
        before, until, calls_made = len(rig.readings), time.monotonic() + 0.2, 0
        while time.monotonic() < until:
            rig.engine.get("voltage").wait(10)
            calls_made += 1
        assert len(rig.readings) - before > 20
        assert calls_made > 20


def test_a_poll_that_fails_is_published_as_bad_and_logged_once(caplog):
    driver = FakeDriver()
    driver.values["voltage"] = "garbage"
    with Rig(driver, poll={"voltage": 0.01}) as rig:
        rig.engine.get("current").wait(5)
        assert wait_condition(lambda: sum(one.quality == "bad" for one in rig.readings) >= 3)
        assert rig.readings[0].value is None
        driver.values["voltage"] = 1.5
        assert wait_condition(lambda: rig.readings[-1].quality == "good")
    assert caplog.text.count("psu.voltage cannot be read") == 1


def test_readings_are_told_to_be_stale_when_the_device_goes_and_good_when_it_is_back():
    with Rig(poll={"voltage": 0.01}) as rig:
        rig.online()
        assert wait_condition(lambda: rig.readings)
        rig.driver.away = "unplugged"
        assert wait_condition(lambda: rig.readings[-1].quality == "stale")
        assert rig.until("offline")
        assert rig.engine.snapshot()["voltage"].quality == "stale"
        stale = rig.readings[-1]
        assert (stale.value, stale.sequence) == (0.0, len(rig.readings))
        rig.driver.away = ""
        assert wait_condition(lambda: rig.readings[-1].quality == "good")
        assert rig.readings[-1].sequence == len(rig.readings)


def test_readings_grow_stale_while_the_driver_is_stuck():
    with Rig(poll={"voltage": 0.02}) as rig:
        rig.online()
        assert wait_condition(lambda: rig.readings)
        rig.slow(ANNA)
        assert wait_condition(lambda: rig.readings[-1].quality == "stale")
        assert sum(one.quality == "stale" for one in rig.readings) == 1
        rig.driver.free.set()
        assert wait_condition(lambda: rig.readings[-1].quality == "good")


def test_a_fresh_snapshot_asks_for_all_that_can_be_read(rig):
    found = rig.engine.snapshot(refresh=True, client=ANNA).wait(10)
    assert set(found) == {"voltage", "current", "temperature", "output", "serial"}
    assert all(isinstance(one, Reading) and one.is_good for one in found.values())
    rig.driver.values["voltage"] = "garbage"
    found = rig.engine.snapshot(refresh=True).wait(10)
    assert (found["voltage"].quality, found["current"].quality) == ("bad", "good")
    assert rig.driver.count("recover") == 1
    rig.driver.away = "unplugged"
    with pytest.raises(OfflineError):
        rig.engine.snapshot(refresh=True).wait(10)
    assert rig.engine.snapshot()["current"].quality == "stale"


def test_changes_are_told_in_order_with_the_latest_last(rig):
    rig.slow(ANNA)
    rig.driver.free.set()
    assert wait_condition(lambda: rig.changes[-1]["state"] == "online")
    assert [one["state"] for one in rig.changes] == ["online", "busy", "online"]


def test_closing_refuses_what_waits_and_leaves_a_stuck_driver_behind(caplog):
    driver = FakeDriver()
    driver.can_abort = False
    rig = Rig(driver)
    with rig:
        rig.online()
        slow = rig.slow(ANNA)
        waiting = rig.engine.get("voltage", BERT)
        in_row = None
        rig.engine.acquire(ANNA).wait(10)
        in_row = rig.engine.acquire(BERT, timeout=60.0)
        assert rig.engine.close(timeout=0.1) is False
        with pytest.raises(OfflineError, match="psu is being shut down"):
            in_row.wait(10)
        with pytest.raises(OfflineError, match="psu is being shut down"):
            rig.engine.get("voltage").wait(10)
        for answer, text in ((waiting, "psu is being shut down"), (slow, "slow did not end in time; it may run yet")):
            with pytest.raises(OfflineError, match=text):
                answer.wait(0)
        driver.free.set()
    assert "is left behind" in caplog.text


def test_who_comes_while_a_stuck_instrument_is_closed_is_answered_at_once():
    with Rig() as rig:
        rig.online()
        rig.driver.can_abort = False
        rig.slow(ANNA)
        rig.engine.acquire(ANNA).wait(0)
        assert not rig.engine.close(timeout=0.05)
        with pytest.raises(OfflineError, match="psu is being shut down"):
            rig.engine.acquire(BERT, timeout=60.0).wait(0)
        assert "slow has been running" in rig.engine.estop_within(60.0, "smoke").wait(0)["pending"]
        rig.driver.free.set()


def test_a_thousand_silences_leave_no_thread_and_no_task(rig):
    for _ in range(200):
        rig.driver.raising["get"] = [silent()]
        with pytest.raises(DeviceTimeoutError):
            rig.engine.get("voltage").wait(10)
        assert rig.engine.get("voltage").wait(10).value == 0.0
    assert rig.driver.count("recover") == 200
    assert rig.engine.status()["errors"]["timeouts"] == 200
