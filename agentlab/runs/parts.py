"""What a scan sets and reads, told by what it can do: parameters of instruments, devices as bluesky has them, functions."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from agentlab.errors import ConfigurationError, InstrumentError, UnitError
from agentlab.runs.model import Axis, Column
from agentlab.runs.plain import plain_text

MOST_POINTS = 100_000_000
Instrument = tuple[str, Any]
"""A name, and what has ``snapshot()``."""
_CURE = 'give the parameter itself, as in dac["voltage"], or a function'


@dataclass(frozen=True, slots=True)
class Target:
    """What one axis sets.

    Attributes:
        name: For its column.
        unit: Of its values.
        put: Sets a value, and comes back when it is there.
        instrument: What answers for its snapshot; None: it has none.
        check: Gives a value in the unit, or raises what setting it would raise, without asking the device; None: that is not
            known before.
    """

    name: str
    unit: str
    put: Callable[[Any], object]
    instrument: Instrument | None = None
    check: Callable[[Any], object] | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """What is read at every point.

    Attributes:
        columns: Name and unit of each value that it gives.
        read: Gives the values, each with a remark that is empty where all is well.
        instrument: As a target's.
    """

    columns: tuple[tuple[str, str], ...]
    read: Callable[[], Sequence[tuple[Any, str]]]
    instrument: Instrument | None = None


def read_axes(given: Sequence[Any], timeout: float | None) -> list[tuple[Target, tuple[Any, ...]]]:
    """Give targets with their values, from ``(target, values)``, or from ``((target, values), (target, values), ...)``.

    Args:
        given: What a user wrote.
        timeout: Seconds that a set may take; None: as long as it says itself.

    Raises:
        TypeError: something is no target.
        ConfigurationError: there are no values, or the shape is wrong.
    """
    pairs = list(given) if given and all(isinstance(one, tuple) and len(one) == 2 for one in given) else [tuple(given)]
    found = []
    for number, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ConfigurationError(
                "a scan takes a target and its values, or several such pairs: sweep(x, values, reads=[...]), "
                f"sweep((x, values), (y, values), reads=[...]); these were {len(pair)}"
            )
        target = read_target(pair[0], number, timeout)
        found.append((target, _values(pair[1], target.name)))
    return found


def _values(given: Any, name: str) -> tuple[Any, ...]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigurationError(f"the values of {name} are {given!r}; give a list, a range or an array")
    values = given.tolist() if hasattr(given, "tolist") else list(islice(given, MOST_POINTS + 1))
    if not isinstance(values, list) or not values or len(values) > MOST_POINTS:
        raise ConfigurationError(f"{name} has no values, or more than {MOST_POINTS}; give a list, a range or an array")
    return tuple(values)


def read_target(given: Any, number: int, timeout: float | None = None) -> Target:
    """Give what sets one axis.

    Raises:
        TypeError: it can set nothing.
    """
    if given is None:  # nothing is set: the same again and again
        return Target("point", "", lambda _value: None)
    if _is_value(given):
        raise TypeError(f"the target is {_shown(given)}, which cannot be set; {_CURE}")
    name, unit = _given_name(given), str(getattr(given, "unit", "") or "")
    if name is not None and callable(getattr(given, "put", None)):
        put = given.put if timeout is None else lambda value: given.put(value, timeout=timeout)
        check = getattr(getattr(given, "info", None), "check", None)
        return Target(name, unit, put, instrument_of(given), check if callable(check) else None)
    if name is not None and callable(getattr(given, "set", None)):
        return Target(name, unit, lambda value: _wait(given.set(value), timeout), instrument_of(given))
    if callable(given):
        return Target(_name_of(given, f"x{number + 1}"), unit, given)
    raise TypeError(f"the target is {_shown(given)}, which cannot be set; {_CURE}")


def checked_values(axes: Iterable[tuple[Target, tuple[Any, ...]]]) -> list[tuple[Target, tuple[Any, ...]]]:
    """Give the axes with the values that are to be set and kept: ``"5 mV"`` as 0.005, where the unit is V.

    Every value is looked at, as far as that can be done here: nobody wants to hear at the last point that it may not be set.

    Raises:
        LimitError, UnitError: one may not be; the text says which.
    """
    return [(target, _checked(target, values)) for target, values in axes]


def _checked(target: Target, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if target.check is None:
        return values
    found = []
    for number, value in enumerate(values, start=1):
        try:
            found.append(target.check(value))
        except InstrumentError as error:
            text = str(error).removesuffix("; nothing was sent")
            raise type(error)(f"value {number} of {len(values)} for {target.name}: {text}; nothing was set") from None
    return tuple(found)


def _wait(status: Any, timeout: float | None) -> None:
    """Wait for what bluesky's devices give."""
    if hasattr(status, "wait"):
        status.wait() if timeout is None else status.wait(timeout)


def read_readers(given: Any) -> list[Reader]:
    """Give what is read at every point, from one reader or several.

    Raises:
        TypeError: something is no reader.
        ConfigurationError: there is none.
    """
    several = given if isinstance(given, list | tuple) else [given]
    if not several:
        raise ConfigurationError('a scan without readers measures nothing; give reads=[dmm["voltage"]]')
    return [_reader(one, number) for number, one in enumerate(several)]


def _reader(given: Any, number: int) -> Reader:
    if _is_value(given):
        raise TypeError(f"a reader is {_shown(given)}, which can be read only once; {_CURE}")
    name, unit = _given_name(given), str(getattr(given, "unit", "") or "")
    if name is not None and callable(getattr(given, "get", None)):
        units = _Units(name, unit)
        return Reader(((name, unit),), lambda: [_value_of(given.get(), units)], instrument_of(given))
    if callable(getattr(given, "read", None)) and callable(getattr(given, "describe", None)):
        return _readable(given)
    if callable(given):
        name = _name_of(given, f"y{number + 1}")
        units = _Units(name, unit)
        return Reader(((name, unit),), lambda: [_value_of(given(), units)])
    raise TypeError(f"a reader is {_shown(given)}, which cannot be read; {_CURE}")


def _readable(given: Any) -> Reader:
    """Give the reader of a device as bluesky has them: several values at once, each with its name."""
    described = given.describe()
    if not isinstance(described, Mapping):
        raise TypeError(f"a reader is {_shown(given)}, which has to be awaited; {_CURE}")
    paths: dict[str, str] = {part.name: part.path for part in getattr(given, "handles", ())}
    columns = tuple((str(paths.get(name, name)), str(about.get("units") or "")) for name, about in described.items())

    def read() -> list[tuple[Any, str]]:
        found = given.read()
        return [(found[name]["value"], "") for name in described]

    return Reader(columns, read, instrument_of(given))


class _Units:
    """Sees that what is read for one column stays in one unit: a number alone does not tell that it means millivolts now."""

    def __init__(self, name: str, unit: str) -> None:
        self._name = name
        self._known = {"unit": unit}

    def check(self, found: Any, kind: str) -> None:
        """Look at what was read.

        Args:
            found: It.
            kind: The attribute that tells its unit: readings and quantities spell them each in their own way.

        Raises:
            UnitError: it is in another unit.
        """
        unit, known = str(getattr(found, kind, None) or ""), self._known.get(kind, "")
        if unit and known and unit != known:
            raise UnitError(
                f"{self._name} was read in {unit}, where the run has it in {known}; set the instrument back, or begin a new run"
            )
        self._known[kind] = known or unit


def _value_of(found: Any, units: _Units) -> tuple[Any, str]:
    """Give the value of a reading, and a remark where its quality is not good; of anything else, itself."""
    if hasattr(found, "quality") and hasattr(found, "value"):
        units.check(found, "unit")
        return found.value, "" if found.quality == "good" else str(found.quality)
    if hasattr(found, "magnitude"):
        units.check(found, "units")
    return found, ""


def _is_value(given: Any) -> bool:
    """Tell whether something is a value that was read, where what it was read from is wanted."""
    values = (numbers.Number, str, bytes, bool, Mapping)
    if isinstance(given, values) or hasattr(given, "dtype"):
        return True
    return hasattr(given, "quality") and hasattr(given, "value")  # in this order: a handle's value would ask its device


def _given_name(given: Any) -> str | None:
    """Give what is to head a column: ``dac.voltage`` where there is such a path, else the name; None: it has none."""
    found = (getattr(given, "path", None), getattr(given, "name", None))  # in a name, bluesky wants no dot
    return next((name for name in found if isinstance(name, str)), None)


def instrument_of(given: Any) -> Instrument | None:
    """Give what answers for the snapshot of the instrument that a parameter belongs to, or that a proxy is."""
    proxy = getattr(given, "proxy", None)
    proxy = given if proxy is None else proxy
    if not callable(getattr(proxy, "snapshot", None)):
        return None
    names = (getattr(given, "instrument", None), getattr(proxy, "name", None), type(proxy).__name__)
    return next(name for name in names if isinstance(name, str)), proxy


def _shown(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _name_of(function: Any, otherwise: str) -> str:
    name = getattr(function, "name", None) or getattr(function, "__name__", None) or type(function).__name__
    return otherwise if not isinstance(name, str) or name in ("<lambda>", "partial") else name


def name_columns(axes: Sequence[tuple[Target, tuple[Any, ...]]], readers: Sequence[Reader]) -> tuple[list[Axis], list[Column]]:
    """Give the axes and the columns that are read, each with a name of its own.

    A parameter that is both set and read is read as ``NAME_read``.
    """
    taken = {"time"}
    made = [Axis(_free(target.name, taken, ""), target.unit, values) for target, values in axes]
    columns = []
    for reader in readers:
        for name, unit in reader.columns:
            suffix = "_read" if name in {axis.name for axis in made} else ""
            columns.append(Column(_free(name, taken, suffix), unit))
    return made, columns


def _free(name: str, taken: set[str], suffix: str) -> str:
    name = plain_text(name) + suffix
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found


MISSING = math.nan
"""What stands for a value that could not be read."""
