"""Requests that wait for their replies, without a clock or a socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any


@dataclass(frozen=True, slots=True)
class Pending:
    """What to do when the reply comes, or when it does not."""

    handler: Callable[[Any], Any]
    on_error: Callable[[BaseException | None], Any] | None
    timer: str | None = None


class PendingRequests:
    """The requests of one channel that have no reply yet, by number."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._pending: dict[int, Pending] = {}

    def next_number(self) -> int:
        """Give a number that no request of this channel had."""
        return next(self._numbers)

    def add(self, number: int, pending: Pending) -> None:
        """Remember a request."""
        self._pending[number] = pending

    def take(self, number: int) -> Pending | None:
        """Give and forget a request; None when it is unknown, or was given up."""
        return self._pending.pop(number, None)

    def take_all(self) -> list[Pending]:
        """Give and forget all requests, oldest first."""
        taken = list(self._pending.values())
        self._pending.clear()
        return taken

    def __len__(self) -> int:
        return len(self._pending)


def number_to_bytes(number: int) -> bytes:
    """Give the 8 bytes that stand for a request on the wire."""
    return number.to_bytes(8, "big")


def number_from_bytes(frame: bytes) -> int | None:
    """Give the number of a frame, or None when it is no number."""
    return int.from_bytes(frame, "big") if len(frame) == 8 else None
