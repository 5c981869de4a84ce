"""Checking the parts of a table of commands: everything wrong is noted with its place, and nothing raises. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from agentlab.errors import AgentLabError, nearest
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.units import check_unit, convert, parse_quantity
from agentlab.instruments.model.values import TO_DEVICE, TYPES, MisfitError, shown
from agentlab.instruments.scpi.templates import Template, Words, ends_line

HEAD = ("ping", "check", "safe", "abort", "settings", "doc", "parameters", "actions")
"""Keys of a table; where ``parameters`` is not among them, every other key is a parameter."""
NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*", re.ASCII)
SAMPLES: dict[str, Any] = {"float": 1.5, "int": 1, "bool": 1, "str": "x", "array": [1.5], "any": None}


class Checks:
    """Takes plain values apart, and notes all that is wrong with where it stands.

    Attributes:
        found: Place and text of each problem.
    """

    def __init__(self) -> None:
        self.found: list[tuple[tuple[Any, ...], str]] = []

    def complain(self, path: tuple[Any, ...], text: str) -> None:
        """Note a problem."""
        self.found.append((path, text))

    def _try(self, path: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        before = len(self.found)
        try:
            made = make()
        except AgentLabError as error:
            if len(self.found) == before:
                self.complain(path, str(error))
            return None
        return made if len(self.found) == before else None

    def _items(self, path: tuple[Any, ...], value: Any) -> list[tuple[tuple[Any, ...], str, Mapping[str, Any]]]:
        if value is None:
            return []
        if not isinstance(value, Mapping):
            self.complain(path, f"found {shown(value)}, allowed is a mapping of names")
            return []
        found = []
        for name, says in value.items():
            if not path and name in HEAD:
                continue
            if not isinstance(name, str) or not NAME.fullmatch(name):
                self.complain(
                    (*path, name), f"found the name {shown(name)}, allowed are letters, digits, _ and dots, as ch_1.voltage"
                )
            elif not isinstance(says, Mapping):
                hint = nearest(name, HEAD, limit=20) if not path else ""
                self.complain((*path, name), f"found {shown(says)}, allowed is a mapping, as {{get: 'VOLT?'}}{hint}")
            else:
                found.append(((*path, name), name, says))
        return found

    def _known(self, path: tuple[Any, ...], says: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in says:
            if key not in known:
                self.complain((*path, key), f"found an unknown key{nearest(str(key), known, limit=20)}")

    def _check_setting(self, name: str) -> None:
        from agentlab.instruments.visa.door import check_settings  # it loads PyVISA for settings that only that knows

        try:
            check_settings([name])
        except AgentLabError as error:
            self.complain(("settings", name), str(error))

    def _text(self, path: tuple[Any, ...], key: str, says: Mapping[str, Any]) -> str:
        value = says.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.complain((*path, key), f"found {shown(value)}, allowed is text; put it in quotes")
            return ""
        if key in {"get", "check", "ping"} and ends_line(value):
            self.complain((*path, key), "holds a line end; the termination is put behind by itself")
        return value

    def _unit(self, path: tuple[Any, ...], says: Mapping[str, Any]) -> str:
        text = self._text(path, "unit", says)
        try:
            check_unit(text)
        except AgentLabError as error:
            self.complain((*path, "unit"), str(error))
        return text

    def _number(self, path: tuple[Any, ...], key: str, says: Mapping[str, Any], unit: str = "") -> float | None:
        value = says.get(key)
        if value is None:
            return None
        if isinstance(value, str) and key in {"min", "max"}:
            try:
                number, given = parse_quantity(value)
                return float(convert(number, given, unit) if given else number)
            except AgentLabError as error:
                self.complain((*path, key), str(error))
                return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.complain((*path, key), f"found {shown(value)}, allowed is a number")
            return None
        return value

    def _kind(self, path: tuple[Any, ...], says: Mapping[str, Any], default: str, values: Any) -> str:
        kind = says.get("type")
        if kind is None:
            return _kind_of(values, default)
        if kind not in TYPES:
            self.complain((*path, "type"), f"found {shown(kind)}{nearest(str(kind), TYPES)}")
            return default
        return str(kind)

    def _words(self, path: tuple[Any, ...], says: Mapping[str, Any]) -> Words | None:
        value = says.get("map")
        if value is None:
            return None
        try:
            if not isinstance(value, Mapping):
                raise TypeError(f"found {shown(value)}, allowed is a mapping, as {{on: 1, off: 0}}")
            return Words(value)
        except (TypeError, ValueError) as error:
            self.complain((*path, "map"), str(error))
            return None

    def _pattern(self, path: tuple[Any, ...], says: Mapping[str, Any]) -> re.Pattern[str] | None:
        text = self._text(path, "pattern", says)
        if not text:
            return None
        try:
            found = re.compile(text)
        except re.error as error:
            self.complain((*path, "pattern"), f"found {text!r}, which is no regular expression: {error}")
            return None
        if found.groups != 1:
            self.complain((*path, "pattern"), f"found {found.groups} groups in {text!r}, allowed is one, around the value")
        return found

    def _templates(self, path: tuple[Any, ...], key: str, says: Mapping[str, Any]) -> tuple[Template, ...]:
        value = says.get(key)
        if value is None:
            return ()
        found: list[Template] = []
        for text in value if isinstance(value, (list, tuple)) and key != "query" else [value]:
            try:
                if not isinstance(text, str):
                    raise TypeError(f"found {shown(text)}, allowed is text; put it in quotes")
                found.append(Template(text))
            except (TypeError, ValueError) as error:
                self.complain((*path, key), str(error))
        return tuple(found)

    def _check_format(self, path: tuple[Any, ...], template: Template, samples: Mapping[str, Any], *, ours: bool = False) -> None:
        """Fill it once: a format that no value fits is told now, and not in the middle of a measurement."""
        for one in (samples, dict.fromkeys(samples, 1), dict.fromkeys(samples, "x")):
            try:
                template.fill({name: 1.5 if value is None else value for name, value in one.items()}, ours=ours)
                return
            except AgentLabError as error:
                wrong = error
            if None not in samples.values():
                break
        text = str(wrong).partition("; nothing was sent")[0]
        self.complain(path, f"a value such as {text}")

    def _check_choices(self, path: tuple[Any, ...], parameter: Parameter) -> None:
        """See that each choice is of the parameter's type; nothing could be set to another."""
        for choice in parameter.choices or ():
            try:
                TO_DEVICE[parameter.type](choice, parameter.unit)
            except (MisfitError, AgentLabError) as error:
                self.complain((*path, "choices"), f"found {shown(choice)} for type {parameter.type}, which {error}")

    def _commands(self, path: tuple[Any, ...], value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) and one.strip() for one in value):
            self.complain(path, f"found {shown(value)}, allowed is a list of commands, as ['OUTP 0']")
            return ()
        for one in value:
            if ends_line(one):
                self.complain(path, f"found a line end in {one!r}; make two commands of it, or take it away")
        return tuple(value)


def _kind_of(values: Any, default: str) -> str:
    """Give the type of which all of some values are."""
    if not values or isinstance(values, (str, Mapping)) or not hasattr(values, "__iter__"):
        return default
    kinds = {type(one) for one in values}
    if kinds <= {bool, int, float}:
        return "bool" if kinds == {bool} else "int" if kinds == {int} else "float"
    return "str"


def truth(value: Any) -> bool:
    """Give what a key of a map for a bool means; YAML 1.2 reads on and off as text."""
    return {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}.get(str(value).lower(), bool(value))


def has_limits(says: Mapping[str, Any]) -> bool:
    """Tell whether an argument is described as only a number can be."""
    return "min" in says or "max" in says or "unit" in says


def unescaped(value: Any) -> Any:
    r"""Give the characters for a text as '\r\n', as YAML in single quotes or without any leaves them."""
    if not isinstance(value, str):
        return value
    for said, meant in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\0", "\0")):
        value = value.replace(said, meant)
    return value


__all__ = ["HEAD", "NAME", "SAMPLES", "Checks", "has_limits", "truth", "unescaped"]
