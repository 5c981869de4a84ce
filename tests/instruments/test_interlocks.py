"""Interlock rules: what they say, and when they are violated."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.errors import DriverError
from agentlab.instruments.engine.interlocks import LEAST_AGE, Condition, interlock_text, parse_interlock
from agentlab.instruments.model.reading import Reading


def of(value, unit="K", *, at=100.0, quality="good"):
    return Reading(value, unit, at, quality, "temperature")


def test_a_rule_is_read():
    rule = parse_interlock("  stage.temperature > 320 K -> heater.safe() ")
    assert rule.text == "stage.temperature > 320 K -> heater.safe()"
    assert rule.conditions == (Condition("stage", "temperature", ">", 320.0, "K"),)
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
    (condition,) = parse_interlock(text).conditions
    assert (condition.threshold, condition.unit) == (threshold, unit)


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


@pytest.mark.parametrize("given", [{"when": "a.b > 1", "then": "c.d()"}, 5, None])
def test_what_is_no_text_is_no_rule(given):
    with pytest.raises(DriverError, match=r"an interlock is a text such as 'stage\.temperature > 320 K -> .*', not"):
        parse_interlock(given)


@given(st.text(alphabet="ab.->=<!' \"and or320K()_,max_age s", max_size=40))
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
    assert bool(rule.conditions[0].violated(of(value), 100.0, 2.0)) is violated


def test_units_are_converted_with_their_offsets():
    rule = parse_interlock("stage.temperature > 47 degC -> heater.safe()")
    assert rule.conditions[0].violated(of(320.0), 100.0, 2.0) == ""
    assert rule.conditions[0].violated(of(320.2), 100.0, 2.0) == "stage.temperature is 320.2 K, > 47 degC"


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
    assert rule.conditions[0].violated(reading, 100.0, 2.0).startswith(why)
    for op in ("<", "==", "!="):  # whichever way it is compared
        assert Condition("stage", "temperature", op, 320.0, "K").violated(reading, 100.0, 2.0)


def test_a_reading_of_exactly_the_greatest_age_still_counts():
    rule = parse_interlock("stage.temperature > 320 K -> heater.safe()")
    assert rule.conditions[0].violated(of(300.0, at=98.0), 100.0, 2.0) == ""


def test_switches_and_texts_are_compared_with_their_own_kind():
    door = parse_interlock("door.open == true -> laser.safe()")
    assert door.conditions[0].violated(of(True, ""), 100.0, 2.0)
    assert door.conditions[0].violated(of(1, ""), 100.0, 2.0)
    assert not door.conditions[0].violated(of(False, ""), 100.0, 2.0)
    assert door.conditions[0].violated(of("closed", ""), 100.0, 2.0)
    mode = parse_interlock("pump.mode != running -> laser.safe()")
    assert not mode.conditions[0].violated(of("running", ""), 100.0, 2.0)
    assert mode.conditions[0].violated(of("stopped", ""), 100.0, 2.0)
    assert mode.conditions[0].violated(of(3, ""), 100.0, 2.0)


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


@pytest.mark.parametrize(("text", "seconds"), [
    ("a.b > 3 -> c.d()", None), ("a.b > 3 K, max_age 10 s -> c.d()", 10.0), ("a.b > 3 max_age 10->c.d()", 10.0),
    ("a.b > 3 K ,  max_age 500 ms -> c.safe()", 0.5), ("a.b == low or c.d < 1, max_age 2 min -> c.d = 1", 120.0),
    ("a.max_age > 3 s -> c.d()", None), ("a.b == 'x, max_age 3 s' -> c.d()", None),
])  # fmt: skip
def test_a_rule_may_say_how_old_its_readings_may_be(text, seconds):
    rule = parse_interlock(text)
    assert rule.max_age == seconds
    assert rule.age(0.1) == (LEAST_AGE if seconds is None else seconds)
    assert rule.age(30.0) == (90.0 if seconds is None else seconds)
    assert "max_age" not in str(rule.conditions[0].threshold) or seconds is None


@pytest.mark.parametrize(("text", "place", "wanted"), [
    ("a.b > 3, max_age -> c.d()", 18, "a time above 0"), ("a.b > 3, max_age 0 s -> c.d()", 18, "a time above 0"),
    ("a.b > 3, max_age -1 s -> c.d()", 18, "a time above 0"), ("a.b > 3, max_age 3 K -> c.d()", 18, "a time above 0"),
    ("a.b > 3, max_age 2 day -> c.d()", 18, "at most 86400 s"), ("a.b > 3, max_age inf -> c.d()", 18, "a time above 0"),
    ("a.b > 3, max_age 1 s or c.d < 1 -> c.d()", 22, "max_age stands once, behind the conditions"),
    ("a.b > 3, max_age 1 s, max_age 2 s -> c.d()", 21, "max_age stands once"),
    ("max_age 3 s -> c.d()", 1, "an instrument and its parameter"), ("a.b > max_age 3 s -> c.d()", 6, "a value"),
])  # fmt: skip
def test_an_age_that_is_none_is_refused_with_its_place(text, place, wanted):
    with pytest.raises(DriverError) as caught:
        parse_interlock(text)
    assert f"at character {place} there should be" in str(caught.value)
    assert wanted in str(caught.value)


def test_the_age_of_a_rule_counts_for_all_its_readings():
    rule = parse_interlock("a.b > 3 or c.d > 3, max_age 10 s -> e.safe()")
    ages = {"a": 91.0, "c": 99.0}  # the reading of a is nine seconds old

    def look(source, _parameter):
        return of(1, "", at=ages[source]), 0.1

    assert rule.violated_by(look, 100.0) == ""
    assert rule.violated_by(look, 101.5) == "the reading of a.b is 10.5 s old, more than 10 s"
    strict = parse_interlock("a.b > 3 or c.d > 3, max_age 0.5 s -> e.safe()")
    assert "c.d is 1 s old, more than 0.5 s" in strict.violated_by(look, 100.0)


@pytest.mark.parametrize(("parts", "text"), [
    ((" a.b > 3 ", "c.d() "), "a.b > 3 -> c.d()"), (("a.b > 3", "c.d()", 10), "a.b > 3, max_age 10 s -> c.d()"),
    (("a.b > 3", "c.d()", 0.5), "a.b > 3, max_age 0.5 s -> c.d()"),
    (("a.b > 3", "c.d()", "2 min"), "a.b > 3, max_age 2 min -> c.d()"),
    (("a.b == '->'", "c.d()"), "a.b == '->' -> c.d()"), (("a.b > 3, max_age 3 s", "c.d()"), "a.b > 3, max_age 3 s -> c.d()"),
])  # fmt: skip
def test_a_rule_in_parts_is_one_text(parts, text):
    assert interlock_text(*parts) == text
    assert parse_interlock(text).text == text


@pytest.mark.parametrize(("parts", "wanted"), [
    (("a.b > 3 -> e.f()", "c.d()"), "an arrow in when"), (("a.b > 3", "-> c.d()"), "an arrow in then"),
    (("a.b > 3, max_age 3 s", "c.d()", 3), "found max_age in when"),
])  # fmt: skip
def test_parts_that_say_it_twice_are_refused(parts, wanted):
    with pytest.raises(DriverError, match=wanted):
        interlock_text(*parts)
