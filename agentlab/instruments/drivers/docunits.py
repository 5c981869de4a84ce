"""The unit and the type that a docstring names: ``Control the voltage in Volts``, ``(float, V)``. Pure.

PyMeasure's properties have no field for them; by its coding guide the docstring says them. Where a docstring names two
different ones, or none, none is better than a wrong one: the user says it in the parameter's overrides.
"""

from __future__ import annotations

import re

_PREFIXES = {"": "", "femto": "f", "pico": "p", "nano": "n", "micro": "u", "milli": "m", "kilo": "k", "mega": "M", "giga": "G"}
_WORDS = {  # how people write a unit out, as the end of a regular expression: its symbol
    "volts?": "V",
    "amp(?:ere|ère|)s?": "A",
    "hertz": "Hz",
    "kelvins?": "K",
    "seconds?": "s",
    "ohms?": "ohm",
    "watts?": "W",
    "farads?": "F",
    "henr(?:y|ys|ies)": "H",
    "teslas?": "T",
    "pascals?": "Pa",
    "joules?": "J",
    "newtons?": "N",
    "met(?:er|re)s?": "m",
    "grams?": "g",
    "bars?": "bar",
}
_WHOLE = {  # words and symbols that take no prefix
    "(?:degrees? |deg(?:rees?)? ?\\.? ?|°)?(?:celsius|centigrade)": "degC",
    "(?:degrees?|°) ?(?:c)": "degC",
    "(?:degrees? )?fahrenheit": "degF",
    "degrees?": "deg",
    "radians?": "rad",
    "minutes?": "min",
    "hours?": "h",
    "secs?": "s",
    "microns?": "um",
    "percent|per cent|%": "%",
    "decibels?": "dB",
    "gauss": "G",
    "torr": "torr",
    "rpm": "rpm",
    "dbm": "dBm",
}
_SYMBOLS = {"V", "A", "Hz", "K", "s", "W", "F", "H", "T", "Pa", "J", "N", "m", "g", "bar"}
_SPELLED = {"Ω": "ohm", "Ohm": "ohm", "ohm": "ohm", "°C": "degC", "C": "degC", "°": "deg", "deg": "deg", "rad": "rad", "G": "G"}
_ALONE = {"dB", "dBm", "dBc", "dBV", "min", "h", "Torr", "mTorr", "Vpp", "Vrms"}
_LONE_LETTERS = {"V", "W", "K"}  # what alone in brackets is a unit: "(s)" is a plural and "(A)" a channel

_WORD = "|".join([*_WHOLE, f"(?:{'|'.join(p for p in _PREFIXES if p)}|[fpnumkMG](?=[A-Z]))?(?:{'|'.join(_WORDS)})"])
_SYMBOL = "|".join(
    [
        *sorted(map(re.escape, _ALONE | set(_SPELLED)), key=len, reverse=True),
        f"[fpnuµμmkMG]?(?:{'|'.join(sorted(_SYMBOLS, key=len, reverse=True))}|Ohm|ohm|Ω)",
    ]
)
_PER = rf"(?:\s?(?:/|per)\s?(?P<per>(?i:{_WORD})|{_SYMBOL}))?"
_UNIT = rf"(?P<unit>(?i:{_WORD})|{_SYMBOL}){_PER}"
_END = r"(?=[\s.,;:)\]]|$)"
_ALONE_THERE = rf"(?!\s+(?:(?i:{_WORD})|or\s+(?:(?i:{_WORD})|{_SYMBOL})){_END})"
"""Behind a unit: no other one, as in ohm meters, degrees Kelvin, V or dBm."""
_IN = re.compile(rf"(?<!\w)in\s+(?:units?\s+of\s+|the\s+unit\s+)?{_UNIT}{_END}{_ALONE_THERE}")
_KIND = r"(?:(?:strict(?:ly)?|float(?:ing)?|int(?:eger)?|number|in)[\s,]+)+"
_BRACKETS = re.compile(rf"[(\[](?P<before>{_KIND})?{_UNIT}\s*[)\]]")


def unit_in(doc: str) -> str:
    """Give the unit that a docstring names.

    Returns:
        A symbol such as ``V``, ``kHz``, ``degC``, ``V/s``; empty if it names none, or more than one.
    """
    text = " ".join(doc.split())
    found = [_symbol(match) for match in _IN.finditer(text)]
    if not found:
        found = [_symbol(match) for match in _BRACKETS.finditer(text) if match["before"] or _is_surely_unit(match)]
    return found[0] if len(set(found)) == 1 else ""


_TYPE = re.compile(r"\((?:strict(?:ly)? )?(float|int|bool|str)(?:ing|eger|ean)?\b([^)]*)")
_MORE_TYPES = re.compile(r"\b(?:or|list|tuple|dict|array|none|floats?|int(?:eger)?s?|str(?:ing)?s?)\b|[|/\[\]]", re.IGNORECASE)


def said_type(doc: str) -> str:
    """Give the type of value that a docstring names, as ``(float)`` or ``(int, strictly from 1 to 4)``.

    Returns:
        ``float``, ``int``, ``bool`` or ``str``; empty if it names none, or more than one.
    """
    found = _TYPE.findall(" ".join(doc.split()))
    kinds = {kind for kind, _ in found}
    return kinds.pop() if len(kinds) == 1 and not any(_MORE_TYPES.search(rest) for _, rest in found) else ""


def _is_surely_unit(match: re.Match[str]) -> bool:
    return len(match["unit"]) > 1 or match["unit"] in _LONE_LETTERS or bool(match["per"])


def _symbol(match: re.Match[str]) -> str:
    per = f"/{_one(match['per'])}" if match["per"] else ""
    return _one(match["unit"]) + per


def _one(text: str) -> str:
    """Give the symbol of one unit as it was written."""
    text = text.strip().replace("µ", "u").replace("μ", "u")
    if text in _SPELLED:
        return _SPELLED[text]
    if re.fullmatch(f"(?:{_SYMBOL})", text):
        return text.replace("Ω", "ohm").replace("Ohm", "ohm")
    for pattern, symbol in _WHOLE.items():
        if re.fullmatch(pattern, text, re.IGNORECASE):
            return symbol
    for pattern, symbol in _WORDS.items():
        match = re.fullmatch(rf"(?P<prefix>.*?)(?:{pattern})", text, re.IGNORECASE)
        if match:
            prefix = match["prefix"]
            return _PREFIXES.get(prefix.lower(), prefix) + symbol
    return text
