"""Units: texts such as ``5 mV`` taken apart, values brought from one unit into another.

The one door to pint, which is loaded when two units meet that differ by more than an SI prefix, and never before: an
instrument whose callers speak in its own units does not carry it, nor one that is told 5 mV for its volts.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from agentlab.errors import DriverError, UnitError

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.ASCII | re.DOTALL)
_POWER = re.compile(r"(?:\*\*|\^)\s*\(?\s*[-+]?\d{1,2}(?:\.\d{1,3})?\s*\)?(?!\s*(?:\*\*|\^|[\d.]))")
"""An exponent of one or two digits. pint works larger ones out, towers of them too, for as long as that takes."""
_LONGEST = 60
_PARTS = re.compile(r"[\s*/·()]+")
_COMMON = frozenset(
    {"", "min", "h", "dB", "dBm", "deg", "rad", "L", "l", "mol", "rpm", "ppm", "count", "counts", "degF", "Torr", "psi", "degree"}
)
"""Words of units that are taken without asking pint."""
_SPELLINGS = {
    "%": "percent",
    "°": "degree",
    "deg": "degree",
    "°C": "degC",
    "C": "degC",  # coulombs are rare in a laboratory, and nobody who writes 25 C means them
    "celsius": "degC",
    "Celsius": "degC",
    "°F": "degF",
    "Ang": "angstrom",
    "Å": "angstrom",
    "arb. unit": "",
    "a.u.": "",
    "dimensionless": "",
    "none": "",
}
"""What people write that pint reads otherwise, or not at all; matched as a whole, in this case."""
_OHM = re.compile(r"Ohms?\b|Ω|\N{OHM SIGN}")
"""What people write for ohm, also behind a prefix: pint knows no kOhm."""
_OF_DIFFERENCES = {"degC": "K", "degF": "degR", "dBm": "dB"}
"""Units whose zero is not nothing, and that of their differences."""
_BASES = frozenset(
    {"V", "A", "W", "Hz", "s", "m", "K", "ohm", "Pa", "g", "N", "J", "F", "H", "T", "S", "eV", "bar", "percent", "degC"}
)
_PREFIXES = {"": 0, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "c": -2, "k": 3, "M": 6, "G": 9, "T": 12}
"""Units and powers of ten that are converted here; everything else is pint's."""


def parse_quantity(text: str) -> tuple[float, str]:
    """Take a text apart into number and unit; neither pint nor anything else is needed for it.

    Args:
        text: Such as ``5 mV``, ``-1.5e3``, ``20°C``.

    Returns:
        The number and the unit's text, ``""`` where none is given: ``(5.0, "mV")``.

    Raises:
        UnitError: it does not begin with a number.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise UnitError(f"{text[:_LONGEST]!r} is no number with a unit; write for example '5 mV'")
    return float(match[1]), match[2]


def convert(value: Any, source_unit: str, target_unit: str) -> Any:
    """Give a value in another unit. Equal texts, and units that differ by a prefix, never load pint.

    Temperatures are converted with their offsets: 25 degC is 298.15 K. What comes out is rounded to 15 digits, so that
    30000 mV is 30 V and not a hair above.

    Args:
        value: A number, or an array that can be multiplied, in ``source_unit``.
        source_unit: As people write it; ``""`` and ``%`` are without dimension.
        target_unit: The unit of what is given.

    Returns:
        The value as it is for equal units; else a float, or an array.

    Raises:
        UnitError: one of them is no unit, or they measure different things.
    """
    source, target = spelled(source_unit), spelled(target_unit)
    if source == target:
        return value
    powers = _power(source), _power(target)
    if powers[0] is not None and powers[1] is not None and powers[0][1] == powers[1][1]:
        return _rounded(_scaled(value, powers[0][0] - powers[1][0]))
    registry, pint = _pint()
    quantity = registry.Quantity(value, _unit(source))
    try:
        found = quantity.to(_unit(target)).magnitude
    except pint.PintError:
        raise UnitError(_differ(source_unit, target_unit)) from None
    return _rounded(found)


def convert_difference(value: Any, source_unit: str, target_unit: str) -> Any:
    """Give a difference, such as a step, in another unit: 1 K is 1 degC then, and not -272.15. As :func:`convert` otherwise."""
    source, target = spelled(source_unit), spelled(target_unit)
    return convert(value, _OF_DIFFERENCES.get(source, source), _OF_DIFFERENCES.get(target, target))


def same_dimension(one: str, other: str) -> bool:
    """Tell whether values can be converted between two units; False too where one of them is no unit."""
    first, second = spelled(one), spelled(other)
    powers = _power(first), _power(second)
    if first == second or (powers[0] is not None and powers[1] is not None and powers[0][1] == powers[1][1]):
        return True
    try:
        return bool(_unit(first).dimensionality == _unit(second).dimensionality)
    except UnitError:
        return False


def check_unit(unit: str) -> str:
    """Give a unit as it is if it is one. pint is loaded only for unusual words.

    Raises:
        UnitError: it is none.
    """
    # taken apart, so that K/min and mm/s do not load pint, which an instrument's process can do without
    parts = [spelled(unit)] if spelled(unit) != unit else _PARTS.split(_POWER.sub("", unit))
    if any(part not in _COMMON and _power(part) is None for part in parts):
        _unit(spelled(unit))
    return unit


def spelled(unit: str) -> str:
    """Give a unit as pint reads it: ``degC`` for ``°C``, ``percent`` for ``%``, ``kohm`` for ``kOhm``."""
    unit = unit.strip()
    return _OHM.sub("ohm", _SPELLINGS.get(unit, unit))


@functools.lru_cache(maxsize=1000)
def _power(unit: str) -> tuple[int, str] | None:
    """Give the power of ten and the base of a unit such as mV; None: only pint can tell."""
    if unit in _BASES:
        return 0, unit
    if unit[:1] in _PREFIXES and unit[1:] in _BASES and unit[1:] not in ("percent", "degC"):
        return _PREFIXES[unit[0]], unit[1:]
    return None


def _scaled(value: Any, power: int) -> Any:
    return (
        value * 10**power if power >= 0 else value / 10**-power
    )  # by whole numbers, so that nothing is lost before the rounding


def _rounded(value: Any) -> Any:
    return float(f"{value:.15g}") if isinstance(value, (int, float)) else value


@functools.cache
def _pint() -> tuple[Any, Any]:
    """Give pint's registry and pint. It takes some tenths of a second, once in a process."""
    try:
        import pint
    except ModuleNotFoundError:  # it is a plain dependency, so somebody removed it
        raise DriverError("converting units needs pint, which is not installed; pip install pint") from None
    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None), pint


@functools.lru_cache(maxsize=1000)
def _unit(text: str) -> Any:
    rest = _POWER.sub("", text)
    if len(text) > _LONGEST or "**" in rest or "^" in rest:
        raise UnitError(f"{text[:_LONGEST]!r} is no unit; write for example V, mW or m/s**2")
    registry, _ = _pint()
    try:
        return registry.Unit(text)
    except Exception as error:  # noqa: BLE001 - pint's parser raises what tokenize, ast and its own classes happen to raise
        raise UnitError(
            f"{text!r} is no unit that pint knows ({type(error).__name__}); write for example V, mW or degC"
        ) from None


def _differ(source: str, target: str) -> str:
    if not spelled(source):
        return f"a value without a unit is not in {target!r}; give it with its unit"
    if not spelled(target):
        return f"{source!r} is given for a value that has no unit; give the bare number"
    return f"{source!r} cannot be converted into {target!r}: they measure different things"
