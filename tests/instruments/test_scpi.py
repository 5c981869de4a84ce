"""ScpiDevice in a script, and ScpiDriver in an agent's place, against devices that answer from transcripts over TCP."""

from __future__ import annotations

import threading
import time

import pytest

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    InstrumentError,
    LimitError,
    OfflineError,
    UnknownParameterError,
)
from agentlab.instruments import InstrumentSpec, ScpiDevice, reads
from agentlab.instruments.drivers.loading import load_driver
from agentlab.testing.transcript import SILENCE, Transcript, late, raw
from agentlab.testing.waiting import wait_condition
from tests.timing import soon

TABLE = {
    "settings": {"timeout": 1.0},
    "safe": {"output": False},
    "abort": ["ABOR"],
    "parameters": {
        "voltage": {"get": "VOLT?", "set": "VOLT {:g}", "unit": "V", "min": 0, "max": 30},
        "output": {"get": "OUTP?", "set": "OUTP {}", "type": "bool"},
        "mode": {"get": "MODE?", "set": "MODE {}", "map": {"slow": 0, "fast": 1}},
        "label": {"get": "LAB?", "set": "LAB {}", "type": "str"},
        "trace": {"get": "TRAC?", "type": "array"},
        "secret": {"set": "SEC {:g}"},
        "checked": {"set": "CHK {:g}", "check": "SYST:ERR?"},
        "chatty": {"set": "TALK {:g}", "reply": "OK"},
        "wrapped": {"get": "WRAP?", "pattern": r"W=(\S+) V", "unit": "V"},
    },
    "actions": {
        "trigger": {"write": "*TRG"},
        "slow": {"query": "SLOW? {seconds:g}", "type": "float", "timeout": 5, "arguments": {"seconds": {"min": 0, "default": 3}}},
    },
}


def device_of(server, **options):
    return ScpiDevice(server.address, TABLE, **options)


def driver_of(server, cls=ScpiDevice, **options):
    return load_driver(InstrumentSpec("psu", cls, server.address, kwargs={"parameters": TABLE}, **options))


IDN = ("*IDN?", "ACME,1")


def test_parameters_are_attributes():
    transcript = Transcript([IDN, ("VOLT?", "+1.5E+00"), ("OUTP?", "1"), ("MODE?", "1"), ("LAB?", " x "), ("TRAC?", "1,2.5")])
    with transcript.serve() as server, device_of(server) as device:
        assert transcript.received == []
        assert (device.voltage, device.output, device.mode, device.label) == (1.5, True, "fast", "x")
        assert device.trace == [1.0, 2.5]
        device.voltage = "500 mV"
        device.output = False
        device.mode = "slow"
        assert wait_condition(lambda: transcript.received[-3:] == ["VOLT 0.5", "OUTP 0", "MODE 0"])
        assert "voltage" in dir(device) and server.address in repr(device)


def test_what_is_refused_sends_nothing():
    transcript = Transcript([])
    with transcript.serve() as server, device_of(server) as device:
        for value in (31, -1, float("nan"), "x", None, True):
            with pytest.raises(LimitError, match="nothing was sent"):
                device.voltage = value
        with pytest.raises(LimitError):
            device.trace = [1]
        with pytest.raises(LimitError):
            _ = device.secret
        with pytest.raises(LimitError, match="line end"):
            device.label = "a\nOUTP 1"
        with pytest.raises(LimitError, match="ascii"):
            device.label = "µ"
        with pytest.raises(UnknownParameterError, match="did you mean 'voltage'"):
            _ = device.volage
        with pytest.raises(AttributeError, match="did you mean 'voltage'"):
            device.volage = 3
        with pytest.raises(LimitError):
            device.slow(-1)
        for arguments in ((1, 2), (1, 2, 3)):
            with pytest.raises(TypeError, match="takes 1 arguments"):
                device.slow(*arguments)
        with pytest.raises(TypeError, match="second"):
            device.slow(second=1)
        assert server.connections <= 1 and transcript.received == []


@pytest.mark.parametrize("said", ["ACME,1", "", "1.5 V?", "nan garbage", "0x10", "1,2"])
def test_a_reply_of_another_type_is_an_error_and_the_next_is_right(said):
    transcript = Transcript([IDN, ("VOLT?", said), ("VOLT?", "2")])
    with transcript.serve() as server, device_of(server) as device:
        device.prove()
        with pytest.raises(BadReplyError, match="voltage"):
            _ = device.voltage
        assert device.voltage == 2.0
    assert transcript.received == ["*IDN?", "*IDN?", "VOLT?", "*IDN?", "VOLT?"]


def test_after_a_timeout_the_next_hundred_replies_are_right():
    transcript = Transcript([IDN, ("SLOW? 3", late("99", 0.2)), *(("VOLT?", str(i)) for i in range(100))])
    with transcript.serve() as server, device_of(server, timeout=0.15) as device:
        device.prove()
        with pytest.raises(DeviceTimeoutError):
            device.query("SLOW? 3")
        assert [device.voltage for _ in range(100)] == [float(i) for i in range(100)]


def test_a_device_that_refuses_says_why_where_it_is_asked():
    transcript = Transcript([IDN, ("CHK 1", None), ("SYST:ERR?", '-222,"Data out of range"'), ("SYST:ERR?", '+0,"No error"')])
    with transcript.serve() as server, device_of(server) as device:
        with pytest.raises(InstrumentError, match="refused 'CHK 1': -222"):
            device.checked = 1
        device.checked = 1
    assert transcript.unexpected == []


def test_the_answer_to_a_set_that_looks_like_no_error_is_no_error_of_its_check():
    transcript = Transcript([IDN, ("V 1", late("0", 0.002)), ("ERR?", "0"), ("V?", "5")])
    table = {"v": {"get": "V?", "set": "V {:g}", "type": "float", "check": "ERR?"}}
    with transcript.serve() as server, ScpiDevice(server.address, table) as device:
        with pytest.raises(BadReplyError, match="nobody asked for after 'V 1' was sent"):
            device.v = 1
        assert device.v == 5.0


def test_a_device_that_answers_sets():
    transcript = Transcript([("TALK 1", "OK"), ("TALK 2", "ERR"), ("VOLT?", "1")])
    with transcript.serve() as server, device_of(server) as device:
        device.chatty = 1
        with pytest.raises(InstrumentError, match="answered 'ERR' to 'TALK 2', not 'OK'"):
            device.chatty = 2
        assert device.voltage == 1


def test_a_value_within_a_reply():
    with (
        Transcript([IDN, ("WRAP?", "W=1.5 V"), ("WRAP?", "W=1.5 A"), ("MODE?", "7")]).serve() as server,
        device_of(server) as device,
    ):
        assert device.wrapped == 1.5
        with pytest.raises(BadReplyError, match="does not fit the pattern"):
            _ = device.wrapped
        with pytest.raises(BadReplyError, match="its map knows '0' for 'slow'"):
            _ = device.mode


def test_actions_and_raw_commands():
    transcript = Transcript([("*TRG", None), ("SLOW? 3", "7"), ("SLOW? 1.5", "8"), ("X?", "y")])
    with transcript.serve() as server, device_of(server) as device:
        assert device.trigger() is None
        assert device.slow() == 7.0
        assert device.slow(seconds=1.5) == 8.0
        assert device.query("X?") == "y"
        device.write("*TRG")
        assert wait_condition(lambda: transcript.received == ["*TRG", "SLOW? 3", "SLOW? 1.5", "X?", "*TRG"])


def test_a_cable_that_is_pulled():
    with Transcript([IDN, ("VOLT?", "1")]).serve() as server, device_of(server) as device:
        assert device.voltage == 1
        server.unplug()
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(OfflineError):
                _ = device.voltage
            assert time.monotonic() - began < soon(0.5)
        server.plug()
        assert device.voltage == 1


def test_another_device_that_comes_back_is_refused():
    with Transcript([IDN, ("VOLT?", "1")]).serve() as server, device_of(server, timeout=0.2) as device:
        device.prove()
        port = server.port
        server.close()
        with Transcript([("*IDN?", "OTHER,9"), ("VOLT?", "2")]).serve(port=port):
            with pytest.raises(OfflineError):
                _ = device.voltage
            for _ in range(3):
                with pytest.raises(BadReplyError, match="another device"):
                    _ = device.voltage


def test_another_device_is_refused_also_after_a_time_without_any():
    with Transcript([IDN, ("VOLT?", "1")]).serve() as server, device_of(server, timeout=0.2) as device:
        device.prove()
        port = server.port
        server.close()
        for _ in range(3):
            with pytest.raises(OfflineError):
                _ = device.voltage
        with Transcript([("*IDN?", "OTHER,9"), ("VOLT?", "2")]).serve(port=port), pytest.raises(BadReplyError, match="another"):
            _ = device.voltage
        server.plug()
        assert device.voltage == 1


def test_names_that_would_be_hidden_are_refused():
    for name in ("query", "address", "progress"):
        with pytest.raises(DriverError, match="give it another"):
            ScpiDevice("TCPIP::x::1::SOCKET", {"parameters": {name: {"get": "X?"}}})


# ------------------------------------------------------------------------------------------------ the driver


def test_the_table_sends_nothing():
    transcript = Transcript([])
    with transcript.serve() as server:
        driver = driver_of(server)
        table = driver.table()
        assert table.kind == "scpi" and table.has_safe and table.has_abort
        assert table.parameter("voltage").unit == "V"
        assert {"query", "write", "trigger", "slow"} <= set(table.actions)
        driver.open()
        assert driver.table().to_dict() == table.to_dict()
        driver.close()
        driver.close()
        assert transcript.received == []


def test_the_driver():
    transcript = Transcript(
        [IDN, ("VOLT?", "1.5"), ("VOLT 3", None), ("MODE?", "0"), ("SLOW? 2", "7"), ("OUTP 0", None), ("X?", "y")]
    )
    with transcript.serve() as server:
        driver = driver_of(server, ping="*IDN?", timeout=0.5)
        driver.open()
        assert driver.prove() == "ACME,1"
        assert driver.get("voltage") == "1.5" and driver.get("mode") == "slow"
        driver.set("voltage", 3.0)
        assert driver.call("slow", (2,), {}) == 7.0
        assert driver.call("query", ("X?",), {}) == "y"
        assert driver.safe() is True
        driver.recover()
        assert driver.progress() is None
        driver.close()
        assert transcript.unexpected == []


def test_a_driver_of_a_device_that_is_away():
    with Transcript([IDN]).serve() as server:
        server.unplug()
        driver = driver_of(server)
        with pytest.raises(OfflineError):
            driver.open()
        with pytest.raises(OfflineError):
            driver.recover()
        server.plug()
        driver.recover()
        assert driver.prove() == "ACME,1"
        driver.close()


def in_thread(run):
    errors = []

    def guarded():
        try:
            run()
        except InstrumentError as error:
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    return thread, errors


def test_abort_reaches_the_device_beside_a_call_that_hangs():
    transcript = Transcript([IDN, ("SLOW? 3", SILENCE), ("ABOR", None), ("OUTP 0", None)])
    with transcript.serve() as server:
        driver = driver_of(server)
        driver.open()
        thread, errors = in_thread(lambda: driver.call("slow", (3,), {}))
        assert wait_condition(lambda: "SLOW? 3" in transcript.received)
        began = time.monotonic()
        assert driver.abort() is True
        assert "ABOR" in transcript.received
        thread.join(10.0)
        assert time.monotonic() - began < soon(1.0)
        assert isinstance(errors[0], CancelledCallError)
        assert driver.safe() is True
        assert wait_condition(lambda: transcript.received[-1] == "OUTP 0")
        driver.close()


def test_abort_does_not_claim_what_it_cannot_know():
    with Transcript([("ABOR", None)]).serve() as server:  # it never says who it is
        driver = driver_of(server, timeout=0.1)
        driver.open()
        assert driver.abort() is False
        server.unplug()
        assert driver.abort() is False
        driver.close()


@pytest.mark.parametrize("kind", ["set", "get"])
def test_cancel_ends_the_wait_of_a_set_or_a_reading_that_takes_its_time(kind):
    table = {"position": {"get": "POS?", "set": "POS {:g};*OPC?", "reply": "1", "timeout": 300}, "v": {"get": "V?"}}
    transcript = Transcript([IDN, ("POS 3;*OPC?", SILENCE), ("POS?", SILENCE), ("V?", "1")])
    with transcript.serve() as server:
        driver = load_driver(InstrumentSpec("stage", ScpiDevice, server.address, kwargs={"parameters": table}))
        driver.open()
        thread, errors = in_thread(lambda: driver.set("position", 3.0) if kind == "set" else driver.get("position"))
        assert wait_condition(lambda: any("POS" in one for one in transcript.received))
        driver.cancel()
        thread.join(5.0)
        assert isinstance(errors[0], CancelledCallError)
        assert driver.get("v") == "1"
        driver.close()


def test_cancel_ends_the_wait_of_an_action_and_nothing_else():
    transcript = Transcript([IDN, ("SLOW? 3", SILENCE), ("VOLT?", "1")])
    with transcript.serve() as server:
        driver = driver_of(server)
        driver.open()
        driver.cancel()
        assert driver.get("voltage") == "1"
        thread, errors = in_thread(lambda: driver.call("slow", (3,), {}))
        assert wait_condition(lambda: "SLOW? 3" in transcript.received)
        driver.cancel()
        thread.join(10.0)
        assert isinstance(errors[0], CancelledCallError)
        assert driver.get("voltage") == "1"
        driver.close()


class Psu(ScpiDevice):
    """A power supply with more than its table."""

    commands = TABLE

    @property
    def power(self) -> float:
        """Volt times ampere."""
        return self.voltage * 2

    @reads
    def average(self, count: int = 3) -> float:
        """Several readings."""
        total = 0.0
        for number in range(count):
            self.sleep(0.0)
            total += self.voltage
            self.progress = (number + 1) / count
        return total / count


def test_a_subclass_adds_to_its_table():
    with Transcript([IDN, ("VOLT?", "1"), ("VOLT?", "2"), ("VOLT?", raw(b"\xff\n"))]).serve() as server:
        driver = load_driver(InstrumentSpec("psu", Psu, server.address))
        table = driver.table()
        assert {"power", "voltage"} <= set(table.parameters)
        assert table.action("average").reads
        assert "commands" not in table.parameters and "address" not in table.parameters and "close" not in table.actions
        driver.open()
        assert driver.get("power") == 2.0
        assert driver.call("average", (1,), {}) == 2.0
        assert driver.progress() == 1.0
        with pytest.raises(BadReplyError):
            driver.get("power")
        driver.close()


def test_a_resource_of_pyvisa_is_served_with_a_table():
    with Transcript([("VOLT?", "1.5")]).serve() as server:
        spec = InstrumentSpec("psu", "pyvisa.resources:TCPIPSocket", server.address, kwargs={"parameters": TABLE})
        driver = load_driver(spec)
        driver.open()
        assert driver.get("voltage") == "1.5"
        driver.close()


def test_a_wrong_table_or_argument_is_a_driver_error():
    spec = InstrumentSpec(
        "psu", "agentlab.instruments:ScpiDevice", "x", kwargs={"parameters": {"v": {"get": "V?", "set": "{:q}"}}}
    )
    with pytest.raises(DriverError, match="v.set"):
        load_driver(spec).table()
    with pytest.raises(DriverError, match="no address"):
        load_driver(InstrumentSpec("psu", "agentlab.instruments:ScpiDevice", "hello")).open()
    for typo, meant in (("parametres", "parameters"), ("read_terminaton", "read_termination"), ("baud_rat", "baud_rate")):
        driver = load_driver(InstrumentSpec("psu", ScpiDevice, "TCPIP::127.0.0.1::1::SOCKET", kwargs={typo: "x"}))
        with pytest.raises(DriverError, match=f"did you mean '{meant}'"):
            driver.open()
    with Transcript([]).serve() as server:
        driver = load_driver(InstrumentSpec("psu", ScpiDevice, server.address, kwargs={"baud_rate": 9600}))
        with pytest.raises(DriverError, match="no setting"):
            driver.open()


def test_a_number_of_a_thousand_digits_is_none():
    with Transcript([IDN, ("VOLT?", "7" * 5000), ("VOLT?", "1")]).serve() as server, device_of(server) as device:
        with pytest.raises(BadReplyError, match="5000 characters"):
            _ = device.voltage
        assert device.voltage == 1
