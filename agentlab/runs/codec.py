"""Values, rows and columns of :mod:`plain <agentlab.runs.plain>` values as bytes, and back. Pure calculation.

A column of numbers is its bytes, little-endian, one after another; everything else is msgpack. A million numbers are then
read as fast as the file is.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import msgpack

from agentlab.errors import RunError
from agentlab.runs.plain import numpy_or_none

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


def pack(value: Any) -> bytes:
    """Give a value of :func:`~agentlab.runs.plain.plain` as bytes. Raises RunError where it is nested too deeply."""
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
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
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
    if 0 in shape:
        return []
    if letter is None:
        raise ValueError(f"numbers of type {name} can be read with numpy alone")
    view: Any = memoryview(content)
    return view.cast(letter, shape).tolist()


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
        arrays = [numpy.frombuffer(data, types[code]) for code, data in parts]
        if all(_fits_floats(one) for one in arrays if one.dtype.kind == "i"):
            return numpy.concatenate([one.astype("f8") for one in arrays])
    return _as_array(numpy, [value for code, data in parts for value in unpack_column(code, data)])


def _fits_floats(whole: Any) -> bool:
    return not len(whole) or (int(whole.min()) >= -EXACT and int(whole.max()) <= EXACT)


def _as_array(numpy: Any, values: list[Any]) -> Any:
    """Give an array whose first axis is the rows; of objects, where they have nothing in common."""
    kinds = set(map(type, values))
    if not values:
        return numpy.empty(0)
    if kinds == {str}:
        return numpy.array(values)
    if kinds <= {int, float, complex, numpy.ndarray, list} and _keep_their_digits(kinds, values):
        try:
            made = numpy.array(values)
        except ValueError:  # traces of different lengths
            made = None
        if made is not None and made.dtype.kind in "fiubc":  # of a number and a text, numpy would make two texts
            return made
    made = numpy.empty(len(values), object)
    for i, value in enumerate(values):
        made[i] = value
    return made


def _keep_their_digits(kinds: set[type], values: list[Any]) -> bool:
    """Tell whether numbers stay what they are when they become ones of one type: great integers as floats do not."""
    return kinds == {int} or all(abs(value) <= EXACT for value in values if type(value) is int)


def is_number(value: Any) -> bool:
    """Tell whether a value can be plotted: a real number that is finite."""
    return isinstance(value, int | float) and math.isfinite(value)


def columns_of(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    """Give the columns of rows."""
    return [list(column) for column in zip(*rows, strict=True)]
