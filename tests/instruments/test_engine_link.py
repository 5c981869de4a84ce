"""The link between an instrument and its device: away, silent, wrong, out of step, and back."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from agentlab.errors import BadReplyError, DeviceTimeoutError, DriverError, InstrumentError, OfflineError
from agentlab.instruments.engine import board, calls, watching
from agentlab.instruments.engine.claims import Client
from agentlab.testing.waiting import wait_condition
from tests.instruments.fake_driver import TABLE, FakeDriver, Rig, silent
from tests.timing import soon

ANNA = Client("a", "anna")


def test_an_instrument_whose_device_is_away_starts_and_comes_online_by_itself():
    driver = FakeDriver()
    driver.away = "nobody answers at TCPIP::x"
    with Rig(driver) as rig:
        assert rig.until("offline")
        status = rig.engine.status()
        assert status["reason"] == "nobody answers at TCPIP::x"
        answer = rig.engine.get("voltage")
        assert answer.over
        with pytest.raises(OfflineError, match=r"psu is offline: nobody answers at TCPIP::x; it is looked for every 0.05 s"):
            answer.wait(0)
        assert rig.engine.describe()["parameters"][0]["name"] == "voltage", "the class tells what is there"
        driver.away = ""
        rig.online().get("voltage").wait(10)
        assert rig.engine.status()["identity"] == "ACME,F1"


def test_calls_wait_while_the_device_is_being_connected():
    driver, go = FakeDriver(), threading.Event()
    driver.open = lambda: go.wait(5)
    with Rig(driver) as rig:
        answer = rig.engine.get("voltage", ANNA, 5.0)
        assert rig.engine.status()["state"] == "connecting"
        assert not answer.over
        go.set()
        assert answer.wait(10).value == 0.0


def test_a_constructor_that_hangs_keeps_nobody_waiting_for_ever(monkeypatch):
    for module in (board, calls, watching):
        monkeypatch.setattr(module, "PATIENCE", 0.05)
    driver, go = FakeDriver(), threading.Event()
    driver.open = lambda: go.wait(5)
    with Rig(driver) as rig:
        for limit in (None, 60.0):
            with pytest.raises(OfflineError, match="psu has been connecting for"):
                rig.engine.get("voltage", ANNA, limit).wait(10)
        assert rig.engine.get("voltage").over, "it has been connecting for too long already"
        go.set()
        rig.online()


def test_a_limit_that_ends_while_it_connects_says_why():
    driver, go = FakeDriver(), threading.Event()
    driver.open = lambda: go.wait(5)
    with Rig(driver) as rig:
        with pytest.raises(OfflineError, match="psu has been connecting for"):
            rig.engine.get("voltage", ANNA, 0.05).wait(10)
        go.set()


def test_a_driver_that_can_never_work_is_a_fault_and_not_tried_again():
    tries = []

    def load(_spec):
        tries.append(1)
        raise DriverError("pymeasure is not installed; pip install 'agentlab[pymeasure]'")

    with Rig(load=load) as rig:
        assert rig.until("fault")
        with pytest.raises(DriverError, match=r"psu is in fault: pymeasure is not installed"):
            rig.engine.get("voltage").wait(0)
        assert rig.engine.status()["state"] == "fault"
        assert isinstance(rig.engine.fault, DriverError)
        assert rig.engine.describe()["parameters"] == []
    assert len(tries) == 1


def test_an_override_of_what_there_is_not_is_a_fault():
    with Rig(parameters={"votlage": {"max": 5}}) as rig:
        assert rig.until("fault")
        assert "did you mean 'voltage'" in rig.engine.status()["reason"]
    assert rig.driver.did[-1] == ("close",)


def test_a_poll_of_what_there_is_not_is_a_fault():
    with Rig(poll={"votlage": 1.0}) as rig:
        assert rig.until("fault")
        assert "did you mean 'voltage'" in rig.engine.status()["reason"]


def test_a_constructor_that_fails_is_a_fault_and_tried_again():
    driver = FakeDriver()
    driver.raising["open"] = ValueError("firmware too old\nsee page 5")
    with Rig(driver) as rig:
        assert rig.until("fault")
        with pytest.raises(InstrumentError, match="psu is in fault: ValueError: firmware too old") as caught:
            rig.engine.get("voltage").wait(0)
        assert "\n" not in str(caught.value)
        driver.raising.clear()
        assert rig.online().get("voltage").wait(10).value == 0.0
        assert rig.engine.fault is None


def test_a_device_that_fails_in_another_way_each_time_fills_no_log(caplog):
    driver = FakeDriver()
    driver.raising["open"] = [BadReplyError(f"rubbish {number}") for number in range(1000)]
    with Rig(driver) as rig:
        assert wait_condition(lambda: driver.count("open") > 5, timeout=10.0)
        assert "rubbish" in rig.engine.status()["reason"]
        driver.raising.clear()
        rig.online()
    assert sum("is in fault: rubbish" in record.message for record in caplog.records) == 1


def test_what_grows_with_the_instance_is_known_when_it_is_online():
    """Before that its names cannot be checked, so the calls wait."""
    driver, go = FakeDriver(), threading.Event()
    small = TABLE.of("fake", [TABLE.parameters["voltage"]])
    driver.the_table = small

    def build():
        go.wait(5)
        driver.the_table = TABLE

    driver.open = build
    with Rig(driver) as rig:
        early = [rig.engine.get("current"), rig.engine.set("current", 5), rig.engine.call("fire")]
        wrong = [rig.engine.get("curent"), rig.engine.set("current", 1000), rig.engine.call("fier")]
        assert not any(one.over for one in early)
        go.set()
        for one in early:
            one.wait(10)
        for one, text in zip(wrong, ("did you mean 'current'", "current", "did you mean 'fire'"), strict=True):
            with pytest.raises(InstrumentError, match=text):
                one.wait(10)
        assert rig.driver.count("recover") == 0


class Telnet(FakeDriver):
    """A device whose replies come one after the other through one pipe, as those of real ones do."""

    def __init__(self):
        super().__init__()
        self.pipe = deque()
        self.late = 0
        self.numbers = {name: float(n) for n, name in enumerate(("voltage", "current", "temperature"), start=1)}

    def get(self, name):
        self._touch("get", name)
        self.pipe.append(self.numbers[name])
        if self.late:
            self.late -= 1
            raise silent()
        return self.pipe.popleft()

    def recover(self):
        super().recover()
        self.pipe.clear()


def test_after_a_timeout_the_next_hundred_replies_are_right():
    driver = Telnet()
    with Rig(driver) as rig:
        engine = rig.online()
        for _ in range(3):
            driver.late = 1
            with pytest.raises(DeviceTimeoutError):
                engine.get("voltage").wait(10)
            names = ["temperature", "voltage", "current"] * 34
            answers = [engine.get(name) for name in names]
            assert [one.wait(10).value for one in answers] == [driver.numbers[name] for name in names]
        assert driver.count("recover") == 3


def test_without_recovery_the_fake_would_give_wrong_values():
    """The test above can fail: the pipe really is one reply behind."""
    driver = Telnet()
    driver.late = 1
    with pytest.raises(DeviceTimeoutError):
        driver.get("voltage")
    assert driver.get("current") == driver.numbers["voltage"]


def test_calls_that_wait_behind_a_timeout_get_their_own_replies():
    driver = Telnet()
    with Rig(driver) as rig:
        rig.online()
        rig.slow(ANNA)
        driver.late = 1
        answers = [rig.engine.get(name) for name in ("voltage", "current", "temperature")]
        driver.free.set()
        with pytest.raises(DeviceTimeoutError):
            answers[0].wait(10)
        assert [one.wait(10).value for one in answers[1:]] == [2.0, 3.0]


def test_a_reply_of_another_type_is_an_error_and_the_session_is_put_in_order():
    with Rig() as rig:
        engine = rig.online()
        rig.driver.values["voltage"] = "HEWLETT-PACKARD,34401A,0,1"
        with pytest.raises(BadReplyError, match="voltage"):
            engine.get("voltage").wait(10)
        engine.get("current").wait(10)
        assert [one[0] for one in rig.driver.did[-3:]] == ["get", "recover", "get"]
        assert engine.status()["errors"]["bad_replies"] == 1


def test_an_error_that_hides_a_reply_out_of_step_is_found_out_by_the_proof():
    with Rig() as rig:
        engine = rig.online()
        rig.driver.raising["call"] = [ValueError("could not convert string to float: 'ACME'")]
        rig.driver.identity = "1.25"  # what comes when the identity is asked: the reply to something else
        with pytest.raises(ValueError, match="could not convert"):
            engine.call("fire").wait(10)
        engine.get("voltage").wait(10)
        assert [one[0] for one in rig.driver.did[-4:]] == ["call", "prove", "recover", "get"]


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), BrokenPipeError(32, "broken"), OfflineError("gone")])
def test_a_cable_pulled_is_told_at_once_to_who_calls_and_who_waits(error):
    with Rig() as rig:
        rig.online()
        rig.slow(ANNA)
        answers = [rig.engine.get("voltage") for _ in range(3)]
        rig.driver.raising["get"] = error
        rig.driver.raising["recover"] = OfflineError("still away")
        rig.driver.free.set()
        for answer in answers:
            with pytest.raises(OfflineError):
                answer.wait(10)
        assert rig.driver.count("get") == 1
        assert rig.until("offline")
        with pytest.raises(OfflineError, match="psu is offline"):
            rig.engine.set("voltage", 1).wait(0)  # at once
        rig.driver.raising.clear()
        back = time.monotonic()
        rig.online()
        assert time.monotonic() - back < soon(2.0)
        assert rig.engine.get("voltage").wait(10).value == 0.0


def test_attempts_to_reach_a_device_grow_rare_and_stay_frequent_enough():
    driver = FakeDriver()
    driver.away = "unplugged"
    with Rig(driver, reconnect_first=0.01, reconnect_most=0.04) as rig:
        assert wait_condition(lambda: driver.count("open") >= 8)
    del rig


def test_a_silence_is_told_as_a_pulled_cable_if_it_is_one():
    """A connection whose end is not seen looks like a silent device, until the attempt to reach it again is refused."""
    with Rig() as rig:
        rig.online()
        rig.driver.raising["get"] = silent()
        rig.driver.raising["recover"] = OfflineError("connection refused")
        with pytest.raises(OfflineError, match="psu did not answer and is offline: connection refused") as caught:
            rig.engine.get("voltage").wait(10)
        assert isinstance(caught.value.__cause__, DeviceTimeoutError)
        rig.driver.raising.clear()


def test_a_silence_is_told_soon_even_if_the_recovery_takes_long():
    with Rig() as rig:
        rig.online()
        go = threading.Event()
        rig.driver.raising["get"] = [silent()]
        rig.driver.recover = lambda: go.wait(5)
        before = time.monotonic()
        with pytest.raises(DeviceTimeoutError):
            rig.engine.get("voltage").wait(10)
        assert 0.2 < time.monotonic() - before < soon(2.0)
        assert rig.engine.status()["state"] == "connecting"
        go.set()
        rig.online()


def test_a_device_that_stays_silent_is_offline():
    with Rig() as rig:
        rig.online()
        rig.driver.raising["get"] = silent()
        rig.driver.raising["recover"] = silent()
        with pytest.raises(DeviceTimeoutError):
            rig.engine.get("voltage").wait(10)
        assert rig.until("offline")
        assert rig.engine.status()["reason"] == "no reply within 1 s"
        rig.driver.raising.clear()
        rig.online().get("voltage").wait(10)
        assert rig.engine.status()["errors"]["recovered"] == 1


def test_another_device_at_the_same_address_is_a_fault_and_not_believed():
    with Rig() as rig:
        rig.online()
        rig.driver.raising["get"] = [silent()]
        rig.driver.raising["recover"] = BadReplyError("another device answers: 'OTHER'")
        with pytest.raises(DeviceTimeoutError):
            rig.engine.get("voltage").wait(10)
        assert rig.until("fault")
        with pytest.raises(BadReplyError, match="psu is in fault: another device answers"):
            rig.engine.get("voltage").wait(0)
        rig.driver.raising.clear()
        rig.online().get("voltage").wait(10)


def test_a_device_that_answers_rubbish_from_the_start_is_closed_and_opened_again():
    driver = FakeDriver()
    driver.raising["prove"] = [BadReplyError("garbage"), silent()]
    with Rig(driver) as rig:
        rig.online()
    assert [one[0] for one in driver.did[:8]] == ["open", "prove", "close", "open", "prove", "close", "open", "prove"]


def test_a_link_that_flaps_many_times_ends_online_and_answers_everybody():
    with Rig(poll={"voltage": 0.005}) as rig:
        rig.online()
        answered = []
        for n in range(30):
            rig.driver.away = "unplugged" if n % 2 == 0 else ""
            for _ in range(5):
                rig.engine.get("current", ANNA, 5.0).start(lambda value, error: answered.append((value, error)))
            assert rig.until("offline" if n % 2 == 0 else "online")
            rig.engine.get("current", ANNA, 5.0).start(lambda value, error: answered.append((value, error)))
        assert wait_condition(lambda: len(answered) == 180)
        assert all(error is None or isinstance(error, OfflineError) for _, error in answered)
        assert {value.value for value, error in answered if error is None} == {0.0}


def test_a_poll_that_is_never_answered_backs_off_and_is_told_once(caplog):
    caplog.set_level("INFO")
    driver = FakeDriver()
    asked = driver.get

    def get(name):
        if name == "temperature":
            driver.did.append(("get", name))
            raise silent()
        return asked(name)

    driver.get = get
    with Rig(driver, poll={"temperature": 0.01, "voltage": 0.01}) as rig:
        rig.online()
        assert wait_condition(lambda: driver.count("get", "voltage") >= 40)
        assert driver.count("get", "temperature") <= 8  # 0.01 s, 0.02 s, 0.04 s, ...: not one for each of the others
    assert caplog.text.count("temperature cannot be read") == 1
    assert caplog.text.count("is online again") == 1


class Untold(Exception):
    def __str__(self):
        raise ValueError("not even this")


def test_an_error_that_cannot_be_told_is_an_error_all_the_same():
    with Rig() as rig:
        rig.online()
        rig.driver.raising["call"] = [Untold()]
        with pytest.raises(Untold):
            rig.engine.call("fire").wait(5)
        assert rig.engine.status()["errors"]["last"] == "Untold"
        assert rig.engine.get("voltage").wait(5).value == 0.0


def test_what_a_device_has_sent_by_the_megabyte_stays_out_of_the_status(caplog):
    with Rig() as rig:
        rig.online()
        rig.driver.raising["get"] = [OfflineError("it has sent " + "x" * 1_000_000)]
        with pytest.raises(OfflineError):
            rig.engine.get("voltage").wait(5)
        assert len(rig.engine.status()["errors"]["last"]) < 1100
    assert len(caplog.text) < 10_000


class Unseen(Exception):
    @property
    def __class__(self):
        raise SystemExit(4)


class UntoldSilence(OfflineError):
    def __str__(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("kind", "args"), [(Exception, [Untold()]), (ConnectionError, [Untold()]), (Unseen, []), (UntoldSilence, [])]
)
def test_an_error_that_cannot_even_be_looked_at_leaves_its_doubt(kind, args):
    with Rig() as rig:
        rig.online()
        rig.driver.raising["get"] = [kind(*args)]
        with pytest.raises(InstrumentError, match="of which nothing can be told"):
            rig.engine.get("voltage").wait(5)
        assert rig.engine.get("voltage").wait(5).value == 0.0
        assert [one[0] for one in rig.driver.did] == ["open", "prove", "get", "prove", "get"]


def test_a_mistake_of_ours_leaves_no_caller_waiting(monkeypatch, caplog):
    with Rig() as rig:
        rig.online()
        finish, failed = rig.engine._worker._finish, []

        def once(*args):
            if not failed:
                failed.append(args)
                raise KeyError("a mistake")
            finish(*args)

        monkeypatch.setattr(rig.engine._worker, "_finish", once)
        with pytest.raises(InstrumentError, match="fire could not be carried out: KeyError: 'a mistake'"):
            rig.engine.call("fire").wait(5)
        assert rig.engine.status()["action"] == ""
        assert rig.engine.get("voltage").wait(5).value == 0.0
    assert "a turn of the driver's thread failed" in caplog.text
