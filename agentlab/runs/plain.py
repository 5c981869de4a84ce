"""Values as a run keeps them: Python's own, and arrays of numbers. Pure calculation; numpy is used where it is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

from agentlab.errors import RunError

MOST_TEXT = 1000
"""Characters of a remark or a reason that are kept: some errors carry a whole log."""
_WHAT = "give a number, a text, a list or an array of numbers"


def plain(value: Any) -> Any:
    """Give a value as it is kept: numbers, truth, text, bytes, None, lists, mappings, and arrays of numbers.

    Scalars of numpy become Python's own, and members of an enumeration their values; what has a unit beside its magnitude
    gives the magnitude; what is masked in an array is NaN. An array is not copied.

    Raises:
        RunError: it is something else.
    """
    if type(value) in (float, bool, bytes) or value is None:
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    for kind, made in _BASES:  # of which numpy's scalars inherit
        if isinstance(value, kind):
            return made(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {plain_text(key): plain(one) for key, one in value.items()}
    if hasattr(value, "magnitude"):  # before arrays: a quantity passes on what its magnitude has
        return plain(value.magnitude)
    if hasattr(value, "tolist"):
        return _array(value)
    return _last_resort(value)


def plain_all(values: Iterable[Any]) -> list[Any]:
    """Give several values as :func:`plain` does. Raises RunError, also of one that holds itself."""
    try:
        return [plain(value) for value in values]
    except RecursionError:
        raise RunError("a value that holds itself cannot be kept in a run; give a number, a text, a list or an array") from None


def plain_text(value: object, most: int | None = None) -> str:
    """Give a text as UTF-8 can hold it: half characters, as devices' bytes may become, are spelt out.

    Args:
        value: The text, or what has one.
        most: Characters of it that are kept; None: all.
    """
    text = str.__str__(value) if isinstance(value, str) else str(value)
    if most is not None and len(text) > most:
        text = f"{text[: most - 1]}…"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def numpy_or_none() -> Any:
    """Give numpy, or None where it is not installed."""
    try:
        import numpy as np
    except ImportError:
        return None
    return np


def _whole(value: int) -> int | float:
    if -(2**63) <= value < 2**63:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        raise RunError(f"a whole number of {value.bit_length()} bits cannot be kept in a run; give it as text") from None


_BASES: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (int, _whole),
    (float, float),
    (complex, complex),
    (str, plain_text),
    ((bytes, bytearray, memoryview), bytes),
)


def _array(value: Any) -> Any:
    """Give an array of numbers as numpy's own, of a type that every machine knows; of anything else, its list."""
    numpy, kind = numpy_or_none(), getattr(getattr(value, "dtype", None), "kind", "")
    if numpy is not None and kind and kind in "fiubc" and getattr(value, "ndim", 0):
        made = _unmasked(numpy, value) if isinstance(value, numpy.ma.MaskedArray) else numpy.asarray(value)
        if made.dtype.kind in "fiubc":  # an array of others may turn out as one of objects
            return made.astype(_standard(made.dtype), copy=False)
        return plain(made.tolist())
    listed = value.tolist()
    return float(value) if type(listed) is type(value) else plain(listed)  # numbers that are longer than Python's


def _unmasked(numpy: Any, value: Any) -> Any:
    """Give a masked array with NaN for what is masked: what stands there is some number that nobody measured."""
    if not numpy.ma.is_masked(value):
        return value.data
    return value.filled(numpy.nan) if value.dtype.kind in "fc" else value.astype("f8").filled(numpy.nan)


def _standard(dtype: Any) -> Any:
    """Give the type for halves and for numbers longer than 8 bytes, which not every machine has."""
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return "f4" if dtype.itemsize < 4 else "f8"
    return "c16" if dtype.kind == "c" and dtype.itemsize > 16 else dtype


def _last_resort(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    try:
        return float(value)
    except (TypeError, ValueError):
        what = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        raise RunError(f"a {what} cannot be kept in a run; {_WHAT}") from None
