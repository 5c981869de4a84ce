"""An unmodified bluesky RunEngine scans instruments as they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from agentlab import NSProxy, Proxy, run_nameserver
from agentlab.errors import LimitError
from agentlab.instruments import InstrumentProxy, Range, Unit, run_instrument
from agentlab.testing.waiting import wait_condition

pytest.importorskip("bluesky")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


class Axis:
    """A stage of one axis."""

    def __init__(self) -> None:
        self._position = 0.0
        self.cancelled = False

    @property
    def position(self) -> Annotated[float, Unit("mm"), Range(-10, 10)]:
        """Where it is."""
        return self._position

    @position.setter
    def position(self, value: float) -> None:
        self._position = value


class Meter:
    """Measures what passes the axis, which it knows by a proxy."""

    def __init__(self, axis: str) -> None:
        self._axis = Proxy(axis)

    @property
    def power(self) -> Annotated[float, Unit("mW")]:
        """A peak at 2 mm."""
        return 1.0 / (1.0 + (float(self._axis.position) - 2.0) ** 2)

    @property
    def saturated(self) -> bool:
        """Whether the number is a lower bound."""
        return False


@pytest.fixture
def lab() -> Iterator[tuple[InstrumentProxy, InstrumentProxy]]:
    ns: NSProxy = run_nameserver()
    yield run_instrument("stage", Axis), run_instrument("meter", Meter, "stage", poll={"power": 0.02})
    ns.shutdown()


@pytest.fixture
def engine() -> Iterator[tuple[Any, list[tuple[str, dict[str, Any]]]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bluesky import RunEngine

        engine = RunEngine({}, context_managers=[])
        documents: list[tuple[str, dict[str, Any]]] = []
        engine.subscribe(lambda name, document: documents.append((name, document)))
        yield engine, documents
        engine.loop.call_soon_threadsafe(engine.loop.stop)
        engine._th.join(5.0)
        engine.loop.close()


def test_a_scan_over_two_instruments(lab: Any, engine: Any) -> None:
    import event_model
    from bluesky import plans

    stage, meter = lab
    run, documents = engine
    run(plans.scan([meter.readable("power", "saturated"), stage["position"]], stage["position"], 0.0, 4.0, 5))
    events = [document for name, document in documents if name == "event"]
    assert [event["data"]["stage_position"] for event in events] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert [event["data"]["meter_power"] for event in events] == [0.2, 0.5, 1.0, 0.5, 0.2]
    assert [event["data"]["meter_saturated"] for event in events] == [False] * 5
    descriptor = next(document for name, document in documents if name == "descriptor")
    assert descriptor["data_keys"]["meter_power"]["units"] == "mW"
    assert descriptor["hints"]["stage_position"] == {"fields": ["stage_position"]}
    assert next(document for name, document in documents if name == "stop")["exit_status"] == "success"
    for name, document in documents:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(document)


def test_what_bluesky_asks_of_devices(lab: Any, engine: Any) -> None:
    from bluesky import plans, protocols
    from bluesky.utils import FailedStatus

    stage, meter = lab
    run, documents = engine
    position, several = stage["position"], meter.readable()
    for protocol in ("Readable", "Movable", "Stageable", "Stoppable", "Subscribable", "Triggerable", "Locatable", "Checkable"):
        assert isinstance(position, getattr(protocols, protocol)), protocol
    for protocol in ("Readable", "Stageable", "Stoppable", "Triggerable", "HasHints", "HasParent"):
        assert isinstance(several, getattr(protocols, protocol)), protocol
    run(plans.rel_scan([meter["power"]], position, -1.0, 1.0, 3))  # it needs the position, and goes back to it
    assert position.value == 0.0
    with pytest.raises((LimitError, FailedStatus)):
        run(plans.scan([meter["power"]], position, 0.0, 20.0, 3))
    assert documents[-1][1]["exit_status"] == "fail"


def test_subscribing_to_published_readings(lab: Any) -> None:
    stage, meter = lab
    power = meter["power"]
    first: list[float] = []
    second: list[float] = []
    heard_first: Any = lambda row: first.append(row["meter_power"]["value"])  # noqa: E731 - two functions, to be removed again
    heard_second: Any = lambda row: second.append(row["meter_power"]["value"])  # noqa: E731
    power.subscribe(heard_first)
    power.subscribe(heard_second)
    stage.position = 2.0
    assert wait_condition(lambda: 1.0 in first and 1.0 in second)
    power.clear_sub(heard_first)
    power.clear_sub(heard_second)
    power.clear_sub(heard_second)
    assert power._listeners._thread is None
