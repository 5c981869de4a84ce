"""What a PyMeasure class or instance has, read from what its properties were made with. No property is run.

``Instrument.control()`` and its kin keep commands, limits and maps as the defaults of the getter and setter that they
make, and the way of reading a reply in the getter's closure; for dynamic properties a class attribute
``<property>_values`` or an instance attribute with a prefix of underscores stands above the default. Both are read here
as they are stored.

Source: PyMeasure 0.16, ``instruments/common_base.py``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.instruments.drivers.docunits import unit_in
from agentlab.instruments.drivers.members import Chosen, action_of, doc_of, function_of, has_base, members
from agentlab.instruments.drivers.members import short_doc as _short_doc
from agentlab.instruments.drivers.pymeasure_validators import accepted, closure_of
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action

_LIBRARY = "pymeasure"
_HOMES = ("common_base", "instrument", "channel", "generic_types")
_OFFERED = {"ask", "write", "clear", "reset", "check_errors"}
"""What every instrument of PyMeasure has and callers may use; the rest of it is plumbing that would tear a reply apart."""
_LISTS = re.compile(r"\b(list|tuple|arrays?|pairs?|dict|dictionary|waveform|trace|comma[- ]separated)\b", re.IGNORECASE)
_TEXTS = re.compile(
    r"\((?:str|string)\b|\bstring\b|\bserial number\b|\bidentification\b|\bidentity\b|\bfirmware\b|\bversion\b|\bmodel\b"
    r"|:type:? str\b|\bbool(?:ean)?\b|\benum\b|\bIntFlag\b|\bIntEnum\b",
    re.IGNORECASE,
)


_ERROR_QUERIES = {"SYST:ERR?", ":SYST:ERR?", "SYSTem:ERRor?", ":SYSTem:ERRor?", ":SYST:ERR:NEXT?", "SYST:ERR:NEXT?"}
"""What answers with a number and a text (SCPI 1999.0, volume 2, 21.8)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter and where it is found.

    Args:
        parameter: What callers are told.
        path: The names of the channels on the way to it.
        attribute: Its name at the last of them.
        choices: What the driver wants for a choice; None: the choice itself.
        made: What its setter is given, if PyMeasure made it: validator, values and the like.
        numeric: Whether text can be no reply, though one number or a list of them may come.
    """

    parameter: Parameter
    path: tuple[str, ...]
    attribute: str
    choices: Chosen | None = None
    made: dict[str, Any] | None = None
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
    """Give the parameter of a property that somebody wrote by hand: what it gives, only its annotation could tell."""
    doc = doc_of(member) or doc_of(member.fget)
    hint = getattr(member.fget, "__annotations__", {}).get("return")
    word = hint if isinstance(hint, str) else getattr(hint, "__name__", "")
    kind = word if word in ("float", "int", "bool", "str") else "any"
    unit = unit_in(doc) if kind not in ("bool", "str") else ""
    parameter = Parameter(
        shown, kind, unit, readable=member.fget is not None, writable=member.fset is not None, doc=_short_doc(doc)
    )
    return Entry(parameter, path, name, numeric=kind == "any" and bool(parameter.unit))


def _made(shown: str, name: str, path: tuple[str, ...], member: property, cls: type, owner: Any) -> Entry:
    getter, setter = _arguments(member, member.fget, name, cls, owner), _arguments(member, member.fset, name, cls, owner)
    doc, closure = doc_of(member.fget), closure_of(member.fget)
    readable, writable = getter["get_command"] is not None, setter["set_command"] is not None
    low, high, choices, note = accepted(setter if writable else getter, writable=writable)
    bounded = low is not None or high is not None
    open_ended = writable and not bounded and choices is None and not _is_identity(setter["validator"])
    # a validator that cannot be read may take text such as MAX for a number
    kind = "any" if open_ended else _kind(getter, setter, closure, doc, choices, bounded=bounded)
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
    return Entry(parameter, path, name, originals, setter if writable else None, numeric)


def _arguments(member: property, function: Any, name: str, cls: type, owner: Any) -> dict[str, Any]:
    """Give what a getter or setter works with now: its defaults, and above them what a dynamic property was told."""
    found = {one.name: one.default for one in inspect.signature(function).parameters.values() if one.default is not one.empty}
    prefix = getattr(member, "prefix", None)
    if prefix is not None:  # a DynamicProperty
        mine = vars(owner) if owner is not None else {}
        for key, default in list(found.items()):
            told = inspect.getattr_static(cls, f"{name}_{key}", default)
            found[key] = mine.get(f"{prefix}{name}_{key}", told)
    return found


_BY_FORMAT = ((re.compile(r"%[-+ #0]*\d*[di]"), "int"), (re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[eEfFgG]"), "float"))


def _kind(
    getter: dict[str, Any], setter: dict[str, Any], closure: dict[str, Any], doc: str, choices: Chosen | None, *, bounded: bool
) -> str:
    """Give the parameter's type. Where PyMeasure reads a number, text that comes back must be an error and never a value."""
    cast = closure.get("cast", float)
    if choices is not None:
        kind = choices.type()
        read_as_float = getter["get_command"] is not None and cast is float and not getter["map_values"]
        return "float" if kind == "int" and read_as_float and _is_identity(getter["get_process"]) else kind
    if getter["get_command"] is None:
        return _kind_of_setting(setter, bounded=bounded)
    if not _is_identity(getter["get_process_list"]) or _LISTS.search(doc) or getter["get_command"] in _ERROR_QUERIES:
        return "any"
    if not _is_identity(getter["get_process"]):
        return "float" if (bounded or unit_in(doc)) and cast in (float, int) else "any"
    if cast is str:
        return "str" if closure.get("maxsplit") == 0 else "any"  # a comma in the text would make a list of it
    if cast is float:
        return "any" if _TEXTS.search(doc) and not bounded and not unit_in(doc) else "float"
    return {int: "int", bool: "bool"}.get(cast, "any")


def _kind_of_setting(setter: dict[str, Any], *, bounded: bool) -> str:
    """Give the type of what can only be set, from how it is written into the command."""
    command = setter["set_command"]
    if not _is_identity(setter["set_process"]) or not isinstance(command, str) or command.count("%") != 1:
        return "float" if bounded else "any"
    for pattern, kind in _BY_FORMAT:
        if pattern.search(command):
            return kind
    return "float" if bounded else "any"


def _is_identity(function: Any) -> bool:
    """Tell whether a process or validator is the default, which gives back what it is given."""
    return getattr(function, "__module__", "") == "pymeasure.instruments.common_base" and function.__name__ == "<lambda>"
