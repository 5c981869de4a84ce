"""Handles of parameters and statuses, without any agent."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from agentlab.errors import CallTimeoutError, LimitError
from agentlab.instruments.client.proxy import InstrumentProxy
from agentlab.instruments.client.status import Status
from tests.instruments.fakes import FakeCaller, fake_proxy


@pytest.fixture
def made() -> tuple[InstrumentProxy, FakeCaller]:
    return fake_proxy()


def test_a_handle_reads_and_sets(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    voltage = psu["voltage"]
    assert (voltage.path, voltage.name, voltage.instrument, voltage.parameter, voltage.unit) == (
        "psu.voltage",
        "psu_voltage",
        "psu",
        "voltage",
        "V",
    )
    assert voltage.get().value == 1.5
    voltage.put(2.5)
    assert caller.values["voltage"] == voltage.value == voltage.position == 2.5
    voltage.value = 3
    assert caller.values["voltage"] == 3.0
    voltage.put(3, timeout=7.0, tolerance=0.1)
    assert caller.calls[-1] == ("set", ("voltage", 3), {"tolerance": 0.1, "timeout": 7.0})
    assert voltage.info.maximum == 30
    assert voltage == psu["voltage"]
    assert len({voltage, psu["voltage"]}) == 1
    assert voltage != psu["current"]


def test_checking_a_value_asks_nobody(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    voltage = psu["voltage"]
    asked = len(caller.calls)
    with pytest.raises(LimitError):
        voltage.check_value(31)
    voltage.check_value(30)
    assert len(caller.calls) == asked


def test_set_gives_a_status(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    status = psu["voltage"].set(4)
    status.wait(5.0)
    assert status.done
    assert status.success
    assert caller.values["voltage"] == 4.0
    failed = psu["voltage"].set(31)
    assert isinstance(failed.exception(5.0), LimitError)
    assert not failed.success
    with pytest.raises(LimitError):
        failed.wait()
    assert "failed" in repr(failed)


def test_a_status_calls_back_once_also_when_it_is_late() -> None:
    future: Future[Any] = Future()
    status = Status(future)
    called: list[Status] = []
    status.add_callback(called.append)
    with pytest.raises(CallTimeoutError):
        status.wait(0.0)
    with pytest.raises(TimeoutError):
        status.exception()
    assert called == []
    future.set_result(None)
    status.add_callback(called.append)
    assert called == [status, status]
    assert status.exception() is None


def test_what_events_say(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, _ = made
    assert psu["voltage"].read() == {"psu_voltage": {"value": 1.5, "timestamp": 1000.0}}
    row = psu["voltage"].describe()["psu_voltage"]
    assert row == {
        "source": "agentlab:psu.voltage",
        "dtype": "number",
        "shape": [],
        "units": "V",
        "limits": {"control": {"low": 0, "high": 30}},
    }
    assert psu["trace"].describe()["psu_trace"]["shape"] == [3]
    assert psu["mode"].describe()["psu_mode"]["choices"] == ["CC", "CV"]
    both = psu.readable("voltage", "trace")
    assert list(both.read()) == list(both.describe()) == ["psu_voltage", "psu_trace"]
    assert both.hints == {"fields": ["psu_voltage"]}
    assert both.name == "psu"
