"""What every agent is asked, and an instrument's knows more of: its parameters and actions beside methods and attributes."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from agentlab.agent import describe
from agentlab.agent.agent import Agent
from agentlab.agent.beside import NOT_MINE
from agentlab.errors import AgentLabError, InstrumentError, UnknownParameterError, nearest
from agentlab.instruments.engine.claims import Client
from agentlab.instruments.model.table import Action, Table
from agentlab.instruments.serving.promises import After, Then
from agentlab.instruments.serving.results import told_reading

if TYPE_CHECKING:
    from agentlab.agent.door import Door
    from agentlab.instruments.agent import InstrumentAgent
    from agentlab.instruments.engine.instrument import Instrument


class Questions:
    """Answers for one instrument agent. Any thread; nothing here blocks. NOT_MINE: the agent's own answer will do.

    Args:
        agent: Who is asked.
        device: The engine of its driver.
        door: Where calls enter the agent; None: it has no process.
        operations: Names of what an instrument can be asked to do, besides its actions.
    """

    def __init__(self, agent: InstrumentAgent, device: Instrument, door: Door | None, operations: Iterable[str]) -> None:
        self._agent = agent
        self._device = device
        self._door = door
        self._operations = frozenset(operations)
        self.own = own_methods(type(agent))
        """Public methods that a user's class adds: they stand before the driver's actions."""
        self.all: dict[str, Callable[..., Any]] = {
            "_describe": self._describe,
            "_attribute": self._attribute,
            "get_attr": self._get_attr,
            "set_attr": self._set_attr,
            "_document": self._document,
            "_portrait": self._portrait,
            "_vitals": self._vitals,
        }
        """By the name of the call; each takes who asks, that one's time limit, and the arguments."""

    def _describe(self, _who: Client, _limit: float | None) -> dict[str, Any]:
        table, agent = self._device.table, self._agent
        return {
            "name": agent.name,
            "kind": agent._kind,
            "class": type(agent).__qualname__,
            "methods": sorted({*describe.method_names(agent), *self._public_operations(), *table.actions}),
            "parameters": list(table.parameters),
            "actions": list(table.actions),
        }

    def _public_operations(self) -> list[str]:
        return [name for name in self._operations if not name.startswith("_")]

    def _attribute(self, who: Client, limit: float | None, name: str) -> Any:
        """Give (True, value) or (False, None); a parameter's value comes later."""
        table = self._device.table
        if name in table.parameters and name not in self.own:
            return Then(self._device.get(name, who, limit), lambda reading: (True, told_reading(reading)["value"]))
        if name in table.actions or name in self._operations:
            return False, None
        return self.not_found(name, who, limit, lambda: self._attribute(who, limit, name))

    def _get_attr(self, who: Client, limit: float | None, name: str) -> Any:
        if name in self._device.table.parameters:
            return Then(self._device.get(name, who, limit), lambda reading: told_reading(reading)["value"])
        return self.not_found(name, who, limit, lambda: self._get_attr(who, limit, name))

    def _set_attr(self, who: Client, limit: float | None, /, **values: Any) -> Any:
        table = self._device.table
        mine = [name for name in values if name in table.parameters]
        if not mine:
            unknown = [name for name in values if not hasattr(self._agent, name)]
            if unknown:
                return self.not_found(unknown[0], who, limit, lambda: self._set_attr(who, limit, **values))
            return NOT_MINE
        others = sorted(values.keys() - mine)
        if others:
            raise InstrumentError(
                f"{others[0]!r} of {self._agent.name!r} is no parameter, {mine[0]!r} is one; set them one by one"
            )
        if len(mine) > 1:
            named = ", ".join(map(repr, mine))
            raise InstrumentError(f"{named} are parameters; set them one by one, so that an error tells which is set")
        return Then(self._device.set(mine[0], values[mine[0]], who, limit), lambda _: None)

    def _document(self, _who: Client, _limit: float | None, name: str | None = None) -> Any:
        table = self._device.table
        if name is None:
            flat = (one for one in table.names() if "." not in one)
            channels = (one.partition(".")[0] for one in table.names() if "." in one)
            return sorted({*describe.public_names(self._agent), *self._public_operations(), *flat, *channels})
        action = table.actions.get(name)
        if action is not None and name not in self.own:
            return action.doc, action.parameters
        return NOT_MINE

    def _portrait(self, _who: Client, _limit: float | None, name: str | None = None) -> Any:
        table, agent = self._device.table, self._agent
        if name is None:
            found = describe.portrait(agent)
            return {
                **found,
                "kind": agent._kind,
                "driver": self._device.describe(),
                "attributes": [_portrayed(one, table) for one in table.parameters] + found["attributes"],
                "methods": [_portrayed(one, table) for one in table.actions] + found["methods"],
            }
        if name in table.names() and name not in self.own:
            return _portrayed(name, table)
        return NOT_MINE if hasattr(agent, name) else _raise(self.unknown(name))

    def _vitals(self, _who: Client, _limit: float | None) -> Any:
        if self._door is None:
            return NOT_MINE
        return {**self._door.vitals.describe(), "instrument": told_status(self._device)}

    def await_name(self, who: Client, limit: float | None, name: str) -> Any:
        """Answer when it can be known what a name stands for: at once, or when the driver has told what it has."""
        if self._device.opened or name in self._operations or name in self._device.table.names() or hasattr(self._agent, name):
            return None
        return self._device.when_known(who, limit)

    def not_found(self, name: str, who: Client, limit: float | None, again: Callable[[], Any]) -> Any:
        """Give the answer for a name that is not known: the agent's own, that of `again` when the driver is there, or an error.

        Raises:
            UnknownParameterError: there is no such thing.
        """
        if hasattr(self._agent, name):
            return NOT_MINE
        if self._device.opened:
            raise self.unknown(name)
        return After(self._device.when_known(who, limit), again)

    def unknown(self, name: str) -> UnknownParameterError:
        """Give the error for a name that is nothing here; it names the nearest."""
        table: Table = self._device.table
        known, operations = [*table.names(), *self.own], self._public_operations()
        close = difflib.get_close_matches(name, [*known, *operations], n=1)
        tail = f"; did you mean {close[0]!r}?" if close and close[0] in operations else nearest(name, known)
        return UnknownParameterError(f"instrument {self._agent.name!r} has no parameter or action {name!r}{tail}")


def told_status(device: Instrument) -> dict[str, Any]:
    """Give the status with ``error``: the type of what keeps the instrument in fault, by name; ours for a driver's own of it."""
    fault = device.fault
    kind = next((base for base in type(fault).__mro__ if base.__module__ == AgentLabError.__module__), type(fault))
    return {**device.status(), "error": "" if fault is None else kind.__name__}


def own_methods(cls: type) -> frozenset[str]:
    """Give the names of the public methods that a user's class adds to an instrument agent."""
    classes = cls.__mro__[: next(i for i, base in enumerate(cls.__mro__) if base.__module__.startswith("agentlab."))]
    known = set(dir(Agent))
    names = {name for base in classes for name, value in vars(base).items() if callable(value) or hasattr(value, "__func__")}
    return frozenset(name for name in names - known if not name.startswith("_"))


def _raise(error: Exception) -> Any:
    raise error


def _portrayed(name: str, table: Table) -> dict[str, Any]:
    """Give a parameter or action as ``describe`` of an agent's attribute or method is given."""
    action: Action | None = table.actions.get(name)
    if action is not None:
        kinds = [inspect.Parameter(n, inspect._ParameterKind(k), default=_default(d)) for n, k, d in action.parameters]
        doc = "\n".join(text for text in (action.doc, action.limits_text()) if text)
        return {"name": name, "signature": describe.signature_text(inspect.Signature(kinds)), "doc": doc, "own": True}
    parameter = table.parameters[name]
    doc = "; ".join(text for text in (parameter.doc, parameter.limits_text()) if text)
    return {"name": name, "type": parameter.type, "value": None, "unit": parameter.unit, "doc": doc}


def _default(text: str | None) -> Any:
    return inspect.Parameter.empty if text is None else describe.bare(text)
