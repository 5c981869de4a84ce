"""PyMeasure's instruments through the adapter: what is found without a byte, what is refused before one, and the line."""

from __future__ import annotations

import enum
import functools
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pymeasure.adapters import Adapter
from pymeasure.instruments import Channel, Instrument, SCPIMixin
from pymeasure.instruments.hp import HP34401A
from pymeasure.instruments.validators import (
    joined_validators,
    strict_discrete_range,
    strict_discrete_set,
    strict_range,
    truncated_range,
)

from agentlab.errors import (
    BadReplyError,
    CancelledCallError,
    DeviceTimeoutError,
    DriverError,
    LimitError,
    OfflineError,
    UnknownParameterError,
)
from agentlab.instruments import Range, Unit
from agentlab.instruments.drivers.docunits import said_type, unit_in
from agentlab.instruments.drivers.held import Held
from agentlab.instruments.drivers.loading import load_driver
from agentlab.instruments.drivers.pymeasure import PyMeasureDriver
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.testing.transcript import Transcript
from agentlab.testing.waiting import wait_condition
from tests.instruments.lines import LineDevice, SerialDevice
from tests.timing import soon

HP_WARNS = pytest.mark.filterwarnings("ignore:It is not known whether:FutureWarning")  # says PyMeasure of its HP34401A


class Mode(enum.IntEnum):
    """A map that drivers write as an enumeration."""

    SLOW = 0
    FAST = 1


class Counting(Adapter):
    """Answers from a dict and keeps what was written; nothing here is a device."""

    def __init__(self, replies: dict[str, str] | None = None) -> None:
        super().__init__()
        self.replies = replies or {}
        self.written: list[str] = []
        self.reads = 0

    def _write(self, command: str, **kwargs: Any) -> None:
        self.written.append(command)

    def _read(self, **kwargs: Any) -> str:
        self.reads += 1
        return self.replies[self.written[-1]]


class Output(Channel):
    """One output."""

    voltage = Channel.control(
        "VOLT{ch}?",
        "VOLT{ch} %g",
        "Control the voltage in Volts (float strictly from 0 to 30).",
        validator=strict_range,
        values=[0, 30],
        dynamic=True,
    )

    def beep(self, times: int = 1) -> None:
        """Make a noise."""
        for _ in range(times):
            self.write("BEEP{ch}")


class Supply(SCPIMixin, Instrument):
    """A supply with a bit of everything."""

    outputs = Instrument.MultiChannelCreator(Output, [1, 2])
    aux = Instrument.ChannelCreator(Output, "A")

    limit = Instrument.control("LIM?", "LIM %g", "Control the limit (A).", validator=truncated_range, values=[0, 3])
    speed = Instrument.control(
        "SPD?", "SPD %d", "Control the speed.", validator=strict_discrete_set, values={"slow": 1, "fast": 2}, map_values=True
    )
    mode = Instrument.control(
        "MOD?", "MOD %d", "Control the mode.", validator=strict_discrete_set, values=Mode, cast=int, get_process=Mode
    )
    enabled = Instrument.control(
        "OUT?", "OUT %d", "Control the output.", validator=strict_discrete_set, values={True: 1, False: 0}, map_values=True
    )
    span = Instrument.control("SPAN?", "SPAN %d", "Control the span in Hz.", validator=strict_discrete_set, values=[3, 20, 200])
    nplc = Instrument.control(
        "NPLC?",
        "NPLC %s",
        "Control the cycles.",
        validator=joined_validators(strict_discrete_set, truncated_range),
        values=[["MIN", "MAX"], [0.1, 10]],
    )
    grid = Instrument.control(
        "GRID?", "GRID %g", "Control.", validator=functools.partial(strict_discrete_range, step=0.5), values=[0, 5]
    )
    reading = Instrument.measurement("READ?", "Measure the voltage in Volts.")
    readings = Instrument.measurement("ALL?", "Measure a list of voltages in V.")
    serial = Instrument.measurement("SER?", "Get the serial number (str).", cast=str, maxsplit=0)
    preset = Instrument.setting("PRE %d", "Set the preset.")
    level = Instrument.control("LEV?", "LEV %g", "Control the level in mW.", validator=strict_range, values=[0, 1], dynamic=True)
    slow = Instrument.measurement("SLOW?", "Measure slowly, in V.")

    def __init__(self, adapter: Any, name: str = "Supply", **kwargs: Any) -> None:
        kwargs.setdefault("read_termination", "\n")
        kwargs.setdefault("write_termination", "\n")
        super().__init__(adapter, name, **kwargs)

    @property
    def ratio(self) -> float:
        """Give a ratio, hand-written."""
        return float(self.ask("RAT?"))

    def ramp(self, to: float, step: float = 0.5) -> str:
        """Go there."""
        return f"{to} by {step}"

    def shutdown(self) -> None:
        """Switch off."""
        self.ch_1.voltage = 0
        self.enabled = False
        super().shutdown()


class Stronger(Supply):
    """The same with another limit."""

    level_values = (0, 5)


def driver_of(cls: type, adapter: Any, **spec: Any) -> PyMeasureDriver:
    made = load_driver(InstrumentSpec("psu", cls, args=(adapter,), **spec))
    assert isinstance(made, PyMeasureDriver)
    return made


@pytest.fixture
def adapter() -> Counting:
    return Counting({"*IDN?": "ACME,PSU,1,2", "VOLT1?": "1.25", "SPD?": "2", "MOD?": "1", "OUT?": "1"})


@pytest.fixture
def driver(adapter: Counting) -> Iterator[PyMeasureDriver]:
    made = driver_of(Supply, adapter)
    made.open()
    yield made
    made.close()


# ---------------------------------------------------------------------------------------- what is found


def test_nothing_is_sent_to_find_out(adapter: Counting) -> None:
    made = driver_of(Supply, adapter)
    before = made.table()
    made.open()
    after = made.table()
    made.progress()
    made.close()
    assert (adapter.written, adapter.reads) == ([], 0)
    assert set(before.parameters) == set(after.parameters)  # nothing here is made by the constructor alone
    assert before.has_safe and after.has_safe


def test_limits_choices_maps_and_units(driver: PyMeasureDriver) -> None:
    found = driver.table().parameters
    assert (found["limit"].minimum, found["limit"].maximum, found["limit"].unit, found["limit"].type) == (0, 3, "", "float")
    assert (found["speed"].type, found["speed"].choices) == ("str", ("slow", "fast"))
    assert (found["mode"].type, found["mode"].choices) == ("str", ("SLOW", "FAST"))
    assert (found["enabled"].type, found["enabled"].choices) == ("bool", None)
    assert (found["span"].type, found["span"].choices, found["span"].unit) == ("float", (3, 20, 200), "Hz")
    assert found["nplc"].type == "any" and "'MIN', 'MAX' or 0.1 to 10" in found["nplc"].doc
    assert (found["grid"].minimum, found["grid"].maximum) == (0, 5)
    assert (found["reading"].type, found["reading"].unit, found["reading"].writable) == ("float", "V", False)
    assert (found["preset"].type, found["preset"].readable, found["preset"].writable) == ("int", False, True)
    assert found["serial"].type == "str"
    assert (found["ratio"].type, found["ratio"].writable) == ("float", False)
    assert found["readings"].type == "any"


def test_channels_are_found_in_class_and_instance(driver: PyMeasureDriver) -> None:
    table = driver.table()
    for name in ("ch_1.voltage", "ch_2.voltage", "aux.voltage"):
        assert (table.parameters[name].maximum, table.parameters[name].unit) == (30, "V")
    assert table.actions["ch_1.beep"].parameters == [("times", 1, "1")]


def test_plumbing_is_not_offered(driver: PyMeasureDriver) -> None:
    actions = driver.table().actions
    assert {"ramp", "ask", "write", "clear", "reset", "check_errors", "ch_1.beep"} <= set(actions)
    assert not {"read", "read_bytes", "values", "add_child", "shutdown", "control", "ch_1.write"} & set(actions)
    assert actions["ramp"].parameters == [("to", 1, None), ("step", 1, "0.5")]


def test_a_dynamic_limit_of_a_subclass_and_of_an_instance(adapter: Counting) -> None:
    assert driver_of(Supply, adapter).table().parameters["level"].maximum == 1
    made = driver_of(Stronger, adapter)
    assert made.table().parameters["level"].maximum == 5

    class Strongest(Supply):
        def __init__(self, adapter: Any, **kwargs: Any) -> None:
            super().__init__(adapter, **kwargs)
            self.level_values = (0, 7)
            self.ch_2.voltage_values = (0, 60)
            self.add_child(Output, "B", prefix="extra_")

    made = driver_of(Strongest, adapter)
    made.open()
    found = made.table().parameters
    assert (found["level"].maximum, found["ch_2.voltage"].maximum, found["ch_1.voltage"].maximum) == (7, 60, 30)
    assert found["extra_B.voltage"].unit == "V"
    made.set("level", 6.0)
    assert adapter.written == ["LEV 6"]


def test_a_dynamic_limit_that_is_changed_later_is_the_one_that_counts(driver: PyMeasureDriver, adapter: Counting) -> None:
    driver.set("ch_1.voltage", 25.0)
    driver.instance.ch_1.voltage_values = (0, 20)
    driver.instance.ch_1.voltage_validator = truncated_range
    with pytest.raises(LimitError, match="PyMeasure would have set 20; nothing was sent"):
        driver.set("ch_1.voltage", 25.0)
    assert adapter.written == ["VOLT1 25"]


@HP_WARNS
def test_only_a_shutdown_of_its_own_is_a_safe_state(adapter: Counting) -> None:
    made = driver_of(HP34401A, adapter)
    assert not made.table().has_safe and not made.table().has_abort
    made.open()
    assert made.safe() is False
    assert adapter.written == []
    made.close()


@pytest.mark.parametrize(
    ("doc", "unit"),
    [
        ("Control the voltage in Volts (float).", "V"),
        ("Control the voltage set-point in kVolts (float strictly from 0 to 12).", "kV"),
        ("Measure the temperature in °C (float).", "degC"),
        ("Control the power (float, W).", "W"),
        ("Get the pressure in mbar.", "mbar"),
        ("Control the ramp rate (K / min).", "K/min"),
        ("Control the slew rate in volts/sec of channel 1", "V/s"),
        ("Control Resolution (nm)", "nm"),
        ("Control the duty cycle in percent.", "%"),
        ("Control the value(s) of channel (A).", ""),
        ("Measure the voltage in V or the current in A, as the mode is.", ""),
        ("Control a mode which can be used in a loop.", ""),
        ("Measure the resistivity in ohm meters.", ""),
        ("Control the temperature in degrees Kelvin.", ""),
        ("Control the level (float, in V or dBm).", ""),
        ("", ""),
    ],
)
def test_units_of_docstrings(doc: str, unit: str) -> None:
    assert unit_in(doc) == unit


@pytest.mark.parametrize(
    ("doc", "kind"),
    [
        ("Control the level (float).", "float"),
        ("Control the line (integer, strictly from 1 to 4).", "int"),
        ("Control the trace (str 'A', 'B').", "str"),
        ("Get whether it is on (boolean, True if it is).", "bool"),
        ("Get the values (list of float).", ""),
        ("Control the span (float or str).", ""),
        ("Get the level (float) and its count (int).", ""),
        ("Control the level (float or None).", ""),
        ("Control the level.", ""),
    ],
)
def test_types_of_docstrings(doc: str, kind: str) -> None:
    assert said_type(doc) == kind


class Wordy(SCPIMixin, Instrument):
    """Says of what type its properties are, each in another way."""

    line = Instrument.control("L?", "L %d", "Control the line (int, 1 to 4).", validator=lambda v, _: v)
    shape = Instrument.control(
        "S?", "S %s", "Control.", validator=joined_validators(strict_discrete_set, strict_discrete_set),
        values=[["SIN", "SINUSOID"], ["SQU"]], cast=str,
    )  # fmt: skip
    rate = Instrument.control("R?", "R %g", "Control the rate.", validator=strict_range, values=None, dynamic=True)
    average = Instrument.control("A?", "A %d", "Control it (bool).", validator=strict_range, values=None)
    flag = Instrument.measurement("F?", "Get a flag.", get_process=int)
    position = Instrument.measurement("P?", "Get the position (float).", get_process=lambda v: v / 2)
    wave = Instrument.measurement("W?", "Get the period of the waveform (float).")
    setup = Instrument.measurement("U?", "Get a dict with:\n\n- level (float)", get_process_list=lambda v: {"level": v[0]})

    @property
    def mean(self) -> Any:
        """Get the mean (float)."""

    @property
    def both(self) -> Any:
        """Get both as a dict (float)."""

    @property
    def bias(self) -> Annotated[float, Unit("V"), Range(0, 5)]:
        """Control the bias."""
        return 1.0

    @bias.setter
    def bias(self, value: float) -> None: ...


def test_types_are_told_by_validators_processes_annotations_and_docstrings() -> None:
    adapter = Counting()
    made = driver_of(Wordy, adapter, kwargs={"name": "wordy"})
    made.open()
    found = made.table().parameters
    assert adapter.written == []
    expected = {
        "line": "int", "shape": "str", "rate": "float", "average": "bool", "flag": "int", "position": "float", "wave": "float",
        "setup": "any", "mean": "float", "both": "any", "status": "int", "complete": "int", "next_error": "any",
    }  # fmt: skip
    assert {name: found[name].type for name in expected} == expected
    assert found["shape"].choices == ("SIN", "SINUSOID", "SQU")
    assert (found["bias"].unit, found["bias"].minimum, found["bias"].maximum) == ("V", 0, 5)
    made.close()


# ---------------------------------------------------------------------------------------- getting and setting


def test_get_and_set(driver: PyMeasureDriver, adapter: Counting) -> None:
    assert driver.get("ch_1.voltage") == 1.25
    assert driver.get("speed") == "fast"
    assert driver.get("mode") == "FAST"
    assert driver.get("enabled") is True
    adapter.written.clear()
    driver.set("speed", "slow")
    driver.set("mode", "FAST")
    driver.set("aux.voltage", 5.0)
    driver.set("enabled", False)
    driver.set("nplc", "MAX")
    assert adapter.written == ["SPD 1", "MOD 1", "VOLTA 5", "OUT 0", "NPLC MAX"]
    assert driver.call("ramp", (3,), {"step": 1}) == "3 by 1"
    assert driver.prove() == "ACME,PSU,1,2"


@pytest.mark.parametrize(
    ("name", "value"), [("limit", 3.5), ("nplc", 11), ("nplc", "NONSENSE"), ("grid", 0.7), ("ch_1.voltage", 31.0)]
)
def test_what_a_validator_refuses_or_would_clamp_sends_nothing(
    driver: PyMeasureDriver, adapter: Counting, name: str, value: Any
) -> None:
    with pytest.raises(LimitError, match="nothing was sent"):
        driver.set(name, value)
    assert adapter.written == []


def test_a_reply_that_does_not_fit_is_an_error(driver: PyMeasureDriver, adapter: Counting) -> None:
    adapter.replies.update({"SPD?": "7", "MOD?": "9", "ALL?": "1,2,3", "RAT?": "ACME", "READ?": "ACME,PSU"})
    with pytest.raises(BadReplyError, match="speed cannot be read"):
        driver.get("speed")
    with pytest.raises(BadReplyError, match="mode cannot be read"):
        driver.get("mode")
    assert driver.get("readings") == [1.0, 2.0, 3.0]
    adapter.replies["ALL?"] = "1,-9.9E37"
    assert driver.get("readings") == [1.0, -math.inf]
    adapter.replies["ALL?"] = "ACME,PSU,1,2"
    with pytest.raises(BadReplyError, match="readings has a unit"):
        driver.get("readings")
    with pytest.raises(ValueError, match="could not convert") as caught:
        driver.get("ratio")  # hand-written: its own error
    assert type(caught.value) is ValueError
    with pytest.raises(BadReplyError):
        driver.table().parameter("reading").accept(driver.get("reading"))


def test_a_typo_names_the_nearest(driver: PyMeasureDriver, adapter: Counting) -> None:
    with pytest.raises(UnknownParameterError, match="'ch_1.voltage'"):
        driver.get("ch_1.volage")
    with pytest.raises(UnknownParameterError, match="'ramp'"):
        driver.call("rampe", (), {})
    assert adapter.written == []


def test_safe_and_cancel(driver: PyMeasureDriver, adapter: Counting) -> None:
    assert driver.safe() is True
    assert adapter.written == ["VOLT1 0", "OUT 0"]
    driver.cancel()
    assert driver.instance.cancelled is True
    driver.call("ramp", (3,), {})
    assert driver.instance.cancelled is False
    assert driver.abort() is False  # there is no second session to this adapter


def test_the_line_of_an_adapter_that_is_none_is_built_anew(adapter: Counting) -> None:
    made = driver_of(Supply, adapter)
    made.open()
    made.prove()
    first = made.instance
    made.recover()
    assert made.instance is not first
    adapter.replies["*IDN?"] = "ACME,PSU,another,2"
    with pytest.raises(BadReplyError, match="another device answers"):
        made.recover()
    made.close()


# ---------------------------------------------------------------------------------------- over TCP


REPLIES = {"*IDN?": "ACME,PSU,1,2", "READ?": "1.5", "VOLT1?": "2.5", "*OPC?": "1"}


@pytest.fixture
def device() -> Iterator[LineDevice]:
    made = LineDevice(REPLIES.get)
    yield made
    made.close()


def over_tcp(cls: type | str, address: str, **spec: Any) -> PyMeasureDriver:
    made = load_driver(InstrumentSpec("psu", cls, address=address, kwargs={"visa_library": "@py"}, timeout=0.3, **spec))
    assert isinstance(made, PyMeasureDriver)
    return made


@pytest.fixture
def live(device: LineDevice) -> Iterator[PyMeasureDriver]:
    made = over_tcp(Supply, device.address)
    made.open()
    made.prove()
    yield made
    made.close()


@HP_WARNS
def test_a_driver_of_pymeasure_over_tcp_answered_from_a_transcript() -> None:
    script = Transcript([("*IDN?", "HEWLETT-PACKARD,34401A,0,11-5-2"), ("READ?", "+1.25E+00"), ("VOLT:DC:NPLC 10", None)])
    with script.serve() as server:
        made = over_tcp("pymeasure.instruments.hp:HP34401A", server.address, ping="*IDN?")
        try:
            made.open()
            assert script.received == []
            assert made.table().parameter("reading").accept(made.get("reading")) == 1.25
            assert made.prove() == "HEWLETT-PACKARD,34401A,0,11-5-2"
            with pytest.raises(LimitError, match="is none of"):
                made.table().parameter("nplc").check(5)
            assert script.received == ["READ?", "*IDN?", "*IDN?"]
        finally:
            made.close()
            made.close()
    assert script.unexpected == []


def test_a_port_that_is_dead_is_offline(device: LineDevice) -> None:
    made = over_tcp(Supply, device.address)
    device.unplug()
    with pytest.raises(OfflineError):
        made.open()
    device.plug()
    made.open()
    assert made.get("reading") == 1.5
    made.close()


def test_a_pulled_cable_is_offline_at_once_and_recovered(live: PyMeasureDriver, device: LineDevice) -> None:
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
    assert live.instance.adapter.connection.timeout == 300
    assert live.instance.adapter.connection.read_termination == "\n"


def test_a_cable_that_is_pulled_in_the_middle_of_a_reply_is_offline_at_once(live: PyMeasureDriver, device: LineDevice) -> None:
    live.instance.adapter.connection.timeout = 10_000
    puller = threading.Thread(target=lambda: wait_condition(lambda: "SLOW?" in device.heard) and device.unplug())
    puller.start()
    began = time.monotonic()
    with pytest.raises(OfflineError):
        live.get("slow")
    assert time.monotonic() - began < soon(1.0)
    puller.join()


def test_nothing_is_kept_of_attempts_to_reopen(live: PyMeasureDriver, device: LineDevice) -> None:
    library = live.instance.adapter.manager.visalib
    before = len(library.sessions), len(library._last_status_in_session)
    device.unplug()
    for _ in range(3):
        with pytest.raises(OfflineError):
            live.recover()
    device.plug()
    live.recover()
    assert (len(library.sessions), len(library._last_status_in_session)) <= before


def test_a_late_reply_never_reaches_another_call(live: PyMeasureDriver, device: LineDevice) -> None:
    device.answer = {**REPLIES, "SLOW?": None}.get
    with pytest.raises(DeviceTimeoutError):
        live.get("slow")
    device.say(b"99.25\n")  # here it comes
    with pytest.raises(BadReplyError, match="nobody asked for"):
        live.get("reading")
    live.recover()
    assert [live.get("reading") for _ in range(100)] == [1.5] * 100


def test_of_two_replies_none_is_a_value(live: PyMeasureDriver, device: LineDevice) -> None:
    device.answer = {**REPLIES, "VOLT1?": b"2.5\n99.25\n"}.get
    with pytest.raises(BadReplyError, match=r"more than one reply to 'ch_1\.voltage': b'99.25.*' came, too"):
        live.get("ch_1.voltage")
    with pytest.raises(BadReplyError, match="nobody asked for"):
        live.get("reading")
    assert "READ?" not in device.heard
    live.recover()
    assert live.get("reading") == 1.5


def test_the_answer_to_a_set_is_no_value(live: PyMeasureDriver, device: LineDevice) -> None:
    device.answer = {**REPLIES, "VOLT1 3": "0"}.get
    live.set("ch_1.voltage", 3)
    with pytest.raises(BadReplyError, match=r"nobody asked for after 'ch_1\.voltage' was sent"):
        live.get("reading")
    assert "READ?" not in device.heard
    live.recover()
    assert live.get("reading") == 1.5


def test_only_the_first_set_of_a_parameter_is_waited_behind(live: PyMeasureDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []
    monkeypatch.setattr(Held, "listen", lambda self, seconds: held.append(seconds) or self.waiting())
    for volts in (3, 4, 5):
        live.set("ch_1.voltage", volts)
        assert live.get("reading") == 1.5
    live.set("limit", 1)
    assert live.get("reading") == 1.5 and len(held) == 2


def test_another_device_at_the_address_is_refused(live: PyMeasureDriver, device: LineDevice) -> None:
    device.answer = {**REPLIES, "*IDN?": "OTHER,DMM,1,1"}.get
    with pytest.raises(BadReplyError, match="another device answers"):
        live.recover()


@pytest.fixture
def wired() -> Iterator[tuple[PyMeasureDriver, SerialDevice]]:
    device = SerialDevice({asked: reply.encode() + b"\n" for asked, reply in {**REPLIES, "SLOW?": "99.25"}.items()})
    made = over_tcp(Supply, device.address)
    made.open()
    made.prove()
    yield made, device
    made.close()
    device.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_what_nobody_asked_for_on_a_serial_line_is_seen_before_the_next_query(
    wired: tuple[PyMeasureDriver, SerialDevice],
) -> None:
    live, device = wired
    os.write(device.ours, b"99.25\n")
    assert wait_condition(lambda: live._held is not None and live._held.waiting())
    for _ in range(2):
        with pytest.raises(BadReplyError, match="sent b'99.25.*' that nobody asked for"):
            live.get("reading")
    assert "READ?" not in device.received
    live.recover()
    assert live.get("reading") == 1.5


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_answers_to_questions_that_were_given_up_shift_nothing_on_a_serial_line(
    wired: tuple[PyMeasureDriver, SerialDevice],
) -> None:
    live, device = wired
    live.instance.adapter.connection.timeout = 50
    device.gate.clear()
    with pytest.raises(DeviceTimeoutError):
        live.get("slow")
    for _ in range(2):
        with pytest.raises(OfflineError):
            live.recover()
    device.gate.set()  # now come: 99.25, and the identity twice

    def is_recovered() -> bool:
        try:
            live.recover()
        except (BadReplyError, OfflineError):
            return False
        return True

    assert wait_condition(is_recovered)
    assert [live.get("reading") for _ in range(20)] == [1.5] * 20


def test_the_emergency_uses_a_second_session(live: PyMeasureDriver, device: LineDevice) -> None:
    hung = threading.Event()

    def answer(line: str) -> str | None:
        if line == "SLOW?":
            hung.set()
            return None
        return REPLIES.get(line)

    device.answer = answer
    live.instance.adapter.connection.timeout = 10_000
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
    assert wait_condition(lambda: device.heard[-2:] == ["VOLT1 0", "OUT 0"])
    assert device.connections == 2
    caller.join(3)
    assert len(outcome) == 1  # it ended, and can send nothing any more
    assert live.safe() is True and live.get("reading") == 1.5
    assert live.instance.adapter.connection.timeout == 10_000


def test_the_adapters_import_no_library() -> None:
    code = (
        "import sys; from agentlab.instruments.drivers import ophyd, pymeasure, qcodes\n"
        "heavy = {'pymeasure', 'qcodes', 'ophyd_async', 'bluesky', 'pyvisa', 'numpy', 'yaml', 'pint', 'pydantic', 'sqlalchemy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_arguments_are_checked_before_anything_is_built() -> None:
    with pytest.raises(DriverError, match="adapter"):
        load_driver(InstrumentSpec("psu", Supply))
