"""Locks of instruments that outlive the command that took them: their tokens, in files that only this user can read.

A reservation belongs to one incarnation of the instrument's agent: one that was started again knows nothing of it.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import platform
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agentlab.instruments.serving.identity import Identity
from agentlab.lab.places import STATE_VARIABLE, state_dir
from agentlab.settings import private_dir


@dataclass(frozen=True)
class Reservation:
    """A lock that somebody at this account took with ``agentlab lock``.

    Attributes:
        name: The instrument.
        uri: Of its agent, which is another one after a restart.
        token: What proves that it is ours.
        until: When it ends by itself, seconds since 1970.
        reason: What for.
    """

    name: str
    uri: str
    token: str
    until: float
    reason: str = ""


def user_label(verb: str) -> str:
    """Give how others are told who gave an order that outlives the command: no process stands for it."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        user = "somebody"
    return f"{user}@{platform.node()} (agentlab {verb})"


def reserved(uri: str) -> Reservation | None:
    """Give the reservation of an instrument, or None. One whose time is over is forgotten."""
    path = _path(uri)
    try:
        found = Reservation(**json.loads(path.read_text("utf-8")))
        found = replace(found, token=str(found.token), until=float(found.until))
    except (OSError, ValueError, TypeError, RecursionError):  # there is none, or half of one
        return None
    if found.uri != uri or found.until <= time.time():
        forget(uri)
        return None
    return found


def keep(reservation: Reservation) -> None:
    """Write a reservation down, where only this user can read it.

    Raises:
        ConfigurationError: the directory cannot be made, or belongs to somebody else.
        OSError: the file cannot be written.
    """
    path = _path(reservation.uri)
    private_dir(path.parent, setting=STATE_VARIABLE)
    _sweep(path.parent)
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(asdict(reservation), stream)
    draft.replace(path)  # whole or not at all


def _sweep(directory: Path) -> None:
    """Take away what is over: an agent that was started again has another URI, and nobody asks for the old one."""
    for path in directory.glob("*.json"):
        try:
            over = float(json.loads(path.read_text("utf-8"))["until"]) <= time.time()
        except (OSError, ValueError, TypeError, KeyError, RecursionError):  # another command's, just written or taken away
            continue
        if over:
            with contextlib.suppress(OSError):
                path.unlink()


def forget(uri: str) -> None:
    """Take the reservation of an instrument away; twice is fine."""
    with contextlib.suppress(OSError):
        _path(uri).unlink()


def note_for(uri: str) -> Callable[[float | None], dict[str, Any]]:
    """Give what a command sends along with its calls of an instrument: who it is, and the token of its reservation."""
    identity = Identity()
    held = reserved(uri)

    def note(limit: float | None) -> dict[str, Any]:
        return {**identity.note(limit), "token": None if held is None else held.token}

    return note


def note_of_user(verb: str, token: str | None = None) -> Callable[[float | None], dict[str, Any]]:
    """Give what ``lock``, ``unlock`` and ``estop`` send along: this user at this machine, not a process that ends."""
    identity = Identity()

    def note(limit: float | None) -> dict[str, Any]:
        return {**identity.note(limit), "label": user_label(verb), "token": token}

    return note


def _path(uri: str) -> Path:
    return state_dir() / "locks" / f"{hashlib.sha256(uri.encode()).hexdigest()[:16]}.json"
