"""Whether the classes of a lab file are what the file takes them for: attributes, parameters, handlers, wires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentlab.agent.agent import Agent
from agentlab.errors import nearest
from agentlab.lab.entries import Entry, Sources, WireEntry
from agentlab.lab.facts import Call, Facts
from agentlab.lab.instruments import READINGS
from agentlab.lab.model import AgentModel
from agentlab.lab.wires import KINDS, WITH_TOPICS, Drawn, Wire, WireError, clash, resolve
from agentlab.yamlfile.problems import Problems

ALIAS = re.compile(r"\w[\w-]*")
_Facts = Mapping[str, Facts] | None


def targets(sources: Sources) -> list[str]:
    """Give all classes that the lab file names, as ``package.module:Class``."""
    agents = [entry.model.class_ for entry in sources["agents"].values() if _names_class(entry)]
    return [*agents, *(entry.model.target for entry in sources["services"].values() if _names_class(entry))]


def _names_class(entry: Entry) -> bool:
    return entry.model is not None and not entry.bad & {"class", "module", "classname"}


def check_classes(sources: Sources, facts: _Facts, problems: Problems) -> None:
    """Note what the file says of agents and services that their classes cannot do."""
    for entry in sources["agents"].values():
        if entry.model is not None:
            for key, text in _agent_problems(entry, _of(entry, facts)):
                problems.add(entry.document, (*entry.path, *key), text)
    for entry in sources["services"].values():
        known = _of(entry, facts)
        for key, text in _service_problems(entry, known) if known is not None else ():
            problems.add(entry.document, (*entry.path, *key), text)


def _of(entry: Entry, facts: _Facts) -> Facts | None:
    """Give what is known of the class of an entry; None where nobody has looked."""
    if facts is None or entry.section == "instruments" or not _names_class(entry):
        return None
    return facts.get(entry.model.class_ if entry.section == "agents" else entry.model.target)


def _agent_problems(entry: Entry, facts: Facts | None) -> Iterator[tuple[tuple[Any, ...], str]]:
    model = entry.model
    for name in model.attributes:
        if not (isinstance(name, str) and name.isidentifier()):
            yield ("attributes", name), f"found {name!r}, which cannot be the name of an attribute"
        elif facts is not None and name in facts.taken:
            yield (
                ("attributes", name),
                f"an agent of this class has a method or a part called {name!r} already; take another name",
            )
    for alias in model.sockets:
        if not ALIAS.fullmatch(alias):
            cure = "an alias begins with a letter, digit or _, and goes on with these and dashes"
            yield ("sockets", alias), f"found {alias!r}, which cannot be an alias; {cure}"
    if facts is None:
        return
    if facts.problem:
        yield ("class",), f"{model.class_} {facts.problem}"
    elif not facts.is_agent:
        yield ("class",), f"{model.class_} is no subclass of agentlab.Agent; inherit from it, or make it one of the services"
    else:
        yield from _socket_problems(model, facts)


def attribute_notes(sources: Sources, facts: _Facts) -> Iterator[tuple[Entry, str, str]]:
    """Give attributes that a class does not have, though it declares some: entry, name, and what to say of it."""
    for entry in sources["agents"].values():
        known = _of(entry, facts)
        if known is None or known.problem or not known.attributes:
            continue
        for name in entry.model.attributes:
            if name not in known.attributes and name not in known.used:
                near = nearest(str(name), known.attributes).removeprefix(";").strip()
                yield entry, name, f"{entry.model.class_.rpartition(':')[2]} has no attribute {name!r}; {near}"


def _socket_problems(model: AgentModel, facts: Facts) -> Iterator[tuple[tuple[Any, ...], str]]:
    for alias, socket in facts.binds.items():
        if socket["kind"] not in KINDS:
            text = f"{model.class_} declares a socket {alias!r} of kind {socket['kind']}, allowed are {', '.join(KINDS)}"
            yield ("class",), text
        elif socket["by_name"] and (text := _method_problem(facts, model.class_, socket["handler"], socket["kind"])):
            yield ("class",), f"handler of the socket {alias!r} that the class declares: {text}"
    for alias, asked in model.sockets.items():
        if asked.handler is not None and (text := _method_problem(facts, model.class_, asked.handler, asked.kind)):
            yield ("sockets", alias, "handler"), text


def _method_problem(facts: Facts, target: str, name: str, kind: str) -> str:
    """Tell why a method of a class cannot handle messages of a socket; an empty text: it can."""
    if name not in facts.methods:
        own = [method for method in facts.methods if not method.startswith("_") and not hasattr(Agent, method)]
        return f"{target} has no method {name!r}{nearest(name, own)}"
    alone, with_topic = facts.methods[name]
    topics = kind in ("SUB", *WITH_TOPICS)
    if alone or (with_topic and topics):
        return ""
    also = " or (self, message, topic)" if topics else ""
    return f"method {name} of {target} cannot be called with a message; its parameters must be (self, message){also}"


def _service_problems(entry: Entry, facts: Facts) -> Iterator[tuple[tuple[Any, ...], str]]:
    model = entry.model
    if facts.problem:
        yield ("classname",), f"{model.target} {facts.problem}"
        return
    if facts.is_agent:
        yield ("classname",), f"{model.target} is an agent, which serves itself; move it to the section agents"
        return
    if not facts.public:
        yield ("classname",), f"{model.target} has no public method; names without a leading underscore are public"
    if facts.connect is None:
        yield from _call_problems(entry, facts.constructor, "the constructor")
        return
    if facts.constructor.required:
        missing = ", ".join(facts.constructor.required)
        yield (
            ("classname",),
            f"{model.target} has a connect(), which gets the parameters, but its constructor needs {missing}; give defaults",
        )
    yield from _call_problems(entry, facts.connect, "connect()")


def _call_problems(entry: Entry, call: Call, what: str) -> Iterator[tuple[tuple[Any, ...], str]]:
    given = entry.model.parameters
    for name in given:
        if name not in call.names and not call.anything:
            yield (
                ("parameters", name),
                f"{what} of {entry.model.target} has no parameter {name!r}{nearest(str(name), call.names)}",
            )
    missing = [name for name in call.required if name not in given]
    if missing:
        yield (
            ("parameters",),
            f"{what} of {entry.model.target} needs {', '.join(missing)}; give {'it' if len(missing) == 1 else 'them'} here",
        )


# --- wires --------------------------------------------------------------------------------------------------------


def check_wires(sources: Sources, facts: _Facts, problems: Problems) -> list[Wire]:
    """Note wires that cannot be made; give the others."""
    made: list[Wire] = []
    by_client: dict[str, list[Wire]] = {}
    for entry in sources.wires:
        ends = _ends(sources, entry, problems)
        if ends is None:
            continue
        left, right = (_sockets(end, _of(end, facts)) for end in ends)
        known = all(_is_known(end, facts) for end in ends)
        try:
            wire = resolve(entry.drawn, left, right, known=known)
        except WireError as error:
            problems.add(entry.document, entry.path, str(error))
            continue
        texts = [*_handler_problems(wire, ends, facts, right), *_alias_problems(wire, left if wire.server == "target" else right)]
        texts += [text for other in by_client.get(wire.client, ()) if (text := clash(wire, other))][:1]
        for text in texts:
            problems.add(entry.document, entry.path, text)
        if not texts:
            made.append(wire)
            by_client.setdefault(wire.client, []).append(wire)
    return made


def _ends(sources: Sources, entry: WireEntry, problems: Problems) -> tuple[Entry, Entry] | None:
    """Give the two agents of a wire, or note who is missing."""
    agents, instruments, drawn = sources["agents"], sources["instruments"], entry.drawn
    begins = {**instruments, **agents}
    strangers = [] if drawn.source in begins else [drawn.source]
    strangers += [] if drawn.target in agents or drawn.target in strangers else [drawn.target]
    for name in strangers:
        if name in instruments:
            why = f": it is an instrument, where wires only begin, as {name}.{READINGS}"
        else:
            why = ": it is a service, and services have no sockets" if name in sources["services"] else nearest(name, begins)
        problems.add(entry.document, entry.path, f"found {name!r} in '{drawn}', but there is no such agent{why}")
    return None if strangers else (begins[drawn.source], agents[drawn.target])


def _is_known(entry: Entry, facts: _Facts) -> bool:
    """Tell whether all sockets that an agent declares are known; those of instruments always are."""
    if entry.section == "instruments":
        return True
    known = _of(entry, facts)
    return known is not None and not known.problem and known.is_agent and "sockets" not in entry.bad


def _sockets(entry: Entry, facts: Facts | None) -> dict[str, str]:
    """Give the sockets that an agent declares: what the file says of one goes before what its class says."""
    if entry.section == "instruments":
        return {READINGS: "PUB"}
    declared = {} if facts is None else {alias: str(socket["kind"]) for alias, socket in facts.binds.items()}
    if entry.model is not None:
        declared |= {alias: socket.kind for alias, socket in entry.model.sockets.items()}
    return {alias: kind for alias, kind in declared.items() if kind in KINDS}


def _handler_problems(wire: Wire, ends: tuple[Entry, Entry], facts: _Facts, right: Mapping[str, str]) -> Iterator[str]:
    source, target = ends
    if wire.server == "source" and _is_known(target, facts):
        known = _of(target, facts)
        assert known is not None
        text = _method_problem(known, f"agent {wire.target} ({target.model.class_})", wire.target_name, wire.kind)
        if text and wire.target_name not in known.methods and right:
            text += f"; it declares the sockets {', '.join(sorted(right))}"
        if text:
            yield text
    if wire.reply is not None and source.section == "agents" and _is_known(source, facts):
        known = _of(source, facts)
        assert known is not None
        text = _method_problem(known, f"agent {wire.source} ({source.model.class_})", wire.reply, wire.kind)
        if text:
            yield f"reply: {text}"


def _alias_problems(wire: Wire, own: Mapping[str, str]) -> Iterator[str]:
    if wire.client_alias is not None and wire.client_alias in own:
        yield f"{wire.client} binds a socket {wire.client_alias!r} itself; take another name for its end of this wire"


__all__ = ["Drawn", "check_classes", "check_wires", "targets"]
