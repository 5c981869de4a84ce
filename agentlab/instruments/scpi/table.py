r"""The table of a device that speaks lines of text: which command reads, sets and does what. No code, no device, no network.

As YAML, or the same as a dict::

    ping: "*IDN?"
    settings: {timeout: 2, read_termination: "\n"}
    safe: {output: off, voltage: 0}
    parameters:
      voltage: {get: "VOLT?", set: "VOLT {:g}", unit: V, min: 0, max: 30, poll: 1}
      output:  {get: "OUTP?", set: "OUTP {}", map: {on: 1, off: 0}}
    actions:
      trigger: {write: "*TRG", doc: Start one measurement.}
      ramp:    {query: "RAMP? {target:g},{rate:g}", type: float, unit: V, timeout: 60}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentlab.errors import AgentLabError, DriverError, nearest
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.table import Action
from agentlab.instruments.model.values import shown
from agentlab.instruments.scpi.checks import HEAD, NAME, SAMPLES, Checks, has_limits, truth, unescaped
from agentlab.instruments.scpi.model import Call, Entry, ScpiTable, set_commands
from agentlab.instruments.scpi.templates import VALUE, Words
from agentlab.instruments.visa.session import LONGEST

if TYPE_CHECKING:
    from agentlab.yamlfile.document import Document

SHOWN = 3
"""Problems of a table that an instrument's error tells."""
_WRONG = "the table of commands is wrong"
TALKING = ("timeout", "reply", "check")
_PARAMETER = (
    *("get", "set", "type", "unit", "min", "max", "choices", "map", "pattern", "step", "delay", "poll", "doc", "label"),
    *TALKING,
)
_ACTION = ("write", "query", "type", "unit", "pattern", "arguments", "doc", "reads", *TALKING)
_ARGUMENT = ("type", "unit", "min", "max", "choices", "default", "doc")


def read_table(source: str | os.PathLike[str] | Mapping[str, Any] | None) -> ScpiTable:
    """Read a table and check it. Blocks while a file is read.

    Args:
        source: Path of a YAML file, or its content as a dict; None: an empty table, for raw queries.

    Raises:
        ProblemsError: the file has problems: all of them, with their lines.
        DriverError: the dict has problems.
    """
    if source is None:
        return ScpiTable()
    if isinstance(source, Mapping):
        reader = _Reader(source)
        table = reader.table()
        if reader.found:
            raise DriverError(f"{_WRONG}: " + "; ".join(f"{_key(p)}: {t}" for p, t in reader.found))
        return table
    from agentlab.yamlfile.document import read_yaml  # the only one in an instrument's process that needs YAML
    from agentlab.yamlfile.problems import Problems

    document: Document = read_yaml(source, bool_keys=True)  # map: {true: 1, false: 0}
    problems = Problems()
    if not isinstance(document.data, Mapping):
        problems.add(document, (), f"found {shown(document.data)}, allowed is a mapping of parameters")
        problems.raise_if_any()
    reader = _Reader(document.data)
    table = reader.table()
    for path, text in reader.found:
        problems.add(document, path, text)
    problems.raise_if_any()
    return table


def load_table(source: str | os.PathLike[str] | Mapping[str, Any] | None) -> ScpiTable:
    """Read a table as :func:`read_table`; the first of its problems are one DriverError of one line."""
    if isinstance(source, Mapping):
        reader = _Reader(source)
        table = reader.table()
        if reader.found:
            raise DriverError(f"{_WRONG}: {_first([f'{_key(p)}: {t}' for p, t in reader.found])}")
        return table
    try:
        return read_table(source)
    except DriverError:
        raise
    except AgentLabError as error:
        raise DriverError(_first(str(error).splitlines())) from error


def _first(lines: list[str]) -> str:
    """Give problems in one line that can still be read."""
    more = f"; and {len(lines) - SHOWN} more: agentlab check FILE, or read_table(), shows all" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more


def _key(path: tuple[Any, ...]) -> str:
    return ".".join(part if isinstance(part, str) and NAME.fullmatch(part) else shown(part) for part in path) or "the table"


class _Reader(Checks):
    """Makes a table of plain values, and notes all that is wrong with where it stands."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__()
        self._data = data
        self._safe_values: dict[str, Any] = {}
        self._safe_replies: dict[str, str | bool] = {}

    def table(self) -> ScpiTable:
        data, nested = self._data, "parameters" in self._data
        check = self._text((), "check", data)
        entries: dict[str, Entry] = {}
        for path, name, says in self._items(("parameters",) if nested else (), data.get("parameters") if nested else data):
            if nested or name not in HEAD:
                entry = self._try(path, lambda p=path, n=name, s=says: self._entry(p, n, s, check))  # type: ignore[misc]
                if entry is not None:
                    entries[name] = entry
        if nested:
            for key in data:
                if key not in HEAD:
                    self.complain((key,), f"found an unknown key{nearest(str(key), HEAD, limit=20)}")
        calls: dict[str, Call] = {}
        for path, name, says in self._items(("actions",), data.get("actions")):
            call = self._try(path, lambda p=path, n=name, s=says: self._call(p, n, s, check))  # type: ignore[misc]
            if name in entries:
                self.complain(path, "is a parameter too; give one of them another name")
            if call is not None:
                calls[name] = call
        settings = data.get("settings") or {}
        if not isinstance(settings, Mapping):
            self.complain(("settings",), f"found {shown(settings)}, allowed is a mapping, as {{timeout: 5}}")
            settings = {}
        for key in settings:
            self._check_setting(str(key))
        return ScpiTable(
            entries,
            calls,
            self._ping(data),
            self._safe(data.get("safe"), entries),
            self._commands(("abort",), data.get("abort")),
            {str(key): unescaped(value) for key, value in settings.items()},
            self._text((), "doc", data),
            self._safe_values,
            self._safe_replies,
        )

    def _entry(self, path: tuple[Any, ...], name: str, says: Mapping[str, Any], check: str) -> Entry:
        self._known(path, says, _PARAMETER)
        get, words = self._text(path, "get", says), self._words(path, says)
        templates = self._templates(path, "set", says)
        if not says.get("get") and says.get("set") in (None, [], ()):
            self.complain(path, "has neither get nor set; give what reads it, as get: 'VOLT?'")
        kind = self._kind(path, says, "float", words.values if words else says.get("choices"))
        if words is not None and kind == "bool":
            words = self._words(path, {"map": {truth(value): word for value, word in says["map"].items()}})
        for at, template in enumerate(templates):
            extra = [one for one in template.fields if one != VALUE]
            if extra:
                self.complain(
                    (*path, "set"), f"found {{{extra[0]}}} in {template.text!r}, allowed is one place, as {{:g}} or {{value:g}}"
                )
            elif template.places > 1:
                self.complain((*path, "set"), f"found {template.places} places in {template.text!r}, allowed is one, as {{:g}}")
            elif not template.fields and at == len(templates) - 1 and not any(one.fields for one in templates):
                self.complain((*path, "set"), f"found {template.text!r} without a place for the value, as {{:g}}")
            elif words is not None:
                for value in words.values:
                    self._check_format((*path, "set"), template, {VALUE: words.raw(value)}, ours=True)
            else:
                self._check_format((*path, "set"), template, {VALUE: SAMPLES[kind]})
        parameter = Parameter(
            name,
            kind,
            writable=bool(templates),
            readable=bool(get),
            step=self._number(path, "step", says),
            delay=self._number(path, "delay", says) or 0.0,
            poll=self._number(path, "poll", says),
            doc=self._text(path, "doc", says),
            label=self._text(path, "label", says),
            **self._limits(path, says, words),
        )
        if says.get("type") in (None, kind):  # with a misspelt type, nothing fits
            self._check_choices(path, parameter)
        return Entry(parameter, get, templates, words, **self._talk(path, says, check if templates else ""))

    def _call(self, path: tuple[Any, ...], name: str, says: Mapping[str, Any], check: str) -> Call:
        self._known(path, says, _ACTION)
        asks = says.get("query") is not None
        templates = (*self._templates(path, "write", says), *self._templates(path, "query", says))
        if says.get("write") in (None, [], ()) and not asks:
            self.complain(path, "has neither write nor query; give what is sent, as write: '*TRG'")
        fields = list(dict.fromkeys(one for template in templates for one in template.fields))
        arguments: dict[str, Parameter] = {one: Parameter(one, "any") for one in fields}
        defaults: dict[str, Any] = {}
        for where, one, more in self._items((*path, "arguments"), says.get("arguments")):
            if one not in fields:
                self.complain(where, f"is in none of the commands{nearest(one, fields)}")
                continue
            self._known(where, more, _ARGUMENT)
            kind = self._kind(where, more, "any" if not has_limits(more) else "float", more.get("choices"))
            arguments[one] = Parameter(one, kind, doc=self._text(where, "doc", more), **self._limits(where, more, None))
            if "default" in more:
                defaults[one] = arguments[one].check(more["default"])
        for template in templates:
            self._check_format(path, template, {one: SAMPLES[arguments[one].type] for one in template.fields})
        listed = [(one, 1, repr(defaults[one]) if one in defaults else None) for one in fields]
        reads = says.get("reads", False)
        if not isinstance(reads, bool):
            self.complain((*path, "reads"), f"found {shown(reads)}, allowed are true and false")
        if not asks and ("type" in says or "pattern" in says):
            self.complain(path, "has a type or pattern, but nothing is asked; write query instead of write")
        unit = self._unit(path, says)
        result = Parameter(name, self._kind(path, says, "float" if unit else "str", None), unit, writable=False)
        talk = self._talk(path, says, "" if asks else check)
        described = {one: arguments[one] for one in fields if one in (says.get("arguments") or {})}
        action = Action(name, self._text(path, "doc", says), listed, reads is True, talk["timeout"], described)
        return Call(action, templates, asks, arguments, defaults, result, **talk)

    def _talk(self, path: tuple[Any, ...], says: Mapping[str, Any], check: str) -> dict[str, Any]:
        timeout, reply = self._number(path, "timeout", says), says.get("reply", False)
        if timeout is not None and not 0 < timeout < LONGEST:
            self.complain((*path, "timeout"), f"found {timeout:g}, allowed are seconds above 0, below {LONGEST:g}")
        if not isinstance(reply, (bool, str)):
            self.complain(
                (*path, "reply"), f"found {shown(reply)}, allowed is what the device answers, as OK, or true for anything"
            )
        if isinstance(reply, str):
            reply = reply.strip()  # as the device's is
        own = "" if says.get("check") is False else self._text(path, "check", says) or check
        return {"pattern": self._pattern(path, says), "timeout": timeout, "reply": reply, "check": own}

    def _limits(self, path: tuple[Any, ...], says: Mapping[str, Any], words: Words | None) -> dict[str, Any]:
        unit = self._unit(path, says)
        choices = says.get("choices")
        if choices is not None and (not isinstance(choices, (list, tuple)) or not choices):
            self.complain((*path, "choices"), f"found {shown(choices)}, allowed is a list")
            choices = None
        if words is not None and choices is None:
            choices = words.values
        elif words is not None:
            for choice in choices or ():
                if choice not in words.values:
                    self.complain((*path, "choices"), f"found {shown(choice)}, for which map has no word")
        if choices is not None and {type(one) for one in choices} == {bool}:
            choices = None
        return {
            "unit": unit,
            "minimum": self._number(path, "min", says, unit),
            "maximum": self._number(path, "max", says, unit),
            "choices": tuple(choices) if choices is not None else None,
        }

    def _ping(self, data: Mapping[str, Any]) -> str | None:
        if "ping" not in data:
            return None
        return "" if data["ping"] in (None, False) else self._text((), "ping", data)

    def _safe(self, value: Any, entries: Mapping[str, Entry]) -> tuple[str, ...]:
        if not isinstance(value, Mapping):
            return self._commands(("safe",), value)
        said: list[str] = []
        values = self._safe_values
        head = "parameters" in self._data
        declared = self._data["parameters"] if head else {key: one for key, one in self._data.items() if key not in HEAD}
        named = {str(key) for key in declared} if isinstance(declared, Mapping) else set()
        for name, wanted in value.items():
            entry = entries.get(str(name))
            if entry is None:
                if str(name) not in named:  # else it is there, and what is wrong with it has been told
                    self.complain(("safe", name), f"is no parameter{nearest(str(name), named)}")
                continue
            try:
                values[str(name)] = entry.parameter.check(wanted)
                commands = set_commands(entry, values[str(name)])
                said += commands
                if entry.reply is not False:
                    self._safe_replies |= dict.fromkeys(commands, entry.reply)
            except AgentLabError as error:
                self.complain(("safe", name), str(error).replace("; nothing was sent", ""))
        return tuple(said)


__all__ = ["HEAD", "load_table", "read_table"]
