"""Instruments of QCoDeS: parameters with unit, label, validator and step, submodules, functions and methods.

QCoDeS is not imported here; its class comes with the instrument's description.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from agentlab.errors import BadReplyError, LimitError
from agentlab.instruments.drivers.foreign import ForeignDriver
from agentlab.instruments.drivers.held import Held
from agentlab.instruments.drivers.junction import is_resource
from agentlab.instruments.drivers.members import numbers, stored, told_of
from agentlab.instruments.drivers.qcodes_table import Call, Entry, class_calls, entries
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table
from agentlab.instruments.model.values import shown

_MISREAD = (ValueError, KeyError, IndexError, TypeError)
"""What a parser of a parameter raises over a reply that it was not made for."""
_PORT = re.compile(r"(?:ASRL|COM|GPIB)\d", re.IGNORECASE)


class QCoDeSDriver(ForeignDriver):
    """Serves an instrument of QCoDeS; a channel's parameters are called ``ch1.voltage``, as QCoDeS' own attributes are.

    The first argument of such a class is the name under which QCoDeS keeps it; where an address is given instead, the
    agent's name is put before it. Closing removes the instrument from QCoDeS' registry, so that it can be built anew.
    A parameter's own step and delay become the agent's ramp, which can be cancelled.
    """

    kind = "qcodes"

    @staticmethod
    def arguments(spec: InstrumentSpec, cls: type) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the arguments to build a class with: those of the description, a name before its address if it has none."""
        args, kwargs = spec.positional(), dict(spec.kwargs)
        # the signature of the class itself is its metaclass's (*args, **kwargs)
        first = next(iter(list(inspect.signature(stored(cls, "__init__")).parameters)[1:]), "")
        if first != "name" or "name" in kwargs:
            if "name" in kwargs and _is_address(spec.address):
                kwargs.setdefault("address", spec.address)
                args = spec.args
            return args, kwargs
        own = re.sub(r"\W|^(?=\d)", "_", spec.name)  # QCoDeS takes words of Python alone
        if _is_address(spec.address):
            name, *rest = spec.args or (own,)
            return (name, spec.address, *rest), kwargs
        return args or (own,), kwargs

    def get(self, name: str) -> Any:
        """Read the parameter, from the device and not from QCoDeS' cache."""
        entry = self._entry(name)
        with self._asking(name, reads=True):
            try:
                found = told_of(entry.source.get())
            except _MISREAD as error:
                if not entry.parsed:
                    raise
                raise BadReplyError(f"the reply for {name} cannot be read: {type(error).__name__}: {_line(error)}") from error
        return numbers(name, found) if entry.numeric else found

    def set(self, name: str, value: Any) -> None:
        """Set the parameter, after its validators have agreed.

        Raises:
            LimitError: a validator refuses it; nothing was sent.
        """
        entry = self._entry(name)
        if entry.choices is not None:
            value = entry.choices.original(value)
        try:
            entry.source.validate(value)
        except (ValueError, TypeError) as error:
            raise LimitError(f"{name} = {shown(value)} is refused: {_line(error)}; nothing was sent") from error
        self._check_text(name, value)
        with self._asking(name):
            entry.source.set(value)

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function or method."""
        self._live()
        found = self._calls.get(name)
        if found is None:
            raise self._unknown(name)
        with self._asking(name):
            return told_of(self._run(getattr(found.owner, found.attribute), args, kwargs))

    # ------------------------------------------------------------------------------------ how QCoDeS does it

    def _look(self) -> Table:
        found = list(class_calls(self._cls) if self._instance is None else entries(self._instance))
        self._entries = {one.parameter.name: one for one in found if isinstance(one, Entry)}
        self._calls = {one.action.name: one for one in found if isinstance(one, Call)}
        parameters, actions = (e.parameter for e in self._entries.values()), (c.action for c in self._calls.values())
        return self._new_table(self.kind, parameters, actions)

    def _build(self) -> Any:
        args, kwargs = self.arguments(self._spec, self._cls)
        return self._cls(*args, **kwargs)

    def _hold(self, instance: Any) -> Held | None:
        resource = vars(instance).get("_visa_handle")
        if not is_resource(resource):
            return None
        held = Held(resource, self._spec.timeout)
        instance._visa_handle = held.junction
        return held

    def _end(self, instance: Any) -> None:
        try:
            instance.close()
        finally:
            type(instance).remove_instance(instance)  # where its own close() failed halfway, its name would be taken for ever

    def _ask(self, instance: Any) -> str:
        if self._spec.ping is not None:
            return str(instance.ask(self._spec.ping)) if self._spec.ping else ""
        home = next((base for base in type(instance).__mro__ if "get_idn" in vars(base)), None)
        if home is not None and home.__module__.startswith("qcodes.instrument."):
            # QCoDeS' own get_idn() answers for a device that does not: the instrument's name, and a line in its log
            return str(instance.ask("*IDN?")) if self._held is not None else ""
        if stored(type(instance), "get_idn") is None:
            return ""
        found = instance.get_idn()
        return ",".join(str(one or "") for one in found.values()) if isinstance(found, dict) else str(found)

    def _refresh(self) -> None:
        self._instance.invalidate_cache()

    def _entry(self, name: str) -> Entry:
        self._live()
        found = self._entries.get(name)
        if found is None:
            raise self._unknown(name)
        return found


def _is_address(text: str | None) -> bool:
    """Tell whether a text is where a device is, and not a name for QCoDeS: those are words."""
    return text is not None and (not re.fullmatch(r"[\w -]+", text) or _PORT.match(text) is not None)


def _line(error: Exception) -> str:
    return " ".join(" ".join(map(str, error.args)).split())
