"""The safe state of a device of a table: all of it is sent, whatever the device says and whatever state the session is in."""

from __future__ import annotations

import threading

import pytest

from agentlab.errors import CancelledCallError, DeviceTimeoutError, DriverError, InstrumentError
from agentlab.instruments import InstrumentSpec, ScpiDevice
from agentlab.instruments.drivers.loading import load_driver
from agentlab.instruments.scpi.link import Link
from agentlab.instruments.scpi.table import read_table
from agentlab.instruments.visa.session import Session
from agentlab.testing.transcript import SILENCE, Transcript
from agentlab.testing.waiting import wait_condition

IDN = ("*IDN?", "ACME,1")
OFF = ["OUTP 0", "VOLT 0"]
SAFE = {"output": False, "voltage": 0}
ANSWERED = {
    "settings": {"timeout": 1.0},
    "safe": SAFE,
    "parameters": {
        "output": {"set": "OUTP {}", "type": "bool", "reply": "OK"},
        "voltage": {"get": "VOLT?", "set": "VOLT {:g}", "reply": True},
        "other": {"get": "X?", "set": "X {:g}"},
    },
}
SILENT = {"settings": {"timeout": 0.1}, "safe": OFF, "parameters": {"voltage": {"get": "VOLT?"}}}


def test_a_device_that_answers_its_sets_is_made_safe_to_the_last_command():
    transcript = Transcript([IDN, ("OUTP 0", "OK"), ("VOLT 0", "0.000"), ("VOLT?", "0")])
    with transcript.serve() as server, ScpiDevice(server.address, ANSWERED) as device:
        assert device.make_safe()
        assert device.voltage == 0
    assert transcript.received == [*OFF, "VOLT?"]
    assert read_table(ANSWERED).safe_replies == {"OUTP 0": "OK", "VOLT 0": True}


def test_what_it_refuses_keeps_nothing_else_from_being_sent():
    transcript = Transcript([IDN, ("OUTP 0", "ERROR"), ("VOLT 0", "0.000")])
    with transcript.serve() as server, ScpiDevice(server.address, ANSWERED) as device:
        with pytest.raises(InstrumentError, match="answered 'ERROR' to 'OUTP 0'"):
            device.make_safe()
        assert wait_condition(lambda: transcript.received == OFF)


def test_an_answer_that_never_comes_keeps_nothing_else_from_being_sent():
    transcript = Transcript([IDN, ("OUTP 0", SILENCE), ("VOLT 0", "0.000")])
    with transcript.serve() as server, ScpiDevice(server.address, ANSWERED, timeout=0.1) as device:
        with pytest.raises(DeviceTimeoutError):
            device.make_safe()
        assert wait_condition(lambda: transcript.received == ["OUTP 0", *OFF])


def test_a_device_that_takes_commands_and_answers_none_is_told_its_safe_state():
    transcript = Transcript([("VOLT?", SILENCE)])
    with transcript.serve() as server, ScpiDevice(server.address, SILENT) as device:
        with pytest.raises(DeviceTimeoutError):
            _ = device.voltage
        with pytest.raises(DeviceTimeoutError):  # nobody knows whether it has obeyed
            device.make_safe()
        assert wait_condition(lambda: set(OFF) <= set(transcript.received))


def test_a_session_out_of_step_is_told_at_once_and_again_in_step():
    transcript = Transcript([IDN, ("VOLT?", SILENCE)])
    with transcript.serve() as server, ScpiDevice(server.address, SILENT, timeout=5.0) as device:
        device.prove()
        device.session.distrust("a test")
        assert device.make_safe()
        assert wait_condition(lambda: [transcript.received.count(one) for one in OFF] == [2, 2])


def test_a_device_that_answers_its_sets_is_reached_beside_a_call_that_hangs():
    transcript = Transcript([IDN, ("X?", SILENCE), ("OUTP 0", "OK"), ("VOLT 0", "0")])
    with transcript.serve() as server:
        driver = load_driver(InstrumentSpec("psu", ScpiDevice, server.address, kwargs={"parameters": ANSWERED}))
        driver.open()
        driver.prove()
        errors = []

        def ask():
            try:
                driver.call("query", ("X?", 30), {})
            except CancelledCallError as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert wait_condition(lambda: "X?" in transcript.received)
        assert driver.abort() is True
        thread.join(5.0)
        assert errors and transcript.received[3:5] == OFF
        driver.close()


def test_the_only_connection_of_a_serial_line_is_used_when_the_wait_has_ended():
    transcript = Transcript([IDN, ("X?", SILENCE)])
    link = Link("ASRL3::INSTR", {}, "*IDN?")
    link._session = session = Session(transcript.line, timeout=30.0)
    ended = []

    def ask():
        with pytest.raises(CancelledCallError):
            session.query("X?")
        ended.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    assert wait_condition(lambda: "X?" in transcript.received)
    assert link.end(OFF) is False
    thread.join(5.0)
    assert ended and transcript.received == ["X?", *OFF] and session.doubt


class Slow(ScpiDevice):
    """A supply that is ramped down before it is switched off."""

    commands = SILENT

    @property
    def level(self) -> float:
        """Its level, after a while."""
        self.sleep(0.0)
        return 1.0

    @level.setter
    def level(self, value: float) -> None:
        self.sleep(0.0)

    def safe(self) -> None:
        """Ramp down."""
        self.sleep(0.0)
        self.write("OUTP 0")


def test_what_was_cancelled_cancels_neither_the_safe_state_nor_what_follows():
    transcript = Transcript([IDN])
    with transcript.serve() as server:
        driver = load_driver(InstrumentSpec("psu", Slow, server.address))
        driver.open()
        driver.cancel()
        assert driver.safe() is True
        driver.cancel()
        assert driver.get("level") == 1.0
        driver.cancel()
        driver.set("level", 2.0)
        assert wait_condition(lambda: transcript.received == ["OUTP 0"])
        driver.close()


@pytest.mark.parametrize("name", ["PowerMeter", "Stage"])
def test_what_was_cancelled_cancels_no_later_reading_or_set_of_a_plain_class(name):
    driver = load_driver(InstrumentSpec("x", f"agentlab.instruments.simulated:{name}", kwargs={"seed": 1}))
    driver.open()
    driver.cancel()
    if name == "Stage":
        driver.set("position", 0.1)
        assert driver.get("position") == 0.1
    else:
        assert driver.get("power") > 0
    driver.close()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"safe": ["OUTP 0\\n"]}, "safe: found a line end"),
        ({"abort": ["ABOR\\r\\n"]}, "abort: found a line end"),
        ({"safe": ["OUTP 0\nVOLT 0"]}, "safe: found a line end"),
        ({"actions": {"a": {"write": []}}}, "neither write nor query"),
        ({"actions": {"a": {"query": None}}}, "neither write nor query"),
    ],
)
def test_a_safe_state_that_cannot_be_is_told_when_the_table_is_read(data, said):
    with pytest.raises(DriverError, match=said):
        read_table(data)


def test_a_query_that_was_left_empty_is_none():
    call = read_table({"actions": {"a": {"write": "GO", "query": None}}}).calls["a"]
    assert not call.asks


@pytest.mark.parametrize("table", [{"safe": ["AUS µ"]}, {"abort": "µ"}, {"v": {"get": "µ?"}}, {"ping": "µ?"}])
def test_commands_that_cannot_be_written_are_told_before_they_are_needed(table):
    with pytest.raises(DriverError, match="cannot be written in ascii; give encoding"):
        ScpiDevice("TCPIP::127.0.0.1::1::SOCKET", table)
    ScpiDevice("TCPIP::127.0.0.1::1::SOCKET", table, encoding="latin-1")
