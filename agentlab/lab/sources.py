"""The files that a lab is written in: read with all that they include, taken apart into entries that know their place."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from agentlab.errors import ConfigurationError, DriverError, UnitError
from agentlab.instruments.engine.interlocks import interlock_text, parse_interlock
from agentlab.lab.entries import NOUNS, Entry, InterlockEntry, Sources, WireEntry
from agentlab.lab.fields import name_problem
from agentlab.lab.instrument_model import InterlockModel
from agentlab.lab.model import SECTIONS, FileModel, HeadModel, WireModel
from agentlab.lab.wires import WireError, parse
from agentlab.nameserver.config import nameserver_configs
from agentlab.settings import Settings
from agentlab.yamlfile import words
from agentlab.yamlfile.document import Document, read_yaml
from agentlab.yamlfile.models import key_text, validate
from agentlab.yamlfile.problems import Problem, Problems, ProblemsError

MOST_FILES = 200
_HEAD = frozenset(info.alias or name for name, info in HeadModel.model_fields.items())
_KNOWN = [info.alias or name for name, info in FileModel.model_fields.items()]
_PLACEHOLDERS = {
    "class": "invalid:Invalid",
    "module": "invalid",
    "classname": "Invalid",
    "driver": "invalid:Invalid",
    "members": ["invalid"],
}


class Reader(Protocol):
    """How a file is read; :func:`~agentlab.yamlfile.document.read_yaml` in earnest."""

    def __call__(self, path: str | os.PathLike[str], *, environ: Mapping[str, str] | None = None) -> Document:
        """Give what stands in a file."""


def load(
    path: str | os.PathLike[str], problems: Problems, environ: Mapping[str, str] | None = None, *, read: Reader = read_yaml
) -> Sources:
    """Read a lab file and all that it includes; each file once.

    Raises:
        ProblemsError: the lab file itself cannot be read.
    """
    sources = Sources()
    reading = _Reading(sources, problems, lambda file: read(file, environ=environ), {_identity(Path(path))})
    _take(read(path, environ=environ), reading, (Path(path),))
    return sources


@dataclass(frozen=True)
class _Reading:
    """What one reading of a lab carries along; `seen` are the files that were read."""

    sources: Sources
    problems: Problems
    read: Callable[[Path], Document]
    seen: set[str]


def _identity(path: Path) -> str:
    return os.path.realpath(path)


def _take(document: Document, reading: _Reading, chain: tuple[Path, ...]) -> None:
    """Take in one file, then what it includes. `chain` are the files that led here, itself the last."""
    sources, problems = reading.sources, reading.problems
    sources.documents.append(document)
    if not isinstance(document.data, Mapping):
        sources.whole = False
        problems.add(document, (), f"found {words.found(document.data)}, allowed is a mapping with the keys {', '.join(_KNOWN)}")
        return
    head = _head(document, problems)
    sources.heads.append((document, head))
    sources.simulated = sources.simulated or head.simulated
    for section in SECTIONS:
        _take_section(document, section, sources, problems)
    _take_wires(document, sources, problems)
    _take_interlocks(document, sources, problems)
    for index, name in enumerate(head.include):
        _include(document, ("include", index), chain[-1].parent / name, reading, chain)


def _include(document: Document, place: tuple[Any, ...], path: Path, reading: _Reading, chain: tuple[Path, ...]) -> None:
    problems, identity = reading.problems, _identity(path)
    circle = [index for index, earlier in enumerate(chain) if _identity(earlier) == identity]
    if circle:
        shown = " -> ".join(file.name for file in (*chain[circle[0] :], path))
        problems.add(document, place, f"includes itself: {shown}; take one of these includes away")
        return
    if identity in reading.seen:
        return  # two files may both include a third
    if len(reading.seen) >= MOST_FILES:
        problems.add(document, place, f"is one file more than the {MOST_FILES} that a lab may have")
        return
    reading.seen.add(identity)
    try:
        included = reading.read(path)
    except ProblemsError as error:
        reading.sources.whole = False
        for problem in error.problems:
            if problem.line:
                problems.append(problem)
            else:  # the file itself is the problem: it is told where it is asked for
                problems.add(document, place, f"found {str(path)!r}: {problem.text}")
        return
    _take(included, reading, (*chain, path))


def _head(document: Document, problems: Problems) -> HeadModel:
    """Read what is no list of entries, and find the keys that nobody knows."""
    for key in document.data:
        if key not in _KNOWN and not str(key).startswith("x-"):
            text = f"found an unknown key, allowed are {', '.join(_KNOWN)}, and keys that begin with x-"
            close = difflib.get_close_matches(str(key), _KNOWN, n=1)
            problems.add(document, (key,), f"{text}; did you mean {close[0]!r}?" if close else text)
    part = replace(document, data={key: value for key, value in document.data.items() if key in _HEAD and value is not None})
    found, _ = _salvaged(HeadModel, part, (), problems)
    head: HeadModel = HeadModel() if found is None else found
    settings = Settings()
    for key, value in head.settings.items():
        try:
            settings[key] = value
        except ConfigurationError as error:
            problems.add(document, ("settings", key), str(error).replace(f"config[{key!r}] is ", "found "))
    return head


def _salvaged(model: type[Any], document: Document, path: tuple[Any, ...], problems: Problems) -> tuple[Any, frozenset[str]]:
    """Validate; of what is wrong give what is left without the wrong keys, so that its neighbours are checked all the same."""
    found = Problems()
    value = validate(model, document, path, problems=found)
    problems.extend(found)
    if value is not None:
        return value, frozenset()
    prefix = key_text(path)
    data = document.get(path)
    if not isinstance(data, Mapping):
        return None, frozenset()
    bad = frozenset(key for key in (*data, *_PLACEHOLDERS) if any(_is_below(p, prefix, str(key)) for p in found))
    good = {key: value for key, value in data.items() if key not in bad}
    required = {info.alias or name for name, info in model.model_fields.items() if info.is_required()}
    good |= {key: _PLACEHOLDERS[key] for key in required & _PLACEHOLDERS.keys() if key not in good}
    probe = Problems()
    return validate(model, replace(document, data=good), (), problems=probe), bad


def _is_below(problem: Problem, prefix: str, key: str) -> bool:
    whole = f"{prefix}.{key}" if prefix else key
    return problem.key == whole or problem.key.startswith((f"{whole}.", f"{whole}["))


def _take_section(document: Document, section: str, sources: Sources, problems: Problems) -> None:
    configs = nameserver_configs(document, (section,), problems=problems) if section == "nameservers" else {}
    here: set[Any] = set()
    for path in _entry_paths(document, section, problems):
        name = path[-1]
        if section == "nameservers":  # their own reader takes numbers for names, and a name alone for an item of a list
            item = document.get(path)
            name = item if isinstance(item, str) else str(name)
        if section == "nameservers":
            model, bad = configs.get(name), frozenset[str]()
        else:
            if wrong := name_problem(name, section):
                problems.add(document, path, wrong)
            model, bad = _salvaged(SECTIONS[section], document, path, problems)
        if not isinstance(name, str) or name in here:
            continue
        here.add(name)
        entry = Entry(section, name, document, path, model, bad)
        earlier = sources[section].setdefault(name, entry)
        if earlier is not entry:
            problems.add(document, path, f"the {NOUNS[section]} {name!r} is there already, at {earlier.mark}; take another name")


def _entry_paths(document: Document, section: str, problems: Problems) -> Iterator[tuple[Any, ...]]:
    value = document.data.get(section)
    if value is None:
        return
    if isinstance(value, Mapping):
        yield from ((section, name) for name in value)
        return
    if section == "nameservers" and not isinstance(value, list):
        return  # told by their own reader
    if section != "nameservers":
        problems.add(document, (section,), f"found {words.found(value)}, allowed is a mapping of names to what they are")
        return
    for index, item in enumerate(value):
        if isinstance(item, Mapping):
            yield from ((section, index, name) for name in item)
        elif isinstance(item, str):
            yield (section, index)


def _take_wires(document: Document, sources: Sources, problems: Problems) -> None:
    wires = document.data.get("wires")
    if wires is None:
        return
    if not isinstance(wires, list):
        problems.add(
            document, ("wires",), f"found {words.found(wires)}, allowed is a list, such as - Meter.power -> Scan.on_power"
        )
        return
    for index, value in enumerate(wires):
        path = ("wires", index)
        if isinstance(value, str):
            drawn: str | dict[str, Any] = value
        elif isinstance(value, Mapping):
            model, bad = _salvaged(WireModel, document, path, problems)
            if model is None or bad & {"from", "to"}:
                continue
            drawn = model.model_dump(by_alias=True)
        else:
            problems.add(document, path, f"found {words.found(value)}, allowed is Agent.socket -> Agent.method, or a mapping")
            continue
        try:
            sources.wires.append(WireEntry(document, path, parse(drawn)))
        except WireError as error:
            problems.add(document, path, str(error))


def _take_interlocks(document: Document, sources: Sources, problems: Problems) -> None:
    rules = document.data.get("interlocks")
    if rules is None:
        return
    example = "stage.temperature > 320 K -> heater.safe()"
    if not isinstance(rules, list):
        problems.add(document, ("interlocks",), f"found {words.found(rules)}, allowed is a list, such as - {example}")
        return
    for index, value in enumerate(rules):
        path, text = ("interlocks", index), value
        if isinstance(value, Mapping) and (text := _in_one(document, path, problems)) is None:
            continue
        if not isinstance(text, str):
            problems.add(document, path, f"found {words.found(text)}, allowed is text, such as {example}, or a mapping")
            continue
        try:
            sources.interlocks.append(InterlockEntry(document, path, text, parse_interlock(text)))
        except (DriverError, UnitError) as error:
            problems.add(document, path, str(error))


def _in_one(document: Document, path: tuple[Any, ...], problems: Problems) -> str | None:
    """Give a rule that is written in parts as one text; None: it cannot be, which has been told."""
    model, bad = _salvaged(InterlockModel, document, path, problems)
    if model is None or bad:
        return None
    try:
        return interlock_text(model.when, model.then, model.max_age)
    except DriverError as error:
        problems.add(document, path, str(error))
        return None
