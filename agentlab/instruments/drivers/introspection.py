"""Parameters and actions of any class, found without building or touching an object of it.

Only the class is looked at, statically: a property is never run, so no byte goes to a device. What an instance keeps in
plain public attributes is looked at once it has been built, again without running anything.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import keyword
import types
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, get_origin

from agentlab.agent.describe import Parameters
from agentlab.instruments.model.annotations import hints_of, read_hint, type_of_value
from agentlab.instruments.model.arguments import limits_of_arguments
from agentlab.instruments.model.device import Device, is_reading
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action
from agentlab.instruments.model.values import EXACT

HOUSEKEEPING = frozenset({"safe", "abort", "close", "disconnect", "connect", "reconnect", "cancelled", "progress"})
"""Names that mean something to the agent and are neither parameters nor actions."""


@dataclasses.dataclass(slots=True)
class Found:
    """What a class says of itself: parameters, actions, the enumerations that some parameters take, bare annotations.

    And ``numbers``: attributes without an annotation that the class or ``__init__`` set to a whole number.
    """

    parameters: dict[str, Parameter] = dataclasses.field(default_factory=dict)
    actions: dict[str, Action] = dataclasses.field(default_factory=dict)
    enums: dict[str, type[enum.Enum]] = dataclasses.field(default_factory=dict)
    annotated: set[str] = dataclasses.field(default_factory=set)
    numbers: set[str] = dataclasses.field(default_factory=set)


def look_at_class(cls: type) -> Found:
    """Give the parameters and actions of a class. Nothing of it is run."""
    found = Found()
    hints = hints_of(cls)
    for name, static in _members(cls):
        if name in HOUSEKEEPING and not (is_method(static) and needs_arguments(static)):
            continue  # one that wants arguments is no word of ours
        if is_method(static):
            found.parameters.pop(name, None)
            found.actions[name] = _action(name, static)
            continue
        parameter = _parameter(name, static, hints, found)
        if parameter is not None:
            found.actions.pop(name, None)
            found.parameters[name] = parameter
    for name, hint in hints.items():  # annotated, but without a value in the class: set by __init__
        known = found.parameters.get(name)
        if known is None and not _is_hidden(name, found) and get_origin(hint) is not ClassVar:
            found.parameters[name] = _annotated(name, hint, found.enums, writable=True)
            found.annotated.add(name)
    if _is_frozen(cls):
        found.parameters = {name: dataclasses.replace(one, writable=False) for name, one in found.parameters.items()}
    return found


def look_at_instance(instance: object, found: Found) -> None:
    """Add what an instance keeps in plain public attributes to what its class says. Nothing of it is run."""
    attributes = attributes_of(instance)  # none: it has slots, which its class has told
    frozen = _is_frozen(type(instance))
    for name in found.annotated:
        # annotated as something that is no value, such as a socket: it stays inside
        value = attributes.get(name)
        if found.parameters[name].type == "any" and value is not None and type_of_value(value) is None:
            del found.parameters[name]
    found.annotated.clear()
    for name, value in list(attributes.items()):
        if not _is_name(name) or name in found.parameters or _is_hidden(name, found):
            continue
        parameter = _kept(name, value, found, writable=not frozen)
        if parameter is not None:
            found.parameters[name] = parameter


def attributes_of(instance: object) -> dict[Any, Any]:
    """Give what an instance keeps in attributes, whatever its class does about looking; nothing where it has slots."""
    try:
        found = object.__getattribute__(instance, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _is_hidden(name: str, found: Found) -> bool:
    return name.startswith("_") or name in HOUSEKEEPING or name in found.actions


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Give the public names of a class with what really stands there, in the order in which they were written."""
    seen: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base in (object, Device):
            continue
        seen.update({name: value for name, value in vars(base).items() if not name.startswith("_")})
        for name, value in vars(base).items():
            if value is None and name in seen and not name.startswith("_"):
                del seen[name]  # `method = None` in a subclass takes it away
    return iter(seen.items())


def is_method(static: Any) -> bool:
    """Tell whether what stands in a class is called, rather than read."""
    if isinstance(static, (classmethod, staticmethod, functools.partialmethod, types.FunctionType, types.BuiltinFunctionType)):
        return True
    if isinstance(static, type):
        return False
    if isinstance(static, functools.singledispatchmethod):
        return True
    # functions of C and Cython, cached ones, partial ones: callable, and bound to the instance or at least no data
    return callable(static) and not hasattr(type(static), "__set__")


def needs_arguments(static: Any) -> bool:
    """Tell whether a method, as it stands in its class, cannot be called without arguments; False where it does not tell."""
    needed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(default is None and kind in needed for _, kind, default in _action("", static).parameters)


def _action(name: str, static: Any) -> Action:
    function = static.__func__ if isinstance(static, (classmethod, staticmethod)) else static
    if isinstance(function, (functools.partialmethod, functools.singledispatchmethod)):
        function = function.func
    return Action(
        name,
        _doc(function),
        arguments(function, bound=not isinstance(static, staticmethod)),
        is_reading(function),
        limits=limits_of_arguments(function) if name else {},
    )


def arguments(function: Any, *, bound: bool = True) -> Parameters:
    """Give the arguments of a function for people and for proxies.

    Args:
        function: Any callable.
        bound: Whether its first argument is the instance, and left out.

    Returns:
        Name, kind and default's text of each; ``*args`` where it has no signature.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C have none
        return [("args", int(inspect.Parameter.VAR_POSITIONAL), None)]
    if (
        bound
        and parameters
        and parameters[0].kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ):
        parameters = parameters[1:]
    return [(p.name, int(p.kind), None if p.default is p.empty else _repr(p.default)) for p in parameters]


def _repr(default: object) -> str:
    try:
        return repr(default)
    except Exception as error:  # noqa: BLE001 - a door: somebody's own __repr__
        return f"<its repr() raised {type(error).__name__}>"


def _parameter(name: str, static: Any, hints: Mapping[str, Any], found: Found) -> Parameter | None:
    """Give the parameter that a class attribute stands for; None: it is none."""
    enums = found.enums
    if isinstance(static, (property, functools.cached_property)):
        return _property(name, static, enums)
    if isinstance(static, (type, types.ModuleType)):
        return None
    if hasattr(type(static), "__get__"):  # a descriptor: a slot, or one of a library
        writable = hasattr(type(static), "__set__")
        if name in hints:
            return _annotated(name, hints[name], enums, writable=writable)
        return Parameter(name, "any", writable=writable, doc=_doc(static))
    if name in hints:
        constant = get_origin(hints[name]) in (ClassVar, Final) or hints[name] in (ClassVar, Final)
        return _annotated(name, hints[name], enums, writable=not constant)
    return _kept(name, static, found, writable=not name.isupper())


def _kept(name: str, value: Any, found: Found, *, writable: bool) -> Parameter | None:
    """Give the parameter of a plain attribute that has no annotation, told by its value; None: it is none."""
    kind = type_of_value(value)
    if kind is None:
        return None
    if kind == "int" and writable and abs(value) <= EXACT:  # `self.voltage = 0` means a number
        found.numbers.add(name)
        kind = "float"
    if issubclass(type(value), enum.Enum):
        found.enums[name] = type(value)
    return Parameter(name, kind, writable=writable)


def _property(name: str, static: Any, enums: dict[str, type[enum.Enum]]) -> Parameter:
    getter = static.fget if isinstance(static, property) else static.func
    setter = static.fset if isinstance(static, property) else None
    says = {"type": "any", **property_hints(name, getter, setter, enums)}
    return Parameter(name, **says, readable=getter is not None, writable=setter is not None, doc=_doc(static))


def property_hints(name: str, getter: Any, setter: Any, enums: dict[str, type[enum.Enum]]) -> dict[str, Any]:
    """Give what the annotations of a property's functions say: type, unit, limits, choices; what it gives goes before.

    Args:
        name: The property's.
        getter: Its function that reads; None: it has none.
        setter: Its function that sets.
        enums: Takes the enumeration that it is of, by its name.
    """
    says: dict[str, Any] = {}
    if setter is not None:
        taken = [hint for key, hint in hints_of(setter).items() if key != "return"]
        says.update(read_hint(name, taken[-1], enums) if taken else {})
    given = hints_of(getter).get("return") if getter is not None else None
    if given is not None:
        of_getter = read_hint(name, given, enums)
        if of_getter.get("type") == "any" and "type" in says:
            del of_getter["type"]
        says.update(of_getter)
    return says


def _annotated(name: str, hint: Any, enums: dict[str, type[enum.Enum]], *, writable: bool) -> Parameter:
    final = hint is Final or get_origin(hint) is Final
    return Parameter(name, **read_hint(name, hint, enums), writable=writable and not final)


def _is_frozen(cls: type) -> bool:
    options = getattr(cls, "__dataclass_params__", None)
    return bool(getattr(options, "frozen", False))


def _doc(static: Any) -> str:
    text = getattr(static, "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) and text != type(static).__doc__ else ""


def doc_of(cls: type) -> str:
    """Give the docstring of a class; empty where it has none, or something else in its place."""
    text = cls.__doc__
    return inspect.cleandoc(text) if isinstance(text, str) else ""
