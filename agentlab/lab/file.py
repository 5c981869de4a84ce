"""A lab as its file describes it: read, checked to the end, and given as values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentlab.lab.check import check
from agentlab.lab.classes import targets
from agentlab.lab.drivers import driver_jobs, known_of
from agentlab.lab.entries import Entry, Sources
from agentlab.lab.facts import Facts
from agentlab.lab.inspection import LIMIT, inspect_classes
from agentlab.lab.instrument_model import InstrumentModel
from agentlab.lab.instruments import located, rules_by_target, tables_of
from agentlab.lab.model import AgentModel, AutolaunchModel, DaemonModel, GroupModel, ServiceModel
from agentlab.lab.names import DEFAULT, Names
from agentlab.lab.notes import notes
from agentlab.lab.sources import load
from agentlab.lab.stand_ins import without
from agentlab.lab.wires import Wire
from agentlab.nameserver.config import NameServerConfig
from agentlab.yamlfile.problems import Problem, Problems, ProblemsError


@dataclass(frozen=True)
class LabFile:
    """A lab, as checked values. Made by :func:`read_lab`.

    Attributes:
        path: The lab file, as it was given.
        version: The version of the format.
        name: The lab's name.
        description: For people.
        settings: Settings for everything that is started, by the names of ``agentlab.config``.
        nameservers: Name servers by name; where the file has none, one called ``default``.
        daemons: Daemons by name; ``default`` is there where a service needs it.
        services: Services by name.
        agents: Agents by name.
        instruments: Instruments by name, as they are run: with their stand-ins where the lab is simulated.
        interlocks: Instrument -> the rules that it carries out.
        tables: Instrument -> a digest of the files that it is built from, such as its table of commands.
        simulated: Whether instruments that declare a stand-in are replaced by it.
        left_out: Instrument -> names of parameters and actions that the file uses, and its stand-in does not have: where the
            lab is simulated, nothing is said of these.
        wires: Who sends to whom.
        groups: Groups by name.
        autolaunch: ``nameservers``, ``daemons``, ``services``, ``agents``, ``instruments`` -> names that start with the lab;
            None: all of them.
        files: All files that were read, the lab file itself first.
        where: Full name, such as ``agent/Laser`` -> where it stands, as ``lab.yml:12:3``.
        notes: What is allowed, but perhaps not meant.
    """

    path: Path
    version: int = 1
    name: str = "lab"
    description: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    nameservers: dict[str, NameServerConfig] = field(default_factory=dict)
    daemons: dict[str, DaemonModel] = field(default_factory=dict)
    services: dict[str, ServiceModel] = field(default_factory=dict)
    agents: dict[str, AgentModel] = field(default_factory=dict)
    instruments: dict[str, InstrumentModel] = field(default_factory=dict)
    interlocks: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    simulated: bool = False
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)
    groups: dict[str, GroupModel] = field(default_factory=dict)
    autolaunch: dict[str, list[str] | None] = field(default_factory=dict)
    files: tuple[Path, ...] = field(default=(), compare=False)
    where: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    notes: tuple[Problem, ...] = field(default=(), compare=False, repr=False)

    @property
    def directory(self) -> Path:
        """The folder of the lab file, absolute: modules of its classes are searched here first."""
        return self.path.resolve().parent

    def counts(self) -> dict[str, int]:
        """Give how many there are of each kind of thing."""
        sections = ("nameservers", "daemons", "services", "agents", "instruments", "wires", "groups")
        rules = sum(map(len, self.interlocks.values()))
        return {section: len(getattr(self, section)) for section in sections} | {"interlocks": rules}


def read_lab(
    path: str | os.PathLike[str],
    *,
    inspect: bool = True,
    simulated: bool = False,
    environ: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> LabFile:
    """Read a lab file with all that it includes, and check it to the end. Nothing of the lab is started.

    Blocks while files are read and, where classes are looked at, while they are imported, in a process of their own.

    Args:
        path: The lab file.
        inspect: Whether to import the classes, so that they, their parameters and the wires' handlers are checked too.
        simulated: Whether instruments are replaced by what stands in for them, whatever the file says.
        environ: Variables for ``${NAME}``; None: those of this process.
        limit: Seconds that the imports may take together.

    Raises:
        ProblemsError: it cannot be a lab; all that is wrong is told at once, each with file, line and column.
    """
    looked = look_at_lab(path, inspect=inspect, simulated=simulated, environ=environ, limit=limit)
    if looked.lab is None:
        raise ProblemsError(looked.problems)
    return looked.lab


@dataclass(frozen=True)
class Looked:
    """What one look at a lab file has found.

    Attributes:
        lab: The lab; None where there are problems.
        problems: Why it cannot be a lab, in the order of the files.
        notes: What is allowed, but perhaps not meant; also beside problems, as far as these leave something to say.
    """

    lab: LabFile | None
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


def look_at_lab(
    path: str | os.PathLike[str],
    *,
    inspect: bool = True,
    simulated: bool = False,
    environ: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> Looked:
    """Read and check a lab file as :func:`read_lab` does, and give all that is to be said of it, whether it is well or not."""
    problems = Problems()
    try:
        sources = load(path, problems, environ)
    except ProblemsError as error:
        return Looked(None, error.problems, ())
    sources.simulated = sources.simulated or simulated
    facts = None
    if inspect:
        facts = inspect_classes(targets(sources), _directory(sources), limit=limit, drivers=driver_jobs(sources))
    wires = check(sources, facts, problems)
    if len(problems):
        told = _in_order(notes(sources, facts, whole=False)) if sources.whole else ()
        return Looked(None, tuple(problems.in_order()), told)
    lab = assemble(sources, wires, facts)
    return Looked(lab, (), lab.notes)


def _in_order(found: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(found, key=lambda one: (one.file, one.line, one.column)))


def _directory(sources: Sources) -> Path:
    return sources.documents[0].path.resolve().parent


def assemble(sources: Sources, wires: list[Wire], facts: Mapping[str, Facts] | None = None) -> LabFile:
    """Make one lab of entries that were checked; `facts` tell what their classes are, for the notes."""
    names, heads = Names(sources), [head for _, head in sources.heads]
    root = sources.documents[0].path
    services = {
        name: entry.model.model_copy(update={"nameservers": names.nameservers_of(entry)})
        for name, entry in sources["services"].items()
    }
    agents = {
        name: entry.model.model_copy(update={"nameserver": names.nameservers_of(entry)[0]})
        for name, entry in sources["agents"].items()
    }
    home = _directory(sources)
    left_out = _left_out(sources, facts) if sources.simulated else {}
    instruments = {
        name: without(_instrument(entry, names, home, simulated=sources.simulated), left_out.get(name, ()))
        for name, entry in sources["instruments"].items()
    }
    daemons: dict[str, DaemonModel] = {name: entry.model for name, entry in sources["daemons"].items()}
    if any(service.daemon == DEFAULT for service in services.values()):
        daemons.setdefault(DEFAULT, DaemonModel())
    return LabFile(
        path=root,
        version=heads[0].version,
        name=heads[0].name or root.stem,
        description=heads[0].description,
        settings={key: value for head in heads for key, value in head.settings.items()},
        nameservers={n: e.model for n, e in sources["nameservers"].items()} or {DEFAULT: NameServerConfig()},
        daemons=daemons,
        services=services,
        agents=agents,
        instruments=instruments,
        interlocks=rules_by_target(sources.interlocks),
        tables={name: digest for name, model in instruments.items() if (digest := tables_of(model))},
        simulated=sources.simulated,
        left_out=left_out,
        wires=wires,
        groups={name: entry.model for name, entry in sources["groups"].items()},
        autolaunch=_autolaunch(sources),
        files=tuple(document.path for document in sources.documents),
        where={entry.unit: str(entry.mark) for entry in sources},
        notes=_in_order(notes(sources, facts)),
    )


def _instrument(entry: Entry, names: Names, home: Path, *, simulated: bool) -> InstrumentModel:
    """Give an instrument as it is run."""
    model: InstrumentModel = located(entry.model.used(simulated=simulated), entry.document.path.resolve().parent, home)
    return model.model_copy(update={"nameserver": names.nameservers_of(entry)[0]})


def _left_out(sources: Sources, facts: Mapping[str, Facts] | None) -> dict[str, tuple[str, ...]]:
    """Give what stand-ins do not have of what is said of their instruments."""
    looked_at = {
        name: known
        for name, entry in sources["instruments"].items()
        if entry.model.simulated and (known := known_of(entry, facts))
    }
    return {name: known.missing for name, known in looked_at.items() if known.missing}


def _autolaunch(sources: Sources) -> dict[str, list[str] | None]:
    """Give what starts with the lab: the lists of all files together; what no file lists starts whole."""
    launched: dict[str, list[str] | None] = {}
    for kind in AutolaunchModel.model_fields:
        said = [getattr(h.autolaunch, kind) for _, h in sources.heads if kind in h.autolaunch.model_fields_set]
        lists = [names for names in said if names is not None]
        launched[kind] = [name for names in lists for name in names] if said and len(lists) == len(said) else None
    return launched
