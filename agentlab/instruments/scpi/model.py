"""What a table of commands says, once it has been read: parameters and actions with their commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentlab.errors import BadReplyError
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action, Table
from agentlab.instruments.model.values import shown
from agentlab.instruments.scpi.templates import VALUE, Template, Words

LONGEST_NUMBER = 1000
"""Characters of the longest reply that is taken for a number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A parameter with its commands.

    Args:
        parameter: What is known of it.
        get: Sent to read it; empty: it cannot be read.
        set: Sent one after the other to set it.
        words: The device's words for its values.
        pattern: What a reply looks like, with the value as its only group.
        timeout: Seconds for a reply; None: the device's.
        reply: What the device answers to a set: True for anything, empty for nothing.
        check: Asked after a set; the reply is to begin with 0. Empty: nothing is asked.
    """

    parameter: Parameter
    get: str = ""
    set: tuple[Template, ...] = ()
    words: Words | None = None
    pattern: re.Pattern[str] | None = None
    timeout: float | None = None
    reply: str | bool = False
    check: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """An action with its commands.

    Args:
        action: What is known of it.
        write: Sent one after the other; the last is a query if `asks`.
        asks: Whether the last one has a reply, which is the result.
        arguments: By name, in order: what may be given.
        defaults: What is taken for an argument that is not given.
        result: The type of the reply.
        pattern: As in :class:`Entry`, like the rest.
        timeout: Seconds for the reply.
        reply: What the device answers to a write.
        check: Asked afterwards.
    """

    action: Action
    write: tuple[Template, ...]
    asks: bool
    arguments: dict[str, Parameter]
    defaults: dict[str, Any]
    result: Parameter
    pattern: re.Pattern[str] | None = None
    timeout: float | None = None
    reply: str | bool = False
    check: str = ""


@dataclass(frozen=True, slots=True)
class ScpiTable:
    """A table that was read and found good.

    Args:
        entries: Parameters by name.
        calls: Actions by name.
        ping: What asks for the identity; None: not said; empty: there is nothing to ask.
        safe: Commands that bring the safe state, in order.
        abort: Commands that end what runs, sent by a second session.
        settings: Arguments of :class:`~agentlab.instruments.scpi.device.ScpiDevice`.
        doc: Lines for people.
        safe_values: What the safe state sets parameters to, where the table tells it by their names.
        safe_replies: What the device answers to those of its commands that it answers, as in :class:`Entry`.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    ping: str | None = None
    safe: tuple[str, ...] = ()
    abort: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    doc: str = ""
    safe_values: dict[str, Any] = field(default_factory=dict)
    safe_replies: dict[str, str | bool] = field(default_factory=dict)

    def table(self) -> Table:
        """Give it as callers see it."""
        return Table.of(
            "scpi",
            (entry.parameter for entry in self.entries.values()),
            (call.action for call in self.calls.values()),
            self.doc,
            has_safe=bool(self.safe),
            has_abort=bool(self.abort or self.safe),
        )


def set_commands(entry: Entry, value: Any) -> list[str]:
    """Give the commands that set a parameter to a value that has been checked. Raises LimitError where it does not fit."""
    if entry.words is not None:  # the table's own words are sent as they stand there
        return [template.fill({VALUE: entry.words.raw(value)}, ours=True) for template in entry.set]
    return [template.fill({VALUE: value}) for template in entry.set]


def arguments_of(call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of an action by name, checked. Raises TypeError as a call does, LimitError."""
    names = list(call.arguments)
    if len(args) > len(names):
        raise TypeError(f"{call.action.name}() takes {len(names)} arguments ({', '.join(names)}), {len(args)} were given")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names or name in given:
            raise TypeError(f"{call.action.name}() takes {', '.join(names) or 'no arguments'}; {name!r} is none, or given twice")
        given[name] = value
    for name in names:
        if name not in given and name not in call.defaults:
            raise TypeError(f"{call.action.name}() needs {name!r}; it takes {', '.join(names)}")
    return {name: call.arguments[name].check(given[name]) if name in given else call.defaults[name] for name in names}


def understood(entry: Entry, reply: str) -> Any:
    """Give a parameter's reply: its text, or the value for which its map has that word. Raises BadReplyError."""
    text = extracted(entry.pattern, reply, entry.get)
    if len(text) > LONGEST_NUMBER and entry.parameter.type in {"float", "int", "bool"}:
        raise BadReplyError(
            f"{entry.parameter.name}: the device answered {len(text)} characters, which is no number: {shown(text)}"
        )
    if entry.words is None:
        return text
    try:
        return entry.words.value(text)
    except KeyError:
        known = ", ".join(f"{entry.words.word(value)!r} for {value!r}" for value in entry.words.values)
        raise BadReplyError(f"{entry.parameter.name}: the device answered {shown(text)}, and its map knows {known}") from None


def extracted(pattern: Any, reply: str, asked: str) -> str:
    """Give the value within a reply. Raises BadReplyError where it does not fit the pattern."""
    text = reply.strip()
    if pattern is None:
        return text
    found = pattern.fullmatch(text)
    if found is None or found[1] is None:
        raise BadReplyError(f"the device answered {shown(text)} to {asked!r}, which does not fit the pattern {pattern.pattern!r}")
    return str(found[1])


__all__ = ["LONGEST_NUMBER", "Call", "Entry", "ScpiTable", "arguments_of", "extracted", "set_commands", "understood"]
