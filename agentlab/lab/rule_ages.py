"""How old the readings of interlock rules may be, compared with how often they come, and what keeps them from coming."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from agentlab.errors import AgentLabError
from agentlab.instruments.engine.interlocks import Condition, Rule
from agentlab.instruments.model.overrides import apply_overrides, apply_poll
from agentlab.instruments.model.table import Table
from agentlab.lab.entries import Entry, Sources
from agentlab.lab.facts import Facts
from agentlab.lab.instrument_model import InstrumentModel
from agentlab.lab.parameters import driver_table


def age_problems(rule: Rule, sources: Sources, facts: Mapping[str, Facts] | None) -> Iterator[str]:
    """Give what makes a rule act again and again, as its readings never come so often as it demands."""
    for condition, entry, period in _polled(rule, sources, facts):
        if rule.max_age is not None and rule.max_age <= period:
            yield (
                f"{entry.name}.{condition.parameter} is read every {period:g} s, so its readings are older than max_age "
                f"{rule.max_age:g} s again and again; allow more than {period:g} s, or poll it more often"
            )


def age_notes(rule: Rule, sources: Sources, facts: Mapping[str, Facts] | None) -> Iterator[str]:
    """Give the actions that may last longer than a reading of their instrument may be old: while they run, nothing is read."""
    for condition, entry, period in _polled(rule, sources, facts):
        known = None if facts is None else facts.get(entry.unit)
        allowed = rule.age(period)
        slow = {name: limit for name, limit in (known.timeouts if known is not None else {}).items() if limit > allowed}
        if slow:
            name, limit = max(slow.items(), key=lambda one: one[1])
            others = f" ({len(slow) - 1} more likewise)" if len(slow) > 1 else ""
            yield (
                f"{entry.name}.{name} may take {limit:g} s{others}, and nothing is read meanwhile: when the last reading of "
                f"{entry.name}.{condition.parameter} is {allowed:g} s old, the rule acts; if it should not, give it "
                f"max_age {math.ceil(limit + 2 * period):g} s"
            )


def _polled(rule: Rule, sources: Sources, facts: Mapping[str, Facts] | None) -> Iterator[tuple[Condition, Entry, float]]:
    """Give the conditions whose source is known to read their parameter by itself, with the seconds between two readings."""
    seen = set()
    for condition in rule.conditions:
        entry = sources["instruments"].get(condition.source)
        place = condition.source, condition.parameter
        if entry is None or entry.model is None or entry.bad & {"poll", "parameters"} or place in seen:
            continue
        seen.add(place)
        known = None if facts is None else facts.get(entry.unit)
        period = _period(entry.model.used(simulated=sources.simulated), condition.parameter, driver_table(known))
        if period is not None:
            yield condition, entry, period


def _period(model: InstrumentModel, name: str, table: Table | None) -> float | None:
    """Give the seconds between two readings of a parameter; None: it is not polled, or nobody knows."""
    if table is None or name not in table.parameters:
        said = model.poll.get(name) if isinstance(model.poll, dict) else model.poll
        return said if said is not None else model.overrides.get(name, {}).get("poll")
    says = {name: model.overrides[name]} if name in model.overrides else {}
    poll = {key: value for key, value in model.poll.items() if key == name} if isinstance(model.poll, dict) else model.poll
    try:
        own = apply_poll(apply_overrides(table, says), poll)
    except AgentLabError:  # told of the instrument
        return None
    return own.parameters[name].poll if name in own.parameters else None
