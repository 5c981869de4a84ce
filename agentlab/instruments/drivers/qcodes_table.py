"""What a QCoDeS instrument has: its parameters, submodules and functions, as the instance keeps them. Nothing is asked of it.

QCoDeS makes parameters in the constructor, so a class tells its methods only.

Source: QCoDeS 0.58, ``instrument/instrument_base.py``, ``parameters/parameter_base.py``, ``validators/validators.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.instruments.drivers.members import (
    Chosen,
    action_of,
    doc_of,
    function_of,
    has_base,
    limits_of,
    members,
    short_doc,
)
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action

_LIBRARY = "qcodes"
_PLUMBING = ("qcodes.instrument.", "qcodes.metadatable", "qcodes.utils", "qcodes.logger")
_OFFERED = {"ask", "write"}
_HIDDEN = {"safe", "close", "get_idn"}
_PARSERS: dict[Any, str] = {float: "float", int: "int", bool: "bool", str: "str"}
_MOST_CHOICES = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter and QCoDeS' own object of it.

    Args:
        parameter: What callers are told.
        source: The parameter of QCoDeS.
        choices: What QCoDeS wants for a choice; None: the choice itself.
        numeric: Whether text can be no reply unless it is a number: it has a unit, and says no more of itself.
        parsed: Whether QCoDeS makes the value out of the device's text, so that what it raises is about the reply.
    """

    parameter: Parameter
    source: Any
    choices: Chosen | None = None
    numeric: bool = False
    parsed: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One action and what runs it: a function of QCoDeS, or the path of modules and the method's name."""

    action: Action
    owner: Any
    attribute: str


def class_calls(cls: type, owner: Any = None, prefix: tuple[str, ...] = ()) -> Iterator[Call]:
    """Give the methods of a class that callers may use; those of QCoDeS itself are plumbing, except ``ask`` and ``write``."""
    plumbing = {name for base in cls.__mro__ if base.__module__.startswith(_PLUMBING) for name in vars(base)}
    for name, member, _ in members(cls):
        if function_of(member) is None or name in _HIDDEN or (name in plumbing and (prefix or name not in _OFFERED)):
            continue
        yield Call(action_of(".".join((*prefix, name)), member), owner, name)


def entries(instance: Any) -> Iterator[Entry | Call]:
    """Give parameters, functions and methods of an instrument and of all its modules, each module once."""
    yield from _module(instance, (), {id(instance)})


def _module(module: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[Entry | Call]:
    kept = vars(module)
    for name, source in kept.get("parameters", {}).items():
        yield entry(".".join((*path, name)), source)
    for name, function in kept.get("functions", {}).items():
        yield Call(_function(".".join((*path, name)), function), function, "__call__")
    yield from class_calls(type(module), module, path)
    for way, child in _submodules(kept.get("submodules", {}), path):
        if id(child) not in seen:
            seen.add(id(child))
            yield from _module(child, way, seen)


def _submodules(kept: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give modules with their paths. One that is in a list and a module by itself goes by its own name."""
    listed = {name: child for name, child in kept.items() if has_base(type(child), _LIBRARY, "ChannelTuple")}
    for name, child in kept.items():
        if name not in listed:
            yield (*path, name), child
    for name, channels in listed.items():
        for channel in channels:
            yield (*path, name, str(vars(channel).get("_short_name", ""))), channel


def _function(shown: str, function: Any) -> Action:
    positional = int(inspect.Parameter.POSITIONAL_ONLY)
    count = len(getattr(function, "_args", ()))
    doc = doc_of(function) if "__doc__" in vars(function) else ""
    return Action(shown, doc, [(f"arg{n}", positional, None) for n in range(count)])


# ---------------------------------------------------------------------------------------- one parameter


@dataclass(slots=True)
class _Limits:
    """What validators say: the type of value, limits, choices."""

    kind: str = ""
    low: float | None = None
    high: float | None = None
    choices: Chosen | None = None


def entry(shown: str, source: Any) -> Entry:
    """Give what a parameter of QCoDeS is. Only what it was made with is looked at; its value is not."""
    mapping = getattr(source, "val_mapping", None)
    says = _of_mapping(mapping) if mapping else _of_validators(getattr(source, "validators", ()))
    unit = getattr(source, "unit", "")
    unit = unit if isinstance(unit, str) else ""
    kind = _kind(source, says)
    text = kind in ("bool", "str")
    bounded = kind in ("float", "int", "array") and says.choices is None
    step = getattr(source, "step", None)
    parameter = Parameter(
        shown,
        kind,
        "" if text else unit,
        says.low if bounded else None,
        says.high if bounded else None,
        says.choices.shown if says.choices is not None and kind != "bool" else None,
        bool(getattr(source, "gettable", True)),
        bool(getattr(source, "settable", False)),
        float(abs(step)) if isinstance(step, (int, float)) and step and kind in ("float", "int") else None,
        float(getattr(source, "inter_delay", 0) or 0),
        doc=_doc(source),
        label=str(getattr(source, "label", "") or ""),
    )
    originals = says.choices if says.choices is not None and says.choices.originals else None
    parsed = mapping is not None or getattr(source, "get_parser", None) is not None
    return Entry(parameter, source, originals, kind == "any" and bool(unit) and says.choices is None, parsed)


def _doc(source: Any) -> str:
    own = getattr(source, "_docstring", None)
    return short_doc(inspect.cleandoc(own)) if isinstance(own, str) else ""


def _kind(source: Any, says: _Limits) -> str:
    if says.choices is not None:
        return says.choices.type()
    if says.kind:
        return says.kind
    cls = type(source)
    if has_base(cls, _LIBRARY, "MultiParameter"):
        return "any"
    if has_base(cls, _LIBRARY, "ArrayParameter"):
        return "array"
    return _PARSERS.get(getattr(source, "get_parser", None), "any")


def _of_mapping(mapping: dict[Any, Any]) -> _Limits:
    """Give the keys of a map as choices; the many spellings of on and off that QCoDeS offers are true and false."""
    switches = {True, False} <= {key for key in mapping if isinstance(key, bool)}
    if switches and len(set(map(str, mapping.values()))) == 2:
        return _Limits("bool")
    return _Limits(choices=_chosen(mapping))


def _of_validators(validators: Any) -> _Limits:
    """Give what several validators say that all must agree: the narrowest of their limits."""
    found = _Limits()
    for one in map(_of_validator, validators):
        found.kind = one.kind or found.kind
        found.choices = one.choices or found.choices
        found.low = max((x for x in (found.low, one.low) if x is not None), default=None)
        found.high = min((x for x in (found.high, one.high) if x is not None), default=None)
    return found


_NUMBERS = {"Numbers": "float", "PermissiveMultiples": "float", "Ints": "int", "PermissiveInts": "int", "Multiples": "int"}
_BIG = 10**18
"""QCoDeS writes 'no limit' of whole numbers as one beyond any that a device takes."""


def _of_validator(validator: Any) -> _Limits:
    name = next((base.__name__ for base in type(validator).__mro__ if base.__module__.startswith("qcodes.validators")), "")
    if name in _NUMBERS:
        ends = [getattr(validator, key, None) for key in ("min_value", "max_value")]
        low, high = (limits_of([end])[0] for end in ends)
        low, high = (None if end is None or abs(end) >= _BIG else end for end in (low, high))
        return _Limits(_NUMBERS[name], low, high)
    if name == "Arrays":
        real = not any(issubclass(kind, complex) for kind in getattr(validator, "valid_types", ()) if isinstance(kind, type))
        low, high = (limits_of([getattr(validator, f"_{key}_value", None)])[0] for key in ("min", "max"))
        return _Limits("array", low, high) if real else _Limits("any")
    if name in ("Bool", "Strings"):
        return _Limits({"Bool": "bool", "Strings": "str"}[name])
    if name in ("Enum", "LiteralValidator", "OnOff"):
        values = getattr(validator, "valid_values", None)
        return _Limits(choices=_chosen(values)) if values else _Limits()
    if name == "MultiTypeAnd":
        return _of_validators(validator.validators)
    if name in ("MultiType", "MultiTypeOr"):
        return _of_alternatives([_of_validator(one) for one in validator.validators])
    return _Limits()


def _of_alternatives(parts: list[_Limits]) -> _Limits:
    """Give what validators say of which one must agree: all choices together, or the widest limits of numbers."""
    if parts and all(one.choices is not None for one in parts):
        originals = [one.choices.original(value) for one in parts if one.choices is not None for value in one.choices.shown]
        return _Limits(choices=_chosen(originals))
    if parts and all(one.kind in ("float", "int") for one in parts):
        lows, highs = [one.low for one in parts], [one.high for one in parts]
        kind = "float" if any(one.kind == "float" for one in parts) else "int"
        return _Limits(
            kind,
            None if None in lows else min(x for x in lows if x is not None),
            None if None in highs else max(x for x in highs if x is not None),
        )
    return _Limits("any")


def _chosen(values: Any) -> Chosen | None:
    listed = list(values)
    try:
        return Chosen.of(listed) if 0 < len(listed) <= _MOST_CHOICES else None
    except TypeError:  # tuples are told as lists, which are no choices; QCoDeS' own validator holds to them
        return None
