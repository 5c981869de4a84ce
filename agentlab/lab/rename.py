"""Giving something in a lab file another name: every place that names it is edited in the text, comments and layout stay."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agentlab.errors import ConfigurationError
from agentlab.lab.check import check
from agentlab.lab.entries import KINDS, Sources
from agentlab.lab.fields import name_problem
from agentlab.lab.file import LabFile, assemble
from agentlab.lab.instruments import sources_of
from agentlab.lab.names import Names
from agentlab.lab.sources import load
from agentlab.lab.spelling import LINE_END, applied, find_edits
from agentlab.yamlfile.composing import Builder
from agentlab.yamlfile.document import Document
from agentlab.yamlfile.problems import Problems, ProblemsError

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Change:
    """One changed line.

    Attributes:
        file: The file.
        line: Its number, from 1.
        before: The line as it was.
        after: The line as it becomes.
    """

    file: Path
    line: int
    before: str
    after: str


@dataclass(frozen=True)
class Renaming:
    """A checked plan of what to write. Made by :func:`plan_renaming`.

    Attributes:
        unit: Full name of what gets another name, as ``agent/Laser``.
        new: The full name that it gets.
        changes: The lines that change, in order.
        mentions: Other lines that hold the old name, as text, in comments or attributes; they stay as they are.
        texts: File -> text before and text after.
    """

    unit: str
    new: str
    changes: tuple[Change, ...]
    mentions: tuple[Change, ...]
    texts: Mapping[Path, tuple[str, str]]

    def write(self) -> None:
        """Write the files, each at once or not at all; their permissions stay.

        Raises:
            ConfigurationError: a file was changed meanwhile, or cannot be written; then none is.
        """
        ready: list[tuple[Path, Path]] = []
        try:
            for path, (before, after) in self.texts.items():
                ready.append((_prepared(path, before, after), path.resolve()))
            for temporary, target in ready:
                temporary.replace(target)
        except OSError as error:
            raise ConfigurationError(f"{error.filename} cannot be written: {error.strerror}; nothing was renamed") from None
        finally:
            for temporary, _ in ready:
                temporary.unlink(missing_ok=True)


def _prepared(path: Path, before: str, after: str) -> Path:
    target = path.resolve()
    content = target.read_bytes()
    mark = _BOM if content.startswith(_BOM) else b""
    if content != mark + before.encode():
        raise ConfigurationError(f"{path} was changed by somebody else just now; nothing was renamed, try again")
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(mark + after.encode())
        stream.flush()
        os.fsync(stream.fileno())
    shutil.copymode(target, name)
    return Path(name)


def plan_renaming(path: str | os.PathLike[str], old: str, new: str, *, environ: Mapping[str, str] | None = None) -> Renaming:
    """Find every place of a lab file, and of those that it includes, that names something. Nothing is written.

    Args:
        path: The lab file.
        old: What has a name: an agent, instrument, service, daemon, name server or group; in full, as ``service/x``, where the
            bare name is ambiguous.
        new: Its new name, without its kind.
        environ: Variables for ``${NAME}``; None: those of this process.

    Raises:
        ProblemsError: the lab file has problems, as it is or as it would become.
        ConfigurationError: there is no such thing, the new name cannot be or is taken, or a place does not spell the name out.
    """
    problems = Problems()
    sources = load(path, problems, environ)
    before = _checked(sources, problems)
    names = Names(sources)
    unit = _unit(names, old, sources)
    kind, _, bare = unit.partition("/")
    section = next(section for section, its_kind in KINDS.items() if its_kind == kind)
    renamed = f"{kind}/{new}"
    wrong = name_problem(new, section)
    if wrong or "/" in new:
        raise ConfigurationError(f"cannot rename {unit}: {wrong}")
    if new in sources[section] or new in getattr(before, section):
        raise ConfigurationError(f"cannot rename {unit} to {new!r}: there is {renamed} already; choose another name")
    edits = find_edits(sources, names, unit, new)
    texts = {document.path: (document.text, applied(document, edits)) for document in sources.documents}
    _verify(path, texts, environ, before, (unit, renamed))
    changed = {file: pair for file, pair in texts.items() if pair[0] != pair[1]}
    others = [entry.name for entry in sources if entry.name != bare]
    return Renaming(unit, renamed, tuple(_changes(changed)), tuple(_mentions(texts, bare, [*others, new])), changed)


def _checked(sources: Sources, problems: Problems) -> LabFile:
    wires = check(sources, None, problems)
    problems.raise_if_any()
    return assemble(sources, wires)


def _unit(names: Names, old: str, sources: Sources) -> str:
    written = [entry.unit for entry in sources if old in (entry.unit, entry.name)]
    if len(written) == 1:
        return written[0]
    try:
        unit = names.find(old, KINDS)
    except LookupError as error:
        raise ConfigurationError(f"nothing to rename: {error.args[0]}") from None
    raise ConfigurationError(f"nothing to rename: {unit} is there by itself and stands in no file; write it down first")


def _verify(
    path: str | os.PathLike[str],
    texts: Mapping[Path, tuple[str, str]],
    environ: Mapping[str, str] | None,
    before: LabFile,
    renamed: tuple[str, str],
) -> None:
    """Make sure that the new texts say the same as the old ones, under the new name."""

    def read(path: str | os.PathLike[str], *, environ: Mapping[str, str] | None = None) -> Document:
        problems = Problems()
        text = texts[Path(path)][1]
        builder = Builder(str(path), text, os.environ if environ is None else environ, problems)
        document = Document(builder.build(), Path(path), text, builder.marks, builder.quoted)
        problems.raise_if_any()
        return document

    problems = Problems()
    try:
        after = _checked(load(path, problems, environ, read=read), problems)
    except ProblemsError as error:
        said = [replace(problem, text=f"{problem.text} (as it would be after renaming)") for problem in error.problems]
        raise ProblemsError(said) from None
    old, new = renamed
    moved = {tuple(new if part == old else part for part in relation) for relation in _relations(before)}
    if moved != set(_relations(after)):
        lost = sorted(" ".join(relation) for relation in moved ^ set(_relations(after)))
        raise ConfigurationError(
            f"cannot rename {old} to {new}: something that means it without saying so would change ({lost[0]}); "
            "write out what is meant first"
        )


def _relations(lab: LabFile) -> Iterator[tuple[str, ...]]:
    """Give who has to do with whom, in full names."""
    for section, kind in KINDS.items():
        for name in getattr(lab, section):
            yield (f"{kind}/{name}",)
    for name, agent in lab.agents.items():
        yield f"agent/{name}", "is known by", f"nameserver/{agent.nameserver}"
    for name, instrument in lab.instruments.items():
        yield f"instrument/{name}", "is known by", f"nameserver/{instrument.nameserver}"
    for name, rules in lab.interlocks.items():
        yield from ((f"instrument/{name}", "is made safe by", f"instrument/{source}") for source in sources_of(rules))
    for name, service in lab.services.items():
        yield f"service/{name}", "is hosted by", f"daemon/{service.daemon}"
        yield from ((f"service/{name}", "is known by", f"nameserver/{server}") for server in service.nameservers)
    for wire in lab.wires:
        source = "instrument" if wire.source in lab.instruments else "agent"
        yield f"{source}/{wire.source}", wire.source_alias, "->", f"agent/{wire.target}", wire.target_name
    for kind, names in lab.autolaunch.items():
        yield from ((f"{KINDS[kind]}/{name}", "is launched") for name in names or ())


def _lines(text: str) -> list[str]:
    return LINE_END.split(text)


def _changes(texts: Mapping[Path, tuple[str, str]]) -> Iterator[Change]:
    for file, (before, after) in texts.items():
        for number, (old, new) in enumerate(zip(_lines(before), _lines(after), strict=True), 1):
            if old != new:
                yield Change(file, number, old, new)


def _mentions(texts: Mapping[Path, tuple[str, str]], bare: str, others: list[str]) -> Iterator[Change]:
    """Give the lines that hold the old name as a word, and not as a part of another name."""
    words = "|".join(re.escape(name) for name in sorted([*others, bare], key=len, reverse=True))
    word = re.compile(rf"(?<![\w.-])({words})(?![\w-])")
    for file, (_, after) in texts.items():
        for number, line in enumerate(_lines(after), 1):
            if any(match[1] == bare for match in word.finditer(line)):
                yield Change(file, number, line, line)


__all__ = ["Change", "Renaming", "plan_renaming"]
