"""Who is meant by a name in a lab file: what there is, and what is there by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from agentlab.errors import nearest
from agentlab.lab.entries import AGENTS, KINDS, NOUNS, Entry, Sources

DEFAULT = "default"
SUPERVISED = (*AGENTS, "services", "daemons")
"""What has a process or a part of one: what `after` and groups may name."""
_SECTIONS = {kind: section for section, kind in KINDS.items()}


class Names:
    """The names of a lab: those that its files give, and the ``default`` name server and daemon that it has in any case.

    Args:
        sources: What was read.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._known = {section: set(entries) for section, entries in sources.entries.items()}
        self._known["nameservers"] = self._known["nameservers"] or {DEFAULT}
        self._known["daemons"].add(DEFAULT)

    def known(self, section: str) -> set[str]:
        """Give the names of a section."""
        return self._known[section]

    def nameservers_of(self, entry: Entry) -> list[str]:
        """Give the names of the name servers that know an agent, a service or a daemon, as they are meant.

        Who says nothing means ``default``, or the only one that there is.
        """
        key = "nameserver" if entry.section in AGENTS else "nameservers"
        said = getattr(entry.model, key, [])
        names = [said] if isinstance(said, str) else list(said)
        only = self._known["nameservers"]
        if names == [DEFAULT] and DEFAULT not in only and len(only) == 1 and not entry.said(key):
            return list(only)
        return names

    def apart(self, one: str, other: str, sections: Iterable[str] = AGENTS) -> str:
        """Tell why an agent or instrument never finds another, whose name server is not its own; empty: it does, or who knows."""
        here, there = (self._server_of(name, sections) for name in (one, other))
        if not here or not there or here == there:
            return ""
        text = f"{one} is known by name server {here!r} and {other} by {there!r}, so they never find each other"
        return f"{text}; give both the same"

    def _server_of(self, name: str, sections: Iterable[str]) -> str:
        entry = next((self._sources[section][name] for section in sections if name in self._sources[section]), None)
        if entry is None or entry.model is None or "nameserver" in entry.bad:
            return ""
        server = self.nameservers_of(entry)[0]
        return server if server in self._known["nameservers"] else ""

    def find(self, text: str, sections: Iterable[str]) -> str:
        """Give the full name of what a text names: ``agent/Laser``, or the bare name where it is unique.

        Args:
            text: As it stands in the file.
            sections: Where to look.

        Raises:
            LookupError: there is none, or several; the text is a line for the user.
        """
        allowed = list(sections)
        kind, slash, bare = text.partition("/")
        if slash:
            section = _SECTIONS.get(kind)
            if section is None or section not in allowed:
                kinds = ", ".join(f"{KINDS[s]}/NAME" for s in allowed)
                raise LookupError(f"found {text!r}, allowed are names and {kinds}")
            found = [section] if bare in self._known[section] else []
        else:
            found = [section for section in allowed if text in self._known[section]]
        if len(found) == 1:
            return f"{KINDS[found[0]]}/{bare if slash else text}"
        if found:
            several = " or ".join(f"{KINDS[section]}/{text}" for section in found)
            raise LookupError(f"found {text!r}, which may be {several}; write which one is meant")
        raise LookupError(self._unknown(bare if slash else text, allowed))

    def _unknown(self, name: str, allowed: list[str]) -> str:
        kinds = [NOUNS[section] for section in allowed]
        what = kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} or {kinds[-1]}"
        text = f"found {name!r}, but there is no such {what}"
        elsewhere = [KINDS[section] for section in KINDS if section not in allowed and name in self._known[section]]
        if elsewhere:
            return f"{text}: {name!r} is {'an' if elsewhere[0][0] in 'aeiou' else 'a'} {elsewhere[0]}"
        return text + nearest(name, {known for section in allowed for known in self._known[section]})
