"""What a PyMeasure class or instance has, read from what its properties were made with. No property is run.

``Instrument.control()`` and its kin keep commands, limits and maps as the defaults of the getter and setter that they
make, and the way of reading a reply in the getter's closure; for dynamic properties a class attribute
``<property>_values`` or an instance attribute with a prefix of underscores stands above the default. Both are read here
as they are stored.

Source: PyMeasure 0.16, ``instruments/common_base.py``.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.instruments.drivers.docunits import unit_in
from agentlab.instruments.drivers.introspection import property_hints
from agentlab.instruments.drivers.members import Chosen, action_of, doc_of, function_of, has_base, members, stored
from agentlab.instruments.drivers.members import short_doc as _short_doc
from agentlab.instruments.drivers.pymeasure_types import kind_of, said
from agentlab.instruments.drivers.pymeasure_validators import accepted, closure_of
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action

_LIBRARY = "pymeasure"
_HOMES = ("common_base", "instrument", "channel", "generic_types")
_OFFERED = {"ask", "write", "clear", "reset", "check_errors"}
"""What every instrument of PyMeasure has and callers may use; the rest of it is plumbing that would tear a reply apart."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter and where it is found.

    Args:
        parameter: What callers are told.
        path: The names of the channels on the way to it.
        attribute: Its name at the last of them.
        choices: What the driver wants for a choice; None: the choice itself.
        made: Whether PyMeasure made its setter, with a validator.
        numeric: Whether text can be no reply, though one number or a list of them may come.
    """

    parameter: Parameter
    path: tuple[str, ...]
    attribute: str
    choices: Chosen | None = None
    made: bool = False
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One action and where it is found; as :class:`Entry`."""

    action: Action
    path: tuple[str, ...]
    attribute: str


def is_common(value: Any) -> bool:
    """Tell whether an object is an instrument or channel of PyMeasure."""
    return has_base(type(value), _LIBRARY, "CommonBase")


def is_made(member: Any) -> bool:
    """Tell whether a member of a class is a property that PyMeasure's ``control()`` made."""
    getter = member.fget if isinstance(member, property) else None
    return getattr(getter, "__qualname__", "") == "CommonBase.control.<locals>.fget"


def entries(cls: type, instance: Any = None) -> Iterator[Entry | Call]:
    """Give parameters and actions of a class, and of an instance what it alone knows: added channels, dynamic limits."""
    yield from _own(cls, instance, ())
    for path, owner_class, owner in _channels(cls, instance, ()):
        yield from _own(owner_class, owner, path)


def _own(cls: type, owner: Any, path: tuple[str, ...]) -> Iterator[Entry | Call]:
    for name, member, home in members(cls):
        shown = ".".join((*path, name))
        if isinstance(member, property):
            if is_made(member):
                yield _made(shown, name, path, member, cls, owner)
            elif not _is_plumbing(home) or _speaks_scpi(owner):
                yield _written(shown, name, path, member)
        elif function_of(member) is not None and _is_offered(name, cls, home, owner, path):
            yield Call(action_of(shown, member, reads=name == "check_errors"), path, name)


def _is_plumbing(home: type) -> bool:
    """Tell whether a class is one of PyMeasure's own base classes."""
    return home.__module__.startswith("pymeasure.instruments.") and home.__module__.rsplit(".", 1)[1] in _HOMES


def _is_offered(name: str, cls: type, home: type, owner: Any, path: tuple[str, ...]) -> bool:
    if name in ("shutdown", "safe") and not path:
        return False  # the safe state has its own way
    plumbing = {n for base in cls.__mro__ if _is_plumbing(base) for n in vars(base)}
    if name not in plumbing:
        return True
    if path or name not in _OFFERED:
        return False
    return home.__name__ != "Instrument" or name in ("ask", "write") or _speaks_scpi(owner)


def _speaks_scpi(owner: Any) -> bool:
    """Tell whether what Instrument itself has for SCPI is of use: an instance says so, a class cannot know."""
    return owner is not None and vars(owner).get("SCPI") is True


def _channels(cls: type, owner: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type, Any]]:
    """Give the channels with their paths: of an instance those that it has, of a class those that it will make."""
    if owner is not None:
        found = [(name, type(child), child) for name, child in vars(owner).items() if _is_child(child, owner)]
    else:
        found = [(name, child, None) for name, child in _declared(cls)]
    for name, child_class, child in found:
        if not name.startswith("_"):
            yield (*path, name), child_class, child
            yield from _channels(child_class, child, (*path, name))


def _is_child(value: Any, owner: Any) -> bool:
    return is_common(value) and vars(value).get("parent") is owner


def _declared(cls: type) -> Iterator[tuple[str, type]]:
    for name, member, _ in members(cls):
        if has_base(type(member), _LIBRARY, "BaseChannelCreator"):
            many = type(member).__name__ == "MultiChannelCreator"
            prefix = member.kwargs.get("prefix") if many else None
            for child, number in member.pairs:
                yield (f"{prefix}{number}" if prefix and number is not None else name), child


# ---------------------------------------------------------------------------------------- one parameter


def _written(shown: str, name: str, path: tuple[str, ...], member: property) -> Entry:
    """Give the parameter of a property that somebody wrote by hand: what it gives, its annotation or its docstring may tell."""
    doc = doc_of(member) or doc_of(member.fget)
    enums: dict[str, type[enum.Enum]] = {}
    says = property_hints(shown, member.fget, member.fset, enums)
    kind = "any" if enums else says.get("type", "any")
    kind = (said(doc) or "any") if kind == "any" and not enums else kind
    unit = says.get("unit") or (unit_in(doc) if kind not in ("bool", "str") else "")
    limits = {key: says[key] for key in ("minimum", "maximum", "choices") if key in says and not enums}
    parameter = Parameter(
        shown, kind, unit, **limits, readable=member.fget is not None, writable=member.fset is not None, doc=_short_doc(doc)
    )
    return Entry(parameter, path, name, numeric=parameter.type == "any" and bool(parameter.unit))


def _made(shown: str, name: str, path: tuple[str, ...], member: property, cls: type, owner: Any) -> Entry:
    getter, setter = _arguments(member, member.fget, name, cls, owner), _arguments(member, member.fset, name, cls, owner)
    doc, closure = doc_of(member.fget), closure_of(member.fget)
    readable, writable = getter["get_command"] is not None, setter["set_command"] is not None
    low, high, choices, note = accepted(setter if writable else getter, writable=writable)
    kind = kind_of(getter, setter, closure, doc, choices, writable=writable, bounded=low is not None or high is not None)
    parameter = Parameter(
        shown,
        kind,
        "" if kind in ("bool", "str") else unit_in(doc),
        low if kind in ("float", "int", "array") else None,
        high if kind in ("float", "int", "array") else None,
        choices.shown if choices is not None and kind != "bool" else None,
        readable,
        writable,
        doc=_short_doc(f"{doc}\n{note}" if note else doc),
    )
    numeric = kind == "any" and bool(parameter.unit) and choices is None and closure.get("cast", float) in (float, int)
    originals = choices if choices is not None and choices.originals else None
    return Entry(parameter, path, name, originals, writable, numeric)


def setting_of(owner: Any, name: str) -> dict[str, Any]:
    """Give what the setter of a property that PyMeasure made works with now: validator, values and the like."""
    member = stored(type(owner), name)
    return _arguments(member, member.fset, name, type(owner), owner)


def _arguments(member: property, function: Any, name: str, cls: type, owner: Any) -> dict[str, Any]:
    """Give what a getter or setter works with now: its defaults, and above them what a dynamic property was told."""
    found = dict(_defaults(function))
    prefix = getattr(member, "prefix", None)
    if prefix is not None:  # a DynamicProperty
        mine = vars(owner) if owner is not None else {}
        for key, default in list(found.items()):
            told = inspect.getattr_static(cls, f"{name}_{key}", default)
            found[key] = mine.get(f"{prefix}{name}_{key}", told)
    return found


@functools.lru_cache(maxsize=1000)  # asked before every set
def _defaults(function: Any) -> dict[str, Any]:
    return {one.name: one.default for one in inspect.signature(function).parameters.values() if one.default is not one.empty}
