"""Values, limits, descriptions and overrides as nobody should write them: refused in one line, and nothing comes through."""

from __future__ import annotations

import decimal
import math

import numpy as np
import pytest

from agentlab.errors import BadReplyError, DriverError, LimitError, UnitError
from agentlab.instruments import InstrumentSpec, Parameter
from agentlab.instruments.model.overrides import apply_overrides, prepared
from agentlab.instruments.model.table import Action, Table


class Bomb:
    """Explodes whatever it is asked."""

    def __getattr__(self, name):
        raise RuntimeError(f"boom\n{name}")


class FloatBomb:
    def __float__(self):
        raise ZeroDivisionError("boom")


class Sneaky(float):
    """Says that it is within all limits."""

    def __lt__(self, other):
        return False

    __gt__ = __lt__


class SneakyText(str):
    __slots__ = ()

    def __str__(self):
        return "off"


ODD = [
    None, Bomb(), FloatBomb(), decimal.Decimal("sNaN"), decimal.Decimal("NaN"), decimal.Decimal("1e400"), 10**400, -(10**400),
    "7" * 5000, "1e400", "1e400 mV", "5 V\nOUTP ON", "5 {0.__class__}", b"5", 5j, object(), len, {"a": 1}, {5},
    np.ma.masked, np.array(math.nan), np.datetime64("2020"), math.nan, math.inf, memoryview(b"1"), Sneaky(99), "٣٣", "1_0", "0x1",
    [math.nan], [None], [[1]], ["5 mV", "x"], np.array([math.inf]), np.array([object()]), np.ma.array([1.0], mask=[True]),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["float", "int", "array"])
@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_what_is_no_number_within_the_limits_never_reaches_the_driver(kind, value):
    parameter = Parameter("v", kind, "V", minimum=0, maximum=10)
    with pytest.raises((LimitError, UnitError)) as caught:
        parameter.check(value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    with pytest.raises((LimitError, UnitError)):
        Parameter("v", kind, "V", choices=(1, 2)).check(value)


@pytest.mark.parametrize(
    "value", [Bomb(), FloatBomb(), decimal.Decimal("sNaN"), 10**400, "7" * 5000, "1e400"], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("kind", ["float", "int", "array"])
def test_a_reply_that_explodes_or_that_no_float_can_hold_is_none(kind, value):
    with pytest.raises(BadReplyError) as caught:
        Parameter("v", kind, "V").accept([value] if kind == "array" and not isinstance(value, str) else value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("said", ["9.9E37", "-9.9E+37", "9.91E37", 9.9e37])
def test_an_overload_is_no_whole_number(said):
    with pytest.raises(BadReplyError, match="no value"):
        Parameter("counts", "int").accept(said)
    low, high, none, count = Parameter("trace", "array").accept("-9.9E37,9.9E37,9.91E37,5")
    assert (low, high, count) == (-math.inf, math.inf, 5) and math.isnan(none)


def test_a_text_of_another_class_is_the_text_that_it_holds():
    assert Parameter("mode", "str").check(SneakyText("on")) == "on"
    assert Parameter("mode", "str", choices=("on", "off")).check(SneakyText("on")) == "on"


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ({"minimum": "a"}, "give a number"),
        ({"minimum": math.nan}, "finite"),
        ({"minimum": 10**400}, "no float"),
        ({"step": math.inf}, "finite"),
        ({"delay": math.inf}, "finite"),
        ({"poll": math.inf}, "finite"),
        ({"type": "str", "maximum": 3}, "only numbers"),
        ({"type": "bool", "minimum": 0}, "only numbers"),
        ({"choices": (20, 30), "maximum": 10}, "no choice within"),
        ({"unit": 5}, "give text"),
        ({"doc": None}, "give text"),
        ({"type": ["float"]}, "has type"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(says, text):
    with pytest.raises(DriverError, match=text):
        Parameter("v", **says)


def test_limits_of_numpy_are_numbers():
    parameter = Parameter("v", minimum=np.int64(0), maximum=np.float32(5), delay=None)
    assert parameter.to_dict() == {"name": "v", "type": "float", "minimum": 0, "maximum": 5.0}
    assert type(parameter.minimum) is int and type(parameter.maximum) is float and parameter.delay == 0


def test_limits_hold_for_choices_too():
    narrowed = apply_overrides(Table.of("x", [Parameter("gain", "float", choices=(1, 10, 100))]), {"gain": {"max": 10}})
    assert narrowed.parameter("gain").check(10) == 10
    with pytest.raises(LimitError, match="out of limits"):
        narrowed.parameter("gain").check(100)


@pytest.mark.parametrize(
    ("says", "text"),
    [
        ({"unit": "no such unit"}, "is no unit"),
        ({"unit": "V**99999"}, "is no unit"),
        ({"choices": ["a", "b"]}, "choice 'a'.*takes a number"),
        ({"choices": [1, True]}, "choice True"),
        ({"type": "bool", "choices": [0, 5]}, "choice 5|only numbers"),
        ({"type": "str"}, "only numbers"),
        ({"readable": False, "poll": 1}, "cannot be read"),
        ({"readable": False, "writable": False}, "neither"),
        ({"min": 5, "minimum": 6}, "twice"),
        ({"min": "5 m"}, "measure different"),
        ({"max": ".nan"}, "no number"),
        ({"step": "-1 V"}, "above 0"),
    ],
)
def test_an_override_that_contradicts_itself_or_the_driver_is_refused(says, text):
    table = Table.of("x", [Parameter("voltage", unit="V", minimum=0, maximum=30)])
    with pytest.raises(DriverError, match=text) as caught:
        apply_overrides(table, {"voltage": says})
    assert "\n" not in str(caught.value)


def test_an_unusual_word_for_a_unit_is_taken():
    table = Table.of("x", [Parameter("n", unit="V")], [Action("go")])
    for unit in ("counts", "dBm", "rpm", "K/min", "°C", "%", "a.u."):
        assert apply_overrides(table, {"n": {"unit": unit}}).parameter("n").unit == unit


@pytest.mark.parametrize(
    "says",
    [
        {"name": 5}, {"name": ""}, {"driver": ""}, {"args": "abc"}, {"args": 5}, {"kwargs": [1]}, {"kwargs": {1: 2}},
        {"kwargs": "a"}, {"parameters": [1]}, {"parameters": "ab"}, {"parameters": {5: {}}}, {"interlocks": "stage > 3"},
        {"interlocks": 5}, {"interlocks": [5]}, {"poll": math.inf}, {"poll": [1]}, {"safe": 5}, {"safe": [5]}, {"safe": {5: 1}},
        {"owner_required": "no"}, {"history": 5}, {"timeout": math.inf}, {"ping": 5}, {"address": 5}, {"watchdog": math.inf},
    ],
    ids=str,
)  # fmt: skip
def test_a_description_of_an_instrument_with_a_wrong_value_is_refused(says):
    with pytest.raises(DriverError) as caught:
        InstrumentSpec(**{"name": "x", "driver": "a:B", **says})
    assert "\n" not in str(caught.value) and next(iter(says)) in str(caught.value)


def test_a_table_that_is_all_overridden_stays_whole():
    spec = InstrumentSpec("x", "a:B", parameters={"go": {"hidden": True}}, poll=1.0)
    table = prepared(Table.of("x", [Parameter("n"), Parameter("s", readable=False)], [Action("go")]), spec)
    assert list(table.actions) == [] and table.parameter("n").poll == 1.0 and table.parameter("s").poll is None
