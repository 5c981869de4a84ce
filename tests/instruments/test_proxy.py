"""What an instrument's proxy makes of names, without any agent."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from agentlab.errors import CommunicationError, DeadlockError, LimitError, LockedError, OfflineError, UnknownParameterError
from agentlab.instruments.client.proxy import InstrumentProxy
from agentlab.instruments.client.remote import portable
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.serving.identity import driving
from tests.instruments.fakes import PSU, FakeCaller, fake_proxy


@pytest.fixture
def made() -> tuple[InstrumentProxy, FakeCaller]:
    return fake_proxy()


def test_parameters_are_attributes(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    assert psu.voltage == 1.5
    psu.voltage = "3 V"
    assert caller.values["voltage"] == 3.0
    assert psu.get("voltage") == Reading(3.0, "V", 1000.0, name="voltage")
    assert psu.snapshot()["voltage"].unit == "V"
    assert caller.asked("describe") == 1  # learnt once
    with pytest.raises(LimitError, match="0 to 30 V"):
        psu.voltage = 31


def test_completion_gives_what_the_instrument_has(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    caller.do_describe = lambda: {**PSU.to_dict(), "methods": ["tuned"]}  # type: ignore[method-assign]
    names = dir(psu)
    assert {"voltage", "zero", "ch_1", "tuned", "get", "snapshot", "lock", "future"} <= set(names)
    assert not any(name.startswith("_") or "." in name for name in names)
    assert not {"kill", "emit", "publish", "addr", "get_attr"} & set(names)

    def away() -> Any:
        raise CommunicationError("gone")

    caller.do_describe = away  # type: ignore[method-assign]
    assert "snapshot" in dir(psu)


@pytest.mark.parametrize(
    ("reading", "spec", "text"),
    [
        (Reading(1.23456, "V"), ".2f", "1.23"),
        (Reading(1.23456, "V"), "", "1.23456 V"),
        (Reading(1.5, "V", quality="stale"), "", "1.5 V (stale)"),
        (Reading(7, "counts"), ">4d", "   7"),
        (Reading("CV"), ">4", "  CV"),
    ],
)
def test_a_reading_is_formatted_as_its_value(reading: Reading, spec: str, text: str) -> None:
    assert format(reading, spec) == text


def test_a_typo_names_the_nearest(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, _ = made
    with pytest.raises(UnknownParameterError, match="'voltage'"):
        _ = psu["voltgae"]
    with pytest.raises(AttributeError, match="'voltage'"):
        _ = psu.voltgae
    with pytest.raises(UnknownParameterError, match="is an action"):
        _ = psu["zero"]
    with pytest.raises(AttributeError, match="no parameter but its action"):
        psu.zero = 1


def test_names_of_the_proxys_own_are_had_otherwise(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    with pytest.raises(AttributeError, match=r"set\('timeout', ...\)"):
        psu.timeout = 3  # type: ignore[method-assign, assignment]
    psu.set("timeout", 3)
    assert psu["timeout"].value == 3.0
    assert psu.call("reset", 1, hard=True) == ["reset", [1], {"hard": True}]
    assert caller.calls[-1] == ("call", ("reset", 1), {"hard": True})


def test_the_life_of_the_agent_is_no_matter_of_the_driver(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    psu.shutdown()
    assert [method for method, _, _ in caller.calls] == ["shutdown"]  # nobody who may be frozen is asked what it has
    assert psu.call("shutdown") == ["shutdown", [], {}]


def test_actions_and_channels(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    assert psu.zero(slowly=True) == ["zero", [], {"slowly": True}]
    assert psu.ch_1.voltage == 0.25
    psu.ch_1.voltage = 0.5
    assert caller.values["ch_1.voltage"] == 0.5
    assert psu.ch_1.trigger() == ["ch_1.trigger", [], {}]
    assert psu.ch_1["voltage"].path == "psu.ch_1.voltage"
    assert dir(psu.ch_1) == ["trigger", "voltage"]
    with pytest.raises(UnknownParameterError):
        psu.ch_1.voltgae = 1


def test_every_flavour(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    assert psu.future.get("voltage").result(5.0).value == 1.5
    assert psu.future.voltage.result(5.0) == 1.5
    assert psu.future.zero().result(5.0)[0] == "zero"

    async def ask() -> Any:
        return await psu.aio.voltage, await psu.aio.zero()

    assert asyncio.run(ask()) == (1.5, ["zero", [], {}])
    psu.oneway.voltage = 2
    assert caller.casts == ["set"]
    with pytest.raises(AttributeError, match="who would wait"):
        psu.future.voltage = 2
    assert psu.timeout(2.0).voltage == 2.0
    assert caller.limits[-1] == 2.0


def test_a_driver_that_asks_its_own_instrument_is_told(
    made: tuple[InstrumentProxy, FakeCaller], monkeypatch: pytest.MonkeyPatch
) -> None:
    psu, caller = made
    monkeypatch.setattr(driving, "uri", caller.uri)
    for ask in (lambda: psu.voltage, lambda: psu.set("voltage", 1), psu.zero, lambda: psu.snapshot(refresh=True)):
        with pytest.raises(DeadlockError, match="of its own instrument"):
            ask()
    assert psu.snapshot()["voltage"].value == 1.5


def test_safe_is_a_view_and_a_deed(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    assert psu.safe.voltage == 1.5
    psu.safe("enough")
    assert caller.calls[-1] == ("make_safe", ("enough", False), {})
    assert not callable(psu)
    assert isinstance(psu.safe, InstrumentProxy)


def test_views_are_one_client_and_other_proxies_others(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    _ = psu.timeout(1.0).voltage
    assert caller.note is not None
    mine = caller.note(None)
    assert mine["token"] is None
    with psu.lock(reason="calibration") as own:
        assert caller.note(None)["token"] == own.token == "t0ken"
        assert caller.note(None)["client"] == mine["client"]
        assert psu.future.lock() is own  # it is held already
    assert caller.note(None)["token"] is None
    assert caller.asked("unlock") == 1
    other, theirs = fake_proxy()
    _ = other.voltage
    assert theirs.note is not None
    assert theirs.note(None)["client"] != mine["client"]


def test_a_lock_in_vain_leaves_nothing(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    with pytest.raises(LockedError) as caught:
        psu.lock(reason="in vain")
    assert caught.value.owner == "Bob"
    assert caller.note is not None
    assert caller.note(None)["token"] is None


def test_who_has_lost_a_lock_cannot_write_by_mistake(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, caller = made
    own = psu.lock()
    own._lose("it was broken")
    before = caller.asked("set"), caller.asked("call")
    for write in (lambda: psu.set("voltage", 1), psu.zero, lambda: setattr(psu, "voltage", 2)):
        with pytest.raises(LockedError, match="it was broken"):
            write()
    assert (caller.asked("set"), caller.asked("call")) == before
    assert psu.voltage == 1.5
    own.release()
    psu.voltage = 2


def test_waiting_for_a_device_that_is_away(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    with pytest.raises(OfflineError, match="'psu' is offline after 0 s: unplugged"):
        made[0].wait_online(0)


def test_handles_iteration_and_pickles(made: tuple[InstrumentProxy, FakeCaller]) -> None:
    psu, _ = made
    assert "voltage" in psu
    assert "zero" not in psu
    assert list(psu)[:2] == ["voltage", "current"]
    again = pickle.loads(pickle.dumps(psu.timeout(3.0)))
    assert type(again) is InstrumentProxy
    assert again == psu
    handle = pickle.loads(pickle.dumps(psu["voltage"]))
    assert handle == psu["voltage"]
    assert handle.unit == "V"


def test_what_travels_needs_no_library_over_there() -> None:
    numpy = pytest.importorskip("numpy")
    pint = pytest.importorskip("pint")
    assert type(portable(numpy.float64(1.5))) is float
    assert type(portable(numpy.int16(3))) is int
    assert portable(pint.UnitRegistry().Quantity(5, "mV")) == "5 millivolt"
    assert portable("5 mV") == "5 mV"
