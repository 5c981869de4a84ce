"""What a laboratory says over a driver's own table: other limits and units, polling, names that are hidden. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from agentlab.errors import DriverError, UnitError, nearest
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Action, Table
from agentlab.instruments.model.units import check_unit, convert, convert_difference, parse_quantity
from agentlab.instruments.model.values import TO_DEVICE, TYPES, MisfitError, shown


def prepared(table: Table, spec: InstrumentSpec) -> Table:
    """Give a driver's table with all that an instrument's description says over it: overrides, then polling.

    Raises:
        DriverError: as :func:`apply_overrides` and :func:`apply_poll`.
    """
    return apply_poll(apply_overrides(table, spec.parameters), spec.poll)


def apply_overrides(table: Table, overrides: Mapping[str, Any]) -> Table:
    """Give a table with what a laboratory says over it. The given one stays as it is.

    An override may narrow the driver's limits, and may widen them, which the parameter's ``doc`` then says. A limit may
    be a text with a unit: ``min: 5 mV``. A value of null takes a limit, choices, a step or polling away.

    Args:
        table: The driver's own.
        overrides: By parameter: ``unit``, ``min``, ``max``, ``choices``, ``step``, ``delay``, ``poll``, ``type``,
            ``readable``, ``writable``, ``doc``, ``label``, ``hidden`` (``minimum`` and ``maximum``, as parameters tell
            them, are ``min`` and ``max``); by action: ``doc``, ``reads``, ``hidden``.

    Returns:
        A new table.

    Raises:
        DriverError: an unknown name or key (the text names the nearest), or a value that cannot be.
    """
    parameters, actions = dict(table.parameters), dict(table.actions)
    for name, says in (overrides or {}).items():
        if name not in parameters and name not in actions:
            raise DriverError(
                f"an override is given for {name!r}, which the driver does not have{nearest(str(name), table.names())}"
            )
        if not isinstance(says, Mapping):
            raise DriverError(f"the override of {name!r} is {shown(says)}; write for example {{min: 0, max: 5}}")
        keys = _KEYS if name in parameters else _ACTION_KEYS
        for key in says:
            if key not in keys:
                raise DriverError(f"the override of {name!r} has key {key!r}{nearest(str(key), keys, limit=20)}")
        if _flag(name, "hidden", says.get("hidden", False)):
            parameters.pop(name, None)
            actions.pop(name, None)
        elif name in parameters:
            parameters[name] = _parameter(parameters[name], says)
        else:
            actions[name] = _action(actions[name], says)
    return dataclasses.replace(table, parameters=parameters, actions=actions)


def apply_poll(table: Table, poll: Mapping[str, float | None] | float | None) -> Table:
    """Give a table whose parameters are polled as told.

    Args:
        table: The driver's own, or with overrides.
        poll: Seconds by parameter; one number: for all that can be read and are no arrays; None: nothing is changed.

    Returns:
        A new table.

    Raises:
        DriverError: an unknown parameter, one that cannot be read, or a period that cannot be.
    """
    if poll is None:
        return table
    parameters = dict(table.parameters)
    if not isinstance(poll, Mapping):
        chosen: Mapping[str, float | None] = {n: poll for n, p in parameters.items() if p.readable and p.type != "array"}
    else:
        chosen = poll
    for name, period in chosen.items():
        if name not in parameters:
            raise DriverError(f"{name!r} is to be polled, which the driver does not have{nearest(str(name), parameters)}")
        if period is not None and not parameters[name].readable:
            raise DriverError(f"{name!r} is to be polled, and it cannot be read")
        parameters[name] = _replaced(parameters[name], {"poll": _seconds(name, "poll", period)})
    return dataclasses.replace(table, parameters=parameters)


def _parameter(parameter: Parameter, says: Mapping[str, Any]) -> Parameter:
    unit = says.get("unit", parameter.unit)
    unit = "" if unit is None else _text(parameter.name, "unit", unit)
    if says.get("unit"):
        try:
            check_unit(unit)
        except UnitError as error:
            raise DriverError(f"unit of {parameter.name!r}: {error}") from None
    changes: dict[str, Any] = {"unit": unit}
    for key, value in says.items():
        if key in ("hidden", "unit"):
            continue
        field = _FIELDS.get(key, key)
        if field in changes:
            raise DriverError(f"the override of {parameter.name!r} says {field} twice; give one of them")
        changes[field] = None if value is None and key in _REMOVABLE else _KEYS[key](parameter.name, key, value)
        if field in _IN_UNIT and isinstance(value, str):
            changes[field] = _quantity(parameter.name, key, value, unit, convert_difference if key == "step" else convert)
    changed = _replaced(parameter, changes)
    _check_sense(changed, says)
    if _widened(parameter, changed):
        note = f"(limits widened by the laboratory; the driver says {parameter.limits_text()})"
        changed = dataclasses.replace(changed, doc=f"{changed.doc} {note}".strip())
    return changed


def _replaced(parameter: Parameter, changes: Mapping[str, Any]) -> Parameter:
    return dataclasses.replace(parameter, **changes)  # DriverError if the whole contradicts itself


def _check_sense(parameter: Parameter, says: Mapping[str, Any]) -> None:
    """Refuse what would make a parameter that nobody can use. Raises DriverError."""
    name = parameter.name
    if not (parameter.readable or parameter.writable):
        raise DriverError(f"the override of {name!r} leaves it neither readable nor writable; write hidden: true")
    if not parameter.readable and parameter.poll is not None:
        raise DriverError(f"{name!r} is to be polled, and it cannot be read; take poll away, with null")
    if says.get("choices") is None and "type" not in says:
        return
    for choice in parameter.choices or ():
        try:
            TO_DEVICE[parameter.type](choice, parameter.unit)
        except (MisfitError, UnitError) as error:
            raise DriverError(f"{name!r} has the choice {shown(choice)}, which is no {parameter.type}: it {error}") from None


def _widened(old: Parameter, new: Parameter) -> bool:
    if old.unit != new.unit:
        return False  # its limits are other numbers then
    low = old.minimum is not None and (new.minimum is None or new.minimum < old.minimum)
    high = old.maximum is not None and (new.maximum is None or new.maximum > old.maximum)
    more = old.choices is not None and (new.choices is None or any(one not in old.choices for one in new.choices))
    return low or high or more


def _action(action: Action, says: Mapping[str, Any]) -> Action:
    changes = {key: _ACTION_KEYS[key](action.name, key, value) for key, value in says.items() if key != "hidden"}
    return dataclasses.replace(action, **changes)


# ---------------------------------------------------------------------------------------- one value


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, str):
        return 0.0  # replaced when the unit is known
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DriverError(f"{key} of {name!r} is {shown(value)}; give a number, or a text such as '5 mV'")
    return value


def _quantity(name: str, key: str, text: str, unit: str, into: Callable[[float, str, str], Any] = convert) -> float:
    try:
        number, given = parse_quantity(text)
        return float(into(number, given, unit)) if given else number
    except UnitError as error:
        raise DriverError(f"{key} of {name!r}: {error}") from None


def _seconds(name: str, key: str, value: Any) -> float | None:
    if value is None:
        return 0.0 if key == "delay" else None
    if isinstance(value, str):
        return _quantity(name, key, value, "s")
    return _number(name, key, value)


def _text(name: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DriverError(f"{key} of {name!r} is {shown(value)}; give a text")
    return value


def _flag(name: str, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise DriverError(f"{key} of {name!r} is {shown(value)}; give true or false")
    return value


def _type(name: str, key: str, value: Any) -> str:
    if value not in TYPES:
        raise DriverError(f"{key} of {name!r} is {shown(value)}{nearest(str(value), TYPES)}")
    return str(value)


def _choices(name: str, key: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise DriverError(f"{key} of {name!r} is {shown(value)}; give a list")
    return tuple(value)


_KEYS: dict[str, Callable[[str, str, Any], Any]] = {
    "unit": _text,
    "min": _number,
    "max": _number,
    "minimum": _number,
    "maximum": _number,
    "choices": _choices,
    "step": _number,
    "delay": _seconds,
    "poll": _seconds,
    "type": _type,
    "readable": _flag,
    "writable": _flag,
    "doc": _text,
    "label": _text,
    "hidden": _flag,
}
"""What may be said over a parameter, and how it is read."""
_ACTION_KEYS: dict[str, Callable[[str, str, Any], Any]] = {"doc": _text, "reads": _flag, "hidden": _flag}
_FIELDS = {"min": "minimum", "max": "maximum"}
_IN_UNIT = ("minimum", "maximum", "step")
_REMOVABLE = ("min", "max", "minimum", "maximum", "choices", "step", "poll")
