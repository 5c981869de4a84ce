"""Of what type a property is that PyMeasure's ``control()`` made: what its validator, map and way of reading a reply tell.

Where they do not, the docstring may. A type that nothing tells is ``any``, for a wrong one would refuse what is right.

Source: PyMeasure 0.16, ``instruments/common_base.py``.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from agentlab.instruments.drivers.docunits import said_type, unit_in
from agentlab.instruments.drivers.members import Chosen
from agentlab.instruments.drivers.pymeasure_validators import is_joined, takes_numbers
from agentlab.instruments.model.annotations import hints_of

_SEVERAL = re.compile(r"\b(list|tuple|arrays?|pairs?|dict|dictionary|comma[- ]separated)\b", re.IGNORECASE)
_LISTS = re.compile(rf"{_SEVERAL.pattern}|\b(waveform|trace)\b", re.IGNORECASE)
_TEXTS = re.compile(
    r"\((?:str|string)\b|\bstring\b|\bserial number\b|\bidentification\b|\bidentity\b|\bfirmware\b|\bversion\b|\bmodel\b"
    r"|:type:? str\b|\bbool(?:ean)?\b|\benum\b|\bIntFlag\b|\bIntEnum\b",
    re.IGNORECASE,
)
_ERROR_QUERIES = {"SYST:ERR?", ":SYST:ERR?", "SYSTem:ERRor?", ":SYSTem:ERRor?", ":SYST:ERR:NEXT?", "SYST:ERR:NEXT?"}
"""What answers with a number and a text (SCPI 1999.0, volume 2, 21.8)."""
_COUNT_QUERIES = {"*STB?", "*ESR?", "*ESE?", "*SRE?", "*OPC?"}
"""What answers with a whole number (IEEE 488.2, 10); PyMeasure reads some of them as text."""
_CASTS: dict[Any, str] = {float: "float", int: "int", bool: "bool", str: "str"}
_BY_FORMAT = ((re.compile(r"%[-+ #0]*\d*[di]"), "int"), (re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[eEfFgG]"), "float"))


def kind_of(
    getter: dict[str, Any],
    setter: dict[str, Any],
    closure: dict[str, Any],
    doc: str,
    choices: Chosen | None,
    *,
    writable: bool,
    bounded: bool,
) -> str:
    """Give the parameter's type. Where PyMeasure reads a number, text that comes back must be an error and never a value.

    Args:
        getter: What the property's getter works with: command, map, processes.
        setter: What its setter works with: validator, values.
        closure: What the getter keeps of where it was made, such as ``cast``.
        doc: The docstring.
        choices: The only values; None: there are others.
        writable: Whether it can be set.
        bounded: Whether it has limits.
    """
    validator = setter["validator"]
    if not writable or bounded or choices is not None or _is_identity(validator):
        return _kind_of_reply(getter, setter, closure, doc, choices, bounded=bounded)
    if takes_numbers(validator):  # and what equals one, as True
        return said(doc) or _kind_of_reply(getter, setter, closure, doc, choices, bounded=True)
    # one that cannot be read may take text such as MAX for a number, unless the docstring says more
    return "any" if is_joined(validator) else said(doc) or "any"


def _kind_of_reply(
    getter: dict[str, Any], setter: dict[str, Any], closure: dict[str, Any], doc: str, choices: Chosen | None, *, bounded: bool
) -> str:
    cast = closure.get("cast", float)
    if choices is not None:
        kind = choices.type()
        read_as_float = getter["get_command"] is not None and cast is float and not getter["map_values"]
        return "float" if kind == "int" and read_as_float and _is_identity(getter["get_process"]) else kind
    if getter["get_command"] is None:
        return _kind_of_setting(setter, bounded=bounded)
    if getter["get_command"] in _ERROR_QUERIES:
        return "any"
    if not _is_identity(getter["get_process_list"]) or _LISTS.search(doc):
        return said(doc) or "any"
    if not _is_identity(getter["get_process"]):
        told = _given_by(getter["get_process"]) or said(doc)
        return told or ("float" if (bounded or unit_in(doc)) and cast in (float, int) else "any")
    return "int" if getter["get_command"] in _COUNT_QUERIES else _kind_of_cast(cast, closure, doc, bounded=bounded)


def said(doc: str) -> str:
    """Give the type of one value that a docstring names; empty where it tells of several values."""
    first = doc.partition("\n\n")[0]  # further paragraphs tell about items and other properties
    return "" if _SEVERAL.search(first) else said_type(first)


def _kind_of_cast(cast: Any, closure: dict[str, Any], doc: str, *, bounded: bool) -> str:
    """Give the type of what PyMeasure gives as it has read it."""
    if cast is str:
        return "str" if closure.get("maxsplit") == 0 else "any"  # a comma in the text would make a list of it
    if cast is float:
        return "any" if _TEXTS.search(doc) and not bounded and not unit_in(doc) else "float"
    return _CASTS.get(cast, "any")


def _given_by(process: Any) -> str:
    """Give the type of what a function makes of a reply, if it is one of Python's own or annotated; empty: it does not tell."""
    given = hints_of(process).get("return") if inspect.isfunction(process) else process
    return _CASTS.get(given, "") if isinstance(given, type) else ""


def _kind_of_setting(setter: dict[str, Any], *, bounded: bool) -> str:
    """Give the type of what can only be set, from how it is written into the command."""
    command = setter["set_command"]
    if not _is_identity(setter["set_process"]) or not isinstance(command, str) or command.count("%") != 1:
        return "float" if bounded else "any"
    for pattern, kind in _BY_FORMAT:
        if pattern.search(command):
            return kind
    return "float" if bounded else "any"


def _is_identity(function: Any) -> bool:
    """Tell whether a process or validator is the default, which gives back what it is given."""
    return getattr(function, "__module__", "") == "pymeasure.instruments.common_base" and function.__name__ == "<lambda>"
