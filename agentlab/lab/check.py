"""What must hold between the entries of a lab file: names, references, order, groups, and what each listens on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentlab.lab.classes import check_classes, check_wires
from agentlab.lab.drivers import check_instruments
from agentlab.lab.entries import AGENTS, NOUNS, Entry, Sources
from agentlab.lab.facts import Facts
from agentlab.lab.listeners import check_listeners
from agentlab.lab.names import SUPERVISED, Names
from agentlab.lab.rules import check_rules
from agentlab.lab.wires import Wire
from agentlab.yamlfile.document import Document
from agentlab.yamlfile.problems import Problems


def check(sources: Sources, facts: Mapping[str, Facts] | None, problems: Problems) -> list[Wire]:
    """Note everything that is wrong between the entries; give the wires that can be made.

    Args:
        sources: The entries; each was checked for itself.
        facts: What the classes are; None: nobody has looked.
        problems: Takes what is wrong.
    """
    if not sources.whole:  # what is missing may stand in the file that could not be read
        return []
    names = Names(sources)
    _settings(sources, problems)
    _shared_names(sources, names, problems)
    _references(sources, names, problems)
    _circles(sources, names, problems)
    _rules_find_their_readings(sources, names, problems)
    _groups(sources, names, problems)
    _restarts(sources, problems)
    check_listeners(sources, problems)
    check_classes(sources, facts, problems)
    check_instruments(sources, facts, problems)
    check_rules(sources, facts, problems)
    return check_wires(sources, facts, problems)


def _settings(sources: Sources, problems: Problems) -> None:
    first: dict[str, Document] = {}
    for document, head in sources.heads:
        for key in head.settings:
            if key in first:
                there = first[key].mark(("settings", key))
                problems.add(document, ("settings", key), f"is set already, at {there}; take one of them away")
            first.setdefault(key, document)


def _shared_names(sources: Sources, names: Names, problems: Problems) -> None:
    """Whoever registers at one name server needs a name of its own there."""
    holders: dict[tuple[str, str], Entry] = {}
    for section in SUPERVISED:
        for entry in sources[section].values():
            if entry.model is None:
                continue
            for server in names.nameservers_of(entry):
                earlier = holders.setdefault((server, entry.name), entry)
                if earlier.section != entry.section:
                    text = (
                        f"the {NOUNS[earlier.section]} at {earlier.mark} has the name {entry.name!r} too, "
                        f"and name server {server!r} gives it to one; take another name"
                    )
                    problems.add(entry.document, entry.path, text)
                    break


REFERENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "nameservers": {},
    "daemons": {"nameservers": ("nameservers",)},
    "services": {"daemon": ("daemons",), "nameservers": ("nameservers",)},
    "agents": {"nameserver": ("nameservers",), "after": SUPERVISED},
    "instruments": {"nameserver": ("nameservers",), "after": SUPERVISED},
    "groups": {"members": SUPERVISED},
}
"""Section -> key -> what that key of its entries names."""


def _references(sources: Sources, names: Names, problems: Problems) -> None:
    """Every name that is mentioned must be there."""
    for document, path, text, sections in _mentioned(sources, names):
        try:
            names.find(text, sections)
        except LookupError as error:
            said = document.get(path) is not None
            problems.add(document, path, str(error.args[0]) if said else _must_say(text, names))


def _must_say(name: str, names: Names) -> str:
    known = ", ".join(sorted(names.known("nameservers")))
    return f"is missing, and no name server is called {name!r}; write which one is meant: {known}"


def _mentioned(sources: Sources, names: Names) -> Iterator[tuple[Document, tuple[Any, ...], str, Iterable[str]]]:
    for entry in sources:
        for key, sections in REFERENCES[entry.section].items() if entry.model is not None else ():
            if key in entry.bad:
                continue
            value = names.nameservers_of(entry) if sections == ("nameservers",) else getattr(entry.model, key)
            if isinstance(value, str) or not isinstance(getattr(entry.model, key), list):
                yield entry.document, (*entry.path, key), value if isinstance(value, str) else value[0], sections
                continue
            for index, item in enumerate(value):
                yield entry.document, (*entry.path, key, index), item, sections
    for document, head in sources.heads:
        for section in head.autolaunch.model_fields_set:
            for index, name in enumerate(getattr(head.autolaunch, section) or ()):
                yield document, ("autolaunch", section, index), name, [section]


def _rules_find_their_readings(sources: Sources, names: Names, problems: Problems) -> None:
    """A rule whose readings never come would make its instrument safe at once, and for ever."""
    for lock in sources.interlocks:
        for source in dict.fromkeys(condition.source for condition in lock.rule.conditions):
            if why := names.apart(source, lock.rule.target, ("instruments",)):
                problems.add(lock.document, lock.path, why)


def _circles(sources: Sources, names: Names, problems: Problems) -> None:
    """Agents that wait for each other never start."""
    waiting = {entry.unit: entry for section in AGENTS for entry in sources[section].values()}
    after: dict[str, list[str]] = {}
    for unit, entry in waiting.items():
        known = [_found(names, text, SUPERVISED) for text in getattr(entry.model, "after", ())]
        after[unit] = [other for other in known if other in waiting]
    for circle in _all_circles(after):
        entry = waiting[circle[0]]
        shown = " -> ".join(unit.partition("/")[2] for unit in [*circle, circle[0]])
        who = "agents" if all(waiting[unit].section == "agents" for unit in circle) else "units"
        text = f"waits for itself: {shown}" if len(circle) == 1 else f"these {who} wait for each other: {shown}"
        problems.add(entry.document, (*entry.path, "after"), f"{text}; take one of them out of `after`")


def _all_circles(edges: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Give circles so that each node stands in one at most; none is given only where there is none."""
    done: set[str] = set()
    for start in edges:
        way: list[tuple[str, Iterator[str]]] = [] if start in done else [(start, iter(edges[start]))]
        while way:
            following = next(way[-1][1], None)
            names = [name for name, _ in way]
            if following is None:
                done.add(way.pop()[0])
            elif following in names:
                circle = names[names.index(following) :]
                yield circle
                done.update(circle)
            elif following not in done and following in edges:
                way.append((following, iter(edges[following])))


def _found(names: Names, text: str, sections: Iterable[str]) -> str | None:
    try:
        return names.find(text, sections)
    except LookupError:
        return None  # told as a reference that leads nowhere


def _groups(sources: Sources, names: Names, problems: Problems) -> None:
    """Each unit has one group at most."""
    group_of: dict[str, Entry] = {}
    for entry in sources["groups"].values():
        for index, text in enumerate(getattr(entry.model, "members", ()) if "members" not in entry.bad else ()):
            unit = _found(names, text, SUPERVISED)
            if unit is None:
                continue
            earlier = group_of.setdefault(unit, entry)
            path = (*entry.path, "members", index)
            if earlier is not entry:
                problems.add(
                    entry.document, path, f"{unit} is in group {earlier.name!r} already, at {earlier.mark}; a unit has one group"
                )
            elif unit in [_found(names, other, SUPERVISED) for other in entry.model.members[:index]]:
                problems.add(entry.document, path, f"{unit} is in this group already; name it once")


def _restarts(sources: Sources, problems: Problems) -> None:
    for entry in sources["agents"].values():
        model = entry.model
        if model is not None and model.on_error == "restart" and model.restart == "temporary":
            problems.add(
                entry.document,
                (*entry.path, "on_error"),
                "found 'restart' together with restart: temporary, which starts nothing again; "
                "write restart: transient, or on_error: stop",
            )
