"""Work of several steps: ramps, waiting for a read-back, the safe state, reading everything.

Each is a generator that the driver's thread advances. It gives the seconds until its next step, and how far it has come (0 to
1, or None); other calls are served in between, so that readings go on during a ramp of ten minutes. What it returns is the
call's result. What the thread refuses it (the owner is gone, the latch is set) it never hears of: it is closed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from typing import Any

from agentlab.errors import BadReplyError, DeviceTimeoutError, DriverError, InstrumentError, LimitError, OfflineError
from agentlab.instruments.engine.hand import Hand, told
from agentlab.instruments.engine.interlocks import parse_interlock
from agentlab.instruments.engine.polling import Book
from agentlab.instruments.model.parameter import Parameter
from agentlab.instruments.model.reading import Reading
from agentlab.instruments.model.spec import InstrumentSpec
from agentlab.instruments.model.table import Table

Steps = Generator[tuple[float, float | None], None, Any]
"""Seconds until the next step, how far; returns the result."""
LONGEST_LOOK, SHORTEST_LOOK = 0.5, 0.02
"""Seconds between two looks at a value that is waited for."""


def ramp(hand: Hand, parameter: Parameter, value: Any, book: Book, share: float = 1.0, *, jump: bool = False) -> Steps:
    """Set a parameter in steps no larger than its ``step``, ``delay`` seconds apart.

    Args:
        hand: The driver.
        parameter: Which.
        value: Where to go, checked.
        book: Where the last value that was set is noted.
        share: Which part of the whole call it is, for the progress.
        jump: Set it at once where nobody knows where the way begins, or it is endless: a safe state must be reached.

    Raises:
        BadReplyError: it reads what is no number, so nobody knows where to begin.
    """
    way = [value]
    if parameter.step is not None:
        try:
            way = parameter.ramp(_start(hand, parameter, book), value)
        except OfflineError:
            raise
        except Exception:
            if not jump:
                raise
            if hand.doubt is not None:
                yield 0.0, None  # the thread sees to the session before it is set
    for number, one in enumerate(way, start=1):
        hand.write(parameter.name, one)
        book.note_set(parameter.name, one, parameter.unit, time.time())
        if number < len(way):
            yield parameter.delay, share * number / len(way)


def _start(hand: Hand, parameter: Parameter, book: Book) -> Any:
    """Give where a ramp begins; None: it cannot be read and was never set."""
    if not parameter.readable:
        return book.last_set(parameter.name)
    start = hand.read(parameter)
    if isinstance(start, float) and not math.isfinite(start):
        raise BadReplyError(f"{parameter.name} reads {start:g}, so nobody knows where its ramp would begin; nothing was set")
    return start


def settle(
    hand: Hand,
    parameter: Parameter,
    value: Any,
    book: Book,
    tolerance: float,
    timeout: float | None,
    wanted: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> Steps:
    """Set a parameter, then wait until it reads what was set; the result is that reading.

    Args:
        hand: The driver.
        parameter: Which.
        value: Where to go, checked.
        book: Where readings are noted.
        tolerance: How far from it is near enough, in the parameter's unit.
        timeout: Seconds for all of it; None: as long as it takes.
        wanted: Tells whether the caller is still there; without it the wait ends, and what was set stays.
        clock: Tells the time in seconds.

    Raises:
        DeviceTimeoutError: it has not come near in time.
    """
    began = clock()
    until = None if timeout is None else began + timeout
    yield from ramp(hand, parameter, value, book, 0.0)
    first: float | None = None
    while True:
        found = hand.read(parameter)
        reading = book.note(parameter.name, found, parameter.unit, time.time())
        away = abs(found - value)
        if away <= tolerance:
            return reading
        if not wanted():
            return reading
        now = clock()
        if until is not None and now >= until:
            raise DeviceTimeoutError(
                f"{parameter.name} was set to {value:g}{_unit(parameter)} and reads {found:g}{_unit(parameter)} after "
                f"{timeout:g} s, not within {tolerance:g}; what was set stays"
            )
        first = away if first is None else max(first, away)
        look = min(LONGEST_LOOK, max(SHORTEST_LOOK, (now - began) / 10))  # often at first, and never a tenth too late
        yield look if until is None else max(0.0, min(look, until - now)), max(0.0, min(1.0, 1 - away / first))


def refresh(hand: Hand, table: Table, book: Book, wanted: Callable[[], bool] = lambda: True) -> Steps:
    """Read every parameter; the result is a reading of each, `bad` where the device answered rubbish.

    Raises:
        OfflineError: the device is gone.
        DeviceTimeoutError: it does not answer.
    """
    found: dict[str, Reading] = {}
    readable = [p for p in table.parameters.values() if p.readable]
    for number, parameter in enumerate(readable, start=1):
        try:
            found[parameter.name] = book.note(parameter.name, hand.read(parameter), parameter.unit, time.time())
        except (OfflineError, DeviceTimeoutError):
            raise
        except Exception:  # noqa: BLE001 - a door: one parameter that its driver cannot read leaves the others readable
            found[parameter.name] = Reading(None, parameter.unit, time.time(), "bad", parameter.name)
            if hand.doubt is not None:
                yield 0.0, number / len(readable)  # the thread sees to the session before the next is read
        if not wanted():
            break  # what was read is noted; the rest would keep others waiting for nobody
        if number < len(readable):
            yield 0.0, number / len(readable)
    return found


def safe_state(hand: Hand, spec: InstrumentSpec, table: Table, book: Book, patience: float) -> Steps:
    """Bring the device into its safe state: all of it that can be done, whatever fails.

    What was read or set before is stale from then on where it can be set at all, except what the safe state itself has set.
    In the end the device is asked who it is, where its driver can: what is only sent may have been heard by nobody. It has
    `patience` seconds for the answer, or its timeout if that is longer: an order such as a reset may keep it busy.

    Returns:
        What failed, as texts.

    Raises:
        OfflineError: the device is gone.
        DeviceTimeoutError: it does not answer.
        BadReplyError: another device answers.
    """
    failed: list[str] = []
    unsure = {name for name, one in table.parameters.items() if one.writable}
    for name, what, work in _orders(hand, spec, table, book):
        try:
            yield from work
            unsure.discard(name)
        except OfflineError:
            raise
        except Exception as error:  # noqa: BLE001 - a door: the other half of a safe state is better than none
            failed.append(f"{what}: {told(error)}")
            if hand.doubt is not None:
                yield 0.0, None  # the thread sees to the session before the next order is given
    if spec.safe is not False:
        book.doubt(unsure)
        if not failed:
            hand.confirm(patience)
    if spec.safe is None and not failed:
        for name, value in hand.driver.safe_values().items():
            if name in table.parameters:
                book.note_set(name, value, table.parameters[name].unit, time.time())
    return failed


def _orders(hand: Hand, spec: InstrumentSpec, table: Table, book: Book) -> list[tuple[str, str, Steps]]:
    """Give the parameter that each order sets (empty: none that is known), what it is called, and its work."""
    safe = spec.safe
    if safe is False:
        return []
    if safe is None:
        return [("", "safe()", _once(hand.safe))]
    if isinstance(safe, dict):
        sets = [(table.parameter(name), value) for name, value in safe.items()]
        return [(p.name, f"{p.name} = {value!r}", ramp(hand, p, p.check(value), book, jump=True)) for p, value in sets]
    actions = [safe] if isinstance(safe, str) else list(safe)  # type: ignore[arg-type]
    return [("", f"{name}()", _once(hand.call, _action(table, name), (), {})) for name in actions]


def _once(function: Callable[..., Any], *args: Any) -> Steps:
    function(*args)
    yield from ()


def _action(table: Table, text: str) -> str:
    name = text.removesuffix("()")
    return "safe" if name == "safe" and table.has_safe else table.action(name).name


def check_safe_state(spec: InstrumentSpec, table: Table) -> None:
    """Check that a safe state can be carried out, as far as that can be known without the device.

    Raises:
        DriverError: it names what there is not, or a value that may not be set.
    """
    safe = spec.safe
    try:
        if isinstance(safe, dict):
            for name, value in safe.items():
                table.parameter(name).check(value)
        elif isinstance(safe, (str, list, tuple)):
            for name in [safe] if isinstance(safe, str) else safe:
                _action(table, name)
    except (InstrumentError, LimitError) as error:
        raise DriverError(f"the safe state of {spec.name!r} cannot be: {error}") from None


def check_rules(spec: InstrumentSpec, table: Table) -> None:
    """Check that interlock rules can be carried out, before one has to be.

    Raises:
        DriverError: it names what there is not, or a value that may not be set.
    """
    for rule in map(parse_interlock, spec.interlocks):
        try:
            if rule.sets:
                table.parameter(rule.what).check(rule.value)
            elif not rule.latches:
                table.action(rule.what)
        except InstrumentError as error:
            raise DriverError(f"interlock {rule.text!r} could not be carried out: {error}") from None


def has_safe_state(spec: InstrumentSpec, table: Table) -> bool:
    """Tell whether there is anything that makes it safe."""
    return table.has_safe if spec.safe is None else bool(spec.safe)


def _unit(parameter: Parameter) -> str:
    return f" {parameter.unit}" if parameter.unit else ""
