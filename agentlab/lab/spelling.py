"""Where a name stands in the text of lab files, and the text with another name there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agentlab.errors import ConfigurationError
from agentlab.lab.check import REFERENCES
from agentlab.lab.entries import AGENTS, Sources
from agentlab.lab.instruments import sources_of
from agentlab.lab.model import AutolaunchModel
from agentlab.lab.names import Names
from agentlab.yamlfile.document import Document, Mark
from agentlab.yamlfile.scalars import plain_scalar

LINE_END = re.compile(r"\r\n|\r|\n")
_DECORATION = re.compile(r"(?:[&!]\S*\s+)*")
_ALIAS = re.compile(r"\*([^\s,\[\]{}]+)")
_AFTER = r"(?=[\s,:\]}]|$)"


@dataclass(frozen=True)
class Edit:
    """A piece of a file's text, from `start` to before `end`, that becomes `text`."""

    document: Document
    start: int
    end: int
    text: str


def find_edits(sources: Sources, names: Names, unit: str, new: str) -> list[Edit]:
    """Give what is to be replaced so that a unit has a new name, from the last to the first; each place once.

    Raises:
        ConfigurationError: a place does not spell the name out.
    """
    found = _edits(sources, names, unit, unit.partition("/")[2], new)
    return sorted({(edit.document.path, edit.start): edit for edit in found}.values(), key=lambda edit: -edit.start)


def _edits(sources: Sources, names: Names, unit: str, bare: str, new: str) -> Iterator[Edit]:
    entry = next(entry for entry in sources if entry.unit == unit)
    yield _edit(entry.document, entry.mark, bare, new)
    for document, path, text, sections in _references(sources):
        if names.find(text, sections) == unit:
            yield _edit(document, document.value_mark(path), bare, new, kind=f"{unit.partition('/')[0]}/" if "/" in text else "")
    if entry.section in AGENTS:
        for wire in sources.wires:
            if bare in (wire.drawn.source, wire.drawn.target):
                yield from _wire_edits(wire.document, wire.path, bare, new)
    if entry.section == "instruments":
        for lock in sources.interlocks:
            if bare in (lock.rule.target, *sources_of([lock.text])):
                yield from _interlock_edits(lock.document, lock.path, bare, new)


def _references(sources: Sources) -> Iterator[tuple[Document, tuple[Any, ...], str, tuple[str, ...]]]:
    """Give every value of the files that names something: document, path, text, and what it can name."""
    for entry in sources:
        for key, sections in REFERENCES[entry.section].items():
            yield from _said(entry.document, (*entry.path, key), sections)
    for document, _ in sources.heads:
        for section in AutolaunchModel.model_fields:
            yield from _said(document, ("autolaunch", section), (section,))


def _said(
    document: Document, path: tuple[Any, ...], sections: tuple[str, ...]
) -> Iterator[tuple[Document, tuple[Any, ...], str, tuple[str, ...]]]:
    value = document.get(path)
    if isinstance(value, str):
        yield document, path, value, sections
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield document, (*path, index), item, sections


def _offset(text: str, mark: Mark) -> int:
    starts = [0, *(match.end() for match in LINE_END.finditer(text))]
    return starts[mark.line - 1] + mark.column - 1


def _edit(document: Document, mark: Mark, bare: str, new: str, *, kind: str = "") -> Edit:
    """Edit a scalar that is the name, perhaps with its kind before it, perhaps in quotes."""
    start = _start(document, mark)
    for quote in ("'", '"', ""):
        match = re.compile(f"{quote}{kind}({re.escape(bare)}){quote}{'' if quote else _AFTER}").match(document.text, start)
        if match:
            plain = not quote and not kind and not isinstance(plain_scalar(new), str)
            return Edit(document, match.start(1), match.end(1), f"'{new}'" if plain else new)
    raise _not_spelt(mark, bare)


def _wire_edits(document: Document, path: tuple[Any, ...], bare: str, new: str) -> Iterator[Edit]:
    value = document.get(path)
    if not isinstance(value, str):
        for key in ("from", "to"):
            if value[key].strip().rpartition(".")[0] == bare:
                mark = document.value_mark((*path, key))
                yield _edit_end(document, mark, re.compile(rf"[\"']?\s*({re.escape(bare)})\.[^\s.]"), bare, new)
        return
    mark = document.value_mark(path)
    left, right = (end.strip().rpartition(".")[0] for end in value.split("->"))
    if left == bare:
        yield _edit_end(document, mark, re.compile(rf"[\"']?\s*({re.escape(bare)})\.[^\s.]"), bare, new)
    if right == bare:
        yield _edit_end(document, mark, re.compile(rf"[\"']?\s*[\w.-]+\s*->\s*({re.escape(bare)})\.[^\s.]"), bare, new)


def _edit_end(document: Document, mark: Mark, pattern: re.Pattern[str], bare: str, new: str) -> Edit:
    match = pattern.match(document.text, _start(document, mark))
    if match is None:
        raise _not_spelt(mark, bare)
    return Edit(document, match.start(1), match.end(1), new)


def _interlock_edits(document: Document, path: tuple[Any, ...], bare: str, new: str) -> Iterator[Edit]:
    """Edit every place of a rule where the name stands before a dot; the rule must be spelt out, on one line."""
    value = document.get(path)
    parts = [path] if isinstance(value, str) else [(*path, key) for key in ("when", "then")]
    found = False
    for part in parts:
        mark = document.value_mark(part)
        start = _start(document, mark)
        line = LINE_END.split(document.text[start:], maxsplit=1)[0]
        text = str(document.get(part))
        where = line.find(text)
        for match in re.finditer(rf"(?<![\w.-]){re.escape(bare)}(?=\s*\.)", text):
            if where < 0:
                raise _not_spelt(mark, bare)
            begin, found = start + where + match.start(), True
            yield Edit(document, begin, begin + len(bare), new)
    if not found:
        raise _not_spelt(document.value_mark(path), bare)


def _start(document: Document, mark: Mark) -> int:
    """Give where a scalar begins, behind its anchor and tag; where an alias stands, the scalar that it stands for."""
    start = _offset(document.text, mark)
    alias = _ALIAS.match(document.text, start)
    if alias is not None:
        anchors = list(re.compile(rf"&{re.escape(alias[1])}(?=\s)").finditer(document.text, 0, start))
        if not anchors:
            raise _not_spelt(mark, alias[0])
        start = anchors[-1].start()
    decoration = _DECORATION.match(document.text, start)
    assert decoration is not None
    return decoration.end()


def _not_spelt(mark: Mark, bare: str) -> ConfigurationError:
    return ConfigurationError(
        f"{mark}: {bare!r} is not spelt out there, so it cannot be replaced; write it out, or change all by hand"
    )


def applied(document: Document, edits: list[Edit]) -> str:
    """Give a file's text with its edits, which come from the last to the first."""
    text = document.text
    for edit in edits:
        if edit.document is document:
            text = text[: edit.start] + edit.text + text[edit.end :]
    return text
