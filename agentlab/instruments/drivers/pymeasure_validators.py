"""What PyMeasure's validators accept: limits, choices, and whether they change a value in silence. Pure.

Source: PyMeasure 0.16, ``instruments/validators.py``.
"""

from __future__ import annotations

import functools
from typing import Any

from agentlab.instruments.drivers.members import Chosen, limits_of

_RANGES = {"strict_range", "truncated_range", "strict_discrete_range"}
_SETS = {"strict_discrete_set", "truncated_discrete_set"}
_CLAMPS = {"truncated_range", "truncated_discrete_set", "modular_range", "modular_range_bidirectional"}
_MOST_CHOICES = 200


def closure_of(function: Any) -> dict[str, Any]:
    """Give what a function has kept of where it was made."""
    return {
        name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    }


def accepted(made: dict[str, Any], *, writable: bool) -> tuple[float | None, float | None, Chosen | None, str]:
    """Give minimum, maximum, choices, and a note for people where neither of them can say it."""
    values = made["values"]
    if made["map_values"]:
        return None, None, _chosen(values), ""
    if not writable:
        return None, None, None, ""
    validator = made["validator"]
    name = validator_name(validator)
    if name in _RANGES:
        return *limits_of(values), None, ""
    if name in ("modular_range", "modular_range_bidirectional"):  # it wraps in silence; here it is refused
        low, high = limits_of(values)
        return (low if name == "modular_range" or high is None else -high), high, None, ""
    if name in _SETS:
        if isinstance(values, range) and abs(values.step) == 1:
            return *limits_of(values), None, ""
        choices = _chosen(values)
        return (None, None, choices, "") if choices is not None else (*limits_of(values), None, "")
    sets = _joined_sets(validator, values)
    if sets is not None:
        return None, None, sets, ""
    parts = _joined(validator, values)
    return None, None, None, "Takes " + " or ".join(parts) + "." if parts else ""


def validator_name(validator: Any) -> str:
    """Give the name of one of PyMeasure's validators, under ``functools.partial`` too; empty for anybody else's."""
    while isinstance(validator, functools.partial):
        validator = validator.func
    known = getattr(validator, "__module__", "") == "pymeasure.instruments.validators"
    return getattr(validator, "__name__", "") if known else ""


def clamps(validator: Any) -> bool:
    """Tell whether a validator brings a number within limits in silence, or one that was joined to it does."""
    return validator_name(validator) in _CLAMPS or any(map(clamps, _closure_validators(validator)))


def _closure_validators(validator: Any) -> tuple[Any, ...]:
    if getattr(validator, "__qualname__", "") != "joined_validators.<locals>.validate":
        return ()
    return tuple(closure_of(validator).get("validators", ()))


def is_joined(validator: Any) -> bool:
    """Tell whether a validator was joined of others, of which one must agree."""
    return bool(_closure_validators(validator))


def takes_numbers(validator: Any) -> bool:
    """Tell whether a validator agrees to numbers alone, whatever its limits are now."""
    return validator_name(validator) in _RANGES | _CLAMPS - _SETS


def _joined_sets(validator: Any, values: Any) -> Chosen | None:
    """Give the choices of validators that were joined, if each of them has some."""
    parts = _closure_validators(validator)
    if not parts or not all(validator_name(part) in _SETS for part in parts):
        return None
    try:
        return _chosen([one for held in values for one in held])
    except TypeError:  # one of them holds no set now
        return None


def _joined(validator: Any, values: Any) -> list[str]:
    found: list[str] = []
    parts = _closure_validators(validator)
    for part, held in zip(parts, values, strict=False) if parts else ():
        low, high = limits_of(held) if validator_name(part) in _RANGES else (None, None)
        if low is not None and high is not None:
            found.append(f"{low:g} to {high:g}")
        elif validator_name(part) in _SETS and (chosen := _chosen(held)) is not None:
            found.append(", ".join(map(repr, chosen.shown)))
    return found


def _chosen(values: Any) -> Chosen | None:
    try:
        # a dict gives its keys, an Enum class its members
        return Chosen.of(values) if 0 < len(values) <= _MOST_CHOICES else None
    except TypeError:
        return None
