"""The arguments of actions: what annotations say of them, and checking them before a call. Nothing of a user's is run."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from agentlab.instruments.model.annotations import hints_of, is_marked, read_hint
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action

_NOTHING = (None, type(None))


def limits_of_arguments(function: Any) -> dict[str, Parameter]:
    """Give what annotations with ``Unit``, ``Range`` or ``Choices`` say of a function's arguments, by their names.

    Raises:
        DriverError: one cannot be evaluated, or contradicts itself: limits must not get lost in silence.
    """
    function = inspect.unwrap(function) if callable(function) else function
    if not inspect.isfunction(function) or not getattr(function, "__annotations__", None):
        return {}
    found: dict[str, Parameter] = {}
    for name, annotation in hints_of(function).items():
        hint = _without_none(annotation)
        if name != "return" and is_marked(hint):
            found[name] = Parameter(name, **read_hint(name, hint, {}))
    return found


def _without_none(hint: Any) -> Any:
    others = [one for one in get_args(hint) if one not in _NOTHING]
    return others[0] if get_origin(hint) in (Union, types.UnionType) and len(others) == 1 else hint


def bound_arguments(action: Action, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give the arguments of a call as the driver is to get them: in their units, within their limits.

    Raises:
        TypeError: they are not what the action takes, as Python says it.
        LimitError: one is out of limits, no choice, or of a wrong type.
        UnitError: the unit of one is none, or measures something else.
    """
    if not action.parameters:
        return args, dict(kwargs)  # it takes none, or does not tell
    empty = inspect.Parameter.empty
    takes = [
        inspect.Parameter(name, inspect._ParameterKind(kind), default=empty if default is None else None)
        for name, kind, default in action.parameters
    ]
    try:
        bound = inspect.Signature(takes).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{action.name}(): {error}") from None
    for one in takes:
        limits = action.limits.get(one.name)
        if limits is None or one.name not in bound.arguments:
            continue
        given = bound.arguments[one.name]
        if one.kind is one.VAR_POSITIONAL:
            given = tuple(_checked(limits, value) for value in given)
        elif one.kind is one.VAR_KEYWORD:
            given = {name: _checked(limits, value) for name, value in given.items()}
        else:
            given = _checked(limits, given)
        bound.arguments[one.name] = given
    return (bound.args, bound.kwargs) if action.limits else (args, dict(kwargs))


def _checked(limits: Parameter, value: Any) -> Any:
    """Give one argument; None is no quantity, and whether it may be given the action itself says."""
    return None if value is None else limits.check(value)


__all__ = ["bound_arguments", "limits_of_arguments"]
