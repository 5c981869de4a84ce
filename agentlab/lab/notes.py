"""What a lab file may say, but perhaps does not mean: told as notes, and a fault only where somebody is strict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentlab.lab.classes import attribute_notes
from agentlab.lab.drivers import instrument_notes
from agentlab.lab.entries import AGENTS, NOUNS, Entry, Sources
from agentlab.lab.facts import Facts
from agentlab.lab.hosts import is_known
from agentlab.lab.names import SUPERVISED, Names
from agentlab.lab.rules import rule_notes
from agentlab.yamlfile.problems import Problem, key_text

NEEDS_HANDLER = frozenset({"REP", "PULL", "SUB", "ASYNC_REP", "SYNC_PUB"})


def notes(sources: Sources, facts: Mapping[str, Facts] | None = None, *, whole: bool = True) -> Iterator[Problem]:
    """Give what is allowed, but perhaps not meant.

    Args:
        sources: The entries.
        facts: What the classes are; None: nobody has looked.
        whole: Whether all entries are well; else what one says of another is not noted.
    """
    yield from _quoted(sources)
    for entry, name, text in attribute_notes(sources, facts):
        yield _note(entry, ("attributes", name), text)
    for entry, key, text in instrument_notes(sources, facts):
        yield _note(entry, key, text)
    for rule, text in rule_notes(sources, facts):
        mark = rule.document.mark(rule.path)
        yield Problem(mark.file, mark.line, mark.column, key_text(rule.path), text)
    if whole:
        yield from _unused(sources)
        yield from _wires_apart(sources)
    for section in ("nameservers", "daemons", *AGENTS):
        for entry in sources[section].values():
            if entry.model is not None and not is_known(entry.model.host):
                text = f"no machine is called {entry.model.host!r} here: the {NOUNS[section]} will be left to another node"
                yield _note(entry, ("host",), text)
    for entry in sources["agents"].values():
        for alias, socket in () if entry.model is None else entry.model.sockets.items():
            if socket.kind in NEEDS_HANDLER and socket.handler is None:
                yield _note(
                    entry, ("sockets", alias), f"a {socket.kind} socket needs a handler: give it one, unless on_init binds it"
                )


def _unused(sources: Sources) -> Iterator[Problem]:
    names = Names(sources)
    hosting = {entry.model.daemon for entry in sources["services"].values()}
    knowing = {name for entry in sources if entry.section in SUPERVISED for name in names.nameservers_of(entry)}
    for entry in sources["daemons"].values():
        if entry.name not in hosting:
            yield _note(entry, (), "hosts no service")
    for entry in sources["nameservers"].values():
        if entry.name not in knowing:
            yield _note(entry, (), "is used by nobody in this lab")


def _wires_apart(sources: Sources) -> Iterator[Problem]:
    names = Names(sources)
    for wire in sources.wires:
        if why := names.apart(wire.drawn.source, wire.drawn.target):
            mark = wire.document.mark(wire.path)
            yield Problem(mark.file, mark.line, mark.column, key_text(wire.path), why)


def _quoted(sources: Sources) -> Iterator[Problem]:
    for document in sources.documents:
        for path, in_brackets in document.quoted.items():
            if isinstance(value := document.get(path), str):
                mark, style = document.value_mark(path), "in block style, " if in_brackets else ""
                text = f"is text because of its quotes: {value!r}; for a number write it {style}without quotes"
                yield Problem(mark.file, mark.line, mark.column, key_text(path), text)


def _note(entry: Entry, below: tuple[Any, ...], text: str) -> Problem:
    path = (*entry.path, *below)
    mark = entry.document.mark(path)
    return Problem(mark.file, mark.line, mark.column, key_text(path), text)
