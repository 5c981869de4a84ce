"""``agentlab describe``: what an agent, an instrument or a service is and can do."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentlab.agent.describe import bare, signature_text
from agentlab.cli.asking import Peer
from agentlab.cli.completion import complete_attribute
from agentlab.cli.door import mistake
from agentlab.cli.options import File, Json, Limit, NsAddr, as_json
from agentlab.cli.peers import member_peer, peer
from agentlab.errors import RemoteError, UnknownNameError

if TYPE_CHECKING:
    from rich.console import Console

INDENT = "  "
LONGEST = 24
"""Characters of a name that has its text beside it."""


def describe(
    what: Annotated[
        str,
        typer.Argument(
            metavar="NAME[.METHOD]",
            help="An agent or service, or one method of it.",
            show_default=False,
            autocompletion=complete_attribute,
        ),
    ],
    nsaddr: NsAddr = None,
    file: File = None,
    timeout: Limit = 5.0,
    all_of_it: Annotated[bool, typer.Option("--all", help="Show also the methods that every agent or service has.")] = False,
    as_text_for_programs: Json = False,
) -> None:
    """Show class, documentation, methods, attributes and sockets of an agent or a service. Nothing of it is run."""
    name, member = what, ""
    try:
        found = _ask(name, member, nsaddr, file, timeout)
    except UnknownNameError:
        if not all(what.rpartition(".")):
            raise
        with member_peer(what, "method", nsaddr, file) as (whom, member):  # names may have dots, too
            name = whom.name
            found = _asked(whom, member, timeout)
    if not all_of_it and not member:
        found["methods"] = [method for method in found["methods"] if method["own"]]
        if "driver" in found:
            from agentlab.cli.describeinstrument import without_inherited  # for instruments alone

            found = without_inherited(found)
    if as_text_for_programs:
        print(as_json(found))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if member:
        _show_member(console, f"{name}.{found['name']}", found)
    else:
        _show(console, found)


def _ask(name: str, member: str, nsaddr: str | None, file: Path | None, timeout: float | None) -> dict[str, Any]:
    with peer(name, nsaddr, file) as whom:
        return _asked(whom, member, timeout)


def _asked(whom: Peer, member: str, timeout: float | None) -> dict[str, Any]:
    try:
        if member:
            whom.check_public(member)
            return dict(whom.ask("_portrait", member, timeout=timeout))
        portrait = whom.ask("_portrait", timeout=timeout)
        sockets = whom.ask("_wiring", timeout=timeout)
    except (AttributeError, RemoteError) as error:
        if member and "_portrait" not in str(error):
            raise mistake(str(error)) from None
        return _service(whom, member, timeout)
    return {"kind": "agent", **portrait, "name": whom.name, "sockets": sockets}


def _service(whom: Peer, member: str, timeout: float | None) -> dict[str, Any]:
    """Describe one that has no portrait of itself, such as a daemon."""
    told = whom.ask("_describe", timeout=timeout)
    methods = list(told["methods"])
    if member:
        if member not in methods:
            raise whom.unknown(member, "method", whom.members, timeout)
        return _documented(whom, member, timeout)
    return {
        "name": whom.name,
        "kind": told.get("kind", "service"),
        "class": told["class"],
        "doc": told.get("doc", ""),
        "methods": [_documented(whom, method, timeout) for method in methods],
        "attributes": [],
        "sockets": [],
    }


def _documented(whom: Peer, method: str, timeout: float | None) -> dict[str, Any]:
    doc, parameters = whom.ask("_document", method, timeout=timeout)
    return {"name": method, "signature": _signature(parameters), "doc": doc, "own": True}


def _signature(parameters: list[tuple[str, int, str | None]]) -> str:
    """Give the text of a signature whose defaults are texts themselves."""
    kinds = list(inspect._ParameterKind)
    made = [
        inspect.Parameter(name, kinds[kind], default=inspect.Parameter.empty if default is None else bare(default))
        for name, kind, default in parameters
    ]
    return signature_text(inspect.Signature(made))


def _show_member(console: Console, shown: str, found: dict[str, Any]) -> None:
    if "signature" in found:
        _wrapped(console, f"{shown}{found['signature']}", "", 2 * INDENT)
    else:
        value = "" if found["value"] is None else f" = {found['value']}"
        unit = f", {found['unit']}" if found.get("unit") else ""
        console.print(f"{shown}: {found['type'] or 'attribute'}{unit}{value}")
    if found["doc"]:
        console.print()
        _indented(console, found["doc"])


def _show(console: Console, found: dict[str, Any]) -> None:
    by = f"with driver {found['driver']['driver']}" if "driver" in found else f"of class {found['class']}"
    console.print(f"{found['name']}: {found['kind']} {by}", soft_wrap=True)
    for fact in _facts(found):
        _wrapped(console, fact, INDENT, 2 * INDENT)
    if found["doc"]:
        console.print()
        _indented(console, found["doc"])
    methods, attributes = found["methods"], found["attributes"]
    if "driver" in found:
        known = {one["name"] for part in ("parameters", "actions") for one in found["driver"][part]}
        methods, attributes = ([one for one in part if one["name"] not in known] for part in (methods, attributes))
        _show_driver(console, found["driver"])
    _section(console, "Methods", [(f"{m['name']}{m['signature']}", _first_line(m["doc"])) for m in methods])
    _section(console, "Attributes", [(a["name"], _value(a)) for a in attributes])
    _section(console, "Sockets", [_socket(s) for s in found["sockets"]])


def _show_driver(console: Console, driver: dict[str, Any]) -> None:
    """Print what an instrument has from its driver."""
    from agentlab.cli.describeinstrument import actions, facts, parameter_table, without_arguments  # for instruments alone

    for fact in facts(driver):
        _wrapped(console, fact, INDENT, 2 * INDENT)
    if driver.get("doc"):
        console.print()
        _indented(console, without_arguments(driver["doc"]))
    parameters = parameter_table(driver)
    if parameters is not None:
        console.print()
        console.print(parameters)
    _section(console, "Actions", list(actions(driver)))


def _facts(found: dict[str, Any]) -> list[str]:
    """Give what is said of services alone."""
    facts = {
        "state": f"{found['state']}: {found['reason']}" if found.get("reason") else "",
        "description": found.get("description"),
        "tags": ", ".join(found.get("tags", ())),
        "instancemode": found.get("instancemode"),
    }
    return [f"{key}: {text}" for key, text in facts.items() if text]


def _section(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    """Print one section: short names with their text beside them, long ones with it below."""
    if not rows:
        return
    console.print(f"\n{title}")
    width = max((len(left) for left, _ in rows if len(left) <= LONGEST), default=0)
    for left, right in rows:
        if len(left) > LONGEST:
            _wrapped(console, left, INDENT, 3 * INDENT)
            _wrapped(console, right, 2 * INDENT, 2 * INDENT)
        else:
            _wrapped(console, f"{left.ljust(width)}  {right}", INDENT, " " * (len(INDENT) + width + 2))


def _wrapped(console: Console, text: str, first: str, others: str) -> None:
    lines = textwrap.wrap(text, console.width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
    for line in lines:
        console.print(line, soft_wrap=True)


def _indented(console: Console, text: str) -> None:
    for line in text.splitlines():
        console.print(f"{INDENT}{line}".rstrip(), soft_wrap=True)


def _first_line(doc: str) -> str:
    return doc.strip().partition("\n")[0]


def _value(attribute: dict[str, Any]) -> str:
    if attribute["type"] == "property":
        return f"(property) {_first_line(attribute['doc'])}".rstrip()
    if attribute["value"] is None:
        return ""
    value = str(attribute["value"])
    return f"{value if len(value) <= 200 else value[:199] + '…'} ({attribute['type']})"


def _socket(socket: dict[str, Any]) -> tuple[str, str]:
    where = socket["address"] or ""
    if socket["remote"]:
        where = f"to {'.'.join(socket['remote'])}" + (f" at {where}" if where else "")
    topics = f", topics {', '.join(repr(t) for t in socket['topics'])}" if any(socket["topics"]) else ""
    waits = f", waiting: {socket['why']}" if socket["state"] == "waiting" else ""
    return socket["alias"] or "-", f"{socket['kind'] or 'wire'} {where}{topics}{waits}"
