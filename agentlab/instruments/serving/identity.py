"""Who calls an instrument: the identity that a proxy sends along with each call, and the lock that it holds."""

from __future__ import annotations

import getpass
import os
import platform
import secrets
import threading
from typing import TYPE_CHECKING, Any

from agentlab.agent import local

if TYPE_CHECKING:
    from agentlab.instruments.client.holding import Ownership

MARGIN = 0.05
"""Seconds, at most a tenth of the limit, by which the agent gives up before its caller does: so its reason arrives."""


class _Driving(threading.local):
    uri = ""


driving = _Driving()
"""Where the instrument is whose driver the current thread runs; empty: it is no driver's thread."""


def own_label() -> str:
    """Give how other people are told who this is: the name of the agent whose loop this is, else ``user@host:pid``."""
    door = local.current()
    if door is not None:
        return str(door.agent.name)
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in this container, or no users at all
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"{user}@{platform.node()}:{os.getpid()}"


class Identity:
    """What one proxy and its views are known by. Any thread.

    A fork is somebody else: it gets an identity of its own, and none of the locks.

    Attributes:
        holding: The lock that it holds or has lost, or None.
    """

    def __init__(self) -> None:
        self.holding: Ownership | None = None
        self._begin()

    def _begin(self) -> None:
        self.holding = None
        self.id = secrets.token_hex(8)
        self.label = own_label()
        self._pid = os.getpid()

    def note(self, limit: float | None) -> dict[str, Any]:
        """Give what is sent along with a call.

        Args:
            limit: Seconds that the caller waits for the answer; None: as long as there are signs of life.
        """
        if self._pid != os.getpid():
            self._begin()
        holding = self.holding
        return {
            "client": self.id,
            "label": self.label,
            "token": None if holding is None else holding.token,
            "limit": None if limit is None else max(0.0, limit - min(MARGIN, limit / 10)),
        }
