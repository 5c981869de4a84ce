"""The agents of this process, by the thread that owns them: how a proxy knows that it is used inside an agent."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentlab.agent.door import Door

_doors: dict[int, Door] = {}


def enter(door: Door) -> None:
    """Note that the current thread is the loop of the agent behind `door`."""
    _doors[threading.get_ident()] = door


def leave() -> None:
    """Note that the current thread is no agent's loop any more."""
    _doors.pop(threading.get_ident(), None)


def current() -> Door | None:
    """Give the door of the agent whose loop the current thread is, or None."""
    return _doors.get(threading.get_ident())
