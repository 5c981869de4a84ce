"""What an instrument gives its callers: plain values, so that nobody imports the driver's modules to read them. Pure.

As they are travel None, bool, numbers, text, bytes, lists, tuples, sets and dicts of what travels, arrays and scalars of
NumPy, dates and times, Decimal, Fraction, UUID, paths, ranges, network addresses, arrays of :mod:`array`, quantities of pint,
and objects of agentlab. Of other classes, a member of an enumeration travels as its value, or as its name where the value does
not travel; a named tuple as a tuple; a dataclass as a dict of its fields; what inherits from a number, from text or from a
container as that. All else is refused.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from agentlab.errors import DriverError
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.values import plain

_LEAVES: Final = frozenset((type(None), bool, int, float, complex, str, bytes, bytearray, range))
_MODULES: Final = frozenset(("agentlab", "array", "datetime", "decimal", "fractions", "ipaddress", "pathlib", "uuid", "zoneinfo"))
"""Their classes hold nothing of other modules, but for dates with a time zone of somebody else's."""
_SEQUENCES: Final = (list, tuple, set, frozenset, deque)
_CURE: Final = "give plain values: numbers, text, lists, dicts, arrays of NumPy"


def travelling(value: Any, what: str) -> Any:
    """Give a value as it travels to callers.

    Args:
        value: What a driver gave.
        what: For the error: ``the result of scan()``.

    Raises:
        DriverError: it does not travel; the text names the type and the cure.
    """
    if type(value) in _LEAVES:
        return value
    try:
        return _given(value)
    except _UnfitError as error:
        raise DriverError(f"{what} {error}; {_CURE}") from None
    except RecursionError:
        raise DriverError(f"{what} is nested too deeply, or holds itself; {_CURE}") from None
    except TypeError as error:  # what is plain now need not be fit for a set, or as a key
        raise DriverError(f"{what} cannot be made plain ({error}); {_CURE}") from None


def told_reading(reading: Reading) -> dict[str, Any]:
    """Give a reading as it travels. Raises DriverError where its value does not."""
    return {**reading.to_dict(), "value": travelling(reading.value, f"the value of {reading.name}")}


def told_readings(readings: Mapping[str, Reading]) -> dict[str, dict[str, Any]]:
    """Give readings by name as they travel; one whose value does not is ``bad``, so that the others can be had."""
    return {name: _told_or_bad(reading) for name, reading in readings.items()}


def without_value(reading: Reading) -> dict[str, Any]:
    """Give a reading whose value does not travel."""
    return {**reading.to_dict(), "value": None, "quality": "bad"}


def _told_or_bad(reading: Reading) -> dict[str, Any]:
    try:
        return told_reading(reading)
    except DriverError:
        return without_value(reading)


class _UnfitError(Exception):
    """What is wrong with a value, in words that follow its name."""


def _given(value: Any) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    root = str(kind.__module__).partition(".")[0]
    if kind in _SEQUENCES:
        return _sequence(value, kind)
    if root == "numpy":
        return _array(value)
    if isinstance(value, dt.datetime | dt.time) and value.tzinfo is not None:
        return _zoned(value)
    if root in _MODULES or (root == "pint" and hasattr(value, "magnitude")):
        return value
    return _foreign(value)


def _sequence(value: Any, make: Callable[[Any], Any]) -> Any:
    if set(map(type, value)) <= _LEAVES:  # a waveform of a million points is looked at in C
        return make(value)
    return make(_given(one) for one in value)


def _array(value: Any) -> Any:
    if not getattr(getattr(value, "dtype", None), "hasobject", False):
        if isinstance(value, type) or not hasattr(value, "dtype"):
            raise _unfit(value)
        return value
    return _given(value.tolist())  # of objects of any kind


def _zoned(value: Any) -> Any:
    """Give a time whose zone is known everywhere: that of another library becomes its offset at that time."""
    if type(value).__module__.partition(".")[0] != "datetime":
        raise _unfit(value)
    if type(value.tzinfo).__module__.partition(".")[0] in ("datetime", "zoneinfo"):
        return value
    offset = value.utcoffset()
    return value.replace(tzinfo=None if offset is None else dt.timezone(offset))


def _foreign(value: Any) -> Any:
    """Give an object of somebody else's class as what it is built on."""
    if isinstance(value, enum.Enum):
        try:
            return _given(value.value)
        except _UnfitError:
            return value.name
    if isinstance(value, dict):
        return {_given(key): _given(one) for key, one in value.items()}
    if isinstance(value, deque):
        return deque(map(_given, value))
    for base in (list, tuple, set, frozenset):
        if isinstance(value, base):
            return _sequence(value, base)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _given(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    found = plain(value) if isinstance(value, int | float | complex | str | bytes) else value
    if type(found) in _LEAVES:
        return found
    raise _unfit(value)


def _unfit(value: Any) -> _UnfitError:
    kind, is_kind = (value, "the class") if isinstance(value, type) else (type(value), "of type")
    if kind.__module__ == "builtins":
        return _UnfitError(f"is {is_kind} {kind.__qualname__}, which does not travel")
    return _UnfitError(f"is {is_kind} {kind.__module__}.{kind.__qualname__}, which callers would have to import")
