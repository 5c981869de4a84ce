"""Having a device say who it is: what it says may come late, twice, or behind a greeting, and must not shift what follows."""

from __future__ import annotations

import time
from collections import deque

from agentlab.errors import BadReplyError, DeviceTimeoutError
from agentlab.instruments.model.values import shown
from agentlab.instruments.visa.exchange import QUIET, Exchange

MOST_LINES = 1000
"""Lines that are passed over while an identity is waited for; a device that says more does not stop talking."""
LATE = 0.5
"""Seconds that a device which is busy no longer may take for each answer that it still owes."""


def prove(exchange: Exchange, ping: str, identity: str, limit: float) -> str:
    """Ask a device who it is, and pass over late replies of before. Blocks for at most some `limit`.

    Where its identity is not known yet it is asked twice: one answer alone may be its greeting, or a late reply, and all that
    follow would be one too late. (On a bus that frames messages neither can be.)

    Args:
        exchange: The open line.
        ping: What asks for the identity; not empty.
        identity: What the device answered before; empty: what it answers now is taken.
        limit: Seconds that it has for each answer.

    Returns:
        The identity.

    Raises:
        LimitError: the ping cannot be sent.
        OfflineError: the device is gone.
        DeviceTimeoutError: it does not answer.
        BadReplyError: another device answers, or rubbish.
    """
    found = _asked(exchange, ping, identity, limit)
    said = found[-1]
    if not said:
        raise BadReplyError(f"{exchange.name} answered nothing but a line end to {ping!r}; give another ping")
    _await_late_ones(exchange, ping, said, limit)
    # on a serial line a query that was given up may be answered only now; on a new connection a greeting like the identity
    # may have come first
    line = exchange.line()
    slow, exchange.unheard = (not line.fresh or exchange.unheard) and not line.frames, False
    if more := exchange.drain(QUIET, limit) if slow else exchange.waiting():
        raise BadReplyError(f"{exchange.name} goes on talking after its identity {shown(said)}: {shown(more)}; does it greet?")
    return said


def _asked(exchange: Exchange, ping: str, identity: str, limit: float) -> deque[str]:
    """Ask until the identity is sure; give the last lines that came."""
    data, deadline = exchange.encoded(ping), time.monotonic() + limit
    found: deque[str] = deque(maxlen=3)  # what the error shows; a device that does not stop talking would fill the memory
    lines = 0
    exchange.interrupted = ""
    _send(exchange, data, limit)
    while not _is_proved(exchange, found, identity):
        try:
            reply = exchange.reply(deadline, repr(ping), limit, alone=False)
        except DeviceTimeoutError:
            if not found:
                raise
            raise _unproved(exchange, ping, found, identity) from None
        found.append(exchange.decoded(reply, ping).strip())
        lines += 1
        if lines == 1 and not _is_proved(exchange, found, identity):
            deadline = time.monotonic() + limit
            if not identity:
                _send(exchange, data, limit)
        if lines > MOST_LINES:
            raise BadReplyError(f"{exchange.name} does not stop talking: {MOST_LINES} lines after {ping!r}; look at the device")
    exchange.pings -= sum(one == found[-1] for one in found)
    return found


def _send(exchange: Exchange, data: bytes, limit: float) -> None:
    exchange.pings += 1
    exchange.send(data, limit)


def _await_late_ones(exchange: Exchange, ping: str, said: str, limit: float) -> None:
    """Take the answers to earlier pings that were given up: a device that was busy on a serial line gives them now."""
    limit = min(limit, LATE)
    while exchange.pings > 0 and not (exchange.fresh() or exchange.frames()):
        try:
            reply = exchange.reply(time.monotonic() + limit, repr(ping), limit, alone=False)
        except DeviceTimeoutError:
            break  # they were lost
        late = exchange.decoded(reply, ping).strip()
        if late != said:
            raise BadReplyError(
                f"{exchange.name} goes on talking after its identity {shown(said)}: {shown(late)}; does it greet?"
            )
        exchange.pings -= 1
    exchange.pings = 0


def _is_proved(exchange: Exchange, found: deque[str], identity: str) -> bool:
    if identity or exchange.frames():
        return bool(found) and (not identity or found[-1] == identity)
    return len(found) > 1 and found[-1] == found[-2]


def _unproved(exchange: Exchange, ping: str, found: deque[str], identity: str) -> BadReplyError:
    if identity:
        return BadReplyError(
            f"another device answers at {exchange.name}: {ping!r} gave {shown(found[-1])}, and before {shown(identity)}"
        )
    said = ", then ".join(map(shown, found)) + (", and then nothing" if len(found) == 1 else "")
    return BadReplyError(
        f"{exchange.name} does not say twice alike who it is: {ping!r} gave {said}; give another ping, or greeting=1 if it greets"
    )


__all__ = ["prove"]
