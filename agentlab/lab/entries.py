"""What a lab's files hold, as entries that know their place; made by :mod:`agentlab.lab.sources`. Values alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentlab.instruments.engine.interlocks import Rule
from agentlab.lab.model import SECTIONS, HeadModel
from agentlab.lab.wires import Drawn
from agentlab.yamlfile.document import Document, Mark

KINDS = {
    "nameservers": "nameserver",
    "daemons": "daemon",
    "services": "service",
    "agents": "agent",
    "instruments": "instrument",
    "groups": "group",
}
"""Section -> what its entries are called, as in ``agent/Laser``."""
NOUNS = {**KINDS, "nameservers": "name server"}
"""Section -> what its entries are called in sentences."""
AGENTS = ("agents", "instruments")
"""Sections of what has a process and a loop of its own."""


@dataclass(frozen=True)
class Entry:
    """One thing that has a name in a lab file.

    Attributes:
        section: Where it stands: ``agents`` and the like.
        name: Its name.
        document: The file.
        path: Where in it.
        model: What is said of it, as far as that is right; None where it cannot even be guessed at.
        bad: Keys that are wrong, so that nothing more needs to be said of them.
    """

    section: str
    name: str
    document: Document
    path: tuple[Any, ...]
    model: Any
    bad: frozenset[str] = frozenset()

    @property
    def unit(self) -> str:
        """Its full name: ``agent/Laser``."""
        return f"{KINDS[self.section]}/{self.name}"

    @property
    def mark(self) -> Mark:
        """Where its name stands."""
        return self.document.mark(self.path)

    def said(self, key: str) -> bool:
        """Tell whether the file gives it that key, rightly or not."""
        data = self.document.get(self.path)
        return isinstance(data, Mapping) and key in data


@dataclass(frozen=True)
class WireEntry:
    """A wire, and where it stands."""

    document: Document
    path: tuple[Any, ...]
    drawn: Drawn


@dataclass(frozen=True)
class InterlockEntry:
    """An interlock rule, and where it stands."""

    document: Document
    path: tuple[Any, ...]
    text: str
    rule: Rule


@dataclass
class Sources:
    """All files of one lab, as entries.

    Attributes:
        documents: The files; the lab file itself is the first.
        entries: Section -> name -> entry.
        wires: In the order of the files.
        interlocks: In the order of the files.
        heads: What each file says besides: version, name, settings, autolaunch.
        simulated: Whether instruments are replaced by what stands in for them.
        whole: Whether every file could be read: where one could not, nobody knows what is missing.
    """

    documents: list[Document] = field(default_factory=list)
    entries: dict[str, dict[str, Entry]] = field(default_factory=lambda: {section: {} for section in SECTIONS})
    wires: list[WireEntry] = field(default_factory=list)
    interlocks: list[InterlockEntry] = field(default_factory=list)
    heads: list[tuple[Document, HeadModel]] = field(default_factory=list)
    simulated: bool = False
    whole: bool = True

    def __getitem__(self, section: str) -> dict[str, Entry]:
        return self.entries[section]

    def __iter__(self) -> Iterator[Entry]:
        for entries in self.entries.values():
            yield from entries.values()
