"""From the lab file to what the supervisor works with: units with what they need, groups, and fingerprints. Pure: no I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from agentlab.errors import ConfigurationError
from agentlab.lab.file import LabFile
from agentlab.lab.instruments import sources_of
from agentlab.lab.model import AgentModel
from agentlab.lab.policy import Backoff, Group
from agentlab.lab.process_model import ProcessModel
from agentlab.lab.units import LONGEST, Kind, Plan, Unit, sorted_units
from agentlab.lab.wires import Connection, connections

KINDS: dict[str, Kind] = {
    "nameservers": "nameserver",
    "daemons": "daemon",
    "services": "service",
    "agents": "agent",
    "instruments": "instrument",
}
"""The sections of a lab file, and what is in each."""

SUPERVISED = ("agents", "instruments", "services", "daemons")
NAMESERVER_START, NAMESERVER_STOP = 30.0, 5.0
_OF_THE_SUPERVISOR = frozenset(
    ("restart", "start_timeout", "stop_timeout", "hang_timeout", "after", "description", "wires")
)  # what no process has to be started again for


def make_plan(lab: LabFile, is_here: Callable[[str], bool]) -> Plan:
    """Give the plan of a lab.

    Args:
        lab: The lab, checked.
        is_here: Tells whether a host is this machine.

    Raises:
        ConfigurationError: units need each other in a circle, or something names what there is not.
    """
    made = {
        unit.name: unit for units in (_nameservers, _daemons, _services, _agents, _instruments) for unit in units(lab, is_here)
    }
    groups = {name: _group(lab, name, made) for name in lab.groups}
    for group in groups.values():
        _enter(made, group)
    try:
        plan = Plan(sorted_units(made.values()), groups)
    except ValueError as error:
        raise ConfigurationError(f"{lab.path}: {error}; take one of these needs out") from None
    return _with_wanted(plan, lab)


def full_name(lab: LabFile, text: str, sections: Iterable[str] = SUPERVISED) -> str:
    """Give the full name of what an entry of the lab file names: ``agent/Laser``, or the bare name.

    Raises:
        ConfigurationError: there is none.
    """
    kind, slash, bare = text.partition("/")
    for section in sections:
        if (slash and KINDS[section] == kind and bare in getattr(lab, section)) or (not slash and text in getattr(lab, section)):
            return f"{KINDS[section]}/{bare if slash else text}"
    raise ConfigurationError(f"{lab.path}: there is no {text!r}; name an agent, instrument, service or daemon of this file")


def _nameservers(lab: LabFile, is_here: Callable[[str], bool]) -> Iterable[Unit]:
    for name, config in lab.nameservers.items():
        yield Unit(
            f"nameserver/{name}",
            "nameserver",
            restart="permanent",
            start_timeout=NAMESERVER_START,
            stop_timeout=NAMESERVER_STOP,
            host=config.host,
            here=is_here(config.host),
            fingerprint=_fingerprint(lab.settings, config),
        )


def _daemons(lab: LabFile, is_here: Callable[[str], bool]) -> Iterable[Unit]:
    for name, model in lab.daemons.items():
        hosted = [service for service in lab.services.values() if service.daemon == name]
        names = dict.fromkeys((*model.nameservers, *(each for service in hosted for each in service.nameservers)))
        yield Unit(
            f"daemon/{name}",
            "daemon",
            tuple(f"nameserver/{each}" for each in names),
            restart=model.restart,
            start_timeout=min(model.start_timeout, LONGEST),
            stop_timeout=min(model.stop_timeout, LONGEST),
            host=model.host,
            here=is_here(model.host),
            fingerprint=_fingerprint(lab.settings, model, [_place(lab, each) for each in model.nameservers]),
        )


def _services(lab: LabFile, is_here: Callable[[str], bool]) -> Iterable[Unit]:
    for name, model in lab.services.items():
        daemon = lab.daemons[model.daemon]
        yield Unit(
            f"service/{name}",
            "service",
            (f"daemon/{model.daemon}", *(f"nameserver/{each}" for each in dict.fromkeys(model.nameservers))),
            parent=f"daemon/{model.daemon}",
            restart=daemon.restart,
            start_timeout=min(daemon.start_timeout, LONGEST),
            stop_timeout=min(daemon.stop_timeout, LONGEST),
            host=daemon.host,
            here=is_here(daemon.host),
            fingerprint=_fingerprint(lab.settings, model, [_place(lab, each) for each in model.nameservers]),
        )


def _agents(lab: LabFile, is_here: Callable[[str], bool]) -> Iterable[Unit]:
    for name, model in lab.agents.items():
        made = connections(lab.wires, name)
        servers = dict.fromkeys(wire.server[0] for wire in made if wire.server[0] != name)
        yield Unit(
            f"agent/{name}",
            "agent",
            _needs(lab, model),
            tuple(f"{'agent' if server in lab.agents else 'instrument'}/{server}" for server in servers),
            restart=model.restart,
            start_timeout=min(model.start_timeout, LONGEST),
            stop_timeout=min(model.stop_timeout, LONGEST),
            hang_timeout=model.hang_timeout,
            host=model.host,
            here=is_here(model.host),
            fingerprint=agent_fingerprint(lab, model, made),
        )


def _needs(lab: LabFile, model: ProcessModel) -> tuple[str, ...]:
    return tuple(dict.fromkeys((f"nameserver/{model.nameserver}", *(full_name(lab, text) for text in model.after))))


def _instruments(lab: LabFile, is_here: Callable[[str], bool]) -> Iterable[Unit]:
    for name, model in lab.instruments.items():
        rules = lab.interlocks.get(name, [])
        yield Unit(
            f"instrument/{name}",
            "instrument",
            _needs(lab, model),
            tuple(f"instrument/{source}" for source in sources_of(rules) if source in lab.instruments and source != name),
            restart=model.restart,
            start_timeout=min(model.start_timeout, LONGEST),
            stop_timeout=min(model.stop_timeout, LONGEST),
            hang_timeout=model.hang_timeout,
            host=model.host,
            here=is_here(model.host),
            fingerprint=_fingerprint(
                lab.settings,
                model,
                [_place(lab, model.nameserver)],
                rules,
                lab.tables.get(name),
                model.hang_timeout is not None,
            ),
        )


def agent_fingerprint(lab: LabFile, model: AgentModel, made: list[Connection]) -> str:
    """Give a text that changes with whatever an agent would have to be started again for; its own wires are part of it."""
    wires = [(wire.server, wire.alias, wire.handler) for wire in made]
    watched = model.hang_timeout is not None
    return _fingerprint(lab.settings, model, [_place(lab, model.nameserver)], wires, watched)


def _place(lab: LabFile, nameserver: str) -> Any:
    """Give where a name server is, as far as the file says it."""
    config = lab.nameservers[nameserver]
    return (nameserver, config.host, config.ns_port, config.security)


def _fingerprint(settings: Any, model: Any, *more: Any) -> str:
    said = {key: value for key, value in model.model_dump(mode="python").items() if key not in _OF_THE_SUPERVISOR}
    text = json.dumps([settings, said, more], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _group(lab: LabFile, name: str, units: dict[str, Unit]) -> Group:
    model = lab.groups[name]
    members = tuple(dict.fromkeys(full_name(lab, text) for text in model.members))
    here = tuple(member for member in members if units[member].here)
    backoff = Backoff(model.backoff.first, model.backoff.factor, model.backoff.most)
    return Group(name, here, model.strategy, model.intensity, model.period, backoff)


def _enter(units: dict[str, Unit], group: Group) -> None:
    """Note a group in its members; where its order matters, each follows the one before it."""
    before = ""
    for member in group.members:
        unit = units[member]
        follows = (*unit.follows, before) if group.is_ordered and before else unit.follows
        units[member] = replace(unit, group=group.name, follows=follows)
        before = member


def _with_wanted(plan: Plan, lab: LabFile) -> Plan:
    """Note which units start with the lab: those that ``autolaunch`` names, and what they need."""
    named = []
    for section, kind in KINDS.items():
        listed = lab.autolaunch.get(section)
        names = getattr(lab, section) if listed is None else [text.rpartition("/")[2] for text in listed]
        named += [f"{kind}/{name}" for name in names]
    wanted = set(plan.closure(name for name in named if name in plan.units))
    return Plan({name: replace(unit, wanted=name in wanted and unit.here) for name, unit in plan.units.items()}, plan.groups)
