"""What annotations and plain values say of a parameter: its type, unit, limits and choices. Nothing of a user's is built."""

from __future__ import annotations

import contextlib
import enum
import types
import typing
from typing import Annotated, Any, ClassVar, Final, Literal, Union, get_args, get_origin

from agentlab.errors import DriverError
from agentlab.instruments.model.device import Choices, Range, Unit
from agentlab.instruments.model.values import plain

_SIMPLE: dict[Any, str] = {float: "float", int: "int", bool: "bool", str: "str", complex: "any", list: "array", tuple: "array"}
_TYPE_NAMES = {"ndarray": "array", "Sequence": "array", "array": "array", "Decimal": "float", "Fraction": "float"}


def read_hint(name: str, hint: Any, enums: dict[str, type[enum.Enum]]) -> dict[str, Any]:
    """Give what an annotation says: type, unit, limits, choices."""
    if get_origin(hint) is Annotated:
        inner, *marks = get_args(hint)
        says = read_hint(name, inner, enums)
        for mark in marks:
            says.update(_read_mark(name, mark))
        return says
    if get_origin(hint) in (ClassVar, Final):
        return read_hint(name, get_args(hint)[0], enums)
    if get_origin(hint) is Literal:
        return {"type": _common_type(get_args(hint)), "choices": get_args(hint)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum) and not issubclass(hint, enum.Flag):
        enums[name] = hint
        values = tuple(plain(member.value) for member in hint)
        return {"type": _common_type(values), "choices": values} if values else {"type": "any"}
    return {"type": _type_of_hint(hint)}


def _read_mark(name: str, mark: Any) -> dict[str, Any]:
    if isinstance(mark, type) and mark in (Unit, Range, Choices):
        raise DriverError(f"the annotation of {name!r} names {mark.__name__} itself; write for example {mark.__name__}(...)")
    if isinstance(mark, Unit):
        return {"unit": mark.text}
    if isinstance(mark, Range):
        return {"minimum": mark.minimum, "maximum": mark.maximum}
    return {"choices": mark.values} if isinstance(mark, Choices) else {}


def _type_of_hint(hint: Any) -> str:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        kinds = {_type_of_hint(one) for one in get_args(hint)}
        return kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else "any"
    known = origin if origin is not None else hint
    if known in _SIMPLE:
        return _SIMPLE[known]
    if isinstance(known, type):
        for base, kind in _SIMPLE.items():
            if issubclass(known, base):
                return kind
        name = known.__name__
        if known.__module__.startswith("numpy") and name.rstrip("_0123456789") in ("float", "int", "uint", "bool", "str"):
            return name.rstrip("_0123456789").removeprefix("u")
        return _TYPE_NAMES.get(name, "any")
    return "any"


def type_of_value(value: Any) -> str | None:
    """Give the type of a parameter that keeps such a value; None: that is no value of a parameter."""
    if isinstance(value, enum.Enum):
        return "any"
    if isinstance(value, (list, tuple)):
        numbers = value and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in value)
        return "array" if numbers else None
    if hasattr(value, "dtype") and hasattr(value, "__len__"):  # a NumPy scalar has no length
        return "array"
    value = plain(value)
    return next(
        (kind for base, kind in ((bool, "bool"), (int, "int"), (float, "float"), (str, "str")) if type(value) is base), None
    )


def _common_type(values: tuple[Any, ...]) -> str:
    kinds = {_SIMPLE.get(type(value), "any") for value in values}
    return kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else "any"


def hints_of(thing: Any) -> dict[str, Any]:
    """Give annotations with their marks, those that cannot be evaluated by their bare names."""
    with contextlib.suppress(Exception):  # evaluating a user's annotation runs code of theirs, and may fail in any way
        return typing.get_type_hints(thing, include_extras=True)
    raw: dict[str, Any] = {}
    for base in reversed(thing.__mro__) if isinstance(thing, type) else [thing]:
        raw.update(vars(base).get("__annotations__", {}) if isinstance(base, type) else getattr(base, "__annotations__", {}))
    names = {kind.__name__: kind for kind in _SIMPLE}
    return {name: names.get(hint, Any) if isinstance(hint, str) else hint for name, hint in raw.items()}
