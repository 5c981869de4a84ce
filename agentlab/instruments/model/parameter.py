"""Parameters: what of an instrument can be read and set, with type, unit and limits. Pure: no device is asked here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentlab.errors import BadReplyError, LimitError, UnitError
from agentlab.instruments.model.parameter_checks import check_texts, checked_numbers, checked_type
from agentlab.instruments.model.replies import FROM_DEVICE
from agentlab.instruments.model.values import TO_DEVICE, MisfitError, plain, shown

MOST_STEPS = 100_000
"""Values that one ramp may consist of; more is a step that was meant in another unit."""
_MOST_CHOICES_SHOWN = 12
_KIND_TEXTS = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "text",
    "array": "an array",
    "any": "any value",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One quantity of an instrument. A value: it knows no device and may be shared between threads.

    Args:
        name: As callers write it; a channel's parameter has a dot: ``ch_1.voltage``.
        type: ``float``, ``int``, ``bool``, ``str``, ``array`` (of numbers) or ``any`` (nothing is checked;
            with limits it becomes ``float``).
        unit: As people write it, such as ``V`` or ``degC``; empty: none, or not known.
        minimum: The smallest value that may be set, in ``unit``; None: no limit. Replies are not held to it.
        maximum: The largest.
        choices: The only values that may be set; None: any.
        readable: Whether it can be read.
        writable: Whether it can be set.
        step: The largest change of one set, in ``unit``: a larger one becomes a ramp. None: one set for any change.
        delay: Seconds between two sets of a ramp.
        poll: Seconds between two readings that are published; None: it is not polled.
        doc: One or more lines for people.
        label: What stands at the axis of a plot; empty: the name.

    Raises:
        DriverError: the type is none, or the limits contradict each other.
    """

    name: str
    type: str = "float"
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None
    readable: bool = True
    writable: bool = True
    step: float | None = None
    delay: float = 0.0
    poll: float | None = None
    doc: str = ""
    label: str = ""

    def __post_init__(self) -> None:
        choices = None if self.choices is None else tuple(self.choices)
        kind = checked_type(self.name, self.type, choices, (self.minimum, self.maximum, self.step))
        put = object.__setattr__  # it is frozen
        put(self, "type", kind)
        put(self, "choices", choices)
        for key, number in checked_numbers(self).items():
            put(self, key, number)
        check_texts(self)

    def check(self, value: Any) -> Any:
        """Give a value as the driver is to get it, if it may be set. Nothing is ever clamped.

        A text such as ``5 mV`` and a quantity of pint are converted into the parameter's unit; a bare number is in it.

        Args:
            value: What a caller wants to set.

        Returns:
            A plain value of the parameter's type; an array as it was given.

        Raises:
            LimitError: it is out of limits, no choice, of a wrong type, or the parameter cannot be set.
            UnitError: its unit is none, or measures something else.
        """
        if not self.writable:
            raise LimitError(f"{self.name} cannot be set: it is only read")
        if self.choices is not None:
            value = self._chosen(value)
            self._check_limits(plain(value))
            return value
        try:
            value = TO_DEVICE[self.type](value, self.unit)
        except MisfitError as error:
            raise LimitError(f"{self.name} {error}{self._range_text()}; nothing was sent") from None
        except UnitError as error:
            raise UnitError(f"{self.name}: {error}; nothing was sent") from None
        except Exception as error:
            raise self._not_looked_at(value, error) from error
        self._check_limits(value)
        return value

    def accept(self, raw: Any) -> Any:
        """Give a device's reply as a value of the parameter's type.

        Text of a number is a number. What is of another type is an error and never a value. SCPI's 9.9E37 gives an
        infinite value and 9.91E37 a NaN, which :func:`~agentlab.instruments.model.reading.quality_of` tells.

        Args:
            raw: What the driver gave.

        Returns:
            A plain value; an array as the driver gave it, or a list.

        Raises:
            BadReplyError: it is of another type, or a text that is no choice.
        """
        try:
            value = FROM_DEVICE[self.type](raw, self.unit)
        except (MisfitError, UnitError) as error:
            raise BadReplyError(f"{self.name} is {self._kind_text()}, and the device {self._said(error)}: {shown(raw)}") from None
        except Exception as error:
            # an object of a library, which may raise anything when it is asked what it is
            text = f"{self.name} is {self._kind_text()}, and what the driver gave cannot be looked at ({type(error).__name__})"
            raise BadReplyError(f"{text}: {shown(raw)}") from error
        if self.choices is not None and isinstance(value, str) and value not in self.choices and self.type != "any":
            raise BadReplyError(f"{self.name} is one of {self._choices_text()}, and the device answered {shown(raw)}")
        return value

    def ramp(self, start: Any, value: Any) -> list[Any]:
        """Give the values to set, one after the other, on the way from a value to another; the last is ``value`` itself.

        Args:
            start: What is set now, in the parameter's unit; None, or what is no number: not known.
            value: Where to go, checked.

        Returns:
            One value where there is no ``step``, the way is shorter than it, or the start is not known.

        Raises:
            LimitError: the way has more than 100,000 steps.
        """
        if not self.step or not _is_number(start) or not _is_number(value):
            return [value]
        count = abs(value - start) / self.step - 1e-9
        if count > MOST_STEPS:  # as a float, which may be infinite
            raise LimitError(
                f"{self.name} from {start:g} to {value:g} takes {math.ceil(min(count, 1e18))} steps of {self.step:g}, more than "
                f"{MOST_STEPS}; give it a larger step"
            )
        steps = math.ceil(count)
        stride = math.copysign(self.step, value - start)
        way = [start + stride * n for n in range(1, steps)]
        return [*(map(round, way) if self.type == "int" else way), value]

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values that msgpack can carry. Defaults are left out, except name and type."""
        found: dict[str, Any] = {"name": self.name, "type": self.type}
        for key, default in _DEFAULTS.items():
            value = getattr(self, key)
            if value != default:
                found[key] = value
        if self.choices is not None:
            found["choices"] = [_portable(choice) for choice in self.choices]
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Parameter:
        """Give the parameter that :meth:`to_dict` described; keys of a newer version are passed over."""
        return cls(**{key: value for key, value in values.items() if key in _KEYS})

    def limits_text(self) -> str:
        """Give what may be set, for people: ``0 to 30 V``, ``at least 1 K``, ``'SIN', 'SQU'``; empty: anything."""
        unit = f" {self.unit}" if self.unit else ""
        if self.choices is not None:
            return self._choices_text() + unit
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f"{low:.12g} to {high:.12g}{unit}"
        if low is not None:
            return f"at least {low:.12g}{unit}"
        return "" if high is None else f"at most {high:.12g}{unit}"

    def _chosen(self, value: Any) -> Any:
        """Give the choice that a caller means: itself, equal as a number or quantity, or the only one spelt alike."""
        assert self.choices is not None
        kind = self.type
        try:
            wanted = plain(value if kind in ("str", "array") else TO_DEVICE[kind](value, self.unit))
        except MisfitError as error:
            raise LimitError(f"{self.name} {error}; it is one of {self._choices_text()}; nothing was sent") from None
        except UnitError as error:
            raise UnitError(f"{self.name}: {error}; nothing was sent") from None
        except Exception as error:
            raise self._not_looked_at(value, error) from error
        for choice in self.choices:
            if _same(plain(choice), wanted):
                return choice
        if isinstance(wanted, str):
            alike = [choice for choice in self.choices if str(plain(choice)).lower() == wanted.strip().lower()]
            if len(alike) == 1:  # `set dmm.range auto` in a shell, where 10 is a text too
                return alike[0]
        raise LimitError(f"{self.name} = {shown(value)} is none of {self._choices_text()}; nothing was sent")

    def _not_looked_at(self, value: Any, error: Exception) -> LimitError:
        """Give the error for an object that raises when it is asked what it is."""
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return LimitError(f"{self.name} cannot take {shown(value)} ({why}){self._range_text()}; nothing was sent")

    def _check_limits(self, value: Any) -> None:
        if self.minimum is None and self.maximum is None:
            return
        if self.type == "array":
            values = value if isinstance(value, list) else value.ravel().tolist()
            if not all(map(_is_number, values)):  # NaN, infinite, or masked
                raise LimitError(f"{self.name} takes finite numbers{self._range_text()}; nothing was sent")
            if not values:
                return
            outside = min(values) if self._is_outside(min(values)) else max(values)
        elif _is_number(value):
            outside = value
        else:
            return
        if self._is_outside(outside):
            unit = f" {self.unit}" if self.unit else ""
            raise LimitError(f"{self.name} = {outside:.12g}{unit} is out of limits{self._range_text()}; nothing was sent")

    def _is_outside(self, number: float) -> bool:
        return (self.minimum is not None and number < self.minimum) or (self.maximum is not None and number > self.maximum)

    def _range_text(self) -> str:
        text = self.limits_text()
        return f"; it takes {text}" if text else ""

    def _choices_text(self) -> str:
        choices = self.choices or ()
        text = ", ".join(repr(plain(choice)) for choice in choices[:_MOST_CHOICES_SHOWN])
        return f"{text} and {len(choices) - _MOST_CHOICES_SHOWN} more" if len(choices) > _MOST_CHOICES_SHOWN else text

    def _kind_text(self) -> str:
        return _KIND_TEXTS[self.type]

    @staticmethod
    def _said(error: ValueError) -> str:
        return str(error) if isinstance(error, MisfitError) else f"answered in another unit ({error})"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _same(choice: Any, wanted: Any) -> bool:
    if isinstance(choice, bool) != isinstance(wanted, bool) or isinstance(choice, str) != isinstance(wanted, str):
        return False
    if isinstance(choice, float) and isinstance(wanted, (int, float)):
        return math.isclose(choice, wanted, rel_tol=1e-12)
    try:
        return bool(choice == wanted)
    except (ValueError, TypeError, ArithmeticError):  # arrays, signalling NaN
        return False


def _portable(value: Any) -> Any:
    value = plain(value)
    return value if isinstance(value, (bool, int, float, str, bytes)) or value is None else str(value)


_FIELDS = dataclasses.fields(Parameter)
_KEYS = frozenset(field.name for field in _FIELDS)
_DEFAULTS = {field.name: field.default for field in _FIELDS if field.name not in ("name", "type", "choices")}
