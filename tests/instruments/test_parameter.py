"""Parameters and readings: what may be set, what a reply may be."""

from __future__ import annotations

import enum
import itertools
import math
from decimal import Decimal

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import BadReplyError, DriverError, LimitError, UnitError, UnknownParameterError
from agentlab.instruments import InstrumentSpec, Parameter, Reading
from agentlab.instruments.model.reading import quality_of
from agentlab.instruments.model.table import Action, Table

VOLTAGE = Parameter("voltage", unit="V", minimum=0, maximum=30)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0),
        ("5 mV", 0.005),
        ("30000 mV", 30.0),
        ("7", 7.0),
        (Decimal("1.5"), 1.5),
        (np.float32(2), 2.0),
        (np.int64(3), 3.0),
        (0, 0.0),
        (30, 30.0),
    ],
)
def test_a_number_that_fits_is_given_as_a_plain_float(value, expected):
    found = VOLTAGE.check(value)
    assert found == expected and type(found) is float


@pytest.mark.parametrize(
    "value",
    [
        -0.001,
        30.0000001,
        "31 V",
        math.nan,
        math.inf,
        -math.inf,
        True,
        None,
        [1],
        {},
        b"3",
        "much",
        1j,
        np.bool_(True),
        np.array([3.0]),
        10**400,
    ],
)
def test_what_does_not_fit_is_refused_and_never_clamped(value):
    with pytest.raises(LimitError, match="voltage"):
        VOLTAGE.check(value)


def test_an_error_says_asked_found_and_what_may_be():
    with pytest.raises(LimitError, match=r"^voltage = 31 V is out of limits; it takes 0 to 30 V; nothing was sent$"):
        VOLTAGE.check(31)


@pytest.mark.parametrize("value", ["5 A", "5 qwertz", "3 mK"])
def test_a_unit_that_does_not_fit_is_refused(value):
    with pytest.raises(UnitError, match="voltage"):
        VOLTAGE.check(value)


def test_a_unit_for_a_parameter_without_one_is_refused():
    with pytest.raises(UnitError):
        Parameter("gain").check("5 V")


def test_a_quantity_of_pint_is_converted():
    import pint

    assert VOLTAGE.check(pint.UnitRegistry().Quantity(250, "millivolt")) == 0.25


@pytest.mark.parametrize(("value", "expected"), [(3, 3), (3.0, 3), ("4", 4), (np.uint8(7), 7)])
def test_whole_numbers(value, expected):
    found = Parameter("count", "int").check(value)
    assert found == expected and type(found) is int


@pytest.mark.parametrize("value", [3.5, "3.5", True, math.nan])
def test_what_is_not_whole_is_refused(value):
    with pytest.raises(LimitError):
        Parameter("count", "int").check(value)


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), (0, False), ("on", True), ("OFF", False), (1.0, True), (np.bool_(False), False)]
)
def test_switches(value, expected):
    assert Parameter("output", "bool").check(value) is expected


@pytest.mark.parametrize("value", [2, "maybe", None, ""])
def test_what_is_no_switch_is_refused(value):
    with pytest.raises(LimitError):
        Parameter("output", "bool").check(value)


def test_text_takes_text_alone():
    parameter = Parameter("label", "str")
    assert parameter.check("5 mV") == "5 mV"
    with pytest.raises(LimitError):
        parameter.check(5)


def test_each_number_of_an_array_is_held_to_the_limits():
    wave = Parameter("wave", "array", minimum=-1, maximum=1)
    given = np.linspace(-1, 1, 5)
    assert wave.check(given) is given
    assert wave.check((0, 1)) == [0, 1]
    for bad in (
        [0, 1.1],
        np.array([[0.0], [-2.0]]),
        [0, math.nan],
        np.array([math.nan]),
        "12",
        [True],
        3,
        {"a": 1},
        np.array(["a"]),
    ):
        with pytest.raises(LimitError):
            wave.check(bad)


class Speed(enum.Enum):
    SLOW = "slow"


def test_choices_are_met_by_value_text_or_quantity():
    assert Parameter("range", "any", choices=("auto", 10, 100)).check("10") == 10
    assert Parameter("range", "any", choices=("auto", 10)).check("AUTO") == "auto"
    assert Parameter("range", choices=(0.1, 1.0), unit="V").check("100 mV") == 0.1
    assert Parameter("speed", "str", choices=("slow", "fast")).check(Speed.SLOW) == "slow"
    for bad in (2, True, "automatic", None):
        with pytest.raises(LimitError, match="none of 'auto', 10"):
            Parameter("range", "any", choices=("auto", 10)).check(bad)


def test_a_choice_is_not_met_by_a_bool_that_equals_it():
    with pytest.raises(LimitError):
        Parameter("n", "any", choices=(0, 1)).check(True)


def test_nothing_slips_past_limits_because_no_type_was_said():
    level = Parameter("level", "any", unit="V", maximum=5)
    assert level.type == "float" and level.check("5 mV") == 0.005
    for bad in ("100", [100], None, "6 V"):
        with pytest.raises(LimitError):
            level.check(bad)
    free = Parameter("free", "any", unit="V")
    assert free.check("5 mV") == 0.005 and free.check("auto") == "auto" and free.check(None) is None


def test_what_is_only_read_cannot_be_set():
    with pytest.raises(LimitError, match="only read"):
        Parameter("power", writable=False).check(1)


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("float", "1.0", 1.0),
        ("float", " +1.500E-03\r\n", 0.0015),
        ("float", 3, 3.0),
        ("float", np.float64(2.5), 2.5),
        ("float", "9.9E37", math.inf),
        ("float", -9.9e37, -math.inf),
        ("int", "+3.00E+00", 3),
        ("int", 3.0, 3),
        ("bool", "1", True),
        ("bool", "OFF", False),
        ("bool", "+0.0", False),
        ("str", "ACME,1", "ACME,1"),
        ("array", "1,2.5, -3", [1, 2.5, -3]),
        ("array", [1, 2], [1, 2]),
    ],
)
def test_a_reply_that_fits(kind, raw, value):
    found = Parameter("x", kind).accept(raw)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("float", "HEWLETT-PACKARD,34401A"),
        ("float", ""),
        ("float", "1.0 V"),
        ("float", "1_000"),
        ("float", "nan"),
        ("float", None),
        ("float", True),
        ("float", b"1"),
        ("float", [1]),
        ("float", np.array([1.0, 2.0])),
        ("int", "3.5"),
        ("int", "9.9E999"),
        ("bool", "2"),
        ("bool", "ACME"),
        ("str", 3),
        ("str", b"ACME"),
        ("array", "1,,2"),
        ("array", "ACME,34401A,0"),
        ("array", 3),
        ("array", ["a"]),
    ],
)
def test_a_reply_of_another_type_is_an_error_and_never_a_value(kind, raw):
    with pytest.raises(BadReplyError, match="x is"):
        Parameter("x", kind).accept(raw)


def test_scpi_says_that_there_is_no_value_with_a_number():
    assert quality_of(Parameter("x").accept("9.91E37")) == "bad"
    assert quality_of(Parameter("x").accept("9.9E+37")) == "overload"
    assert quality_of(Parameter("x").accept("9.8E37")) == "good"


def test_a_text_that_is_no_choice_is_no_reply():
    mode = Parameter("mode", "str", choices=("CV", "CC"))
    assert mode.accept("CC") == "CC"
    with pytest.raises(BadReplyError, match="'CV', 'CC'"):
        mode.accept("ACME,Bench,0")


def test_a_long_reply_is_shortened_in_the_error():
    with pytest.raises(BadReplyError) as caught:
        Parameter("x").accept("A" * 100_000)
    assert len(str(caught.value)) < 200


@given(st.one_of(st.none(), st.text(), st.binary(), st.booleans(), st.floats(), st.integers(), st.lists(st.text())))
def test_whatever_comes_is_a_number_or_a_typed_error_of_one_line(raw):
    found = _outcome(VOLTAGE.accept, raw, BadReplyError)
    assert type(found) is float or "\n" not in str(found)
    found = _outcome(VOLTAGE.check, raw, (LimitError, UnitError))
    assert ("voltage" in str(found) and "\n" not in str(found)) if isinstance(found, Exception) else 0 <= found <= 30


def _outcome(function, value, errors):
    try:
        return function(value)
    except errors as error:
        return error


def test_a_ramp_ends_exactly_and_no_step_is_larger():
    ramp = Parameter("field", step=0.1)
    assert ramp.ramp(0, 0.25) == pytest.approx([0.1, 0.2, 0.25]) and ramp.ramp(0, 0.25)[-1] == 0.25
    assert ramp.ramp(0.3, 0) == pytest.approx([0.2, 0.1, 0])
    assert len(ramp.ramp(0, 0.3)) == 3
    assert ramp.ramp(1, 1) == [1] and ramp.ramp(None, 1) == [1] and ramp.ramp(math.nan, 1) == [1]
    assert VOLTAGE.ramp(0, 20) == [20]
    assert Parameter("n", "int", step=2).ramp(0, 5) == [2, 4, 5]
    with pytest.raises(LimitError, match="steps"):
        ramp.ramp(0, 1e9)


@given(st.floats(-100, 100), st.floats(-100, 100), st.floats(0.01, 50))
def test_any_ramp(start, value, step):
    ramp = [start, *Parameter("x", step=step).ramp(start, value)]
    assert ramp[-1] == value
    assert all(abs(b - a) <= step * (1 + 1e-6) for a, b in itertools.pairwise(ramp))


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "flaot"},
        {"minimum": 3, "maximum": 2},
        {"choices": ()},
        {"step": 0},
        {"step": -1},
        {"poll": 0},
        {"delay": -1},
        {"minimum": "0"},
        {"maximum": math.nan},
    ],
)
def test_a_parameter_that_cannot_be(wrong):
    with pytest.raises(DriverError, match="'x'"):
        Parameter("x", **wrong)


def test_tables_travel_as_plain_values():
    table = Table.of(
        "any",
        [VOLTAGE, Parameter("mode", "str", choices=("a", "b"), poll=1.0)],
        [Action("trigger", "Go.", [("count", 1, "1")], reads=True)],
        "Doc.",
        has_abort=True,
    )
    assert Table.from_dict(msgpack.unpackb(msgpack.packb(table.to_dict()))) == table
    assert Parameter.from_dict({"name": "x", "of a newer version": 1}) == Parameter("x")


def test_a_typo_names_the_nearest_over_parameters_and_actions():
    table = Table.of("any", [VOLTAGE], [Action("trigger")])
    with pytest.raises(UnknownParameterError, match="did you mean 'voltage'"):
        table.parameter("votlage")
    with pytest.raises(AttributeError, match="did you mean 'trigger'"):
        table.parameter("triger")
    with pytest.raises(UnknownParameterError, match=r"is an action.*trigger\(\.\.\.\)"):
        table.parameter("trigger")
    with pytest.raises(UnknownParameterError, match="is a parameter"):
        table.action("voltage")


def test_readings_say_value_unit_and_trust():
    reading = Reading(1.234, "V", 100.0, name="voltage", sequence=3)
    assert str(reading) == "1.234 V" and float(reading) == 1.234 and reading.is_good
    assert str(Reading(0.1 + 0.2, "V")) == "0.3 V" and str(Reading(True)) == "True" and str(Reading("CV")) == "CV"
    assert str(Reading(list(range(9)), "V")) == "[0, 1, 2, … 9 values] V"
    assert Reading.from_dict(msgpack.unpackb(msgpack.packb(reading.to_dict()))) == reading
    assert reading.aged(103.0, 1.0) is reading and reading.aged(1e9, None) is reading
    assert str(reading.aged(103.1, 1.0)) == "1.234 V (stale)"


def test_a_description_travels_and_is_checked():
    spec = InstrumentSpec(
        "psu", "mylab:Supply", "COM3", args=(1,), kwargs={"x": 2}, poll={"voltage": 1}, safe=["off"], interlocks=["a"]
    )
    again = InstrumentSpec.from_dict(msgpack.unpackb(msgpack.packb(spec.to_dict())))
    assert again == spec and again.positional() == ("COM3", 1)
    for wrong in (
        {"drivr": "a:b"},
        {"driver": "a:b"},
        {"name": "x", "driver": 3},
        {"name": "x", "driver": "a:b", "on_owner_lost": "sfae"},
        {"name": "x", "driver": "a:b", "owner_lease": 0},
        {"name": "x", "driver": "a:b", "history_days": 0},
        {"name": "x", "driver": "a:b", "history_days": True},
        {"name": "x", "driver": "a:b", "history_days": float("nan")},
        {"name": "x", "driver": "a:b", "poll": -1},
        {"name": "x", "driver": "a:b", "poll": {"v": "1"}},
        {"name": "x", "driver": "a:b", "safe": True},
    ):
        with pytest.raises(DriverError):
            InstrumentSpec.from_dict(wrong)


def test_a_whole_number_written_as_text_loses_no_digit():
    for kind in ("int", "float"):
        counter = Parameter("count", kind)
        assert counter.check("9007199254740993") == (9007199254740993 if kind == "int" else 9007199254740992.0)
        assert counter.check("1e20") == 10**20 and counter.check(" 12 ") == 12


def test_limits_are_told_to_their_last_digit():
    with pytest.raises(LimitError, match="10000001 Hz is out of limits; it takes at most 10000000.5 Hz;"):
        Parameter("f", unit="Hz", maximum=10_000_000.5).check(10_000_001)


def test_a_way_without_end_is_refused():
    with pytest.raises(LimitError, match="more than 100000"):
        Parameter("x", step=1).ramp(-1.7e308, 1.7e308)
