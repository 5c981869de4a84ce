"""Any class as a driver: what is found without running a line of it, and how an object of it is used."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import functools
import math
import threading
import weakref
from collections.abc import Callable
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

import numpy as np
import pytest

from agentlab.errors import BadReplyError, CancelledCallError, DeviceTimeoutError, DriverError, OfflineError
from agentlab.instruments import Choices, Device, InstrumentSpec, Parameter, Range, Unit, reads
from agentlab.instruments.drivers.anyclass import AnyClassDriver
from agentlab.testing.waiting import wait_condition


class Gain(enum.Enum):
    LOW = 1
    HIGH = 100


class Trap:
    """A supply that explodes when it is looked at in the wrong way."""

    MODEL = "T-1000"
    label: str = "bench"
    counts: ClassVar[int] = 0
    offset: Annotated[float, Unit("mV"), Range(-5, 5)]
    serial: Final[str] = "S1"
    handler: Callable[[], None]

    class Inner:
        pass

    def __init__(self, port: str = "COM1", timeout: float = 1.0):
        """Open the port."""
        self.port, self.timeout, self._hidden = port, timeout, 3
        self.socket = self.handler = object()
        self.wave = [1.0, 2.0]
        self.array = np.zeros(3)
        self.offset = 0.0

    @property
    def voltage(self) -> Annotated[float, Unit("V"), Range(0, 30)]:
        """The output voltage."""
        raise AssertionError("looked at")

    @voltage.setter
    def voltage(self, value: float) -> None:
        raise AssertionError("set")

    @property
    def gain(self) -> Gain:
        return self._gain

    @gain.setter
    def gain(self, value: Gain) -> None:
        assert isinstance(value, Gain)
        self._gain = value

    @property
    def mode(self) -> Literal["CV", "CC"]:
        return "CV"

    @property
    def speed(self):
        return "slow"

    @speed.setter
    def speed(self, value: Annotated[str, Choices("slow", "fast")]):
        self._speed = value

    @property
    def unresolved(self) -> "NoSuchName":  # noqa: F821, UP037
        return 1

    @property
    def maybe(self) -> float | None:
        return None

    @property
    def number(self) -> int | float:
        return 1

    @functools.cached_property
    def identity_text(self) -> str:
        raise AssertionError("looked at")

    def trigger(self, count: int = 1, *, wait: bool = False) -> None:
        """Fire."""

    @reads
    def measure(self) -> float:
        return 1.0

    @staticmethod
    def helper(x):
        return x

    @classmethod
    def make(cls):
        return cls()

    def safe(self):
        self.made_safe = True

    def close(self):
        self.closed = True

    def _private(self):
        raise AssertionError("called")


def driver_of(cls, *args, **more):
    return AnyClassDriver(InstrumentSpec("x", cls, args=args, **more), cls)


def test_a_class_tells_its_parameters_without_being_run():
    driver = driver_of(Trap)
    table = driver.table()
    p = table.parameters
    assert p["voltage"] == Parameter("voltage", "float", "V", 0, 30, doc="The output voltage.")
    assert p["offset"] == Parameter("offset", "float", "mV", -5, 5)
    assert p["gain"].choices == (1, 100) and p["gain"].type == "int"
    assert p["mode"].choices == ("CV", "CC") and p["mode"].type == "str" and not p["mode"].writable
    assert p["speed"].choices == ("slow", "fast") and p["speed"].type == "str"
    assert p["maybe"].type == "any" and p["number"].type == "float" and p["unresolved"].type == "any"
    assert p["identity_text"].type == "str" and not p["identity_text"].writable
    assert p["label"].writable and not p["MODEL"].writable and not p["serial"].writable and not p["counts"].writable
    assert not {"Inner", "close", "safe", "_private", "port"} & set(table.names())
    assert table.has_safe and not table.has_abort and table.doc.startswith("A supply")


def test_a_class_tells_its_actions_with_signature_and_doc():
    actions = driver_of(Trap).table().actions
    assert set(actions) == {"trigger", "measure", "helper", "make"}
    assert actions["trigger"].parameters == [("count", 1, "1"), ("wait", 3, "False")] and actions["trigger"].doc == "Fire."
    assert actions["measure"].reads and not actions["trigger"].reads
    assert actions["helper"].parameters == [("x", 1, None)] and actions["make"].parameters == []


def test_plain_attributes_of_the_instance_join_when_it_is_built():
    driver = driver_of(Trap, "COM7", timeout=0.5)
    assert "port" not in driver.table().parameters
    driver.open()
    found = driver.table().parameters
    assert found["port"].type == "str" and found["wave"].type == "array" and found["array"].type == "array"
    assert driver.get("port") == "COM7" and driver.get("timeout") == 0.5
    assert not {"socket", "_hidden", "handler"} & set(found) and found["offset"].unit == "mV"
    instance = driver.instance
    driver.close()
    driver.close()
    assert instance.closed and driver.instance is None


def test_members_of_enumerations_come_and_go_as_their_values():
    driver = driver_of(Trap)
    driver.open()
    driver.set("gain", driver.table().parameters["gain"].check(100))
    assert driver.instance._gain is Gain.HIGH
    assert driver.table().parameters["gain"].accept(driver.get("gain")) == 100
    driver.set("gain", "LOW")
    assert driver.instance._gain is Gain.LOW
    driver.close()


def test_a_device_is_cancelled_and_tells_its_progress():
    class Oven(Device):
        def __init__(self):
            self.ready = threading.Event()  # super().__init__() forgotten

        def heat(self):
            self.progress = 0.25
            self.ready.set()
            self.sleep(30)

        def cool(self):
            self.sleep(0)
            return "cold"

    driver = driver_of(Oven)
    assert driver.table().names() == ["heat", "cool"]
    driver.open()
    caught = []

    def work():
        try:
            driver.call("heat", (), {})
        except CancelledCallError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert driver.instance.ready.wait(5)
    assert driver.progress() == 0.25
    driver.cancel()
    thread.join(5)
    assert not thread.is_alive() and len(caught) == 1
    assert driver.call("cool", (), {}) == "cold"  # the cancellation was for the first one alone
    driver.close()


def test_a_class_with_slots_or_frozen_is_served_too():
    class Slots:
        __slots__ = ("level",)

        def __init__(self):
            self.level = 1.5

    @dataclasses.dataclass(frozen=True)
    class Frozen:
        level: float = 1.0

    slots, frozen = driver_of(Slots), driver_of(Frozen)
    for driver in (slots, frozen):
        driver.open()
        driver.cancel()
        assert driver.table().names() == ["level"] and driver.progress() is None
    slots.set("level", 2)
    assert slots.get("level") == 2 and not frozen.table().parameters["level"].writable
    slots.close()
    frozen.close()


def test_coroutines_are_run_to_their_end():
    class Modern:
        async def measure(self):
            await asyncio.sleep(0)
            return 7

        async def close(self):
            self.closed = True

    driver = driver_of(Modern)
    driver.open()
    assert driver.call("measure", (), {}) == 7
    instance = driver.instance
    driver.close()
    assert instance.closed


def test_a_coroutine_that_runs_is_cancelled():
    class Modern:
        async def measure(self):
            self.level = 3
            await asyncio.sleep(30)

        async def abort(self):
            raise AssertionError("called in another thread")

    driver = driver_of(Modern)
    driver.open()
    caught = []

    def work():
        try:
            driver.call("measure", (), {})
        except CancelledCallError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert wait_condition(lambda: hasattr(driver.instance, "level"))
    assert not driver.table().has_abort and not driver.abort()
    driver.cancel()
    thread.join(5)
    assert len(caught) == 1
    driver.close()


def test_methods_of_all_sorts_are_actions():
    class Sorts:
        cached = functools.lru_cache(lambda self, x: x)
        bound = functools.partialmethod(lambda self, x, y: x + y, 1)
        of_c = str.upper

        @functools.singledispatchmethod
        def single(self, value):
            """By type."""

    table = driver_of(Sorts).table()
    assert set(table.actions) == {"cached", "bound", "of_c", "single"} and not table.parameters
    assert table.actions["single"].doc == "By type."
    driver = driver_of(Sorts)
    driver.open()
    assert driver.call("bound", (2,), {}) == 3 and driver.call("cached", (4,), {}) == 4
    driver.close()


@pytest.mark.parametrize("cls", [threading.Thread, dict, enum.Enum, type, property, Exception, np.ndarray, asyncio.Queue])
def test_any_class_at_all_is_looked_at(cls):
    assert AnyClassDriver(InstrumentSpec("x", cls), cls).table().kind == "any"


class Wire:
    """Counts what is done with it."""

    made = 0
    fail: BaseException | None = None
    idn = "ACME,1"

    def __init__(self):
        type(self).made += 1
        if Wire.fail is not None:
            raise Wire.fail

    @property
    def value(self) -> float:
        if Wire.fail is not None:
            raise Wire.fail
        return 1.0


@pytest.fixture
def wire():
    Wire.made, Wire.fail, Wire.idn = 0, None, "ACME,1"
    yield Wire
    Wire.fail = None


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (TimeoutError("slow"), DeviceTimeoutError),
        (ConnectionResetError(104, "gone"), OfflineError),
        (ConnectionRefusedError(111, "nobody"), OfflineError),
        (ValueError("theirs"), ValueError),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
def test_dead_connections_and_timeouts_come_as_ours_and_the_rest_as_it_is(wire, raised, expected):
    driver = driver_of(Wire)
    driver.open()
    wire.fail = raised
    with pytest.raises(expected) as caught:
        driver.get("value")
    assert caught.value is raised or caught.value.__cause__ is raised
    wire.fail = None
    driver.close()


def test_a_constructor_that_finds_no_device_is_offline(wire):
    wire.fail = ConnectionRefusedError(111, "nobody")
    driver = driver_of(Wire)
    with pytest.raises(OfflineError):
        driver.open()
    wire.fail = None
    driver.open()
    assert driver.get("value") == 1.0
    driver.close()


def test_recovery_builds_anew_and_proves_who_answers(wire):
    driver = driver_of(Wire)
    driver.open()
    assert driver.prove() == "ACME,1"
    driver.recover()
    assert wire.made == 2 and driver.get("value") == 1.0
    wire.idn = "OTHER,2"
    with pytest.raises(BadReplyError, match="another device answers: 'OTHER,2'"):
        driver.recover()
    driver.close()


def test_recovery_uses_what_the_class_offers():
    said = []

    class Reconnects:
        def __init__(self):
            said.append("made")

        def reconnect(self):
            said.append("reconnect")

    class Connects:
        connected = False

        def connect(self):
            said.append("connect")

        def disconnect(self):
            said.append("disconnect")
            raise ValueError("it was broken")  # whatever it raises: what is broken cannot always be closed

    for cls, expected in ((Reconnects, ["made", "reconnect"]), (Connects, ["connect", "disconnect", "connect", "disconnect"])):
        said.clear()
        driver = driver_of(cls)
        assert driver.table().actions == {}
        driver.open()
        driver.recover()
        driver.close()
        assert said == expected


def test_connect_is_not_called_where_it_needs_arguments_or_was_done():
    class Done:
        def __init__(self):
            self.is_connected = True

        def connect(self):
            raise AssertionError("called")

    class Needs:
        def connect(self, port):
            raise AssertionError("called")

    for cls in (Done, Needs):
        driver = driver_of(cls)
        driver.open()
        driver.close()


def test_safe_and_abort_are_the_drivers_own():
    class Laser:
        def __init__(self):
            self.log = []

        def safe(self):
            self.log.append("safe")

        def abort(self):
            self.log.append("abort")

    driver = driver_of(Laser)
    assert driver.table().has_safe and driver.table().has_abort and not driver.abort()
    driver.open()
    assert driver.safe() and driver.abort() and driver.instance.log == ["safe", "abort"]
    driver.close()
    assert not driver_of(Wire).safe()


def test_a_mark_that_was_not_filled_in_is_told():
    class Wrong:
        level: Annotated[float, Unit]

    with pytest.raises(DriverError, match=r"write for example Unit\(...\)"):
        driver_of(Wrong)


def test_a_subclass_changes_what_its_base_said():
    class Base:
        def trigger(self):
            """Fire."""

        @property
        def voltage(self) -> float:
            return 1.0

    class Derived(Base):
        trigger = None

        @property
        def voltage(self) -> Annotated[float, Unit("mV")]:
            return 2.0

    assert driver_of(Derived).table().names() == ["voltage"]
    assert driver_of(Derived).table().parameters["voltage"].unit == "mV"


def test_a_call_waits_for_nobody_else():
    driver = driver_of(Wire)
    assert wait_condition(lambda: driver.progress() is None)
    driver.cancel()  # before there is an instance: nothing happens
    assert driver.instance is None


def test_a_whole_number_without_an_annotation_is_a_number():
    class Knob:
        fixed: int

        def __init__(self):
            self.level, self.on, self.fixed, self.huge, self.times = 3, True, 4, 2**60, 2

        def beep(self):
            return list(range(self.times))

    driver = AnyClassDriver(InstrumentSpec("knob", "x:Knob"), Knob)
    driver.open()
    p = driver.table().parameters
    assert {name: one.type for name, one in p.items()} == {
        "level": "float", "on": "bool", "fixed": "int", "huge": "int", "times": "float"
    }  # fmt: skip
    driver.set("level", p["level"].check(2.5))
    assert driver.get("level") == 2.5
    driver.set("times", p["times"].check(3))
    assert driver.call("beep", (), {}) == [0, 1, 2]  # whole as before: range() takes no 3.0


def test_a_whole_number_in_the_class_is_a_number_too_and_a_constant_stays_one():
    class Knob:
        level, MOST = 0, 10

    driver = AnyClassDriver(InstrumentSpec("knob", "x:Knob"), Knob)
    driver.open()
    p = driver.table().parameters
    assert p["level"].type == "float" and p["MOST"].type == "int" and not p["MOST"].writable
    driver.set("level", p["level"].check(2.5))
    assert driver.get("level") == 2.5
    driver.set("level", "off")  # the laboratory says that it is of type any
    assert driver.get("level") == "off"


def test_a_constructor_that_fails_keeps_nothing_of_the_device():
    ports = []

    class Port:
        pass

    class Slow:
        def __init__(self):
            self.port = port = Port()
            ports.append(weakref.ref(port))
            try:
                raise TimeoutError("no reply")
            except TimeoutError as error:
                raise ValueError("no identity") from error

    class SlowToConnect(Slow):
        def __init__(self):
            pass

        connect = Slow.__init__

    for cls in (Slow, SlowToConnect):
        driver = driver_of(cls)
        with pytest.raises(ValueError, match="no identity") as kept:  # as the agent keeps it, for people
            driver.open()
        assert ports.pop()() is None and kept.value.__cause__ is not None


TEXT_HINTS = """
from __future__ import annotations
if False:
    import nothing

class Base:
    other: nothing.Socket
    current: Annotated[float, Unit("A"), Range(0, 2)]
    mode: Annotated[str, Choices("cw", "pulsed")] = "cw"
    count: int

    @property
    def voltage(self) -> Annotated[float, Unit("V"), Range(0, 30)]: ...

    @voltage.setter
    def voltage(self, value: float) -> None: ...
"""


def test_limits_in_annotations_that_are_text_outlive_the_names_of_their_module():
    names = {"__name__": "gone"}  # as where the class was sent by value: the names of its module are not there
    exec(TEXT_HINTS, names)
    p = driver_of(names["Base"]).table().parameters
    assert (p["current"].unit, p["current"].minimum, p["current"].maximum) == ("A", 0, 2)
    assert (p["voltage"].unit, p["voltage"].maximum) == ("V", 30) and p["mode"].choices == ("cw", "pulsed")
    assert p["other"].type == "any" and p["count"].type == "int"


def test_an_annotation_that_cannot_be_evaluated_costs_no_other_its_meaning():
    class Own:
        class Mode(enum.Enum):
            SLOW = 1

        mode: Mode
        other: Nowhere  # noqa: F821

    p = driver_of(Own).table().parameters
    assert p["mode"].choices == (1,) and p["other"].type == "any"


def test_a_limit_that_cannot_be_evaluated_is_told_and_not_dropped():
    class Supply:
        voltage: "Annotated[float, Range(0, MOST)]"  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(DriverError, match=r"annotation of 'voltage' is .*MOST.*NameError.*put the class into a module"):
        driver_of(Supply)


def test_what_may_be_none_keeps_its_limits():
    class Supply:
        voltage: Annotated[float, Unit("V"), Range(0, 30)] | None
        word: Annotated[str, Unit("")] | None

    p = driver_of(Supply).table().parameters
    assert (p["voltage"].type, p["voltage"].unit, p["voltage"].maximum, p["word"].type) == ("float", "V", 30, "any")


def test_progress_is_a_fraction_or_nothing():
    class Works:
        pass

    driver = driver_of(Works)
    driver.open()
    for value, told in ((0.5, 0.5), (50, 1.0), (-1, 0.0), (10**400, 1.0), (math.nan, None), (True, None), ("half", None)):
        driver.instance.progress = value
        assert driver.progress() == told


def test_only_sequences_of_numbers_are_arrays():
    class Point(NamedTuple):
        name: str
        level: float

    class Scope:
        trace: list[float]
        pair: tuple[int, ...]
        bare: list
        samples: np.ndarray
        names: list[str]
        both: tuple[str, float]
        point: Point
        odd: Callable[[], None]

    p = driver_of(Scope).table().parameters
    assert [name for name, one in p.items() if one.type == "array"] == ["trace", "pair", "bare", "samples"]


def test_a_ping_that_the_class_does_not_have_is_told():
    class Meter:
        level = 3

    driver = AnyClassDriver(InstrumentSpec("m", Meter, ping="*IDN?"), Meter)
    driver.open()
    with pytest.raises(DriverError, match=r"ping is '\*IDN\?', which Meter does not have"):
        driver.prove()
    driver.close()
