"""Commands with places for values, such as ``VOLT {:g}``, and replies with a value in them. Pure.

They are Python's format strings without what reaches into objects: a table is data, not a program.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any

from agentlab.errors import LimitError
from agentlab.instruments.model.values import plain, shown

_FIELD = re.compile(r"[A-Za-z]\w*", re.ASCII)
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line, clear a device or stop its transmission; a tab is none of them."""
_QUOTED = re.compile("\"[^\"]*\"|'[^']*'")
_HUGE = re.compile(r"\d{4}")
VALUE = "value"
"""What a place without a name is called."""


class Template:
    """A command whose places are filled with values.

    Args:
        text: As ``VOLT {:g}``, ``VOLT {value:.3f}`` or ``RAMP {target:g},{rate:g}``; ``{{`` stands for a brace.

    Attributes:
        fields: The names of the places, in order; one without a name is ``value``.
        places: How many there are; two may have one name.

    Raises:
        ValueError: it is no such text; the message says why, in words that follow what stands there.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = tuple(_parts(text))
        self._is_bare = [part[:2] for part in self._parts] == [("", VALUE)]  # the whole command is the caller's
        self.fields = tuple(dict.fromkeys(name for _, name, _ in self._parts if name))
        self.places = sum(bool(name) for _, name, _ in self._parts)
        if ends_line(text):
            raise ValueError("holds a line end, which would make two commands of it; the termination is put behind by itself")
        if not text.strip():
            raise ValueError("is empty; write what is sent, as 'VOLT?'")

    def fill(self, values: Mapping[str, Any], *, ours: bool = False) -> str:
        """Give the command. What a caller's text puts into it is never a command of its own.

        Args:
            values: By the name of their place.
            ours: Whether they stand in the table, and are no caller's.

        Raises:
            LimitError: a value does not fit its place, or would end the command there and begin another.
        """
        said = ""
        for literal, name, spec in self._parts:
            said += literal
            if name:
                try:
                    text = written(values[name], spec)
                    if not ours:
                        _check_text(text, "" if self._is_bare else _quote(said), bare=self._is_bare)
                    said += text
                except (TypeError, ValueError, OverflowError, MemoryError) as error:
                    raise LimitError(
                        f"{shown(values[name])} does not fit {{{name}:{spec}}} of {self.text!r}: {error}; nothing was sent"
                    ) from None
        return said


def ends_line(text: str) -> bool:
    r"""Tell whether a command holds a line end, or has one behind it as YAML in single quotes leaves it: ``\n``."""
    return "\n" in text or "\r" in text or text.endswith(("\\n", "\\r"))


def written(value: Any, spec: str = "") -> str:
    """Give a value as text for a device: true is 1, and several values are joined by commas. Raises ValueError, TypeError."""
    value = plain(value)
    if isinstance(value, bool):
        value = int(value)
    if not isinstance(value, (int, float, str)) and hasattr(value, "__iter__"):
        return ",".join(written(one, spec) for one in value)
    if not isinstance(value, (int, float, str)):
        raise TypeError(f"a {type(value).__name__} cannot be written")
    return format(value, spec)


def _parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Give literal, field's name (empty: none) and format of each part."""
    try:
        found = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"found {text!r}, which is no format: {error}; a brace itself is written twice") from None
    for literal, field, spec, conversion in found:
        if field is None:
            yield literal, "", ""
            continue
        name = VALUE if field in {"", "0"} else field
        if not _FIELD.fullmatch(name):
            raise ValueError(f"found {{{field}}} in {text!r}, allowed is a plain name, or nothing, as in {{:g}}")
        if conversion:
            raise ValueError(f"found !{conversion} in {text!r}, which has no use here; take it away")
        if "{" in (spec or ""):
            raise ValueError(f"found a place within a place in {text!r}; write the number of digits itself")
        if _HUGE.search(spec or ""):
            raise ValueError(f"found {{{field}:{spec}}} in {text!r}, which asks for more than 999 characters; take a number less")
        yield literal, name, spec or ""


def _quote(said: str) -> str:
    """Give the quotation mark within which what follows stands; empty: within none."""
    mark = ""
    for one in said:
        if one == mark:
            mark = ""
        elif not mark and one in "\"'":
            mark = one
    return mark


def _check_text(text: str, quote: str, *, bare: bool) -> None:
    """Refuse a value that would be more than a value. Raises ValueError."""
    if found := _CONTROL.search(text):
        what = "a line end" if found[0] in "\r\n" else shown(found[0])
        raise ValueError(f"it holds {what}, which would end the command")
    if quote and quote in text:
        raise ValueError(f"it holds {quote}, which would end the text")
    if not (quote or bare) and ";" in _QUOTED.sub("", text):
        raise ValueError("it holds a semicolon, which would begin another command")


class Words:
    """The device's words for a parameter's values: ``{on: 1, off: 0}``.

    Args:
        map: Value, as callers have it, to the device's word.

    Raises:
        ValueError: two values have one word, or there are none.
    """

    def __init__(self, map: Mapping[Any, Any]) -> None:  # noqa: A002 - as the key in the table
        if not map:
            raise ValueError("is empty; write value and word, as {on: 1, off: 0}")
        self._raw = {value: plain(word) for value, word in map.items()}
        self._words = {value: written(word) for value, word in map.items()}
        for word in self._words.values():
            if found := _CONTROL.search(word):
                raise ValueError(
                    f"has the word {shown(word)}, which holds {shown(found[0])}; the termination is put behind by itself"
                )
        self._values = {_normal(word): value for value, word in self._words.items()}
        if len(self._values) < len(self._words):
            raise ValueError("gives one word to two values, so a reply could not be told; give each its own")

    @property
    def values(self) -> tuple[Any, ...]:
        """The values, in order."""
        return tuple(self._words)

    def raw(self, value: Any) -> Any:
        """Give the device's word for a value as it stands in the table: text or a number. Raises KeyError."""
        return self._raw[value]

    def word(self, value: Any) -> str:
        """Give the device's word for a value. Raises KeyError."""
        return self._words[value]

    def value(self, reply: str) -> Any:
        """Give the value of a device's word: ``1``, ``+1`` and ``1.0`` are one, ``ON`` and ``on`` too. Raises KeyError."""
        return self._values[_normal(reply)]


def _normal(word: str) -> str:
    word = word.strip()
    try:
        return f"{float(word):.15g}"
    except ValueError:
        return word.strip("\"'").lower()


__all__ = ["VALUE", "Template", "Words", "ends_line", "written"]
