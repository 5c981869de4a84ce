"""QCoDeS' instruments through the adapter: validators as limits, submodules, its registry, its simulations, and the line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from qcodes.instrument import ChannelList, Instrument, InstrumentChannel, VisaInstrument
from qcodes.parameters import Parameter
from qcodes.validators import Arrays, Bool, Enum, Ints, MultiType, MultiTypeAnd, Numbers, OnOff, Strings

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    LimitError,
    OfflineError,
    UnknownParameterError,
)
from agentlab.instruments.drivers.loading import load_driver
from agentlab.instruments.drivers.qcodes import QCoDeSDriver
from agentlab.instruments.drivers.qcodes_table import entry
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.testing.waiting import wait_condition
from tests.instruments.lines import LineDevice
from tests.timing import soon

MOCK = "qcodes.instrument_drivers.mock_instruments"


class Output(InstrumentChannel):
    """One output."""

    def __init__(self, parent: Instrument, name: str, number: int) -> None:
        super().__init__(parent, name)
        self.voltage = self.add_parameter(
            "voltage",
            unit="V",
            vals=Numbers(0, 30),
            get_cmd=f"VOLT{number}?",
            set_cmd=f"VOLT{number} {{:g}}",
            get_parser=float,
            step=0.5,
            inter_delay=0.01,
            docstring="The output's voltage.",
        )

    def beep(self, times: int = 1) -> None:
        """Make a noise."""


class Supply(VisaInstrument):
    """A supply with a bit of everything."""

    default_terminator = "\n"

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        super().__init__(name, address, device_clear=False, **kwargs)
        outputs = ChannelList(self, "outputs", Output)
        for number in (1, 2):
            channel = Output(self, f"ch{number}", number)
            outputs.append(channel)
            self.add_submodule(f"ch{number}", channel)
        self.add_submodule("outputs", outputs.to_channel_tuple())
        self.speed = self.add_parameter("speed", get_cmd="SPD?", set_cmd="SPD {}", val_mapping={"slow": "1", "fast": "2"})
        self.reading = self.add_parameter("reading", get_cmd="READ?", unit="V")
        self.slow = self.add_parameter("slow", get_cmd="SLOW?", unit="V", get_parser=float)
        self.add_function("trigger", call_cmd="TRG {}", args=[Ints(0, 3)])

    def ramp(self, to: float, step: float = 0.5) -> str:
        """Go there."""
        return f"{to} by {step}"

    def safe(self) -> None:
        """Switch off."""
        self.ch1.voltage.set(0)
        self.write("OUT 0")


REPLIES = {"*IDN?": "ACME,PSU,1,2", "READ?": "1.5", "VOLT1?": "2.5", "VOLT2?": "3.5", "SPD?": "2"}


@pytest.fixture
def device() -> Iterator[LineDevice]:
    made = LineDevice(REPLIES.get)
    yield made
    made.close()


def driver_of(cls: type | str, *args: Any, **spec: Any) -> QCoDeSDriver:
    made = load_driver(InstrumentSpec("psu-1", cls, args=args, **spec))
    assert isinstance(made, QCoDeSDriver)
    return made


@pytest.fixture
def live(device: LineDevice) -> Iterator[QCoDeSDriver]:
    made = driver_of(Supply, "psu", device.address, kwargs={"visalib": "@py"}, timeout=0.3)
    made.open()
    yield made
    made.close()


# ---------------------------------------------------------------------------------------- what is found


def test_nothing_is_sent_to_find_out(live: QCoDeSDriver, device: LineDevice) -> None:
    table = live.table()
    live.progress()
    assert device.heard == []
    voltage = table.parameters["ch1.voltage"]
    assert (voltage.type, voltage.unit, voltage.minimum, voltage.maximum) == ("float", "V", 0, 30)
    assert (voltage.step, voltage.delay, voltage.doc) == (0.5, 0.01, "The output's voltage.")
    assert [name for name in table.parameters if name.endswith("voltage")] == ["ch1.voltage", "ch2.voltage"]  # each once
    assert table.parameters["speed"].choices == ("slow", "fast")
    assert table.actions["trigger"].parameters == [("arg0", 0, None)]
    assert table.actions["ramp"].parameters == [("to", 1, None), ("step", 1, "0.5")]
    assert {"ch1.beep", "ask", "write"} <= set(table.actions)
    assert not {"add_parameter", "snapshot", "close", "get_idn", "connect_message", "safe", "set"} & set(table.actions)
    assert table.has_safe and table.has_abort


def test_a_class_tells_its_methods() -> None:
    table = driver_of(Supply, "psu", "TCPIP::127.0.0.1::9::SOCKET").table()
    assert table.parameters == {} and "ramp" in table.actions and table.has_safe


@pytest.mark.parametrize(
    ("made", "kind", "limits", "choices"),
    [
        ({"vals": Numbers(-1, 2)}, "float", (-1, 2), None),
        ({"vals": Numbers(min_value=0)}, "float", (0, None), None),
        ({"vals": Ints(1, 5)}, "int", (1, 5), None),
        ({"vals": Ints()}, "int", (None, None), None),
        ({"vals": Enum(3, 20, 200)}, "int", (None, None), (3, 20, 200)),
        ({"vals": Bool()}, "bool", (None, None), None),
        ({"vals": OnOff()}, "str", (None, None), ("on", "off")),
        ({"vals": Strings()}, "str", (None, None), None),
        ({"vals": Arrays(min_value=0, max_value=1)}, "array", (0, 1), None),
        ({"vals": MultiType(Numbers(0, 5), Ints(7, 9))}, "float", (0, 9), None),
        ({"vals": MultiType(Numbers(0, 5), Enum("MAX"))}, "any", (None, None), None),
        ({"vals": MultiTypeAnd(Numbers(0, 5), Numbers(2, 9))}, "float", (2, 5), None),
        ({"get_parser": float}, "float", (None, None), None),
        ({}, "any", (None, None), None),
        ({"val_mapping": {"on": 1, True: 1, "off": 0, False: 0}}, "bool", (None, None), None),
        ({"vals": Enum((1, 2), (3, 4))}, "any", (None, None), None),
        ({"val_mapping": {(1, 2): "A", (3, 4): "B"}}, "any", (None, None), None),
    ],
)
def test_validators(made: dict[str, Any], kind: str, limits: tuple[Any, Any], choices: tuple[Any, ...] | None) -> None:
    found = entry("x", Parameter("x", set_cmd=None, get_cmd=lambda: "1", **made)).parameter
    assert (found.type, (found.minimum, found.maximum)) == (kind, limits)
    assert found.choices is None if choices is None else set(found.choices or ()) == set(choices)


def test_a_name_for_a_bare_address() -> None:
    def arguments(cls: type = Supply, **spec: Any) -> Any:
        return QCoDeSDriver.arguments(InstrumentSpec(spec.pop("called", "psu-1"), cls, **spec), cls)

    address = "GPIB::2::INSTR"
    assert arguments(address=address) == (("psu_1", address), {})
    assert arguments(address=address, args=("k",)) == (("k", address), {})
    assert arguments(address="k", args=(address,)) == (("k", address), {})
    assert arguments(args=("k", address)) == (("k", address), {})
    assert arguments(address=address, kwargs={"name": "k"}) == ((), {"name": "k", "address": address})
    for other in ("192.0.2.7", "psu.lab", "COM3", "/dev/ttyUSB0"):
        assert arguments(address=other) == (("psu_1", other), {})
    assert arguments(address=address, called="34401A") == (("_34401A", address), {})


def test_a_wrong_argument_is_told(device: LineDevice) -> None:
    made = driver_of(Supply, "psu", device.address, kwargs={"visalib": "@py", "timeot": 3})
    with pytest.raises(DriverError, match="'timeot'"):
        made.open()
    assert device.heard == []


# ---------------------------------------------------------------------------------------- QCoDeS' own simulated instruments


def test_a_simulated_instrument_of_qcodes() -> None:
    made = driver_of(f"{MOCK}:DummyInstrument", "dummy")
    made.open()
    try:
        assert made.prove().startswith("QCoDeS,")
        made.set("dac1", 3.5)
        assert made.get("dac1") == 3.5
        assert made.table().parameters["dac1"].maximum == 400
        with pytest.raises(UnknownParameterError, match="'dac1'"):
            made.get("dac11")
        with pytest.raises(LimitError, match="nothing was sent"):
            made.set("dac1", 401)
    finally:
        made.close()


def test_its_name_is_free_again_after_closing() -> None:
    made = driver_of(f"{MOCK}:DummyInstrument", "dummy")
    for _ in range(2):
        made.open()
        made.recover()  # there is no VISA resource: it is built anew
        assert made.get("dac1") == 0
        made.close()
        made.close()
    assert not Instrument.exist("dummy")


def test_arrays_and_submodules_of_a_simulated_instrument() -> None:
    made = driver_of(f"{MOCK}:DummyChannelInstrument", "dci")
    made.open()
    try:
        assert made.table().parameters["A.temperature"].unit == "K"
        assert made.table().parameters["A.dummy_array_parameter"].type == "array"
        assert len(made.table().parameter("A.dummy_array_parameter").accept(made.get("A.dummy_array_parameter"))) == 5
    finally:
        made.close()


def test_a_driver_on_its_pyvisa_simulation(capsys: pytest.CaptureFixture[str]) -> None:
    made = driver_of(
        "qcodes.instrument_drivers.Keithley:Keithley2450", "k", "GPIB::2::INSTR", kwargs={"pyvisa_sim_file": "Keithley_2450.yaml"}
    )
    made.open()
    try:
        assert "Connected to" in capsys.readouterr().out
        assert made.prove() == "QCoDeS, correct mode, model, v0.01"
        table = made.table()
        assert table.parameters["source_function"].choices == ("current", "voltage")
        assert table.parameters["output_enabled"].type == "bool"
        assert made.get("source_function") == "current"
        made.set("source_function", "voltage")
        made.recover()
        assert made.get("source_function") == "voltage"
    finally:
        made.close()


# ---------------------------------------------------------------------------------------- over TCP


def test_get_set_and_call(live: QCoDeSDriver, device: LineDevice) -> None:
    assert live.prove() == "ACME,PSU,1,2"
    assert (live.get("ch2.voltage"), live.get("speed"), live.get("reading")) == (3.5, "fast", 1.5)
    device.heard.clear()
    live.set("speed", "slow")
    live.call("trigger", (2,), {})
    live.set("ch2.voltage", 3.9)
    assert wait_condition(lambda: device.heard == ["SPD 1", "TRG 2", "VOLT2 3.9"])
    assert live.call("ramp", (3,), {}) == "3 by 0.5"


def test_out_of_limits_sends_nothing(live: QCoDeSDriver, device: LineDevice) -> None:
    with pytest.raises(LimitError, match="nothing was sent"):
        live.set("ch1.voltage", 31.0)
    with pytest.raises(LimitError):
        live.table().parameter("ch1.voltage").check(31.0)
    assert device.heard == []


def test_a_reply_that_does_not_fit_is_an_error(live: QCoDeSDriver, device: LineDevice) -> None:
    device.answer = lambda line: "ACME,PSU,1,2"
    for name in ("ch1.voltage", "speed", "reading"):
        with pytest.raises(BadReplyError):
            live.get(name)


def test_the_cable_is_pulled_and_comes_back(live: QCoDeSDriver, device: LineDevice) -> None:
    live.prove()
    device.unplug()
    began = time.monotonic()
    with pytest.raises(OfflineError):
        live.get("reading")
    with pytest.raises(OfflineError):
        live.recover()
    assert time.monotonic() - began < soon(0.2)
    device.plug()
    live.recover()
    assert live.get("reading") == 1.5
    assert live.instance.visa_handle.timeout == 300


def test_a_late_reply_never_reaches_another_call(live: QCoDeSDriver, device: LineDevice) -> None:
    with pytest.raises(DeviceTimeoutError):
        live.get("slow")
    device.say(b"99.25\n")
    with pytest.raises(BadReplyError, match="nobody asked for"):
        live.get("reading")
    live.recover()
    assert [live.get("reading") for _ in range(100)] == [1.5] * 100


def test_a_device_that_is_silent_while_it_is_built_is_offline(device: LineDevice) -> None:
    class Chatty(Supply):
        def __init__(self, name: str, address: str, **kwargs: Any) -> None:
            super().__init__(name, address, **kwargs)
            self.timeout.set(0.1)
            self.ask("HELLO?")

    made = driver_of(Chatty, "psu", device.address, kwargs={"visalib": "@py"})
    with pytest.raises(OfflineError, match="while Chatty was built"):
        made.open()
    device.answer = {**REPLIES, "HELLO?": "hi"}.get
    made.open()  # neither its name nor its only connection is taken
    assert made.get("reading") == 1.5
    made.close()


def test_the_emergency_uses_a_second_session(live: QCoDeSDriver, device: LineDevice) -> None:
    hung = threading.Event()

    def answer(line: str) -> str | None:
        if line == "SLOW?":
            hung.set()
        return REPLIES.get(line)

    device.answer = answer
    live.instance.timeout.set(10)
    live.get("ch1.voltage")
    outcome: list[BaseException] = []

    def ask() -> None:
        try:
            live.get("slow")
        except CancelledCallError as error:
            outcome.append(error)

    caller = threading.Thread(target=ask)
    caller.start()
    assert hung.wait(3)
    assert live.abort() is True
    assert wait_condition(lambda: device.heard[-1] == "OUT 0")
    assert "VOLT1 0" in device.heard and device.connections == 2
    caller.join(3)
    assert len(outcome) == 1
    assert live.safe() is True and live.get("reading") == 1.5
