"""What the adapters share: looking at foreign classes and values without running a line of their code."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.agent.describe import Parameters
from agentlab.errors import BadReplyError
from agentlab.instruments.model.arguments import limits_of_arguments
from agentlab.instruments.model.replies import FROM_DEVICE
from agentlab.instruments.model.table import Action
from agentlab.instruments.model.values import MisfitError, plain, shown


def has_base(cls: type, library: str, name: str) -> bool:
    """Tell whether a class descends from a library's class. The library is not imported for it.

    Args:
        cls: Any class.
        library: Its package: ``pymeasure``.
        name: The name of the base class.
    """
    return any(base.__name__ == name and base.__module__.split(".")[0] == library for base in cls.__mro__)


def members(cls: type) -> Iterator[tuple[str, Any, type]]:
    """Give the public members of a class as they are stored: name, value, and the class that defines it.

    No descriptor is run. The class itself comes first and its bases after it, each in the order of its source.
    """
    seen: set[str] = set()
    for base in cls.__mro__:
        if base is object:
            continue
        for name, value in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            yield name, value, base


def stored(owner: Any, name: str, default: Any = None) -> Any:
    """Give an attribute of an object or class as it is stored; a property itself, never its value."""
    return inspect.getattr_static(owner, name, default)


def function_of(member: Any) -> Any:
    """Give the function of a method as it is stored in a class; None for what is none."""
    if isinstance(member, (staticmethod, classmethod)):
        member = member.__func__
    return member if inspect.isfunction(member) else None


def action_of(name: str, member: Any, *, reads: bool = False) -> Action:
    """Give the action that calls a method, from how it is stored in its class.

    Args:
        name: As callers write it.
        member: A function, staticmethod or classmethod.
        reads: Whether it changes nothing.
    """
    function = function_of(member)
    arguments = arguments_of(function, bound=not isinstance(member, staticmethod))
    return Action(name, doc_of(function), arguments, reads, limits=limits_of_arguments(function))


def arguments_of(function: Any, *, bound: bool = False) -> Parameters:
    """Give the parameters of a function as :class:`~agentlab.instruments.model.table.Action` wants them.

    Args:
        function: Any callable.
        bound: Whether its first one is ``self`` and stays out.
    """
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # builtins and C extensions have none
        found = [inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)]
        bound = False
    if bound:
        found = found[1:]
    return [(one.name, int(one.kind), None if one.default is one.empty else _text(one.default)) for one in found]


def needs_nothing(function: Any) -> bool:
    """Tell whether a method as it is stored can be called without arguments."""
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return function is not None and all(
        default is not None or kind not in named for _, kind, default in arguments_of(function, bound=True)
    )


def _text(default: object) -> str:
    try:
        return repr(default)
    except Exception as error:  # noqa: BLE001 - a door: somebody's own __repr__
        return f"<its repr() raised {type(error).__name__}>"


def doc_of(thing: Any) -> str:
    """Give a docstring without its indentation."""
    doc = getattr(thing, "__doc__", None)
    return inspect.cleandoc(doc) if isinstance(doc, str) else ""


# ---------------------------------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Chosen:
    """Choices as they are told to callers, and what a driver wants for them.

    Args:
        shown: Plain values; a member of an enumeration of numbers goes by its name.
        originals: The driver's own value of each that is not itself plain.
    """

    shown: tuple[Any, ...]
    originals: dict[Any, Any]

    @classmethod
    def of(cls, values: Iterable[Any]) -> Chosen:
        """Give the choices that a driver has, each once."""
        found: dict[tuple[type, Any], Any] = {}
        for value in values:
            told = told_of(value)
            found.setdefault((type(told), told), value)
        originals = {told: value for (_, told), value in found.items() if type(value) is not type(told)}
        return cls(tuple(told for _, told in found), originals)

    def original(self, value: Any) -> Any:
        """Give what the driver wants for a choice."""
        try:
            return self.originals.get(value, value)
        except TypeError:  # a list has no hash, and is no choice of an enumeration either
            return value

    def type(self) -> str:
        """Give the parameter type that all of them are of; ``any`` for a mixture."""
        kinds = {type(one) for one in self.shown}
        if kinds <= {int, float} and kinds:
            return "float" if float in kinds else "int"
        return {bool: "bool", str: "str"}.get(kinds.pop(), "any") if len(kinds) == 1 else "any"


def told_of(value: Any) -> Any:
    """Give a driver's value as callers see it: plain where it is one value, arrays and structures with plain leaves.

    A member of an enumeration of texts is its text, one of numbers its name, a set of flags its number.
    """
    if isinstance(value, enum.Enum):
        if isinstance(value, enum.Flag) or isinstance(value.value, str):
            return plain(value.value)
        return value.name
    if isinstance(value, (list, tuple)):
        return [told_of(one) for one in value]
    if isinstance(value, dict):
        return {told_of(key): told_of(one) for key, one in value.items()}
    return plain(value)


def numbers(name: str, found: Any) -> Any:
    """Give what was read of a quantity that has a unit: text that is a number as one, also in a list; SCPI's 9.9E37 as infinite.

    Raises:
        BadReplyError: text that is none.
    """
    if isinstance(found, list):
        return [numbers(name, one) for one in found]
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        return found
    try:
        return FROM_DEVICE["float"](found, "")
    except MisfitError:
        raise BadReplyError(f"{name} has a unit and so is a number, and the device answered {shown(found)}") from None


def limits_of(values: Any) -> tuple[float | None, float | None]:
    """Give the smallest and the largest of what a validator holds; None where it is infinite or no number."""
    try:
        if isinstance(values, range):  # min() would count through it
            values = sorted((values[0], values[-1]))
        ends = (values.min(), values.max()) if hasattr(values, "ndim") else (min(values), max(values))
        low, high = map(plain, ends)
    except (TypeError, ValueError, IndexError):
        return None, None
    return _finite(low), _finite(high)


def _finite(value: Any) -> float | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if number and abs(value) != float("inf") and value == value else None  # noqa: PLR0124 - NaN


_SENTENCES_SHOWN = 1200


def short_doc(doc: str) -> str:
    """Give a docstring that is sent along with every description of an instrument, cut where it gets long."""
    doc = re.sub(r"\s*\(dynamic\)$", "", doc.strip())
    return doc if len(doc) <= _SENTENCES_SHOWN else f"{doc[: _SENTENCES_SHOWN - 1]}…"
