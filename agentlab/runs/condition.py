"""The condition at which a scan ends before its last point: a function, or a text such as ``dmm.voltage > 5 V``. Pure."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from agentlab.errors import ConfigurationError, nearest
from agentlab.runs.model import Column

Condition = Callable[[dict[str, Any]], object]

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_ONE = re.compile(r"\s*(?P<name>\S+?)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<number>[-+\w.]+)\s*(?P<unit>\S*)\s*")
_WORDS = {"true": True, "false": False}


def condition(until: Condition | str, columns: Sequence[Column]) -> Condition:
    """Give a function of a row that tells whether the scan is over.

    Args:
        until: Such a function; or ``NAME SIGN NUMBER [UNIT]``, the sign one of ``> >= < <= == !=``, several joined by
            ``and`` or by ``or``. A missing value (NaN) meets none.
        columns: Of the rows.

    Raises:
        ConfigurationError: the text is no condition, or asks for what there is not.
    """
    if not isinstance(until, str):
        if not callable(until):
            raise ConfigurationError(f"until is {until!r}; give a function of a row, or a text such as 'dmm.voltage > 5'")
        return until
    words = re.split(r"\s+(and|or)\s+", until)
    if len(set(words[1::2])) > 1:
        raise ConfigurationError(f"until {until!r} has both 'and' and 'or'; give a function of a row instead")
    parts = [_part(text, until, {column.name: column for column in columns}) for text in words[::2]]
    together = any if "or" in words[1::2] else all
    return lambda row: together(part(row) for part in parts)


def _part(text: str, whole: str, columns: dict[str, Column]) -> Condition:
    found = _ONE.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"until {whole!r}: {text.strip()!r} is no condition; write it as 'dmm.voltage > 5'")
    name, wanted, unit = found["name"], _number(found["number"], whole), found["unit"]
    column = columns.get(name)
    if column is None:
        raise ConfigurationError(f"until {whole!r}: there is no column {name!r}{nearest(name, columns)}")
    if unit and unit != column.unit:
        has = f"is in {column.unit}" if column.unit else "has no unit"
        raise ConfigurationError(f"until {whole!r}: {name} {has}, not in {unit}; give the number in its unit")
    compare = _SIGNS[found["sign"]]

    def met(row: dict[str, Any]) -> bool:
        value = row[name]
        if isinstance(value, bool | int | float):
            return not math.isnan(value) and compare(value, wanted)
        return False

    return met


def _number(text: str, whole: str) -> float | bool:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"until {whole!r}: {text!r} is no number") from None
