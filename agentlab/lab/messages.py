"""What the keeper is told and what it tells: events, requests and commands, as values.

An *incarnation* is one life of one unit, counted from 1. What is told of an older one changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentlab.lab.units import Plan

# --- events: what happened --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """A unit is up. `info` says where: ``pid``, ``uri``, ``address``."""

    unit: str
    incarnation: int
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A unit did not come up; nothing of it is left."""

    unit: str
    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Exited:
    """A unit that was up has ended; an exit code below 0 is minus the number of a signal, None: nobody knows."""

    unit: str
    incarnation: int
    exitcode: int | None


@dataclass(frozen=True, slots=True)
class NeedsParent:
    """A hosted unit that was to start can only start together with its daemon: that one has to start again."""

    unit: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the pulse of a running unit says: when its loop last turned, whether it is busy on purpose, whether it runs."""

    unit: str
    incarnation: int
    turned: float
    busy: bool = False
    running: bool = True


# --- requests: what somebody wants ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartUnits:
    """Start these, and what they need."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StopUnits:
    """Stop these alone; they stay stopped until somebody starts them."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestartUnits:
    """Stop these if they are up, and start them."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop everything, in reverse order, until `deadline`; what is left shortly before it is killed."""

    deadline: float


@dataclass(frozen=True, slots=True)
class Replace:
    """Go over to another plan: stop what is gone, start again what is in `changed`, start what is in `start`."""

    plan: Plan
    changed: frozenset[str] = frozenset()
    start: tuple[str, ...] = ()


# --- commands: what is to be done -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Start a unit. Answered by Started or StartFailed. `children`: the units that a daemon is to host from the beginning."""

    unit: str
    incarnation: int
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask a unit to end, starting or started. Its end is told as usual."""

    unit: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End a unit now. Its end is told as usual."""

    unit: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class Report:
    """Tell whoever looks what became of a unit.

    ``starting``, ``ready``, ``failed`` (its start), ``crashed``, ``ended`` (by itself, well), ``suspected``, ``recovered``,
    ``hung``, ``restarting``, ``given_up``, ``stopping``, ``killed`` (as it did not stop in time), ``stopped``, ``removed``.
    """

    unit: str
    event: str
    text: str = ""
    exitcode: int | None = None


Event = Started | StartFailed | NeedsParent | Exited | Pulse
Request = StartUnits | StopUnits | RestartUnits | Shutdown | Replace
Command = Start | Stop | Kill | Report
Post = Callable[[Event], None]
"""Takes what happened; from any thread."""
