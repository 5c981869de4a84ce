"""Interlock rules: ``stage.temperature > 320 K -> heater.safe()``. Reading them and deciding them; pure.

A rule is carried out by the instrument on its right. Whatever is not known to be in order violates it: a reading that is
stale, bad, missing, of another unit or not comparable.

The grammar, with spaces wherever one likes::

    rule       condition { "and" condition | "or" condition } [ "," "max_age" time ] "->" what
    condition  instrument.parameter ( > | >= | < | <= | == | != ) value
    value      a number with or without a unit, true, false, on, off, a bare word, or a 'text in quotes'
    time       a number of seconds, or one with a unit: 10 s
    what       instrument.safe()  |  instrument.action()  |  instrument.parameter = value

``and`` and ``or`` do not stand in one rule: write two rules instead. ``max_age`` holds for all readings of its rule.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.errors import DriverError, UnitError
from agentlab.instruments.model.reading import STALE_PERIODS, Reading, value_text
from agentlab.instruments.model.units import convert, parse_quantity
from agentlab.instruments.model.values import shown

LEAST_AGE = 2.0
"""Seconds after which a reading is no knowledge any more, at least, where the rule does not say it."""
LONGEST_AGE = 86400.0
"""Seconds; a rule that believes older readings protects nothing."""
_TIMES = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}  # nobody need load pint for these

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
_AGE = re.compile(r"(?:\s*,\s*|\s+)max_age(?![\w.-])")  # a parameter may have that name: it stands behind a dot
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
        max_age: Seconds that a reading of its conditions may be old; None: three poll periods, and 2 s at least.
    """

    text: str
    conditions: tuple[Condition, ...]
    join: str
    target: str
    what: str
    value: Any = None
    sets: bool = False
    max_age: float | None = None

    @property
    def latches(self) -> bool:
        """Whether it demands the safe state, which is latched."""
        return self.what == "safe" and not self.sets

    def age(self, poll: float) -> float:
        """Give how many seconds old a reading of a parameter may be that is read every `poll` seconds (0: nobody knows)."""
        return max(LEAST_AGE, STALE_PERIODS * poll) if self.max_age is None else self.max_age

    def sources(self) -> set[tuple[str, str]]:
        """Give the instruments and parameters that it reads."""
        return {(one.source, one.parameter) for one in self.conditions}

    def violated_by(self, look: Callable[[str, str], tuple[Reading | None, float]], now: float) -> str:
        """Give why the rule is violated; empty: it is not.

        Args:
            look: Gives the last reading of an instrument's parameter, and the seconds between two of them.
            now: Seconds since 1970.
        """
        found = ((one, *look(one.source, one.parameter)) for one in self.conditions)
        reasons = [one.violated(reading, now, self.age(poll)) for one, reading, poll in found]
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
    if not isinstance(text, str):
        raise DriverError(f"an interlock is a text such as 'stage.temperature > 320 K -> heater.safe()', not {shown(text)}")
    masked = _masked(text)
    arrow = masked.find("->")
    if arrow < 0:
        raise _wrong(text, len(text), "an arrow and what to do, such as '-> heater.safe()'")
    stop, max_age = _age(text, masked, arrow)
    conditions, join = [], ""
    for start, end, word in _parts(masked, stop):
        if join and word and word != join:
            raise _wrong(text, end, f"{join!r} again: 'and' and 'or' do not stand in one rule, write two")
        join = join or word
        conditions.append(_condition(text, masked, start, end))
    target, what, value, sets = _deed(text, arrow + 2)
    return Rule(text.strip(), tuple(conditions), join or "or", target, what, value, sets, max_age)


def interlock_text(when: str, then: str, max_age: float | str | None = None) -> str:
    """Give a rule as one text that is said in parts.

    Args:
        when: The conditions.
        then: What is done.
        max_age: How old a reading may be: seconds, or a text with a unit; None: the rule does not say.

    Raises:
        DriverError: an arrow, or a second age, stands in the parts.
    """
    for part, said in (("when", when), ("then", then)):
        if "->" in _masked(said):
            raise DriverError(f"found an arrow in {part}: {said!r}; the conditions stand in when, what is done in then")
    if max_age is not None and _AGE.search(_masked(when)):
        raise DriverError(f"found max_age in when, {when!r}, and beside it; take one of them away")
    age = "" if max_age is None else f", max_age {value_text(max_age)}{'' if isinstance(max_age, str) else ' s'}"
    return f"{when.strip()}{age} -> {then.strip()}"


def _masked(text: str) -> str:
    return _QUOTED.sub(lambda found: "'" + "x" * (len(found[0]) - 2) + "'", text)  # what is quoted is no syntax


def _age(text: str, masked: str, arrow: int) -> tuple[int, float | None]:
    """Give where the conditions end, and the age of readings that is said behind them."""
    found = _AGE.search(masked, 0, arrow)
    if found is None:
        return arrow, None
    if (other := _JOIN.search(masked, found.end(), arrow) or _AGE.search(masked, found.end(), arrow)) is not None:
        raise _wrong(text, other.start(), "the arrow: max_age stands once, behind the conditions, and holds for all of them")
    written = text[found.end() : arrow].strip()
    try:
        value, unit = parse_quantity(written)
        seconds = value * _TIMES[unit] if unit in _TIMES else float(convert(value, unit, "s"))
    except UnitError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_AGE:
        wanted = f"a time above 0, at most {LONGEST_AGE:g} s, such as '10 s', not {written!r}"
        raise _wrong(text, found.end() + 1, wanted)
    return found.start(), seconds


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
