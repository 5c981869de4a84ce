"""Instrument agents, live: each test is a story over processes and sockets."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from agentlab import NSProxy, Proxy, config, run_nameserver
from agentlab.errors import (
    CallTimeoutError,
    CancelledCallError,
    DriverError,
    ExpiredError,
    LatchedError,
    LimitError,
    LockedError,
    UnknownParameterError,
)
from agentlab.instruments import InstrumentAgent, InstrumentProxy, Range, Unit, run_instrument
from agentlab.runtime import futures
from agentlab.testing.waiting import wait_condition


class Supply:
    """A power supply of a user."""

    voltage: Annotated[float, Unit("V"), Range(0, 10)]

    def __init__(self, start: float = 0.0) -> None:
        self.voltage = start
        self.cancelled = False
        self.safe_calls = 0

    @property
    def current(self) -> Annotated[float, Unit("A")]:
        """What flows."""
        return self.voltage / 10

    def zero(self) -> str:
        """Go to zero."""
        self.voltage = 0.0
        return "done"

    def hold(self, seconds: float) -> str:
        """Do nothing for long, unless cancelled."""
        import time

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.cancelled:
                raise CancelledCallError("as asked")
            time.sleep(0.005)
        return "held"

    def safe(self) -> None:
        """Switch off."""
        self.voltage = 0.0
        self.safe_calls += 1


@pytest.fixture
def ns() -> Iterator[NSProxy]:
    ns = run_nameserver()
    yield ns
    ns.shutdown()


def test_first_instrument(ns: NSProxy) -> None:
    psu = run_instrument("psu", Supply, start=1.5)
    assert isinstance(psu, InstrumentProxy)
    assert psu.voltage == 1.5
    reading = psu.get("current")
    assert (reading.value, reading.unit, reading.quality) == (0.15, "A", "good")
    psu.voltage = "2500 mV"
    assert psu.voltage == 2.5
    assert psu.zero() == "done"
    with pytest.raises(LimitError):
        psu.voltage = 11
    with pytest.raises(UnknownParameterError, match="did you mean 'voltage'"):
        psu.voltgae = 1
    again = Proxy("psu")
    assert isinstance(again, InstrumentProxy)
    with psu.lock(reason="calibration") as own:
        assert again.lock_info()["reason"] == "calibration"
        with pytest.raises(LockedError, match="calibration"):
            again.voltage = 3
        assert again.voltage == 0.0
        psu.voltage = 4
        assert own.held
    again.voltage = 3
    assert psu.status()["state"] == "online"
    psu.shutdown()


def test_busy_is_not_dead_and_estop_latches(ns: NSProxy) -> None:
    psu = run_instrument("psu", Supply, start=5.0, watchdog=30.0)
    running = psu.future.hold(10.0)
    assert wait_condition(lambda: psu.status()["action"] == "hold")
    assert psu.status()["state"] == "busy"
    psu.cancel()
    with pytest.raises(CancelledCallError):
        running.result(5.0)
    running = psu.future.hold(10.0)
    assert wait_condition(lambda: psu.status()["action"] == "hold")
    told = psu.estop("smoke", within=3.0)
    assert told["latched"]
    assert told["pending"] is None
    assert running.exception(5.0) is not None
    assert psu.voltage == 0.0
    with pytest.raises(LatchedError, match="smoke"):
        psu.voltage = 1
    psu.kick()
    assert psu.status()["state"] == "safe"
    psu.reset()
    psu.voltage = 1
    psu.safe()
    assert psu.safe.voltage == 0.0
    assert psu.safe_calls == 2
    psu.shutdown()


def test_readings_are_published_and_a_late_one_hears_the_last(ns: NSProxy) -> None:
    psu = run_instrument("psu", Supply, start=1.0, poll={"voltage": 0.02, "current": 3600.0})
    with psu.watch("voltage", timeout=5.0) as readings:
        first, second = next(readings), next(readings)
        assert second.sequence == first.sequence + 1
        assert (first.value, first.unit) == (1.0, "V")
        assert readings.lost == 0
    with psu.watch(timeout=5.0) as everything:  # the current is read once an hour
        assert any(reading.name == "current" for reading in everything)
    assert psu.snapshot()["voltage"].sequence > 0
    assert set(psu.snapshot(refresh=True)) == {"voltage", "current", "safe_calls"}
    assert isinstance(InstrumentProxy("psu"), InstrumentProxy)
    without_names = Proxy(psu._core.uri)
    with without_names.watch("voltage", timeout=5.0) as readings:
        assert next(readings).name == "voltage"
    psu.shutdown()


def test_wrong_drivers_are_told_where_they_are_started(ns: NSProxy) -> None:
    with pytest.raises(DriverError, match="Suply"):
        run_instrument("psu", f"{__name__}:Suply")
    with pytest.raises(DriverError, match="strat"):
        run_instrument("psu", Supply, strat=1.0)
    with pytest.raises(DriverError, match="given twice"):
        run_instrument("psu", Supply, kwargs={"start": 1.0}, start=2.0)
    with pytest.raises(DriverError, match="given twice"):
        run_instrument("psu", Supply, kwargs={"parameters": {}}, parameters={})
    with pytest.raises(DriverError, match="not as an object of Supply"):
        run_instrument("psu", Supply())  # type: ignore[arg-type]
    with pytest.raises(DriverError, match="belongs there"):
        run_instrument("psu", Supply, interlocks=["stage.voltage > 3 V -> heater.safe()"])
    assert ns.agents() == []


def test_interlocks_need_no_client(ns: NSProxy) -> None:
    stage = run_instrument("stage", Supply, start=1.0, poll={"voltage": 0.02})
    heater = run_instrument("heater", Supply, start=5.0, interlocks=["stage.voltage > 3 V -> heater.safe()"])
    assert heater.voltage == 5.0
    heater.voltage = 6
    stage.voltage = 4
    assert wait_condition(lambda: heater.status()["latch"] is not None)
    assert wait_condition(lambda: heater.voltage == 0.0)
    stage.voltage = 1
    with pytest.raises(LatchedError, match="stage.voltage"):
        heater.voltage = 5
    assert wait_condition(lambda: _may_be_reset(heater))  # not before it has heard of it
    heater.voltage = 5
    with heater.lock():  # no owner is asked
        own = run_instrument("fan", Supply, poll=0.02, interlocks=["fan.current >= 0.8 A -> fan.zero()"])
        other = Proxy("fan")
        with other.lock(reason="not to be asked"):
            other.voltage = 9
            assert wait_condition(lambda: own.voltage == 0.0)
            assert own.status()["latch"] is None
    stage.oneway.kill()  # a stale reading is a violation
    assert wait_condition(lambda: heater.status()["latch"] is not None, timeout=6.0)
    assert wait_condition(lambda: heater.voltage == 0.0)
    heater.shutdown()


def _may_be_reset(proxy: Any) -> bool:
    try:
        return bool(proxy.reset()["reset"])
    except LatchedError:
        return False


def test_locks_travel_and_wait(ns: NSProxy) -> None:
    psu, other = run_instrument("psu", Supply), Proxy("psu")
    own = psu.lock(lease=0.3)
    waiting = futures.submit("", "", False, lambda: other.lock(timeout=10.0, reason="next"))
    assert wait_condition(lambda: len(psu.lock_info()["queue"]) == 1)
    with pytest.raises(LockedError):
        Proxy("psu").lock(timeout=0)
    own.release()
    theirs = waiting.result(5.0)
    with pytest.raises(LockedError, match="next"):
        psu.voltage = 1
    third = Proxy("psu")
    taken = third.lock(token=theirs.token)
    third.voltage = 2
    other.voltage = 3  # the token is the same
    taken.release()
    with pytest.raises(LockedError):
        other.voltage = 1
    theirs.release()
    other.voltage = 1
    broken = psu.lock()
    other.break_lock("I need it")
    with pytest.raises(LockedError):
        psu.voltage = 1
    broken.release()
    psu.voltage = 1
    psu.shutdown()


class LoggingSupply(InstrumentAgent):
    """An instrument agent of a user: a timer, a method of its own, and one that stands before the driver's action."""

    def on_init(self) -> None:
        super().on_init()
        self.seen: list[float] = []
        self.each(0.02, self.look)

    def look(self) -> None:
        self.seen.append(self.read("voltage", timeout=2.0).value)

    def double(self) -> float:
        """Set twice what is set."""
        self.write("voltage", 2 * self.read("voltage").value)
        return float(self.read("voltage").value)

    def zero(self) -> str:
        return f"mine, then {self.act('zero')}"


def test_an_agent_of_ones_own_and_what_every_agent_is_asked(ns: NSProxy) -> None:
    psu = run_instrument("psu", Supply, start=1.5, base=LoggingSupply)
    assert wait_condition(lambda: 1.5 in psu.seen)
    assert psu.double() == 3.0
    assert psu.zero() == "mine, then done"
    assert psu.call("zero") == "done"
    with psu.lock(), pytest.raises(LockedError):
        psu.unsafe.double()  # the agent is a client of its own
    assert psu.get_attr("voltage") == 0.0
    psu.set_attr(voltage=2)
    psu.set_attr(seen=[7.0])
    psu.on_error = "stop"
    assert psu.on_error == "stop"
    with pytest.raises(UnknownParameterError, match="did you mean 'voltage'"):
        psu.set_attr(voltgae=2)
    assert {"voltage", "hold", "double", "lock", "describe", "shutdown"} <= set(dir(psu))
    assert "Do nothing for long" in psu.hold.__doc__
    assert str(inspect.signature(psu.hold)) == "(seconds)"
    ask = psu._caller().call
    assert ask("_vitals", (), {}, safe=False)["instrument"]["state"] == "online"
    told = ask("_describe", (), {}, safe=False)
    assert (told["kind"], set(told["parameters"])) == ("instrument", {"voltage", "current", "safe_calls"})
    assert {"hold", "double", "estop"} <= set(told["methods"])
    portrait = ask("_portrait", (), {}, safe=False)
    row = {"name": "voltage", "type": "float", "value": None, "unit": "V", "doc": "0 to 10 V"}
    assert row in portrait["attributes"]
    assert next(row for row in portrait["methods"] if row["name"] == "hold")["signature"] == "(seconds)"
    assert ask("_portrait", ("current",), {}, safe=False)["doc"] == "What flows."
    assert ns.instruments() == ["psu"]
    psu.shutdown()


def test_a_call_whose_time_is_over_is_not_executed(ns: NSProxy) -> None:
    psu = run_instrument("psu", Supply, start=1.0)
    running = psu.future.hold(0.5)
    assert wait_condition(lambda: psu.status()["action"] == "hold")
    with pytest.raises(ExpiredError, match="was not executed"):
        psu.timeout(0.2).set("voltage", 5)
    assert running.result(5.0) == "held"
    assert psu.voltage == 1.0
    psu.shutdown()


def test_whoever_gives_up_waiting_gets_no_lock(ns: NSProxy) -> None:
    psu, other, third = run_instrument("psu", Supply), Proxy("psu"), Proxy("psu")
    own = psu.lock()
    with pytest.raises((CallTimeoutError, LockedError)):
        other.timeout(0.1).lock(timeout=None)
    with pytest.raises(LockedError, match="owned by"):
        other.lock(timeout=0.05)
    own.release()
    with third.lock(timeout=3.0, lease=60.0):
        third.voltage = 1
    psu.shutdown()


def test_started_again(ns: NSProxy) -> None:
    psu = run_instrument("psu", Supply, start=1.0, poll=0.02)
    own = psu.lock(lease=0.5)
    with psu.watch("voltage", timeout=10.0) as readings:
        assert next(readings).value == 1.0
        psu.oneway.kill()
        assert wait_condition(lambda: own.lost)
        again = run_instrument("psu", Supply, start=2.0, poll=0.02)
        assert next(reading for reading in readings if reading.value == 2.0)
        with pytest.raises(LockedError, match="lost"):
            psu.voltage = 3
        own.release()
        psu.voltage = 3
        assert again.voltage == 3.0
    again.shutdown()


def test_history_is_kept_and_asked_for(ns: NSProxy, tmp_path: Path) -> None:
    psu = run_instrument("psu", Supply, start=1.0, poll={"voltage": 0.02}, history=tmp_path / "lab.sqlite")
    assert wait_condition(lambda: len(psu.history("voltage")) >= 3)
    rows = psu.history("voltage", limit=2)
    assert [row.value for row in rows] == [1.0, 1.0]
    assert rows[0].unit == "V"
    assert rows[0].timestamp < rows[1].timestamp
    assert psu.history("voltage", stop=rows[0].timestamp - 3600) == []
    with pytest.raises(UnknownParameterError):
        psu.history("voltgae")
    psu.shutdown()


def test_the_end_is_safe_and_the_process_is_lean(ns: NSProxy, tmp_path: Path) -> None:
    mark = tmp_path / "off"
    psu = run_instrument("psu", "tests.instruments.drivers.plain:Marked", str(mark), poll=0.02)
    assert psu.on is True
    heavy = ("yaml", "pydantic", "sqlalchemy", "pyvisa", "pint", "numpy", "rich", "typer")
    assert psu.execute_as_function(lambda: [name for name in heavy if name in __import__("sys").modules]) == []
    assert not mark.exists()
    psu.shutdown()
    assert wait_condition(mark.exists)


def test_without_keys_plain_values_travel(ns: NSProxy) -> None:
    ns.shutdown()
    config["SECURITY"] = "none"
    plain = run_nameserver()
    psu = run_instrument("psu", "tests.instruments.drivers.plain:Marked", "", poll=0.02)
    assert psu.get("on").value is True
    with psu.lock(), psu.watch(timeout=5.0) as readings:
        assert next(readings).name == "on"
    assert psu["on"].read()["psu_on"]["value"] is True
    with pytest.raises(UnknownParameterError):
        _ = psu["no"]
    plain.shutdown()
