"""Whether the interlock rules of a lab file fit its instruments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentlab.errors import AgentLabError, nearest
from agentlab.instruments.engine.interlocks import Condition, Rule
from agentlab.instruments.model.units import same_dimension
from agentlab.lab.drivers import known_of
from agentlab.lab.entries import Entry, InterlockEntry, Sources
from agentlab.lab.facts import Facts
from agentlab.lab.instruments import READINGS, polled
from agentlab.lab.parameters import Settings
from agentlab.lab.rule_ages import age_notes, age_problems
from agentlab.yamlfile.problems import Problems

_Facts = Mapping[str, Facts] | None


def check_rules(sources: Sources, facts: _Facts, problems: Problems) -> None:
    """Note the interlock rules that can never be judged, or carried out."""
    for rule in sources.interlocks:
        for text in (*_rule_problems(rule, sources, facts), *age_problems(rule.rule, sources, facts)):
            problems.add(rule.document, rule.path, text)


def _rule_problems(entry: InterlockEntry, sources: Sources, facts: _Facts) -> Iterator[str]:
    instruments, rule = sources["instruments"], entry.rule
    for name in dict.fromkeys((*(condition.source for condition in rule.conditions), rule.target)):
        if name not in instruments:
            section = next((s for s in ("agents", "services", "daemons") if name in sources[s]), "")
            why = f": it is one of the {section}" if section else nearest(name, instruments)
            yield f"found {name!r} in '{entry.text}', but there is no such instrument{why}"
    for condition in rule.conditions:
        if condition.source in instruments:
            yield from _condition_problems(condition, instruments[condition.source], facts)
    if rule.target in instruments:
        yield from _deed_problems(rule, instruments[rule.target], sources, facts)


def _deed_problems(rule: Rule, entry: Entry, sources: Sources, facts: _Facts) -> Iterator[str]:
    """Give what keeps the instrument on the right from doing what the rule says."""
    known = known_of(entry, facts)
    if rule.what == "safe" or known is None or entry.model is None or "parameters" in entry.bad:
        return
    table = Settings(entry.model.used(simulated=sources.simulated), known).table
    if table is None:
        return
    if rule.what not in (table.parameters if rule.sets else table.actions):
        if known.whole or rule.what in (*table.names(), *known.missing_in_rules):
            kind = "parameter" if rule.sets else "action"
            yield f"{rule.target} has no {kind} {rule.what!r}{nearest(rule.what, (*table.names(), 'safe'))}"
    elif rule.sets:
        try:
            table.parameter(rule.what).check(rule.value)
        except AgentLabError as error:
            yield f"{rule.target}.{error}".removesuffix("; nothing was sent")


_KINDS = {"float": "a number", "int": "a number", "bool": "true or false", "str": "a text", "array": "an array"}
"""Type of a parameter -> what its values are, for people."""


def _fits(threshold: Any, kind: str) -> bool:
    """Tell whether values of a type can be compared with a threshold; what cannot violates a rule for ever."""
    if kind in ("str", "array"):
        return kind == "str" and isinstance(threshold, str)
    if isinstance(threshold, str):
        return kind not in _KINDS
    return not isinstance(threshold, bool) or kind not in ("float", "array")


def _condition_problems(condition: Condition, source: Entry, facts: _Facts) -> Iterator[str]:
    if source.model is None:
        return
    known, name = known_of(source, facts), condition.parameter
    table = None if known is None else known.parameters
    if table is not None and known is not None and known.whole and name not in table:
        yield f"{source.name} has no parameter {name!r}{nearest(name, table)}"
        return
    said = source.model.overrides.get(name, {}).get("unit")
    unit = said if said is not None else (table or {}).get(name, {}).get("unit")
    if unit is not None and condition.unit and not same_dimension(condition.unit, unit):
        what = f"measured in {unit}" if unit else "without a unit"
        yield f"found {condition.unit}, but {source.name}.{name} is {what}; give the threshold in such a unit"
    kind = source.model.overrides.get(name, {}).get("type") or (table or {}).get(name, {}).get("type", "")
    if not _fits(condition.threshold, kind):
        yield f"found {condition.threshold!r}, but {source.name}.{name} is {_KINDS[kind]}; compare it with such a value"
    if table is None or source.bad & {"poll", "parameters"}:  # its driver's own table may say that it is polled
        return
    names = set(polled(source.model, table))
    if not names & {"*", name}:
        yield (
            f"{source.name}.{name} is not polled, and without {READINGS} the rule would make everything safe at once; "
            f"give {source.name} poll: {{{name}: 1}}"
        )


def rule_notes(sources: Sources, facts: _Facts) -> Iterator[tuple[InterlockEntry, str]]:
    """Give what is said of interlock rules that is allowed, but perhaps not meant."""
    for entry in sources.interlocks:
        yield from ((entry, text) for text in age_notes(entry.rule, sources, facts))


__all__ = ["check_rules", "rule_notes"]
