"""What a lab consists of for its supervisor: units, what they need, and their states. Values alone."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from agentlab.errors import UnknownUnitError, nearest
from agentlab.lab.policy import Group, Restart

Kind = Literal["nameserver", "daemon", "service", "agent", "instrument"]
State = Literal[
    "waiting",  # wanted; something that it needs is not up yet, or it is its turn soon
    "starting",
    "running",
    "suspected",  # running, but its loop has not turned for a while
    "backoff",  # it will be started again after a delay
    "stopping",
    "stopped",  # nobody wants it
    "failed",  # it did not start, or its group was given up: somebody has to start it
    "done",  # it ended by itself and is not to be started again
    "elsewhere",  # another machine's
]

ALIVE: frozenset[State] = frozenset(("starting", "running", "suspected", "stopping"))
UP: frozenset[State] = frozenset(("running", "suspected", "done", "elsewhere"))
LONGEST = 366 * 86400.0
"""Seconds that nothing has to start or to stop, whatever a file or a user says: the system waits for no infinity."""
GROUP = "group/"
"""How the full name of a group begins."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One name server, daemon, service, agent or instrument.

    Attributes:
        name: Its full name, ``kind/name``.
        kind: What it is.
        needs: Full names of what must be up before it starts.
        follows: Full names of what should be up before it starts, where it is started at all: order alone.
        parent: The daemon that hosts it; None: it has a process of its own.
        group: The group that it belongs to; empty: one of its own.
        restart: When it is started again.
        start_timeout: Seconds that it may take to start.
        stop_timeout: Seconds between asking it to end and killing it.
        hang_timeout: Seconds without a turn of its loop until it is killed; None: it is not watched.
        host: The machine that it belongs to.
        here: Whether that is this one.
        wanted: Whether it starts with the lab.
        fingerprint: Text that changes with whatever it would have to be started again for.
    """

    name: str
    kind: Kind = "agent"
    needs: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    parent: str | None = None
    group: str = ""
    restart: Restart = "transient"
    start_timeout: float = 30.0
    stop_timeout: float = 5.0
    hang_timeout: float | None = None
    host: str = "localhost"
    here: bool = True
    wanted: bool = True
    fingerprint: str = ""

    @property
    def bare(self) -> str:
        """Its name without the kind."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """All units of a lab, in an order in which they can start one after another, and their groups."""

    units: Mapping[str, Unit] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)

    def resolve(self, name: str) -> str:
        """Give the full name of a unit from what a user wrote: the full name, or the bare one where it is unique.

        Raises:
            UnknownUnitError: there is none, or there are several.
        """
        return chosen(name, self.units)

    def resolve_all(self, name: str) -> tuple[str, ...]:
        """Give the full names of the units that a user means: a group's members, or one unit, which goes before a group.

        Args:
            name: As for :meth:`resolve`; or ``group/pipeline``, or ``pipeline`` where no unit is called so.

        Raises:
            UnknownUnitError: there is none, or there are several.
        """
        called = chosen(name, self.units, self.groups)
        return self.groups[called.removeprefix(GROUP)].members if called.startswith(GROUP) else (called,)

    def closure(self, names: Iterable[str]) -> list[str]:
        """Give these units and all that they need, in the order of their start."""
        todo, found = list(names), set[str]()
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo.extend(need for need in self.units[name].needs if need in self.units)
        return [name for name in self.units if name in found]


def chosen(name: str, units: Collection[str], groups: Collection[str] = ()) -> str:
    """Give the full name of what a user means: ``agent/Laser`` or ``group/pipeline``, or the bare name where it is unique.

    Args:
        name: What the user wrote. A unit goes before a group of the same name.
        units: Full names.
        groups: Names of the groups that may be meant too.

    Raises:
        UnknownUnitError: there is none, or there are several.
    """
    if name in units:
        return name
    found = [unit for unit in units if unit.partition("/")[2] == name]
    if len(found) > 1:
        raise UnknownUnitError(f"{name!r} may be {' or '.join(sorted(found))}; write it in full")
    if found:
        return found[0]
    if name.removeprefix(GROUP) in groups:
        return GROUP + name.removeprefix(GROUP)
    known = {*units, *(GROUP + each for each in groups)}
    if "/" not in name:
        known = {each.partition("/")[2] for each in known}
    raise UnknownUnitError(f"the lab has no {name!r}{nearest(name, known)}")


def sorted_units(units: Iterable[Unit]) -> dict[str, Unit]:
    """Give units by name, each after all that it needs and follows, else as they came.

    What is followed gives way where it would close a circle: it is taken out of the unit's `follows`.

    Raises:
        ValueError: units need each other in a circle.
    """
    given = {unit.name: unit for unit in units}
    edges = {unit.name: {need for need in unit.needs if need in given} for unit in given.values()}
    for unit in given.values():
        for earlier in unit.follows:
            if earlier in given and earlier not in edges[unit.name] and not _leads(edges, earlier, unit.name):
                edges[unit.name].add(earlier)
    position = {name: number for number, name in enumerate(given)}
    later: dict[str, list[str]] = {name: [] for name in given}
    open_edges = {name: len(edges[name]) for name in given}
    for name in given:
        for earlier in edges[name]:
            later[earlier].append(name)
    ready = [(position[name], name) for name in given if not open_edges[name]]
    heapq.heapify(ready)
    order: dict[str, Unit] = {}
    while ready:
        _, name = heapq.heappop(ready)
        unit = given[name]
        order[name] = replace(unit, follows=tuple(other for other in unit.follows if other in edges[name]))
        for other in later[name]:
            open_edges[other] -= 1
            if not open_edges[other]:
                heapq.heappush(ready, (position[other], other))
    if len(order) < len(given):
        raise ValueError(f"these need each other in a circle: {', '.join(name for name in given if name not in order)}")
    return order


def _leads(edges: Mapping[str, set[str]], start: str, goal: str) -> bool:
    """Tell whether `start` needs or follows `goal`, directly or through others."""
    todo, seen = [start], set[str]()
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            todo.extend(edges[name])
    return False
