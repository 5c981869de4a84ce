"""Values, rows and columns as bytes, and back. Pure calculation; numpy is used where it is there.

A column of numbers is its bytes, little-endian, one after another; everything else is msgpack. A million numbers are then
read as fast as the file is.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgpack

from agentlab.errors import RunError

FLOATS, INTS, BOOLS, COMPLEX, MIXED = "d", "q", "?", "D", "m"
"""How a column is kept: numbers of 8 bytes, truth in a byte each, complex numbers of 16 bytes, and msgpack."""
EXACT = 2**53
"""Integers up to this are floats without loss."""

_ARRAY, _COMPLEX = 1, 2
_NUMBERS = {
    "f8": "d",
    "f4": "f",
    "i8": "q",
    "i4": "i",
    "i2": "h",
    "i1": "b",
    "u8": "Q",
    "u4": "I",
    "u2": "H",
    "u1": "B",
    "b1": "?",
}
"""Name of a type of numpy -> letter by which memoryview knows it."""


def plain(value: Any) -> Any:
    """Give a value as it is kept: numbers, truth, text, bytes, None, lists, mappings, and arrays of numbers.

    Scalars of numpy become Python's own; what has a unit beside its magnitude gives the magnitude.

    Raises:
        RunError: it is something else.
    """
    if type(value) in (float, bool, bytes) or value is None:
        return value
    for kind, made in _BASES:  # of which numpy's scalars and enumerations inherit
        if isinstance(value, kind):
            return made(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {_text(str(key)): plain(one) for key, one in value.items()}
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        if getattr(value, "ndim", 0) and value.dtype.kind in "fiubc":
            return value
        listed = value.tolist()
        return float(value) if type(listed) is type(value) else plain(listed)  # numbers that are longer than Python's
    if hasattr(value, "magnitude"):
        return plain(value.magnitude)
    return _last_resort(value)


def plain_all(values: Iterable[Any]) -> list[Any]:
    """Give several values as :func:`plain` does. Raises RunError, also of one that holds itself."""
    try:
        return [plain(value) for value in values]
    except RecursionError:
        raise RunError("a value that holds itself cannot be kept in a run; give a number, a text, a list or an array") from None


def _whole(value: int) -> int | float:
    if -(2**63) <= value < 2**63:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        raise RunError(f"a whole number of {value.bit_length()} bits cannot be kept in a run; give it as text") from None


def _text(value: str) -> str:
    """Give a text as UTF-8 can hold it: half characters, as devices' bytes may become, are spelt out."""
    return str.__str__(value) if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")


_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = ((int, _whole), (float, float), (complex, complex), (str, _text))


def _last_resort(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    try:
        return float(value)
    except (TypeError, ValueError):
        what = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        raise RunError(f"a {what} cannot be kept in a run; give a number, a text, a list or an array of numbers") from None


def pack(value: Any) -> bytes:
    """Give a value of :func:`plain` as bytes. Raises RunError where it is nested too deeply."""
    try:
        packed: bytes = msgpack.packb(value, default=_special)
    except (ValueError, OverflowError) as error:
        raise RunError(f"a value cannot be kept in a run: {error}; give a number, a text, a list or an array") from None
    return packed


def unpack(data: bytes) -> Any:
    """Give what :func:`pack` was given; arrays are numpy's where it is there, else lists."""
    return msgpack.unpackb(data, ext_hook=_special_back, strict_map_key=False)


def _special(value: Any) -> msgpack.ExtType:
    if isinstance(value, complex):
        return msgpack.ExtType(_COMPLEX, array("d", (value.real, value.imag)).tobytes())
    little = value.astype(value.dtype.newbyteorder("<"))
    return msgpack.ExtType(_ARRAY, msgpack.packb([little.dtype.str[1:], list(value.shape), little.tobytes()]))


def _special_back(code: int, data: bytes) -> Any:
    if code == _COMPLEX:
        return complex(*array("d", data))
    name, shape, content = msgpack.unpackb(data)
    numpy = numpy_or_none()
    if numpy is not None:
        return numpy.frombuffer(content, f"<{name}").reshape(shape)
    if name in ("c16", "c8"):
        parts = array("d" if name == "c16" else "f", content)
        return [complex(*pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
    letter = _NUMBERS.get(name)
    if letter is None or 0 in shape:  # halves, or nothing at all
        return []
    view: Any = memoryview(content)
    return view.cast(letter, shape).tolist()


def numpy_or_none() -> Any:
    """Give numpy, or None where it is not installed."""
    try:
        import numpy as np
    except ImportError:
        return None
    return np


def pack_column(values: Sequence[Any]) -> tuple[str, bytes]:
    """Give how a column of plain values is kept, and its bytes."""
    kinds = set(map(type, values))
    if kinds == {float} or (kinds == {float, int} and all(isinstance(v, float) or abs(v) <= EXACT for v in values)):
        return FLOATS, _little(array("d", values))
    if kinds == {int}:
        return INTS, _little(array("q", values))
    if kinds == {bool}:
        return BOOLS, bytes(values)
    if kinds == {complex}:
        return COMPLEX, _little(array("d", [part for value in values for part in (value.real, value.imag)]))
    return MIXED, pack(list(values))


def unpack_column(code: str, data: bytes) -> list[Any]:
    """Give the values of a column, as Python's own."""
    if code == MIXED:
        return list(unpack(data))
    if code == BOOLS:
        return [bool(one) for one in data]
    numbers = array("q" if code == INTS else "d", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    if code == COMPLEX:
        return [complex(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
    return numbers.tolist()


def _little(numbers: array[Any]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def join_column(parts: Sequence[tuple[str, bytes]]) -> Any:
    """Give one column from its parts in their order: an array where numpy is there, else a list."""
    numpy = numpy_or_none()
    codes = {code for code, _ in parts}
    if numpy is None:
        return [value for code, data in parts for value in unpack_column(code, data)]
    types = {FLOATS: "<f8", INTS: "<i8", BOOLS: "?", COMPLEX: "<c16"}
    if len(codes) == 1 and MIXED not in codes:
        (code,) = codes
        return numpy.frombuffer(bytearray().join(data for _, data in parts), types[code])
    if codes and codes <= {FLOATS, INTS}:
        return numpy.concatenate([numpy.frombuffer(data, types[code]).astype("f8") for code, data in parts])
    return _as_array(numpy, [value for code, data in parts for value in unpack_column(code, data)])


def _as_array(numpy: Any, values: list[Any]) -> Any:
    """Give an array whose first axis is the rows; of objects, where they have nothing in common."""
    kinds = set(map(type, values))
    if not values:
        return numpy.empty(0)
    if kinds == {str} or kinds <= {int, float, complex, numpy.ndarray, list}:
        try:
            made = numpy.array(values)
        except ValueError:  # traces of different lengths
            made = None
        if made is not None and made.dtype.kind != "O":
            return made
    made = numpy.empty(len(values), object)
    for i, value in enumerate(values):
        made[i] = value
    return made


def is_number(value: Any) -> bool:
    """Tell whether a value can be plotted: a real number that is finite."""
    return isinstance(value, int | float) and math.isfinite(value)


def columns_of(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Give the columns of rows."""
    return [list(column) for column in zip(*rows, strict=True)]
