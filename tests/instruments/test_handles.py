"""Handles of parameters and statuses, without any agent."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Self

import pytest

from agentlab.errors import CallTimeoutError, LimitError, OfflineError
from agentlab.instruments.client.handles import ParameterHandle
from agentlab.instruments.client.proxy import InstrumentProxy
from agentlab.instruments.client.status import Status
from agentlab.instruments.model.reading import Reading
from agentlab.testing.waiting import wait_condition
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


class FakeWatch:
    """What a watch is to its subscribers: readings that the test puts, and errors."""

    def __init__(self) -> None:
        self.came: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[Reading]:
        while (one := self.came.get(timeout=10.0)) is not None:
            if isinstance(one, Exception):
                raise one
            yield one

    def stop(self) -> None:
        self.came.put(None)


@pytest.fixture
def watched(made: tuple[InstrumentProxy, FakeCaller], monkeypatch: pytest.MonkeyPatch) -> tuple[ParameterHandle, list[FakeWatch]]:
    watches: list[FakeWatch] = []

    def watch(_proxy: InstrumentProxy, *_names: str) -> FakeWatch:
        watches.append(FakeWatch())
        return watches[-1]

    monkeypatch.setattr(InstrumentProxy, "watch", watch)
    return made[0]["voltage"], watches


def test_a_subscriber_that_raises_deafens_nobody(
    watched: tuple[ParameterHandle, list[FakeWatch]], caplog: pytest.LogCaptureFixture
) -> None:
    voltage, watches = watched
    heard: list[float] = []

    def wrong(_row: Any) -> None:
        raise KeyError("voltage")

    def right(row: Any) -> None:
        heard.append(row["psu_voltage"]["value"])

    voltage.subscribe(wrong)
    voltage.subscribe(right)
    for value in (1.0, 2.0):
        watches[0].came.put(Reading(value))
    assert wait_condition(lambda: heard == [1.0, 2.0])
    assert "a subscriber of psu_voltage failed" in caplog.text
    voltage.clear_sub(wrong)
    voltage.clear_sub(right)
    assert voltage._listeners._thread is None


def test_a_watch_that_ends_by_itself_can_be_begun_anew(
    watched: tuple[ParameterHandle, list[FakeWatch]], caplog: pytest.LogCaptureFixture
) -> None:
    voltage, watches = watched
    heard: list[Any] = []
    voltage.subscribe(heard.append)
    watches[0].came.put(OfflineError("it went away"))
    assert wait_condition(lambda: voltage._listeners._thread is None)
    assert "it went away" in caplog.text
    voltage.subscribe(heard.append)
    watches[1].came.put(Reading(3.0))
    assert wait_condition(lambda: len(heard) == 1)
    voltage.clear_sub(heard.append)
