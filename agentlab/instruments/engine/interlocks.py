"""Interlock rules: ``stage.temperature > 320 K -> heater.safe()``. Reading them and deciding them; pure.

A rule is carried out by the instrument on its right. Whatever is not known to be in order violates it: a reading that is
stale, bad, missing, of another unit or not comparable.

The grammar, with spaces wherever one likes::

    rule       condition { "and" condition | "or" condition } "->" what
    condition  instrument.parameter ( > | >= | < | <= | == | != ) value
    value      a number with or without a unit, true, false, on, off, a bare word, or a 'text in quotes'
    what       instrument.safe()  |  instrument.action()  |  instrument.parameter = value

``and`` and ``or`` do not stand in one rule: write two rules instead.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.errors import DriverError, UnitError
from agentlab.instruments.model.reading import Reading, value_text
from agentlab.instruments.model.units import convert, parse_quantity

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_NAME = r"[A-Za-z_][\w-]*"
_PLACE = re.compile(rf"({_NAME})\.({_NAME}(?:\.{_NAME})*)")
_OPERATOR = re.compile(r">=|<=|==|!=|>|<")
_JOIN = re.compile(r"\b(and|or)\b")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_CALL = re.compile(r"\(\s*\)\s*$")
_SET = re.compile(r"=(?!=)")
_WORDS: dict[str, Any] = {"true": True, "false": False, "on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: what must not be so.

    Args:
        source: The instrument that is read.
        parameter: Its parameter.
        op: ``>``, ``>=``, ``<``, ``<=``, ``==`` or ``!=``.
        threshold: A number, a bool or a text.
        unit: The threshold's unit; empty: the parameter's own.
    """

    source: str
    parameter: str
    op: str
    threshold: Any
    unit: str = ""

    def violated(self, reading: Reading | None, now: float, max_age: float) -> str:
        """Give why the condition must be taken as met; empty: it is not met.

        Args:
            reading: The last one, its `timestamp` on the same clock as `now`; None: there was none.
            now: Seconds since 1970.
            max_age: Seconds after which a reading is no knowledge any more.
        """
        place = f"{self.source}.{self.parameter}"
        if reading is None or reading.value is None:
            return f"{place} has no reading"
        if reading.quality not in {"good", "overload"}:
            return f"the reading of {place} is {reading.quality}"
        if now - reading.timestamp > max_age:
            return f"the reading of {place} is {now - reading.timestamp:.3g} s old, more than {max_age:g} s"
        try:
            threshold = self.threshold
            if self.unit and reading.unit != self.unit:
                threshold = convert(threshold, self.unit, reading.unit)
            if not _comparable(reading.value, threshold, self.op):
                return f"{place} is {value_text(reading.value)}, which cannot be compared with {value_text(self.threshold)}"
            met = _COMPARE[self.op](reading.value, threshold)
        except UnitError as error:
            return f"{place}: {error}"
        return f"{place} is {reading}, {self.op} {self._limit()}" if met else ""

    def _limit(self) -> str:
        return f"{value_text(self.threshold)} {self.unit}".rstrip()

    def __str__(self) -> str:
        return f"{self.source}.{self.parameter} {self.op} {self._limit()}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must not be so, and what is done then.

    Args:
        text: As it was written.
        conditions: One or more.
        join: ``and`` or ``or``; one condition alone has ``or``.
        target: The instrument that acts.
        what: ``safe``, an action's name, or the parameter that is set.
        value: What the parameter is set to; None: it is no set.
        sets: Whether a parameter is set.
    """

    text: str
    conditions: tuple[Condition, ...]
    join: str
    target: str
    what: str
    value: Any = None
    sets: bool = False

    @property
    def source(self) -> str:
        """The instrument of the first condition."""
        return self.conditions[0].source

    @property
    def parameter(self) -> str:
        """The parameter of the first condition."""
        return self.conditions[0].parameter

    @property
    def op(self) -> str:
        """How the first condition compares."""
        return self.conditions[0].op

    @property
    def threshold(self) -> Any:
        """What the first condition compares with."""
        return self.conditions[0].threshold

    @property
    def unit(self) -> str:
        """The unit of the first condition's threshold; empty: the parameter's own."""
        return self.conditions[0].unit

    @property
    def latches(self) -> bool:
        """Whether it demands the safe state, which is latched."""
        return self.what == "safe" and not self.sets

    def sources(self) -> set[tuple[str, str]]:
        """Give the instruments and parameters that it reads."""
        return {(one.source, one.parameter) for one in self.conditions}

    def violated(self, reading: Reading | None, now: float, max_age: float) -> str:
        """Give why the rule is violated by one reading, for a rule of one condition; empty: it is not. See :class:`Condition`."""
        return self.violated_by(lambda _source, _parameter: (reading, max_age), now)

    def violated_by(self, look: Callable[[str, str], tuple[Reading | None, float]], now: float) -> str:
        """Give why the rule is violated; empty: it is not.

        Args:
            look: Gives the last reading of an instrument's parameter, and how many seconds one stays knowledge.
            now: Seconds since 1970.
        """
        reasons = [one.violated((found := look(one.source, one.parameter))[0], now, found[1]) for one in self.conditions]
        if self.join == "and" and not all(reasons):
            return ""
        return "; ".join(reason for reason in reasons if reason)

    def __str__(self) -> str:
        return self.text


def parse_interlock(text: str) -> Rule:
    """Give a rule as it is written in a lab file.

    Raises:
        DriverError: it is none; the message tells the place, counted from 1.
    """
    masked = _QUOTED.sub(lambda found: "'" + "x" * (len(found[0]) - 2) + "'", text)  # what is quoted is no syntax
    arrow = masked.find("->")
    if arrow < 0:
        raise _wrong(text, len(text), "an arrow and what to do, such as '-> heater.safe()'")
    conditions, join = [], ""
    for start, end, word in _parts(masked, arrow):
        if join and word and word != join:
            raise _wrong(text, end, f"{join!r} again: 'and' and 'or' do not stand in one rule, write two")
        join = join or word
        conditions.append(_condition(text, masked, start, end))
    target, what, value, sets = _deed(text, arrow + 2)
    return Rule(text.strip(), tuple(conditions), join or "or", target, what, value, sets)


def _parts(masked: str, stop: int) -> Iterator[tuple[int, int, str]]:
    start = 0
    for found in _JOIN.finditer(masked, 0, stop):
        yield start, found.start(), found[1]
        start = found.end()
    yield start, stop, ""


def _condition(text: str, masked: str, start: int, end: int) -> Condition:
    start += len(text[start:end]) - len(text[start:end].lstrip())
    place = _PLACE.match(text, start, end)
    if place is None:
        raise _wrong(text, start, "an instrument and its parameter, such as 'stage.temperature'")
    at = place.end() + len(text[place.end() : end]) - len(text[place.end() : end].lstrip())
    compare = _OPERATOR.match(masked, at, end)
    if compare is None:
        raise _wrong(text, at, f"one of {', '.join(_COMPARE)}")
    threshold, unit = _value(text, compare.end(), end)
    if isinstance(threshold, (bool, str)) and compare[0] not in {"==", "!="}:
        raise _wrong(text, compare.start(), f"== or !=, for {threshold!r} is no number")
    return Condition(place[1], place[2], compare[0], threshold, unit)


def _deed(text: str, start: int) -> tuple[str, str, Any, bool]:
    start += len(text[start:]) - len(text[start:].lstrip())
    place = _PLACE.match(text, start)
    if place is None:
        raise _wrong(text, start, "an instrument and what it does, such as 'heater.safe()'")
    at = place.end() + len(text[place.end() :]) - len(text[place.end() :].lstrip())
    if _CALL.match(text, at):
        return place[1], place[2], None, False
    found = _SET.match(text, at)
    if found is None:
        raise _wrong(text, at, "'()' after an action, or '=' and a value after a parameter")
    value, unit = _value(text, found.end(), len(text))
    return place[1], place[2], f"{value} {unit}" if unit else value, True


def _value(text: str, start: int, end: int) -> tuple[Any, str]:
    written = text[start:end].strip()
    if not written:
        raise _wrong(text, end, "a value")
    if _QUOTED.fullmatch(written):
        return written[1:-1], ""
    if written.lower() in _WORDS:
        return _WORDS[written.lower()], ""
    try:
        return parse_quantity(written)
    except UnitError:
        if re.fullmatch(_NAME, written) is None:
            raise _wrong(text, start + 1, f"a number with a unit, true, false, or a text in quotes, not {written!r}") from None
        return written, ""


def _comparable(value: Any, threshold: Any, op: str) -> bool:
    if isinstance(threshold, str):
        return isinstance(value, str)
    if isinstance(value, bool) or isinstance(threshold, bool):
        return op in {"==", "!="} and value in (0, 1) and threshold in (0, 1)  # a switch: on and off, true and false, 1 and 0
    return isinstance(value, (int, float)) and value == value  # noqa: PLR0124 - NaN is nothing that could be compared


def _wrong(text: str, at: int, wanted: str) -> DriverError:
    return DriverError(f"interlock {text.strip()!r}: at character {min(at, len(text)) + 1} there should be {wanted}")
