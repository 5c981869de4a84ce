"""What a parameter's type accepts from a caller, on the way to the device.

A caller may write a number as text, with a unit, and must hear of every slip before a byte is sent. What a device answers
is held to other rules: :mod:`~agentlab.instruments.model.replies`.

Pure: nothing here knows a device, and NumPy's values are recognised by what they can do.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any, cast

from agentlab.errors import UnitError
from agentlab.instruments.model.units import convert, parse_quantity

TYPES = ("float", "int", "bool", "str", "array", "any")

_TRUE, _FALSE = ("1", "on", "true", "yes"), ("0", "off", "false", "no")
_SHOWN = 60
EXACT = 2**53
"""The largest whole number up to which a float holds all."""


class MisfitError(ValueError):
    """What is wrong with a value, in words that follow the parameter's name."""


def shown(value: object) -> str:
    """Give a value's text, short enough for one line of an error; bytes and line ends are shown escaped."""
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a door: the driver's own __repr__
        return f"<{type(value).__name__} whose repr() raised {type(error).__name__}>"
    if "\n" in text:  # an array's
        text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def plain(value: Any) -> Any:
    """Give a Python number for a scalar of NumPy or of another library; anything else as it is."""
    if isinstance(value, (int, float, complex, str, bytes)) or value is None:
        # numpy.float64 is a float, an enum member may be an int or a str: their own types must not travel
        return value if type(value) in (bool, int, float, complex, str, bytes, type(None)) else _base(value)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    item = getattr(value, "item", None)
    if callable(item) and dimensions(value) == 0 and not is_masked(value):
        return item()
    return value


def _base(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, str):
        return str.__str__(value)  # not str(value), which a subclass may have made pretty
    kinds: tuple[Any, ...] = (int, float, complex, bytes)
    return next((kind(value) for kind in kinds if isinstance(value, kind)), value)


def dimensions(value: Any) -> Any:
    """Give the number of dimensions of a value of NumPy's kind; None for all others."""
    return getattr(value, "ndim", None)


def is_masked(value: Any) -> bool:
    """Tell whether a value of NumPy's masked arrays has no value, or an item without one; its number would be any, often 0."""
    mask = getattr(value, "mask", False)
    return bool(mask.any()) if hasattr(mask, "any") else mask is True


def is_quantity(value: object) -> bool:
    """Tell whether a value carries its unit with it, as pint's and astropy's quantities do."""
    return hasattr(value, "magnitude") and hasattr(value, "units")


def _number(value: Any, unit: str) -> int | float:
    """Give a finite number in the parameter's unit.

    Raises:
        MisfitError: it is none.
        UnitError: its unit does not fit.
    """
    if isinstance(value, str):
        try:
            bare, given = parse_quantity(value)
        except UnitError:
            raise MisfitError(f"takes a number, not {shown(value)}") from None
        value = convert(bare, given, unit) if given else _exact(value, bare)
    elif is_quantity(value):
        value = convert(plain(value.magnitude), str(value.units), unit)
    value = plain(value)
    if isinstance(value, (bool, complex)):
        raise MisfitError(f"takes a number, not {shown(value)}")
    if not isinstance(value, (int, float)):
        if not hasattr(value, "__float__") or dimensions(value) or is_masked(value):
            raise MisfitError(f"takes a number, not {shown(value)} ({type(value).__name__})")
        value = float(value)  # Decimal, Fraction
    number = cast(int | float, value)
    if not is_finite(number):
        raise MisfitError(f"takes a finite number, not {number}")
    return number


def _exact(text: str, number: float) -> float:
    """Give a text's whole number to its last digit, which a float holds up to 2**53 only; anything else as its float."""
    try:
        return int(text) if abs(number) >= EXACT and math.isfinite(number) else number
    except ValueError:  # 1e20, 9007199254740993.0
        return number


def is_finite(number: float) -> bool:
    """Tell whether a number is neither NaN nor infinite. Raises MisfitError for a whole number larger than any float."""
    try:
        return math.isfinite(number)
    except OverflowError:
        raise MisfitError("takes a number that a float can hold, and that one is larger") from None


def _to_float(value: Any, unit: str) -> Any:
    return float(_number(value, unit))


def _to_int(value: Any, unit: str) -> Any:
    number = _number(value, unit)
    if number != int(number):
        raise MisfitError(f"takes whole numbers, not {shown(number)}")
    return int(number)


def _to_bool(value: Any, unit: str) -> Any:  # noqa: ARG001 - one signature for all types
    value = plain(value)
    found = truth(value)
    if found is None:
        raise MisfitError(f"takes true or false (also 1, 0, 'on', 'off'), not {shown(value)}")
    return found


def truth(value: Any) -> bool | None:
    """Give what a value says if it is one of the two; None: it is neither."""
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE else False if word in _FALSE else None
    if isinstance(value, (bool, int, float)):
        return bool(value) if value in (0, 1) else None
    return None


def _to_str(value: Any, unit: str) -> Any:  # noqa: ARG001
    value = plain(value)
    if not isinstance(value, str):
        raise MisfitError(f"takes text, not {shown(value)} ({type(value).__name__})")
    return value


def _to_array(value: Any, unit: str) -> Any:
    if is_quantity(value):
        value = convert(value.magnitude, str(value.units), unit)
    if isinstance(value, (str, bytes)) or not hasattr(value, "__len__") or isinstance(value, (dict, set, frozenset)):
        raise MisfitError(f"takes an array or a list of numbers, not {shown(value)} ({type(value).__name__})")
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        if getattr(dtype, "kind", "") not in "iuf":
            raise MisfitError(f"takes an array of numbers, not of {dtype}")
        if is_masked(value):
            raise MisfitError("takes an array of numbers, and some of these are masked")
        return value
    return [_number(one, unit) for one in value]


def _to_any(value: Any, unit: str) -> Any:
    if not unit:
        return value
    if isinstance(value, str):
        try:
            number, given = parse_quantity(value)
        except UnitError:  # a word, such as "auto"
            return value
        return convert(number, given, unit) if given else number
    return convert(plain(value.magnitude), str(value.units), unit) if is_quantity(value) else value


TO_DEVICE: dict[str, Callable[[Any, str], Any]] = {
    "float": _to_float,
    "int": _to_int,
    "bool": _to_bool,
    "str": _to_str,
    "array": _to_array,
    "any": _to_any,
}
"""How each type takes a caller's value, with the parameter's unit; they raise MisfitError and UnitError."""
