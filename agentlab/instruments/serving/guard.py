"""Interlock rules at work in the agent of the instrument that they protect: they need no client, and no other agent's help.

The agent subscribes to the readings of the instruments that its rules name, follows those when they are started again, and
looks at all rules whenever a reading comes and a few times per second: what is not known is a violation.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from agentlab.agent.wires import Wires, WireSpec
from agentlab.errors import DriverError
from agentlab.instruments.engine.interlocks import LEAST_AGE, Rule, parse_interlock
from agentlab.instruments.engine.states import GONE
from agentlab.instruments.model.reading import Reading

if TYPE_CHECKING:
    from agentlab.agent.agent import Agent
    from agentlab.agent.calls import Directory

READINGS = "readings"
"""The alias under which instruments publish."""
LOOK_PERIOD = 0.25
"""Seconds between two looks at the ages of the readings."""
INSTEAD_PERIOD = 0.5
"""Seconds between two questions whether the loop looks."""
MISSES = 2
"""So many times in a row it has not: then somebody else looks. Once may be a process that stood still and has just gone on."""
_CLOCK_MEMORY = 32
_TAKE = "_take_foreign_reading"

Act = Callable[[Rule, str], object]
"""Does what a rule demands; takes the rule and why it is violated. Must not block."""


class Clock:
    """How another machine's clock goes, told from its readings: labs have computers whose clocks are minutes apart. Pure.

    The reading that came fastest of the last ones is taken to have needed no time; so delays are seen, clocks are not.
    """

    def __init__(self) -> None:
        self._behind: deque[float] = deque(maxlen=_CLOCK_MEMORY)

    def local(self, timestamp: float, now: float) -> float:
        """Give a time of that clock as one of ours.

        Args:
            timestamp: Of a reading that has just come, by its clock.
            now: By ours.
        """
        self._behind.append(now - timestamp)
        return timestamp + min(self._behind)


class Guard:
    """The rules of one instrument. Only in the agent's loop, except where it is said.

    Args:
        agent: Whose instrument is protected.
        texts: The rules, as in a lab file.
        act: Called whenever a rule is violated, at each look: it must see for itself what is left to do.
        now: Tells how time goes, in seconds: the sources get :data:`LEAST_AGE` to come. It is not the time of day, which may be
            set back by an hour, and a source that is silent since then would be known for an hour.

    Raises:
        DriverError: a rule is none, or is to be carried out by another instrument.
    """

    def __init__(self, agent: Agent, texts: Iterable[str], act: Act, now: Callable[[], float] = time.monotonic) -> None:
        self._agent = agent
        self._act = act
        self._now = now
        self.rules = rules_of(agent.name, texts)
        self._places = {place for rule in self.rules for place in rule.sources()}
        self._last: dict[tuple[str, str], Reading] = {}
        self._polls: dict[tuple[str, str], float] = {}
        self._marks: dict[tuple[str, str], tuple[int, float]] = {}
        self._clocks: dict[str, Clock] = {}
        self._patience = now() + LEAST_AGE
        self._looks = self._looks_seen = self._missed = 0
        self.violations: dict[str, str] = {}
        """Rules that are violated now, and why."""

    def begin(self, directory: Directory | None) -> None:
        """Follow the sources, and look from now on. Blocks for nothing.

        Args:
            directory: How the agent finds others; None: there are none, so rules with other sources are violated.
        """
        if not self.rules:
            return
        self._agent.each(LOOK_PERIOD, self.look, alias="_interlocks")
        foreign: dict[str, list[str]] = {}
        for source, parameter in sorted(self._places):
            if source != self._agent.name:
                foreign.setdefault(source, []).append(parameter)
        specs: list[WireSpec] = []
        for source, parameters in foreign.items():
            name = f"{_TAKE}_{len(specs)}"
            setattr(self._agent, name, self._taker(source))
            specs.append(WireSpec((source, READINGS), None, dict.fromkeys(parameters, name)))
        if specs and directory is not None:
            Wires(self._agent, specs).follow(directory)

    def _taker(self, source: str) -> Callable[[Any, Any, Any], None]:
        def take(_agent: Any, message: Any, _topic: Any) -> None:
            self.take(source, message)

        return take

    def take(self, source: str, message: dict[str, Any]) -> None:
        """Take note of a published reading, and look at the rules that it concerns. Rubbish is no knowledge: it violates."""
        try:
            name, reading, poll = _read(message)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
            for place in [one for one in self._places if one[0] == source]:
                bad = Reading(None, "", self._now(), "bad", place[1])
                self._take(place, bad)
            return
        place = source, name
        if place not in self._places or self._is_known(place, reading, message.get("link")):
            return  # a topic lets those through whose names go on
        when = self._clocks.setdefault(source, Clock()).local(reading.timestamp, self._now())
        self._polls[place] = poll
        self._take(place, dataclasses.replace(reading, timestamp=when))

    def _is_known(self, place: tuple[str, str], reading: Reading, link: Any) -> bool:
        """Tell whether a message says nothing new, so that what came before is believed as long as it is not too old.

        Newcomers have the last reading told again, to everybody: what was under way for so long is nothing of the clocks. And
        a reading that has only grown old, as its instrument is there and busy, is as old as the rule knows; a rule has an age
        of its own for that.
        """
        mark = reading.sequence, reading.timestamp
        told_before = reading.sequence > 0 and self._marks.get(place) == mark
        self._marks[place] = mark
        last = self._last.get(place)
        grown_old = reading.quality == "stale" and isinstance(link, str) and link not in GONE
        return told_before or (grown_old and last is not None and last.quality not in {"stale", "bad"})

    def _take(self, place: tuple[str, str], reading: Reading) -> None:
        self._last[place] = reading
        self.look(place)

    def look(self, place: tuple[str, str] | None = None) -> None:
        """Act on the rules that are violated: all, or those that read one parameter. Raises what acting on one has raised."""
        now = self._now()
        self._looks += place is None
        failed: Exception | None = None
        for rule in self.rules:
            if place is not None and place not in rule.sources():
                continue
            why = self._why(rule, now)
            if not why:
                self.violations.pop(rule.text, None)
                continue
            self.violations[rule.text] = why
            try:
                self._act(rule, why)
            except Exception as error:  # noqa: BLE001 - a door: the other rules are to be carried out all the same
                failed = error
        if failed is not None:
            raise failed

    def look_instead(self) -> None:
        """Look in place of a loop that does not: it is stuck in a handler, or the agent was stopped.

        What comes then is not taken, so readings grow old until they violate. To be called every :data:`INSTEAD_PERIOD`, in one
        other thread. Raises as :meth:`look`.
        """
        self._missed = 0 if self._looks != self._looks_seen else self._missed + 1
        try:
            if self._missed >= MISSES:
                self.look()
        finally:
            self._looks_seen = self._looks

    def held(self) -> str:
        """Give why the safe state is demanded at this moment; empty: no rule demands it. Any thread."""
        now = self._now()
        found = ((rule, self._why(rule, now)) for rule in self.rules if rule.latches)
        return "; ".join(f"{rule.text} ({why})" for rule, why in found if why)

    def _why(self, rule: Rule, now: float) -> str:
        return self._found_so_far(rule, now) if now < self._patience else rule.violated_by(self._known, now)

    def _found_so_far(self, rule: Rule, now: float) -> str:
        """Give why a rule is violated while its sources are just being found: of what has come already."""
        known = [one for one in rule.conditions if (one.source, one.parameter) in self._last]
        if rule.join == "and" and len(known) < len(rule.conditions):
            return ""
        return dataclasses.replace(rule, conditions=tuple(known)).violated_by(self._known, now) if known else ""

    def _known(self, source: str, parameter: str) -> tuple[Reading | None, float]:
        place = source, parameter
        return self._last.get(place), self._polls.get(place, 0.0)


def rules_of(name: str, texts: Iterable[str]) -> list[Rule]:
    """Give the interlock rules of one instrument.

    Raises:
        DriverError: one is none, or is to be carried out by another instrument.
    """
    rules = [parse_interlock(text) for text in texts]
    for rule in rules:
        if rule.target != name:
            raise DriverError(f"interlock {rule.text!r} acts on {rule.target!r}, so it belongs there and not to {name!r}")
    return rules


def _read(message: Any) -> tuple[str, Reading, float]:
    """Give name, reading and poll period of a published message; raises what is raised if it is none."""
    reading: Any = Reading.from_dict(message)  # of whatever types came
    poll = float(message.get("poll") or 0.0)
    if not (isinstance(reading.name, str) and isinstance(reading.quality, str) and isinstance(reading.unit, str)):
        raise TypeError("its name, unit and quality are not text")
    if not (math.isfinite(reading.timestamp) and math.isfinite(poll) and not isinstance(reading.timestamp, bool)):
        raise ValueError("its time is none")
    return str(reading.name), cast("Reading", reading), poll
