"""Instruments of PyMeasure: properties with their limits, choices and maps, channels, methods, ``shutdown()`` as safe state.

PyMeasure is not imported here; its class comes with the instrument's description.
"""

from __future__ import annotations

import math
from typing import Any

from agentlab.errors import BadReplyError, LimitError
from agentlab.instruments.drivers.foreign import ForeignDriver
from agentlab.instruments.drivers.held import Held
from agentlab.instruments.drivers.junction import is_resource
from agentlab.instruments.drivers.members import has_base, numbers, stored, told_of
from agentlab.instruments.drivers.pymeasure_table import Call, Entry, entries, is_made, setting_of
from agentlab.instruments.drivers.pymeasure_validators import clamps
from agentlab.instruments.model.table import Table
from agentlab.instruments.model.values import shown

_MISREAD = (ValueError, KeyError, IndexError, TypeError)
"""What PyMeasure's own getters raise over a reply that is not what they were made for."""


class PyMeasureDriver(ForeignDriver):
    """Serves an instrument of PyMeasure; a channel's parameters are called ``ch_1.voltage``.

    Limits, choices and maps are those of the property; a value that PyMeasure would bring within limits in silence is
    refused. Units come from docstrings. A property that PyMeasure's own classes made and whose reply cannot be read raises
    :class:`~agentlab.errors.BadReplyError`; what a hand-written one raises comes through.
    """

    kind = "pymeasure"

    def get(self, name: str) -> Any:
        """Read the property."""
        entry = self._entry(name)
        with self._asking(name, reads=True) as instance:
            try:
                found = told_of(getattr(_at(instance, entry.path), entry.attribute))
            except _MISREAD as error:
                if not is_made(stored(type(_at(instance, entry.path)), entry.attribute)):
                    raise
                raise BadReplyError(f"the reply for {name} cannot be read: {type(error).__name__}: {_line(error)}") from error
        return numbers(name, found) if entry.numeric else found

    def set(self, name: str, value: Any) -> None:
        """Set the property, after its own validator has agreed to the value as it is.

        Raises:
            LimitError: the validator refuses or would change it; nothing was sent.
        """
        entry = self._entry(name)
        if entry.choices is not None:
            value = entry.choices.original(value)
        if entry.made:
            # as it is now: a dynamic property may have been told other limits since the table was made
            _validate(name, value, setting_of(_at(self._live(), entry.path), entry.attribute))
        self._check_text(name, value)
        with self._asking(name) as instance:
            setattr(_at(instance, entry.path), entry.attribute, value)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the method."""
        found = self._calls.get(name)
        if found is None:
            raise self._unknown(name)
        with self._asking(name) as instance:
            return told_of(self._run(getattr(_at(instance, found.path), found.attribute), args, kwargs))

    # ------------------------------------------------------------------------------------ how PyMeasure does it

    def _look(self) -> Table:
        found = list(entries(self._cls, self._instance))
        self._entries = {one.parameter.name: one for one in found if isinstance(one, Entry)}
        self._calls = {one.action.name: one for one in found if isinstance(one, Call)}
        parameters, actions = (e.parameter for e in self._entries.values()), (c.action for c in self._calls.values())
        return self._new_table(self.kind, parameters, actions)

    def _build(self) -> Any:
        return self._cls(*self._spec.positional(), **self._spec.kwargs)

    def _hold(self, instance: Any) -> Held | None:
        adapter = vars(instance).get("adapter")
        connection = getattr(adapter, "__dict__", {}).get("connection")
        if not is_resource(connection):
            return None
        held = Held(connection, self._spec.timeout)
        adapter.connection = held.junction
        return held

    def _end(self, instance: Any) -> None:
        instance.adapter.close()

    def _ask(self, instance: Any) -> str:
        if self._spec.ping is not None:
            return str(instance.ask(self._spec.ping)) if self._spec.ping else ""
        if not self._knows_itself(instance):
            return ""
        found = instance.id
        return ",".join(map(str, found)) if isinstance(found, (list, tuple)) else str(found)

    def _knows_itself(self, instance: Any) -> bool:
        """Tell whether asking for ``id`` makes sense: some devices never answer what they do not know."""
        member = stored(type(instance), "id")
        if not isinstance(member, property) or has_base(type(instance), "pymeasure", "SCPIUnknownMixin"):
            return False
        home = next(base for base in type(instance).__mro__ if "id" in vars(base))
        # Instrument itself has it for classes that do not say whether they speak SCPI
        return home.__module__ != "pymeasure.instruments.instrument"

    def _safe_method(self) -> str:
        home = next((base for base in self._cls.__mro__ if "shutdown" in vars(base)), None)
        own = home is not None and home.__module__ != "pymeasure.instruments.instrument"
        return super()._safe_method() or ("shutdown" if own and self._has("shutdown") else "")

    def _entry(self, name: str) -> Entry:
        found = self._entries.get(name)
        if found is None:
            raise self._unknown(name)
        return found


def _at(instance: Any, path: tuple[str, ...]) -> Any:
    """Give the instance itself, or the channel at the end of a path. Channels are attributes: no property is run."""
    for name in path:
        instance = vars(instance)[name]
    return instance


def _validate(name: str, value: Any, made: dict[str, Any]) -> None:
    """Have PyMeasure's validator look at a value before anything is sent."""
    validator = made["validator"]
    try:
        taken = validator(value, made["values"])
    except (ValueError, TypeError) as error:
        raise LimitError(f"{name} = {shown(value)} is refused: {_line(error)}; nothing was sent") from error
    if clamps(validator) and not _is_same(taken, value):
        raise LimitError(f"{name} = {shown(value)} is out of limits, PyMeasure would have set {shown(taken)}; nothing was sent")


def _is_same(taken: Any, value: Any) -> bool:
    numbers = isinstance(taken, (int, float)) and isinstance(value, (int, float))
    return math.isclose(taken, value, rel_tol=1e-12) if numbers else bool(taken == value)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
