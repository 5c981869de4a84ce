"""How instruments are set, as plain values, at the start of a run."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from agentlab.errors import AgentLabError, RunError
from agentlab.runs.plain import MOST_TEXT, plain_all, plain_text

LIMIT = 2.0
"""Seconds that an instrument has for reading all that it has; after them its last readings are taken."""
_AT_ONCE = 64


def take(instruments: Iterable[tuple[str, Any] | None]) -> dict[str, Any]:
    """Have each instrument read all that it has, once, and all at once; blocks for :data:`LIMIT` seconds, or twice that.

    Of more than 64 instruments, some begin when others have answered.

    Args:
        instruments: Names, each with what has ``snapshot()``; None is passed over, and a name that was asked already.

    Returns:
        Name of the instrument -> parameter -> value, unit, time and quality. Who cannot be asked in time has its last readings,
        and who does not answer at all has ``error`` instead: a scan that does not need it can go on.
    """
    asked = dict(filter(None, instruments))
    if len(asked) < 2:
        return {name: _taken(proxy) for name, proxy in asked.items()}
    with ThreadPoolExecutor(min(_AT_ONCE, len(asked)), "snapshot") as pool:
        return dict(zip(asked, pool.map(_taken, asked.values()), strict=True))


def storable(instruments: Mapping[str, Any]) -> dict[str, Any]:
    """Give a snapshot as JSON can hold it: what a run cannot keep is its text."""
    return {plain_text(name): _storable(about, 3) for name, about in instruments.items()}


def _storable(value: Any, depth: int) -> Any:
    try:
        (found,) = plain_all([value])
    except RunError:  # one value of one parameter; the others are kept as they are
        if depth and isinstance(value, Mapping):
            return {plain_text(key): _storable(one, depth - 1) for key, one in value.items()}
        return plain_text(value, MOST_TEXT)
    return found


def _taken(proxy: Any) -> dict[str, Any]:
    try:
        try:
            found = _asked(proxy)
        except (AgentLabError, OSError):
            found = _limited(proxy).snapshot()
    except (AgentLabError, OSError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {str(key): _plain(reading) for key, reading in found.items()}


def _asked(proxy: Any) -> Any:
    """Have it ask its device, where it can, for its last readings are those of what somebody has read, set or polled."""
    limited = _limited(proxy)
    if "refresh" in inspect.signature(limited.snapshot).parameters:
        return limited.snapshot(refresh=True)
    return limited.snapshot()


def _limited(proxy: Any) -> Any:
    """Give what asks a proxy with a time limit; itself where it has none."""
    view = inspect.getattr_static(proxy, "timeout", None)
    return proxy.timeout(LIMIT) if inspect.isfunction(view) else proxy


def _plain(reading: Any) -> Any:
    if isinstance(reading, Mapping):
        return dict(reading)
    if callable(getattr(reading, "to_dict", None)):
        return reading.to_dict()
    if hasattr(reading, "value"):
        return {key: getattr(reading, key) for key in ("value", "unit", "timestamp", "quality") if hasattr(reading, key)}
    return {"value": reading}
