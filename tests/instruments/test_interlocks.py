"""Interlock rules: what they say, and when they are violated."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import DriverError
from agentlab.instruments.engine.interlocks import Condition, parse_interlock
from agentlab.instruments.model.reading import Reading


def of(value, unit="K", *, at=100.0, quality="good"):
    return Reading(value, unit, at, quality, "temperature")


def test_a_rule_is_read():
    rule = parse_interlock("  stage.temperature > 320 K -> heater.safe() ")
    assert rule.text == "stage.temperature > 320 K -> heater.safe()"
    assert (rule.source, rule.parameter, rule.op, rule.threshold, rule.unit) == ("stage", "temperature", ">", 320.0, "K")
    assert (rule.target, rule.what, rule.sets) == ("heater", "safe", False)


@pytest.mark.parametrize(
    ("text", "threshold", "unit"),
    [
        ("a.b > 3 -> c.d()", 3.0, ""),
        ("a.b>=-1.5e-3mbar->c.d()", -0.0015, "mbar"),
        ("a.b == on -> c.d()", True, ""),
        ("a.b != False -> c.d()", False, ""),
        ("a.b == closed -> c.d()", "closed", ""),
        ("a.b == 'not > ok and -> bad' -> c.d()", "not > ok and -> bad", ""),
        ("a.ch_1.b < 3 V -> c.d()", 3.0, "V"),
        ("hot-plate.b < 20 degC -> c.d()", 20.0, "degC"),
    ],
)
def test_thresholds_are_numbers_with_units_switches_or_texts(text, threshold, unit):
    rule = parse_interlock(text)
    assert (rule.threshold, rule.unit) == (threshold, unit)


@pytest.mark.parametrize(
    ("deed", "what", "value", "sets"),
    [
        ("heater.safe()", "safe", None, False),
        ("heater.ch_1.off ( )", "ch_1.off", None, False),
        ("heater.output = off", "output", False, True),
        ("heater.power = 5 mW", "power", "5.0 mW", True),
        ("heater.power = 0", "power", 0.0, True),
        ("heater.mode = 'cool down'", "mode", "cool down", True),
    ],
)
def test_a_rule_makes_safe_calls_or_sets(deed, what, value, sets):
    rule = parse_interlock(f"a.b > 3 -> {deed}")
    assert (rule.target, rule.what, rule.value, rule.sets) == ("heater", what, value, sets)


def test_conditions_are_joined_by_and_or_or():
    rule = parse_interlock("a.b > 3 and c.d < 1 bar and e.f == on -> g.safe()")
    assert rule.join == "and"
    assert rule.sources() == {("a", "b"), ("c", "d"), ("e", "f")}
    assert parse_interlock("a.b > 3 or c.d < 1 -> g.safe()").join == "or"


@pytest.mark.parametrize(
    ("text", "place", "wanted"),
    [
        ("", 1, "an arrow"),
        ("a.b > 3", 8, "an arrow"),
        ("temperature > 3 -> c.d()", 1, "an instrument and its parameter"),
        ("a.b 3 -> c.d()", 5, "one of >, >=, <, <=, ==, !="),
        ("a.b = 3 -> c.d()", 5, "one of"),
        ("a.b > -> c.d()", 7, "a value"),
        ("a.b > 3 + 4 K/ -> ", 19, "an instrument and what it does"),
        ("a.b > hot -> c.d()", 5, "== or !="),
        ("a.b > 3 -> heater", 12, "an instrument and what it does"),
        ("a.b > 3 -> c.d", 15, "'()' after an action"),
        ("a.b > 3 -> c.d(1)", 15, "'()' after an action"),
        ("a.b > 3 -> c.d =", 17, "a value"),
        ("a.b > 3 and c.d > 4 or e.f > 5 -> c.d()", 21, "'and' again"),
        ("a.b > 3 and -> c.d()", 13, "an instrument and its parameter"),
        ("a.b == ?! -> c.d()", 8, "a number with a unit"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(text, place, wanted):
    with pytest.raises(DriverError) as caught:
        parse_interlock(text)
    assert f"at character {place} there should be" in str(caught.value)
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ab.->=<!' \"and or320K()_", max_size=40))
def test_any_text_is_a_rule_or_an_error_of_ours(text):
    try:
        rule = parse_interlock(text)
    except DriverError:
        return
    assert rule.conditions
    assert parse_interlock(rule.text) == rule


@pytest.mark.parametrize(
    ("value", "violated"),
    [(320.0, False), (320.0001, True), (319.9, False), (math.inf, True), (math.nan, True), (-math.inf, False)],
)
def test_a_comparison_violates_beyond_its_threshold_and_nan_always(value, violated):
    rule = parse_interlock("stage.temperature > 320 K -> heater.safe()")
    assert bool(rule.violated(of(value), 100.0, 2.0)) is violated


def test_units_are_converted_with_their_offsets():
    rule = parse_interlock("stage.temperature > 47 degC -> heater.safe()")
    assert rule.violated(of(320.0), 100.0, 2.0) == ""
    assert rule.violated(of(320.2), 100.0, 2.0) == "stage.temperature is 320.2 K, > 47 degC"


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (None, "stage.temperature has no reading"),
        (of(None, quality="bad"), "stage.temperature has no reading"),
        (of(300.0, quality="bad"), "the reading of stage.temperature is bad"),
        (of(300.0, quality="stale"), "the reading of stage.temperature is stale"),
        (of(300.0, at=97.9), "the reading of stage.temperature is 2.1 s old, more than 2 s"),
        (of("300"), "stage.temperature is 300, which cannot be compared with 320"),
        (of(True), "stage.temperature is True, which cannot be compared with 320"),
        (of(300.0, "V"), "stage.temperature: 'K' cannot be converted"),
        (of(300.0, ""), "stage.temperature: 'K'"),
    ],
)
def test_what_is_not_known_to_be_in_order_is_a_violation(reading, why):
    rule = parse_interlock("stage.temperature > 320 K -> heater.safe()")
    assert rule.violated(reading, 100.0, 2.0).startswith(why)
    for op in ("<", "==", "!="):  # whichever way it is compared
        assert Condition("stage", "temperature", op, 320.0, "K").violated(reading, 100.0, 2.0)


def test_a_reading_of_exactly_the_greatest_age_still_counts():
    rule = parse_interlock("stage.temperature > 320 K -> heater.safe()")
    assert rule.violated(of(300.0, at=98.0), 100.0, 2.0) == ""


def test_switches_and_texts_are_compared_with_their_own_kind():
    door = parse_interlock("door.open == true -> laser.safe()")
    assert door.violated(of(True, ""), 100.0, 2.0)
    assert door.violated(of(1, ""), 100.0, 2.0)
    assert not door.violated(of(False, ""), 100.0, 2.0)
    assert door.violated(of("closed", ""), 100.0, 2.0)
    mode = parse_interlock("pump.mode != running -> laser.safe()")
    assert not mode.violated(of("running", ""), 100.0, 2.0)
    assert mode.violated(of("stopped", ""), 100.0, 2.0)
    assert mode.violated(of(3, ""), 100.0, 2.0)


@pytest.mark.parametrize(("join", "values", "violated"), [
    ("and", (4, 4), True), ("and", (4, 2), False), ("and", (4, None), True), ("and", (2, None), False),
    ("or", (2, 4), True), ("or", (2, 2), False), ("or", (2, None), True),
])  # fmt: skip
def test_and_needs_both_or_one_and_what_is_unknown_counts_as_met(join, values, violated):
    rule = parse_interlock(f"a.b > 3 {join} c.d > 3 -> e.safe()")
    known = dict(zip(("a", "c"), values, strict=True))

    def look(source, _parameter):
        return (None if known[source] is None else of(known[source], "")), 2.0

    assert bool(rule.violated_by(look, 100.0)) is violated
