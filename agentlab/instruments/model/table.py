"""An instrument's table: its parameters and actions, as they are known without talking to the device. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentlab.agent.describe import Parameters
from agentlab.errors import UnknownParameterError, nearest
from agentlab.instruments.model.parameter import Parameter


@dataclass(frozen=True, slots=True)
class Action:
    """A call of an instrument: what it does rather than what it is.

    Args:
        name: As callers write it; a channel's action has a dot: ``ch_1.trigger``.
        doc: One or more lines for people.
        parameters: Name, kind (as :mod:`inspect` numbers them) and default as text of each argument; None: no default.
        reads: Whether it changes nothing, so that it needs no ownership and goes on while the safe state is latched.
        timeout: Seconds that the device may take for it, where its driver says so; None: nobody knows.
        limits: Unit, limits and choices of arguments, by name; one that is not here may be anything.
    """

    name: str
    doc: str = ""
    parameters: Parameters = field(default_factory=list)
    reads: bool = False
    timeout: float | None = None
    limits: dict[str, Parameter] = field(default_factory=dict)

    def limits_text(self) -> str:
        """Give what arguments may be, for people: ``seconds: 0 to 60 s; mode: 'SIN', 'SQU'``; empty: anything."""
        said = ((name, one.limits_text() or (f"in {one.unit}" if one.unit else "")) for name, one in self.limits.items())
        return "; ".join(f"{name}: {text}" for name, text in said if text)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        arguments = [list(one) for one in self.parameters]
        found = {"name": self.name, "doc": self.doc, "parameters": arguments, "reads": self.reads}
        if self.limits:
            found["limits"] = [one.to_dict() for one in self.limits.values()]
        return found if self.timeout is None else {**found, "timeout": self.timeout}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Action:
        """Give the action that :meth:`to_dict` described."""
        arguments = [(str(name), int(kind), default) for name, kind, default in values.get("parameters", ())]
        limits = {one["name"]: Parameter.from_dict(one) for one in values.get("limits", ())}
        reads = bool(values.get("reads", False))
        return cls(values["name"], values.get("doc", ""), arguments, reads, values.get("timeout"), limits)


@dataclass(frozen=True, slots=True)
class Table:
    """What an instrument has.

    Args:
        kind: The kind of driver: ``any``, ``scpi``, ``pymeasure``, ``qcodes``, ``ophyd``.
        parameters: By name, in the order in which people are shown them.
        actions: By name.
        doc: What the driver's class says of itself.
        has_safe: Whether the driver brings a safe state of its own.
        has_abort: Whether the driver can end a call that runs.
    """

    kind: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    doc: str = ""
    has_safe: bool = False
    has_abort: bool = False

    @classmethod
    def of(
        cls,
        kind: str,
        parameters: Iterable[Parameter] = (),
        actions: Iterable[Action] = (),
        doc: str = "",
        *,
        has_safe: bool = False,
        has_abort: bool = False,
    ) -> Table:
        """Give a table of parameters and actions, which bring their names; a later one of a name replaces the earlier."""
        return cls(kind, {p.name: p for p in parameters}, {a.name: a for a in actions}, doc, has_safe, has_abort)

    def parameter(self, name: str) -> Parameter:
        """Give a parameter.

        Raises:
            UnknownParameterError: there is none; the text names the nearest parameter or action, or says that it is an action.
        """
        found = self.parameters.get(name)
        if found is None:
            raise self._unknown("parameter", name, self.actions)
        return found

    def action(self, name: str) -> Action:
        """Give an action.

        Raises:
            UnknownParameterError: there is none; the text names the nearest, or says that it is a parameter.
        """
        found = self.actions.get(name)
        if found is None:
            raise self._unknown("action", name, self.parameters)
        return found

    def names(self) -> list[str]:
        """Give the names of all parameters and actions."""
        return [*self.parameters, *self.actions]

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {
            "kind": self.kind,
            "parameters": [one.to_dict() for one in self.parameters.values()],
            "actions": [one.to_dict() for one in self.actions.values()],
            "doc": self.doc,
            "has_safe": self.has_safe,
            "has_abort": self.has_abort,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Table:
        """Give the table that :meth:`to_dict` described."""
        return cls.of(
            values["kind"],
            map(Parameter.from_dict, values.get("parameters", ())),
            map(Action.from_dict, values.get("actions", ())),
            values.get("doc", ""),
            has_safe=bool(values.get("has_safe", False)),
            has_abort=bool(values.get("has_abort", False)),
        )

    def _unknown(self, what: str, name: str, others: Mapping[str, Any]) -> UnknownParameterError:
        if name in others:
            cure = f"call it: {name}(...)" if what == "parameter" else f"read or set it: {name}"
            other = "an action" if what == "parameter" else "a parameter"
            return UnknownParameterError(f"{name!r} is {other}, no {what}; {cure}")
        return UnknownParameterError(f"there is no {what} {name!r}{nearest(str(name), self.names())}")
