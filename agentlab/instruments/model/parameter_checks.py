"""Whether a parameter's description can be: its type, numbers, choices and texts must not contradict each other. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from agentlab.errors import DriverError, nearest
from agentlab.instruments.model.values import TYPES, plain, shown

if TYPE_CHECKING:
    from agentlab.instruments.model.parameter import Parameter

_NUMBERS = ("minimum", "maximum", "step", "poll", "delay")
_LIMITS = ("minimum", "maximum", "step")


def checked_type(name: str, kind: Any, choices: Any, limits: tuple[Any, ...]) -> str:
    """Give a parameter's type, ``float`` in place of ``any`` where it has limits: no text must slip past them.

    Args:
        name: The parameter's.
        kind: What was said.
        choices: Those of the parameter.
        limits: Minimum, maximum and step; None: there is none.

    Raises:
        DriverError: it is no type.
    """
    if kind not in TYPES:
        raise DriverError(f"parameter {name!r} has type {shown(kind)}{nearest(str(kind), TYPES)}")
    return "float" if kind == "any" and choices is None and any(one is not None for one in limits) else str(kind)


def checked_numbers(parameter: Parameter) -> dict[str, float | None]:
    """Give a parameter's numbers by name, those of NumPy as Python's own.

    Raises:
        DriverError: one is no number, or cannot be, or the limits contradict each other or the type.
    """
    found: dict[str, float | None] = {key: _number(parameter, key) for key in _NUMBERS}
    low, high, delay = found["minimum"], found["maximum"], found["delay"]
    if low is not None and high is not None and low > high:
        raise DriverError(f"parameter {parameter.name!r} has minimum {low:g} above its maximum {high:g}")
    if delay is not None and delay < 0:
        raise DriverError(f"parameter {parameter.name!r} has delay {delay:g}; give a number at least 0")
    for key in ("step", "poll"):
        value = found[key]
        if value is not None and value <= 0:
            raise DriverError(f"parameter {parameter.name!r} has {key} {value:g}; give a number above 0")
    limited = [key for key in _LIMITS if found[key] is not None]
    if limited and parameter.type in ("str", "bool"):
        raise DriverError(
            f"parameter {parameter.name!r} is of type {parameter.type} and has a {limited[0]}, to which only numbers can be "
            "held; give it type float, or no limits"
        )
    _check_choices(parameter, low, high)
    return found


def check_texts(parameter: Parameter) -> None:
    """Check that unit, doc and label are text. Raises DriverError."""
    for key in ("unit", "doc", "label"):
        if not isinstance(getattr(parameter, key), str):
            raise DriverError(f"parameter {parameter.name!r} has {key} {shown(getattr(parameter, key))}; give text")


def _number(parameter: Parameter, key: str) -> float | None:
    value = getattr(parameter, key)
    if value is None:
        return 0.0 if key == "delay" else None
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise DriverError(f"parameter {parameter.name!r} has {key} {shown(value)}; give a number")
    try:
        finite = math.isfinite(number)
    except OverflowError:
        raise DriverError(f"parameter {parameter.name!r} has {key} {shown(value)}, which no float can hold") from None
    if not finite and (math.isnan(number) or key not in ("minimum", "maximum")):
        raise DriverError(f"parameter {parameter.name!r} has {key} {number}; give a finite number, or leave it out")
    return number


def _check_choices(parameter: Parameter, low: float | None, high: float | None) -> None:
    if parameter.choices is None:
        return
    if not parameter.choices:
        raise DriverError(f"parameter {parameter.name!r} has no choices at all; give some, or none for any value")
    values = [plain(one) for one in parameter.choices]
    numbers = [one for one in values if isinstance(one, (int, float)) and not isinstance(one, bool)]
    within = [one for one in numbers if (low is None or one >= low) and (high is None or one <= high)]
    if len(numbers) == len(values) and not within:
        raise DriverError(f"parameter {parameter.name!r} has no choice within its limits, so nothing could be set")


__all__ = ["check_texts", "checked_numbers", "checked_type"]
