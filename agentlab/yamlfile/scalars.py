"""What a YAML scalar means: text or number by the rules of YAML 1.2, and ``${NAME:default}`` from the environment. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

Scalar = str | int | float | bool | None

PREFIX = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MOST_DIGITS = 400
"""A whole number of more digits is nobody's setting, and turning it into a number takes time."""

_VARIABLE = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def plain_scalar(text: str) -> Scalar:
    """Give the value of a scalar without quotes, by YAML 1.2's core rules: ``yes``, ``on`` and dates are text, ``1e3`` a number.

    Raises:
        ValueError: a whole number with hundreds of digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _DECIMAL.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise ValueError(f"found a number of {len(text)} digits, allowed are at most {_MOST_DIGITS}")
        return int(text)
    if len(text) <= _MOST_DIGITS and _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def tagged_scalar(tag: str, text: str) -> Scalar:
    """Give the value of a scalar with an explicit tag.

    Args:
        tag: The whole tag; ``!`` means text.
        text: The scalar.

    Raises:
        ValueError: the tag is not one of YAML's own for plain values, or the text does not fit it.
    """
    short = tag.removeprefix(PREFIX)
    if tag == "!" or short == "str":
        return text
    if not tag.startswith(PREFIX) or short not in ("int", "float", "bool", "null"):
        raise ValueError(tag_complaint(tag))
    value = plain_scalar(text)
    if short == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (short == "null" and value is None) or (value is not None and type(value).__name__ == short):
        return value
    raise ValueError(f"found !!{short} {text!r}, which is none")


def tag_complaint(tag: str) -> str:
    """Say that a tag is not allowed here."""
    shown = f"!!{tag.removeprefix(PREFIX)}" if tag.startswith(PREFIX) else tag
    return f"found the tag {shown[:80]!r}, allowed are plain values only (text, numbers, true, false, null, lists, mappings)"


def expand(text: str, environ: Mapping[str, str]) -> tuple[str, bool]:
    """Replace ``${NAME}`` and ``${NAME:default}`` by the environment's values, and ``$$`` by ``$``.

    What is put in is not looked through again.

    Returns:
        The text, and whether one replacement made all of it.

    Raises:
        ValueError: a variable that is not set and has no default, or something in ``${}`` that is no name.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, colon, default = (match[1] or "").partition(":")
        if match[1] is None or not _NAME.fullmatch(name):
            raise ValueError(f"found {match[0]!r}, allowed are ${{NAME}} and ${{NAME:default}}; a dollar sign itself is $$")
        if name in environ:
            return environ[name]
        if not colon:
            raise ValueError(f"environment variable {name} is not set; set it, or write ${{{name}:default}}")
        return default

    whole = _VARIABLE.fullmatch(text)
    return _VARIABLE.sub(value, text), whole is not None and whole[0] != "$$"
