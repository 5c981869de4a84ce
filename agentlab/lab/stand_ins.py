"""What a lab file says of an instrument that its stand-in does not have, and who has none: for dry runs."""

from __future__ import annotations

import inspect
import types
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agentlab.instruments.engine.interlocks import parse_interlock

if TYPE_CHECKING:
    from agentlab.lab.file import LabFile
    from agentlab.lab.instrument_model import InstrumentModel

_OPAQUE = frozenset(("setattr", "__dict__", "vars", "__getattr__", "__getattribute__"))
"""Names in a class's code after which nobody can tell from outside which attributes an instance has."""


# --- in the throw-away process ------------------------------------------------------------------------------------


def used_names(spec: Mapping[str, Any]) -> list[str]:
    """Give the names of parameters and actions that an instrument's overrides, polling and safe state use.

    Args:
        spec: As ``InstrumentSpec.to_dict()`` gives it.
    """
    poll, safe = spec.get("poll"), spec.get("safe")
    said = [*(spec.get("parameters") or {}), *(poll if isinstance(poll, dict) else ())]
    said += safe if isinstance(safe, dict) else _called(safe)
    return list(dict.fromkeys(said))


def actions_in_rules(spec: Mapping[str, Any]) -> list[str]:
    """Give the actions of an instrument that its interlock rules call, but ``safe``, which is the driver's own.

    Args:
        spec: As ``InstrumentSpec.to_dict()`` gives it, with the rules that it carries out.
    """
    rules = map(parse_interlock, spec.get("interlocks") or ())
    return list(dict.fromkeys(rule.what for rule in rules if not rule.sets and rule.what != "safe"))


def _called(safe: Any) -> list[str]:
    """Give the actions of a safe state but ``safe``, which is the driver's own, and no action."""
    texts = [safe] if isinstance(safe, str) else safe if isinstance(safe, (list, tuple)) else []
    return [name for text in texts if (name := str(text).removesuffix("()")) != "safe"]


def missing_names(cls: type, names: Iterable[str], known: Container[str], *, whole: bool) -> Iterator[str]:
    """Give the names that an instance of a driver's class cannot have. The class is looked at, and nothing is called.

    An attribute that only ``__init__`` sets stands in its code; where that may set any attribute, nobody knows.

    Args:
        cls: The class.
        names: Names of parameters and actions, channels as ``ch_1.voltage``.
        known: Those that the class itself tells of.
        whole: Whether an instance has no more than these.
    """
    said = set() if whole else set(_words(cls))
    for name in names:
        if name not in known and (whole or not said & {*_OPAQUE, *name.split(".")}):
            yield name


def _words(cls: type) -> Iterator[str]:
    """Give the names and texts in the code of a class, and of those that it inherits from."""
    for each in cls.__mro__[:-1]:
        yield from (name for name in vars(each) if name != "__dict__")  # which every class has
        for value in vars(each).values():
            inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            code = getattr(inspect.unwrap(inner) if callable(inner) else inner, "__code__", None)
            if isinstance(code, types.CodeType):
                yield from _words_of(code)


def _words_of(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for value in code.co_consts:
        if isinstance(value, types.CodeType):
            yield from _words_of(value)
        elif isinstance(value, str):
            yield value
        elif isinstance(value, (tuple, frozenset)):
            yield from (one for one in value if isinstance(one, str))


# --- where the lab is read ----------------------------------------------------------------------------------------


def without(model: InstrumentModel, names: Iterable[str]) -> InstrumentModel:
    """Give an instrument of which some parameters and actions are not spoken: what its stand-in lacks must not be a fault.

    Args:
        model: The instrument, with its stand-in's driver.
        names: What the stand-in does not have.
    """
    gone = set(names)
    if not gone:
        return model
    said: dict[str, Any] = {}
    if isinstance(model.parameters, Mapping):
        said["parameters"] = {name: one for name, one in model.parameters.items() if name not in gone}
    if isinstance(model.poll, Mapping):
        said["poll"] = {name: period for name, period in model.poll.items() if name not in gone} or None
    if isinstance(model.safe, Mapping):
        said["safe"] = {name: value for name, value in model.safe.items() if name not in gone} or None
    elif isinstance(model.safe, (str, list)):
        texts = [model.safe] if isinstance(model.safe, str) else model.safe
        said["safe"] = [text for text in texts if text.removesuffix("()") not in gone] or None
    return model.model_copy(update=said)


def real_ones(lab: LabFile) -> list[str]:
    """Give the instruments of a simulated lab that use their real drivers, as they declare no stand-in."""
    return [name for name, model in lab.instruments.items() if model.simulated is None] if lab.simulated else []


def dry_run_lines(lab: LabFile) -> list[str]:
    """Give what somebody who starts a simulated lab should know, a line each."""
    real = real_ones(lab)
    lines = [f"no stand-in, so with their real drivers: {', '.join(real)}; give them simulated:"] if real else []
    for name, gone in lab.left_out.items():
        lines.append(f"{name}: its stand-in has no {', '.join(map(repr, gone))}: what the file says of it is left out")
    return lines


__all__ = ["actions_in_rules", "dry_run_lines", "missing_names", "real_ones", "used_names", "without"]
