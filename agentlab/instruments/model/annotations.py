"""What annotations and plain values say of a parameter: its type, unit, limits and choices. Nothing of a user's is built."""

from __future__ import annotations

import collections.abc
import enum
import re
import sys
import types
import typing
from typing import Annotated, Any, ClassVar, Final, Literal, Union, get_args, get_origin

from agentlab.errors import DriverError
from agentlab.instruments.model.device import Choices, Range, Unit
from agentlab.instruments.model.values import plain

_SIMPLE: dict[Any, str] = {float: "float", int: "int", bool: "bool", str: "str", complex: "any", list: "array", tuple: "array"}
_PLAIN: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}
_SEQUENCES = (list, tuple, collections.abc.Sequence)
_UNIONS = (Union, types.UnionType)
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
    marked = [one for one in get_args(hint) if get_origin(one) is Annotated] if get_origin(hint) in _UNIONS else []
    if len(marked) == 1 and set(get_args(hint)) == {marked[0], type(None)}:
        return {**read_hint(name, marked[0], enums), "type": "any"}  # None may come; limits hold all the same
    return {"type": _type_of_hint(hint)}


def _read_mark(name: str, mark: Any) -> dict[str, Any]:
    if isinstance(mark, type) and mark in (Unit, Range, Choices):
        raise DriverError(f"the annotation of {name!r} names {mark.__name__} itself; write for example {mark.__name__}(...)")
    if isinstance(mark, Unit):
        return {"unit": mark.text}
    if isinstance(mark, Range):
        return {"minimum": mark.minimum, "maximum": mark.maximum}
    return {"choices": mark.values} if isinstance(mark, Choices) else {}


def is_marked(hint: Any) -> bool:
    """Tell whether an annotation bears a mark of ours: ``Unit``, ``Range`` or ``Choices``."""
    if get_origin(hint) is not Annotated:
        return False
    kinds = (Unit, Range, Choices)
    return any(isinstance(mark, kinds) or any(mark is kind for kind in kinds) for mark in get_args(hint)[1:])


def _type_of_hint(hint: Any) -> str:
    origin = get_origin(hint)
    if origin in _UNIONS:
        kinds = {_type_of_hint(one) for one in get_args(hint)}
        return kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else "any"
    known = origin if origin is not None else hint
    if not isinstance(known, type):
        return "any"
    items = {_type_of_hint(one) for one in get_args(hint) if one is not Ellipsis} if known in _SEQUENCES else set()
    if not items <= {"float", "int"}:
        return "any"  # an array is one of numbers
    if known in _SIMPLE:
        return _SIMPLE[known]
    for base, kind in _SIMPLE.items():
        if issubclass(known, base):
            return "any" if kind == "array" else kind  # one with names for its items, of any type
    name = known.__name__
    if known.__module__.startswith("numpy") and name.rstrip("_0123456789") in ("float", "int", "uint", "bool", "str"):
        return name.rstrip("_0123456789").removeprefix("u")
    return _TYPE_NAMES.get(name, "any")


def type_of_value(value: Any) -> str | None:
    """Give the type of a parameter that keeps such a value; None: that is no value of a parameter.

    What an object of another class is, its class alone tells: an answer of the object itself might be a command to a device.
    """
    kind = type(value)
    if issubclass(kind, enum.Enum):
        return "any"
    if issubclass(kind, (list, tuple)):
        numbers = value and all(issubclass(type(one), (int, float)) and type(one) is not bool for one in value)
        return "array" if numbers else None
    if _defines(kind, "dtype") and _defines(kind, "ndim") and not _defines(kind, "magnitude"):
        if _defines(kind, "__len__"):  # a NumPy scalar has no length
            return "array"
        kind = type(plain(value))
    return next((name for base, name in _PLAIN.items() if issubclass(kind, base)), None)


def _defines(kind: type, name: str) -> bool:
    return any(name in vars(base) for base in kind.__mro__)


def _common_type(values: tuple[Any, ...]) -> str:
    kinds = {_SIMPLE.get(type(value), "any") for value in values}
    return kinds.pop() if len(kinds) == 1 else "float" if kinds == {"int", "float"} else "any"


def hints_of(thing: Any) -> dict[str, Any]:
    """Give annotations with their marks; one that cannot be evaluated goes by its bare name, and costs no other its marks.

    Annotations that are text (``from __future__ import annotations``) have lost the names of their module where the class
    was sent by value from a script. Those that such marks are written with are known here.

    Raises:
        DriverError: one with a mark of ours cannot be evaluated: its limits must not get lost in silence.
    """
    try:
        return typing.get_type_hints(thing, include_extras=True)
    except Exception:  # noqa: BLE001 - evaluating a user's annotation runs code of theirs, and may fail in any way
        found: dict[str, Any] = {}
    for owner in reversed(thing.__mro__) if isinstance(thing, type) else [thing]:
        raw = vars(owner).get("__annotations__") if isinstance(owner, type) else getattr(owner, "__annotations__", None)
        found.update({name: _hint(name, hint, owner) for name, hint in raw.items()} if isinstance(raw, dict) else {})
    return found


def _hint(name: str, hint: Any, owner: Any) -> Any:
    """Give one annotation of a class or function, evaluated where that stands."""
    module = getattr(owner, "__module__", None)
    names = getattr(owner, "__globals__", None) or getattr(sys.modules.get(str(module)), "__dict__", {})
    carrier = type("carrier", (), {"__annotations__": {name: hint}, "__module__": module})
    try:
        inside = dict(vars(owner)) if isinstance(owner, type) else None  # a class may use its own classes
        return typing.get_type_hints(carrier, {**_NAMES, **names}, inside, include_extras=True)[name]
    except Exception as error:  # as above
        if isinstance(hint, str) and _MARKS.search(hint):
            where = f"{getattr(owner, '__qualname__', owner)}" if name == "return" else repr(name)
            raise DriverError(
                f"the annotation of {where} is {hint[:80]}, which cannot be evaluated in the instrument's process "
                f"({type(error).__name__}: {error}); put the class into a module that has these names"
            ) from error
        return {kind.__name__: kind for kind in _SIMPLE}.get(hint, Any) if isinstance(hint, str) else hint


_NAMES = {name: getattr(typing, name) for name in typing.__all__} | {"Unit": Unit, "Range": Range, "Choices": Choices}
_MARKS = re.compile(r"\b(?:Unit|Range|Choices)\(")
