"""Whether the instruments of a lab file fit their drivers."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from agentlab.errors import AgentLabError, nearest
from agentlab.lab.entries import Entry, Sources
from agentlab.lab.facts import Call, Facts
from agentlab.lab.fields import name_problem
from agentlab.lab.instrument_model import InstrumentModel
from agentlab.lab.instruments import file_beside, instrument_spec, located
from agentlab.lab.parameters import Settings
from agentlab.yamlfile.problems import Problem, Problems

_Facts = Mapping[str, Facts] | None
STAND_IN = " simulated"
"""What follows an instrument's full name where its stand-in is meant, while the lab is not simulated."""
_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""What other files write for true and false."""
_TWO_MASTERS = "two agents at one device take each other's replies; make one instrument of them"
Said = tuple[Entry, tuple[Any, ...], str]
"""Entry, where in it, and what to say of it."""


def driver_jobs(sources: Sources) -> dict[str, tuple[str, dict[str, Any]]]:
    """Give the drivers that are to be looked at: key -> class and what the instrument's agent would be given."""
    jobs = {}
    for entry in sources["instruments"].values():
        rules = [one.text for one in sources.interlocks if one.rule.target == entry.name]
        for key, model in _used(entry, sources):
            try:
                jobs[key] = model.driver, instrument_spec(entry.name, _whole(entry, model, sources), rules).to_dict()
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
    """Note what the file says of instruments that cannot be."""
    for entry in sources["instruments"].values():
        if entry.model is not None:
            for key, text in _instrument_problems(entry, sources, facts):
                problems.add(entry.document, (*entry.path, *key), text)
            for placed in () if facts is None or entry.unit not in facts else facts[entry.unit].table_problems:
                problems.append(Problem(*placed))


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
    """A history is kept in a file. A bare word that is nearly true or false was not meant as the name of one."""
    if isinstance(model.history, str) and (meant := _truth(model.history)):
        yield ("history",), f"found {model.history!r}; did you mean {meant}? A file of that name is written ./{model.history}"
    elif isinstance(model.history, str) and file_beside(entry.document.path.resolve().parent, model.history).is_dir():
        yield ("history",), f"found {model.history!r}, which is a directory; give a file, as history.sqlite"


def _truth(text: str) -> str:
    """Give the truth value that a word stands for, or nearly does; empty: for none."""
    near = difflib.get_close_matches(text.lower(), ("true", "false"), 1, 0.74)
    return near[0] if near else _TRUTHS.get(text.lower(), "")


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
    if facts.address_problem and not arguments:
        yield ("address",), facts.address_problem
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
    shared = _shared_addresses(sources)
    for entry in sources["instruments"].values():
        model: InstrumentModel | None = entry.model
        if model is None:
            continue
        if sources.simulated and model.simulated is None and "simulated" not in entry.bad:
            yield entry, (), "has no stand-in, so its real driver is used, though the lab is simulated; give it simulated:"
        if model.history_days is not None and not model.history:
            yield entry, ("history_days",), "says how long readings are kept, but none are: give it history: true"
        other = None if facts is None else facts.get(entry.unit + STAND_IN)
        if other is not None and model.simulated is not None:
            for key, text in _driver_problems(model.used(simulated=True), other):
                yield entry, ("simulated", *key) if key[0] in ("driver", "kwargs") else ("simulated",), text
            for placed in other.table_problems:
                yield entry, ("simulated", "parameters"), f"the stand-in's table is wrong: {Problem(*placed)}"
        if (first := shared.get(entry.unit)) is not None:
            yield entry, ("address",), f"is the address of {first.name} at {first.mark}, too; {_TWO_MASTERS}"
        if "parameters" not in entry.bad:
            yield from ((entry, key, text) for key, text in _settings_notes(entry, sources, facts))


def _shared_addresses(sources: Sources) -> dict[str, Entry]:
    """Give the instruments that have the address of an earlier one, each with that.

    It is no problem, for a gateway or a bus may have one address for many devices, which further arguments tell apart.
    """
    first: dict[tuple[str, ...], Entry] = {}
    found = {}
    for entry in sources["instruments"].values():
        for key, model in _used(entry, sources):
            stands_in = sources.simulated and entry.model.simulated is not None
            if key != entry.unit or model.address is None or stands_in:
                continue
            others = {name: value for name, value in model.kwargs.items() if name != "parameters"}
            place = (entry.model.host, model.address.strip().casefold(), repr(model.args), repr(others))
            earlier = first.setdefault(place, entry)
            if earlier is not entry:
                found[entry.unit] = earlier
    return found


def _settings_notes(entry: Entry, sources: Sources, facts: _Facts) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Give what is perhaps not meant of parameters, and what the stand-in does not have of them, simulated or not."""
    model: InstrumentModel = entry.model
    has_other = model.simulated is not None
    settings = Settings(model.used(simulated=sources.simulated), known_of(entry, facts), stand_in=sources.simulated and has_other)
    yield from (*settings.notes, *settings.missing)
    other = None if facts is None else facts.get(entry.unit + STAND_IN)
    if other is not None and not other.problem:
        yield from Settings(model.used(simulated=True), other, stand_in=True).missing


__all__ = ["STAND_IN", "check_instruments", "driver_jobs", "instrument_notes", "known_of"]
