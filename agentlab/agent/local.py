"""On whose behalf the current thread works: how a proxy knows that it is used inside an agent, and who waits for its answer.

While an agent calls another, its loop stands still; when that one calls on, two loops do. Calls carry the URIs of the loops
that stand still until they are answered, outermost first: their *path*. A loop in the path of a call cannot execute it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentlab.agent.door import Door


Wait = tuple[str, bool, int, str]
"""Where the one is who is to answer, whether its loop is needed for it, a number of this wait, and that one's name."""


class Waits:
    """What the threads of one agent wait for: how circles are found. Any thread."""

    def __init__(self) -> None:
        self._tokens = itertools.count()
        self._all: dict[int, tuple[str | None, Wait]] = {}

    def begin(self, behalf: str | None, name: str, uri: str, *, safe: bool) -> int:
        """Note that a thread waits for an answer; give the token that ends it.

        Args:
            behalf: None: the loop waits; else the URI of the agent whose loop stands still until this thread has its answer.
            name: Who is to answer.
            uri: Where that one is.
            safe: Whether that one's loop is needed for it.
        """
        token = next(self._tokens)
        self._all[token] = behalf, (uri, safe, token, name)
        return token

    def end(self, token: int) -> None:
        """Note that a wait is over."""
        self._all.pop(token, None)

    def on_behalf(self, behalf: str | None = None) -> list[Wait]:
        """Give what the loop waits for now, or what other threads wait for on behalf of another loop."""
        return [wait for whose, wait in list(self._all.values()) if whose == behalf]


class _Here(threading.local):
    door: Door | None = None
    owner = False
    path: tuple[str, ...] = ()


_here = _Here()


def enter(door: Door) -> None:
    """Note that the current thread is the loop of the agent behind `door`."""
    _here.door, _here.owner, _here.path = door, True, ()


def leave() -> None:
    """Note that the current thread is no agent's loop any more."""
    _here.door, _here.owner, _here.path = None, False, ()


def current() -> Door | None:
    """Give the door of the agent whose loop the current thread is, or None."""
    return _here.door if _here.owner else None


def path() -> tuple[str, ...]:
    """Give the path of a call that the current thread makes now."""
    door = current()
    return _here.path if door is None else (*_here.path, door.uri)


@contextmanager
def handling(door: Door, path: tuple[str, ...]) -> Iterator[None]:
    """Note that the current thread executes a call that came with a path."""
    before = _here.door, _here.path
    _here.door, _here.path = door, path
    try:
        yield
    finally:
        _here.door, _here.path = before


@contextmanager
def waiting(name: str, uri: str, *, safe: bool) -> Iterator[None]:
    """Note that the current thread waits for an answer: its agent can then tell for whom it waits.

    Args:
        name: Who is to answer.
        uri: Where that one is.
        safe: Whether that one's loop is needed for it.
    """
    door = _here.door
    if door is None:
        yield
        return
    behalf = None if _here.owner else _here.path[-1]
    token = door.waits.begin(behalf, name, uri, safe=safe)
    try:
        yield
    finally:
        door.waits.end(token)
