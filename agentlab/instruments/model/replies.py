"""What a parameter's type accepts from a device.

A reply is of the type, or it is no value at all: an identity that comes back for a voltage, one reply late, must never pass.
Pure, as :mod:`~agentlab.instruments.model.values`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, cast

from agentlab.instruments.model.units import convert
from agentlab.instruments.model.values import MisfitError, dimensions, is_masked, is_quantity, plain, truth

OVERFLOW = 9.9e37
"""What SCPI devices answer for a value beyond their range (SCPI 1999.0, volume 1, 7.2.1.4); the negative one likewise."""
NOT_A_NUMBER = 9.91e37
"""What SCPI devices answer where there is no value (SCPI 1999.0, volume 1, 7.2.1.5)."""

_TOO_LARGE = "answered a number that no float can hold"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _reply_number(raw: Any, unit: str) -> int | float:
    if isinstance(raw, str):
        text = raw.strip()
        if not _NUMBER.fullmatch(text):
            raise MisfitError("answered text that is no number")
        try:
            return _held(int(text))
        except ValueError:  # a point or an exponent; or more digits than Python takes, which the float then says
            number = float(text)
        if math.isinf(number):  # no device says it like that: a reply that ran together with others
            raise MisfitError(_TOO_LARGE)
        return number
    if is_quantity(raw):
        raw = convert(raw.magnitude, str(raw.units), unit)
    raw = plain(raw)
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        if isinstance(raw, (bool, complex)) or not hasattr(raw, "__float__") or dimensions(raw) or is_masked(raw):
            raise MisfitError(f"answered a {type(raw).__name__}, no number")
        raw = float(raw)
    return _held(cast(int | float, raw))


def _held(number: float) -> int | float:
    """Give a number that a float can hold."""
    try:
        math.isfinite(number)
    except OverflowError:
        raise MisfitError(_TOO_LARGE) from None
    return number


def _from_float(raw: Any, unit: str) -> Any:
    number = float(_reply_number(raw, unit))
    if math.isclose(abs(number), OVERFLOW, rel_tol=1e-6):
        return math.copysign(math.inf, number)
    if math.isclose(number, NOT_A_NUMBER, rel_tol=1e-6):
        return math.nan
    return number


def _from_int(raw: Any, unit: str) -> Any:
    number = _reply_number(raw, unit)
    if not math.isfinite(_from_float(number, "")):
        raise MisfitError("answered that there is no value, or one beyond its range")
    if number != int(number):
        raise MisfitError("answered a number that is not whole")
    return int(number)


def _from_bool(raw: Any, unit: str) -> Any:
    raw = plain(raw)
    if isinstance(raw, str) and _NUMBER.fullmatch(raw.strip()):
        raw = _reply_number(raw, unit)  # +1, 1.0E+00
    found = truth(raw)
    if found is None:
        raise MisfitError("answered neither true nor false")
    return found


def _from_str(raw: Any, unit: str) -> Any:  # noqa: ARG001
    raw = plain(raw)
    if not isinstance(raw, str):
        raise MisfitError(f"answered a {type(raw).__name__}, no text")
    return raw


def _from_array(raw: Any, unit: str) -> Any:
    if isinstance(raw, str):
        return [_item(part, unit) for part in raw.split(",")]
    if is_quantity(raw):
        raw = convert(raw.magnitude, str(raw.units), unit)
    dtype = getattr(raw, "dtype", None)
    if dtype is not None and hasattr(raw, "__len__"):
        if getattr(dtype, "kind", "") not in "iufcb":
            raise MisfitError(f"answered an array of {dtype}, not of numbers")
        return raw
    if isinstance(raw, (list, tuple)) or type(raw).__name__ == "array":
        return [_item(one, unit) for one in raw]
    raise MisfitError(f"answered a {type(raw).__name__}, no array")


def _item(raw: Any, unit: str) -> int | float:
    number = _reply_number(raw, unit)
    return number if isinstance(number, int) else cast(float, _from_float(number, ""))


def _from_any(raw: Any, unit: str) -> Any:  # noqa: ARG001
    return plain(raw)


FROM_DEVICE: dict[str, Callable[[Any, str], Any]] = {
    "float": _from_float,
    "int": _from_int,
    "bool": _from_bool,
    "str": _from_str,
    "array": _from_array,
    "any": _from_any,
}
"""How each type takes a device's reply, with the parameter's unit; they raise MisfitError and UnitError."""
