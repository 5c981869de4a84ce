"""ophyd-async's devices through the adapter: signals, commands, motions that can be stopped, and a backend that is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from ophyd_async.core import (
    DeviceVector,
    NotConnectedError,
    SignalR,
    SignalRW,
    SoftSignalBackend,
    StandardReadable,
    StrictEnum,
    TriggerableCommand,
    soft_command,
    soft_signal_r_and_setter,
    soft_signal_rw,
)

from agentlab.errors import CancelledCallError, DeviceTimeoutError, OfflineError, UnknownParameterError
from agentlab.instruments.drivers.loading import load_driver
from agentlab.instruments.drivers.ophyd import OphydDriver
from agentlab.instruments.drivers.ophyd_loop import DeviceLoop
from agentlab.instruments.drivers.ophyd_table import class_entries, signal_parameter
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.testing.waiting import wait_condition
from tests.timing import soon


class Mode(StrictEnum):
    """How fast."""

    SLOW = "Slow"
    FAST = "Fast"


class Link:
    """What a backend below counts, and whether its device is there."""

    def __init__(self) -> None:
        self.there = True
        self.asked = 0


class CountingBackend(SoftSignalBackend[float]):
    """A soft signal that can be away, and counts how often it is asked for its value."""

    def __init__(self, link: Link) -> None:
        super().__init__(float, 1.5, units="V")
        self.link = link

    async def connect(self, timeout: float) -> None:  # noqa: ASYNC109 - ophyd-async asks for it
        if not self.link.there:
            raise NotConnectedError("nobody there")

    async def get_value(self) -> float:
        self.link.asked += 1
        if not self.link.there:
            raise TimeoutError("no answer")
        return await super().get_value()


class Bench(StandardReadable):
    """Signals of all kinds."""

    def __init__(self, link: Link | None = None, name: str = "") -> None:
        self.voltage = SignalRW(CountingBackend(link or Link()))
        self.mode = soft_signal_rw(Mode)
        self.count = soft_signal_rw(int, 3)
        self.enabled = soft_signal_rw(bool)
        self.temperature, self._set_temperature = soft_signal_r_and_setter(float, 290.0, units="K")
        self.channels = DeviceVector({1: soft_signal_rw(float, units="mA"), 2: soft_signal_rw(float)})
        self.pulses = 0
        super().__init__(name=name)

    async def pulse(self, times: int = 1) -> int:
        """Give some pulses."""
        for _ in range(times):
            await asyncio.sleep(0)
            self.pulses += 1
        return self.pulses

    async def hang(self) -> None:
        """Never end."""
        await asyncio.Event().wait()


class Declared(StandardReadable):
    """Children by annotation."""

    voltage: SignalRW[float]
    current: Annotated[SignalR[float], "a mark"]


def driver_of(cls: type | str, **spec: Any) -> OphydDriver:
    made = load_driver(InstrumentSpec("bench", cls, **spec))
    assert isinstance(made, OphydDriver)
    return made


@pytest.fixture
def link() -> Link:
    return Link()


@pytest.fixture
def driver(link: Link) -> Iterator[OphydDriver]:
    made = driver_of(Bench, kwargs={"link": link})
    made.open()
    yield made
    made.close()


@pytest.fixture
def motor() -> Iterator[OphydDriver]:
    made = driver_of("ophyd_async.sim:SimMotor", kwargs={"instant": False})
    made.open()
    made.set("acceleration_time", 0.01)
    yield made
    made.close()


# ---------------------------------------------------------------------------------------- what is found


def test_signals_are_parameters_and_nobody_is_asked_for_a_value(driver: OphydDriver, link: Link) -> None:
    found = driver.table().parameters
    assert link.asked == 0
    assert {name: (one.type, one.unit, one.writable) for name, one in found.items()} == {
        "voltage": ("float", "V", True),
        "mode": ("str", "", True),
        "count": ("int", "", True),
        "enabled": ("bool", "", True),
        "temperature": ("float", "K", False),
        "channels.1": ("float", "mA", True),
        "channels.2": ("float", "", True),
    }
    assert found["mode"].choices == ("Slow", "Fast")
    assert driver.table().actions["pulse"].parameters == [("times", 1, "1")]
    assert not {"read", "describe", "connect", "children", "add_readables", "set_name"} & set(driver.table().actions)
    assert driver.instance.name == "bench"


def test_a_class_that_declares_its_children_is_known_before_it_is_built() -> None:
    table = driver_of(Declared).table()
    assert {name: one.writable for name, one in table.parameters.items()} == {"voltage": True, "current": False}
    assert list(class_entries(Bench))  # its methods at least


def test_limits_are_those_of_control() -> None:
    key = {"dtype": "number", "units": "mm", "limits": {"control": {"low": -1.0, "high": 5.0}, "display": {"low": 0, "high": 9}}}
    found = signal_parameter("x", SignalRW, float, key)
    assert (found.minimum, found.maximum, found.unit) == (-1.0, 5.0, "mm")
    none = signal_parameter("x", SignalRW, float, {"dtype": "number", "limits": {"control": {"low": 0.0, "high": 0.0}}})
    assert (none.minimum, none.maximum) == (None, None)


# ---------------------------------------------------------------------------------------- asking


def test_get_set_and_call(driver: OphydDriver) -> None:
    driver.set("voltage", 2.5)
    assert driver.get("voltage") == 2.5
    driver.set("mode", "Fast")
    assert driver.get("mode") == "Fast" and type(driver.get("mode")) is str
    driver.set("channels.1", 7.0)
    assert (driver.get("channels.1"), driver.get("enabled"), driver.get("count")) == (7.0, False, 3)
    assert driver.call("pulse", (3,), {}) == 3
    assert driver.prove() == ""
    with pytest.raises(UnknownParameterError, match="'voltage'"):
        driver.get("volage")
    assert driver.safe() is False and driver.abort() is False


def test_commands_are_actions() -> None:
    def reset() -> None:
        done.append("reset")

    def move(to: float) -> float:
        return to * 2

    done: list[str] = []

    class Commanded(StandardReadable):
        def __init__(self, name: str = "") -> None:
            self.reset = soft_command(reset)
            self.move = soft_command(move)
            super().__init__(name=name)

    made = driver_of(Commanded)
    made.open()
    try:
        assert made.table().actions["move"].parameters == [("to", 1, None)]
        made.call("reset", (), {})
        assert done == ["reset"] and made.call("move", (2.0,), {}) == 4.0
        assert TriggerableCommand  # its verb is covered by execute()
    finally:
        made.close()


def test_a_device_that_is_away_is_offline_and_comes_back(driver: OphydDriver, link: Link) -> None:
    link.there = False
    with pytest.raises(DeviceTimeoutError):
        driver.get("voltage")
    with pytest.raises(OfflineError, match="nobody there"):
        driver.recover()
    link.there = True
    driver.recover()
    assert driver.get("voltage") == 1.5


def test_a_device_that_is_away_at_the_start(link: Link) -> None:
    link.there = False
    made = driver_of(Bench, kwargs={"link": link})
    with pytest.raises(OfflineError, match="does not connect"):
        made.open()
    assert not [one for one in threading.enumerate() if one.name == "ophyd-bench"]
    link.there = True
    made.open()
    assert made.get("voltage") == 1.5
    made.close()
    made.close()


# ---------------------------------------------------------------------------------------- motions


def test_a_motor_has_a_position(motor: OphydDriver) -> None:
    table = motor.table()
    assert (table.parameters["position"].unit, table.parameters["position"].writable) == ("mm", True)
    assert {"set", "stop"} <= set(table.actions) and table.has_abort and table.has_safe
    motor.set("velocity", 100.0)
    motor.set("position", 2.0)
    assert motor.get("position") == motor.get("user_readback") == 2.0
    motor.call("set", (1.0,), {})
    assert motor.get("position") == 1.0


@pytest.mark.parametrize("how", ["abort", "cancel"])
def test_a_motion_is_ended_from_another_thread(motor: OphydDriver, how: str) -> None:
    motor.set("velocity", 1.0)
    outcome: list[BaseException] = []

    def move() -> None:
        try:
            motor.set("position", 60.0)
        except CancelledCallError as error:
            outcome.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    assert wait_condition(lambda: (motor.progress() or 0) > 0)
    began = time.monotonic()
    assert getattr(motor, how)() in (True, None)
    mover.join(3)
    assert time.monotonic() - began < soon(0.5)
    assert len(outcome) == 1
    assert 0 < motor.get("position") < 10
    assert motor.safe() is True


def test_an_action_without_a_stop_is_cancelled(driver: OphydDriver) -> None:
    threading.Timer(0.05, driver.cancel).start()
    with pytest.raises(CancelledCallError):
        driver.call("hang", (), {})
    assert driver.call("pulse", (), {}) == 1


class Stop(StandardReadable):
    """A part that stops without a coroutine, or fails to."""

    def __init__(self, fails: bool, name: str = "") -> None:
        self.fails, self.stopped = fails, 0
        super().__init__(name=name)

    def stop(self) -> None:
        """End the motion."""
        self.stopped += 1
        if self.fails:
            raise ValueError("stuck")


class Gantry(StandardReadable):
    """Two parts that can stop."""

    def __init__(self, name: str = "") -> None:
        self.first, self.second = Stop(fails=True), Stop(fails=False)
        super().__init__(name=name)


def test_a_part_that_cannot_stop_keeps_no_other_from_it() -> None:
    made = driver_of(Gantry)
    made.open()
    try:
        with pytest.raises(ValueError, match="stuck"):
            made.safe()
        assert (made.instance.first.stopped, made.instance.second.stopped) == (1, 1)
    finally:
        made.close()


def test_an_emergency_after_closing_finds_nothing_to_end() -> None:
    loop = DeviceLoop("gone")
    loop.close()
    loop.cancel()
    with pytest.raises(TimeoutError, match="closed"):
        loop.end(lambda: None, 1.0)


def test_closing_ends_what_still_runs() -> None:
    made = driver_of("ophyd_async.sim:SimMotor", kwargs={"instant": False})
    made.open()
    made._live().run(lambda: made.instance.set(100.0) and None)  # a motion that goes on behind the call
    made.close()
    assert not [one for one in threading.enumerate() if one.name == "ophyd-bench"]


def test_ophyds_simulated_detector() -> None:
    made = driver_of("ophyd_async.sim:SimPointDetector", kwargs={"pattern_generator": None})
    made.open()
    try:
        made.set("acquire_time", 0.01)
        made.set("channel.1.mode", "High Energy")
        made.call("trigger", (), {})
        assert made.get("channel.1.value") > 0
        assert made.table().parameters["channel.1.mode"].choices == ("Low Energy", "High Energy")
    finally:
        made.close()
