"""What a device of ophyd-async has: its signals, commands and movable parts, found through ``children()``.

A class that declares its children by annotation is read from those; one that makes them in its constructor, once it is built.
Units, limits and choices are what ``describe()`` says when the device is connected; the dictionary is handed in here.

Source: ophyd-async 0.21, ``core/_device.py``, ``core/_signal.py``, ``core/_command.py``; event-model's data keys.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from agentlab.instruments.drivers.members import (
    action_of,
    arguments_of,
    doc_of,
    function_of,
    has_base,
    limits_of,
    members,
    stored,
)
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action

_LIBRARY = "ophyd_async"
_VERBS = ("set", "trigger", "stop", "kickoff", "complete", "prepare", "stage", "unstage")
"""What bluesky's protocols have a device do; the rest of them reads and describes, which parameters do here."""
_TYPES: dict[Any, str] = {float: "float", int: "int", bool: "bool", str: "str"}
_DTYPES = {"number": "float", "integer": "int", "boolean": "bool", "string": "str", "array": "array"}
POSITION = "position"
"""The parameter that a movable part has beside its signals: reading gives where it is, setting moves it and waits."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter and the signal or movable device behind it; None before the device is built."""

    parameter: Parameter
    source: Any


@dataclass(frozen=True, slots=True)
class Call:
    """One action and the device that has it."""

    action: Action
    source: Any
    attribute: str


def is_signal(cls: type) -> bool:
    """Tell whether a class is a signal of ophyd-async."""
    return has_base(cls, _LIBRARY, "Signal")


def walk(device: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give a device and all below it, each with its path."""
    yield path, device
    for name, child in device.children():
        if not name.startswith("_"):
            yield from walk(child, (*path, name))


def entries(device: Any, keys: Mapping[int, Mapping[str, Any]]) -> Iterator[Entry | Call]:
    """Give parameters and actions of a device that has been built.

    Args:
        device: The topmost one.
        keys: What ``describe()`` said of a signal, by its ``id()``.
    """
    for path, one in walk(device):
        cls, shown = type(one), ".".join(path)
        if is_signal(cls):
            if has_base(cls, _LIBRARY, "SignalX"):
                yield Call(Action(shown, doc_of(cls)), one, "trigger")
            else:
                yield Entry(signal_parameter(shown, cls, stored_datatype(one), keys.get(id(one), {})), one)
        elif has_base(cls, _LIBRARY, "Command"):
            signature = getattr(one, "signature", None)
            yield Call(Action(shown, doc_of(cls), _arguments(signature)), one, "execute")
        else:
            yield from _device(path, one, keys)


def _device(path: tuple[str, ...], one: Any, keys: Mapping[int, Mapping[str, Any]]) -> Iterator[Entry | Call]:
    cls = type(one)
    if is_movable(cls):
        readback = readback_of(one)
        key = keys.get(id(readback), {}) if readback is not None else {}
        parameter = signal_parameter(".".join((*path, POSITION)), cls, stored_datatype(readback), key, writable=True)
        yield Entry(parameter, one)
    yield from class_calls(cls, one, path)


def class_entries(cls: type) -> Iterator[Entry | Call]:
    """Give what a class tells before it is built: children that it declares by annotation, and its methods."""
    for name, hint in _annotations(cls).items():
        declared = get_args(hint)[0] if hasattr(hint, "__metadata__") else hint  # Annotated[SignalRW[float], ...]
        child = get_origin(declared) or declared
        if name.startswith("_") or not isinstance(child, type) or not is_signal(child):
            continue
        datatype = next(iter(get_args(declared)), None)
        if has_base(child, _LIBRARY, "SignalX"):
            yield Call(Action(name, doc_of(child)), None, "trigger")
        else:
            yield Entry(signal_parameter(name, child, datatype, {}), None)
    if is_movable(cls):
        yield Entry(Parameter(POSITION, "any"), None)
    yield from class_calls(cls, None, ())


def class_calls(cls: type, owner: Any, path: tuple[str, ...]) -> Iterator[Call]:
    """Give the methods that callers may use: bluesky's verbs that do something, and those of the user's class."""
    plumbing = {name for base in cls.__mro__ if _is_plumbing(base) for name in vars(base)} - set(_VERBS)
    for name, member, _ in members(cls):
        if function_of(member) is not None and name not in plumbing and not (name == "safe" and not path):
            yield Call(action_of(".".join((*path, name)), member), owner, name)


def _is_plumbing(base: type) -> bool:
    return base.__module__.startswith(("ophyd_async.core", "bluesky.", "typing", "collections"))


def _annotations(cls: type) -> dict[str, Any]:
    try:
        return inspect.get_annotations(cls, eval_str=True)
    except Exception:  # noqa: BLE001 - evaluating somebody's annotation runs code of theirs, and may fail in any way
        return {}


def _arguments(signature: Any) -> list[tuple[str, int, str | None]]:
    if not isinstance(signature, inspect.Signature):
        return []

    def carrier() -> None: ...

    carrier.__signature__ = signature  # type: ignore[attr-defined]
    return arguments_of(carrier)


# ---------------------------------------------------------------------------------------- one parameter


def is_movable(cls: type) -> bool:
    """Tell whether a device, not a signal, can be set and says where it is."""
    return not is_signal(cls) and all(function_of(stored(cls, name)) is not None for name in ("set", "locate"))


def readback_of(device: Any) -> Any:
    """Give the signal that says where a movable device is; None where it does not name one."""
    return getattr(getattr(device, "movable_logic", None), "readback", None)


def stored_datatype(signal: Any) -> Any:
    """Give the type of a signal's value as it was made with; None: not known until it is connected."""
    return None if signal is None else getattr(signal, "datatype", None)


def signal_parameter(shown: str, cls: type, datatype: Any, key: Mapping[str, Any], *, writable: bool | None = None) -> Parameter:
    """Give the parameter of a signal, or of a movable device.

    Args:
        shown: As callers write it.
        cls: The signal's class, which says whether it is read, written or both.
        datatype: Of its value; None: not known.
        key: What ``describe()`` says: units, choices, limits.
        writable: Instead of what the class says.
    """
    choices = key.get("choices") or _members_of(datatype)
    kind = "str" if choices else _DTYPES.get(str(key.get("dtype", "")), "") or _kind(datatype)
    low, high = _limits(key) if kind in ("float", "int") else (None, None)
    return Parameter(
        shown,
        kind,
        str(key.get("units") or "") if kind not in ("str", "bool") else "",
        low,
        high,
        tuple(map(str, choices)) if choices and _is_closed(datatype) else None,
        writable is True or has_base(cls, _LIBRARY, "SignalR"),
        has_base(cls, _LIBRARY, "SignalW") if writable is None else writable,
        doc=str(key.get("source", "")),
    )


def _limits(key: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Give the limits of what may be set; those of display and alarm are none. EPICS writes 'no limits' as 0 and 0."""
    control = (key.get("limits") or {}).get("control") or {}
    low, high = (limits_of([control.get(end)])[0] for end in ("low", "high"))
    return (None, None) if low == high else (low, high)


def _kind(datatype: Any) -> str:
    if datatype in _TYPES:
        return _TYPES[datatype]
    origin = get_origin(datatype) or datatype
    if getattr(origin, "__name__", "") == "ndarray":
        return "array"
    return "any"


def _members_of(datatype: Any) -> list[str]:
    is_enum = isinstance(datatype, type) and issubclass(datatype, enum.Enum)
    return [str(one.value) for one in datatype] if is_enum else []


def _is_closed(datatype: Any) -> bool:
    """Tell whether the choices are all that there are: a SubsetEnum may have more."""
    return not (isinstance(datatype, type) and has_base(datatype, _LIBRARY, "SubsetEnum"))
