"""Whether the instruments of a lab file fit their drivers, and its interlock rules the instruments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentlab.errors import AgentLabError, nearest
from agentlab.instruments.engine.interlocks import Condition, Rule
from agentlab.instruments.model.units import same_dimension
from agentlab.lab.entries import Entry, InterlockEntry, Sources
from agentlab.lab.facts import Call, Facts
from agentlab.lab.fields import name_problem
from agentlab.lab.instrument_model import InstrumentModel
from agentlab.lab.instruments import READINGS, file_beside, instrument_spec, located, polled
from agentlab.lab.parameters import Settings
from agentlab.lab.rule_ages import age_notes, age_problems
from agentlab.yamlfile.problems import Problem, Problems

_Facts = Mapping[str, Facts] | None
STAND_IN = " simulated"
"""What follows an instrument's full name where its stand-in is meant, while the lab is not simulated."""
Said = tuple[Entry, tuple[Any, ...], str]
"""Entry, where in it, and what to say of it."""


def driver_jobs(sources: Sources) -> dict[str, tuple[str, dict[str, Any]]]:
    """Give the drivers that are to be looked at: key -> class and what the instrument's agent would be given."""
    jobs = {}
    for entry in sources["instruments"].values():
        for key, model in _used(entry, sources):
            try:
                jobs[key] = model.driver, instrument_spec(entry.name, _whole(entry, model, sources)).to_dict()
            except AgentLabError:  # told by the check itself
                continue
    return jobs


def _used(entry: Entry, sources: Sources) -> Iterator[tuple[str, InstrumentModel]]:
    """Give the instrument as it is run, and, where the lab is not simulated, as it would be then."""
    model: InstrumentModel | None = entry.model
    if model is None or entry.bad & {"driver", "address", "args", "kwargs", "simulated"}:
        return
    yield entry.unit, model.used(simulated=sources.simulated)
    if model.simulated is not None and not sources.simulated:
        yield entry.unit + STAND_IN, model.used(simulated=True)


def _whole(entry: Entry, model: InstrumentModel, sources: Sources) -> InstrumentModel:
    return located(model, entry.document.path.resolve().parent, sources.documents[0].path.resolve().parent)


def known_of(entry: Entry, facts: _Facts) -> Facts | None:
    """Give what is known of the driver of an instrument; None where nobody has looked, or it could not be looked at."""
    found = None if facts is None else facts.get(entry.unit)
    return None if found is None or found.problem else found


# --- instruments --------------------------------------------------------------------------------------------------


def check_instruments(sources: Sources, facts: _Facts, problems: Problems) -> None:
    """Note what the file says of instruments and interlocks that cannot be."""
    for entry in sources["instruments"].values():
        if entry.model is not None:
            for key, text in _instrument_problems(entry, sources, facts):
                problems.add(entry.document, (*entry.path, *key), text)
            for placed in () if facts is None or entry.unit not in facts else facts[entry.unit].table_problems:
                problems.append(Problem(*placed))
    for rule in sources.interlocks:
        for text in (*_rule_problems(rule, sources, facts), *age_problems(rule.rule, sources, facts)):
            problems.add(rule.document, rule.path, text)


def _instrument_problems(entry: Entry, sources: Sources, facts: _Facts) -> Iterator[tuple[tuple[Any, ...], str]]:
    model: InstrumentModel = entry.model
    if isinstance(model.parameters, str) and "parameters" in model.kwargs:
        yield ("parameters",), "is the driver's table of commands, which kwargs gives too; take one of them away"
    files = [*_tables(entry, model), *_history(entry, model)]
    yield from files
    stand_in = sources.simulated and model.simulated is not None
    try:
        if name_problem(entry.name) is None:
            instrument_spec(entry.name, model)
    except AgentLabError as error:
        yield (), str(error)
    used = model.used(simulated=sources.simulated)
    found = None if facts is None else facts.get(entry.unit)
    yield from () if "parameters" in entry.bad else Settings(used, known_of(entry, facts), stand_in=stand_in).problems
    if found is None:
        return
    above = ("simulated",) if stand_in else ()
    for key, text in _driver_problems(used, found, table_is_there=not any("parameters" in key for key, _ in files)):
        yield (*above, *key) if key[0] in ("driver", "args", "kwargs", "address") else key, text


def _history(entry: Entry, model: InstrumentModel) -> Iterator[tuple[tuple[Any, ...], str]]:
    """A history is kept in a file."""
    if isinstance(model.history, str) and file_beside(entry.document.path.resolve().parent, model.history).is_dir():
        yield ("history",), f"found {model.history!r}, which is a directory; give a file, as history.sqlite"


def _tables(entry: Entry, model: InstrumentModel) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Tables of commands that are named as files must be there."""
    folder = entry.document.path.resolve().parent
    places: list[tuple[tuple[str, ...], Any]] = [(("parameters",), model.parameters)]
    if model.simulated is not None:
        places.append((("simulated", "parameters"), model.simulated.parameters or {}))
    for key, value in places:
        if isinstance(value, str) and not (path := file_beside(folder, value)).is_file():
            yield key, f"found {value!r}, but there is no such file; searched: {path}"


def _driver_problems(
    model: InstrumentModel, facts: Facts, *, table_is_there: bool = True
) -> Iterator[tuple[tuple[Any, ...], str]]:
    if facts.problem:
        text = facts.problem
        yield ("driver",), text if facts.says_all else f"{model.driver} {text}"
        return
    if facts.is_agent:
        yield ("driver",), f"{model.driver} is an agent, which holds no device; put it under agents, or name a driver"
        return
    arguments = list(_argument_problems(model, facts.constructor))
    yield from arguments
    if facts.driver_problem and not arguments and not facts.table_problems and table_is_there:
        yield ("driver",), facts.driver_problem


def _argument_problems(model: InstrumentModel, call: Call) -> Iterator[tuple[tuple[Any, ...], str]]:
    given = {**model.kwargs, **({"parameters": ""} if isinstance(model.parameters, str) else {})}
    for name in given:
        if name not in call.names and not call.anything:
            key = ("kwargs", name) if name in model.kwargs else ("parameters",)
            yield key, f"{model.driver} has no argument {name!r}{nearest(str(name), call.names)}"


def instrument_notes(sources: Sources, facts: _Facts) -> Iterator[Said]:
    """Give what is said of instruments that is allowed, but perhaps not meant."""
    for entry in sources["instruments"].values():
        model: InstrumentModel | None = entry.model
        if model is None:
            continue
        if sources.simulated and model.simulated is None and "simulated" not in entry.bad:
            yield entry, (), "has no stand-in, so its real driver is used, though the lab is simulated; give it simulated:"
        other = None if facts is None else facts.get(entry.unit + STAND_IN)
        if other is not None and model.simulated is not None:
            for key, text in _driver_problems(model.used(simulated=True), other):
                yield entry, ("simulated", *key) if key[0] in ("driver", "kwargs") else ("simulated",), text
            for placed in other.table_problems:
                yield entry, ("simulated", "parameters"), f"the stand-in's table is wrong: {Problem(*placed)}"
        if "parameters" not in entry.bad:
            yield from ((entry, key, text) for key, text in _settings_notes(entry, sources, facts))


def _settings_notes(entry: Entry, sources: Sources, facts: _Facts) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Give what is perhaps not meant of parameters, and what the stand-in does not have of them, simulated or not."""
    model: InstrumentModel = entry.model
    has_other = model.simulated is not None
    settings = Settings(model.used(simulated=sources.simulated), known_of(entry, facts), stand_in=sources.simulated and has_other)
    yield from (*settings.notes, *settings.missing)
    other = None if facts is None else facts.get(entry.unit + STAND_IN)
    if other is not None and not other.problem:
        yield from Settings(model.used(simulated=True), other, stand_in=True).missing


# --- interlocks ---------------------------------------------------------------------------------------------------


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
        if known.whole:
            kind = "parameter" if rule.sets else "action"
            yield f"{rule.target} has no {kind} {rule.what!r}{nearest(rule.what, table.names())}"
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


__all__ = ["STAND_IN", "check_instruments", "driver_jobs", "instrument_notes", "known_of", "rule_notes"]
