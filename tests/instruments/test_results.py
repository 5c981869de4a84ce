"""What of a driver's results travels, and as what."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import sys
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from agentlab import NSProxy, RemoteError, run_nameserver
from agentlab.errors import DriverError
from agentlab.instruments import run_instrument
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.serving.results import told_readings, travelling
from agentlab.testing.waiting import wait_condition

VENDOR = "tests.instruments.drivers.vendor"


class Colour(enum.Enum):
    RED = 1
    ODD = object()


class Flag(enum.IntFlag):
    ON = 4


class Word(str):
    __slots__ = ()


class Rows(list[Any]):
    pass


class Point(NamedTuple):
    x: float
    y: Any


@dataclasses.dataclass
class Trace:
    name: str
    points: list[Any]


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


class Zone(dt.tzinfo):
    def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=2)

    def dst(self, _when: dt.datetime | None) -> None:
        return None

    def tzname(self, _when: dt.datetime | None) -> str:
        return "odd"


NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
AS_THEY_ARE = [
    *(None, True, 3, 2.5, 1j, "text", b"bytes", bytearray(b"x"), range(3)),
    *([1, [2.0, ("a", None)]], (1, 2), {1, 2}, frozenset("a"), {"a": {1: [2]}}, collections.deque([1])),
    *(NOON, NOON.replace(tzinfo=zoneinfo.ZoneInfo("UTC")), dt.date(2026, 1, 1), dt.timedelta(1), dt.time(1)),
    *(decimal.Decimal("1.5"), fractions.Fraction(1, 3), pathlib.Path("a"), uuid.UUID(int=1), Reading(1.0, "V")),
]


@pytest.mark.parametrize("value", AS_THEY_ARE, ids=repr)
def test_plain_things_travel_as_they_are(value: Any) -> None:
    found = travelling(value, "it")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (Colour.RED, 1),
        (Colour.ODD, "ODD"),
        (Flag.ON, 4),
        (Word("x"), "x"),
        (Rows([1, Word("x")]), [1, "x"]),
        (Point(1.0, Colour.RED), (1.0, 1)),
        (Trace("t", [Point(1.0, 2.0)]), {"name": "t", "points": [(1.0, 2.0)]}),
        (collections.OrderedDict(a=Colour.RED), {"a": 1}),
        (memoryview(b"x"), b"x"),
        (NOON.replace(tzinfo=Zone()), NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=2)))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_built_on_plain_things_travels_as_these(value: Any, found: Any) -> None:
    made = travelling(value, "it")
    assert made == found
    assert type(made) is type(found)
    assert getattr(made, "tzinfo", None) is None or type(made.tzinfo) is dt.timezone


def test_what_numpy_and_pint_have_travels() -> None:
    numpy, pint = pytest.importorskip("numpy"), pytest.importorskip("pint")
    array = numpy.arange(3.0)
    assert travelling([array], "it")[0] is array
    assert type(travelling(numpy.float32(1), "it")) is numpy.float32
    assert travelling(numpy.array([1, Colour.RED], dtype=object), "it") == [1, 1]
    assert travelling(numpy.ma.masked_array([1, 2], [0, 1]), "it").mask.tolist() == [False, True]
    quantity = pint.UnitRegistry().Quantity(5, "mV")
    assert travelling(quantity, "it") is quantity
    with pytest.raises(DriverError, match="dtype"):
        travelling(array.dtype, "it")


class Session:
    pass


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Session(), r"test_results\.Session, which callers would have to import"),
        ([1, {"a": Session()}], r"test_results\.Session"),
        (Session, r"the class .*Session"),
        (lambda: 1, "of type function"),
        ((n for n in range(3)), "of type generator"),
        (sys, "of type module"),
        (ValueError("x"), "of type ValueError"),
        (LOOP, "nested too deeply"),
        (Trace("t", [Session()]), "Session"),
        ({Frozen(1)}, "cannot be made plain"),
    ],
)
def test_all_else_is_refused_in_one_line_with_the_cure(value: Any, named: str) -> None:
    with pytest.raises(DriverError, match=named) as caught:
        travelling(value, "the result of scan()")
    assert str(caught.value).startswith("the result of scan() ")
    assert "give plain values" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_value_that_does_not_travel_leaves_the_others_readable() -> None:
    found = told_readings({"a": Reading(1.0, "V", name="a"), "b": Reading(Session(), name="b")})
    assert found["a"]["value"] == 1.0
    assert (found["b"]["value"], found["b"]["quality"]) == (None, "bad")


@pytest.fixture
def ns() -> Iterator[NSProxy]:
    ns = run_nameserver()
    yield ns
    ns.shutdown()


def test_nothing_of_a_vendor_is_imported_by_the_caller(ns: NSProxy) -> None:
    stage = run_instrument("stage", f"{VENDOR}:Stage", poll={"session": 0.02})
    assert stage.mode == "slow"
    assert stage.scan() == {"points": [1.0, 2.0], "mode": "FAST"}
    with pytest.raises(DriverError, match=r"open\(\) was carried out, and its result is of type .*vendor\.Session"):
        stage.open()
    assert stage.moves == 1
    with stage.watch("session", timeout=5.0) as readings:
        assert next(readings).quality == "good"
        stage.keep()
        assert wait_condition(lambda: next(readings).quality == "bad")
    with pytest.raises(DriverError, match="Session"):
        stage.get("session")
    assert stage.snapshot()["session"].value is None
    with pytest.raises(ValueError, match="the stage is stuck") as caught:
        stage.fail()
    assert isinstance(caught.value, RemoteError)
    assert caught.value.type_name == f"{VENDOR}.StageError"
    assert "in fail" in caught.value.remote_traceback
    with pytest.raises(ValueError, match="Session"):
        stage.fail_with()
    assert VENDOR not in sys.modules
    stage.shutdown()
