"""``agentlab graph``: who is wired to whom."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agentlab.cli.completion import complete_name
from agentlab.cli.door import mistake
from agentlab.cli.looks import Look, registrations
from agentlab.cli.options import File, Json, NsAddr, as_json, nameserver
from agentlab.errors import ConfigurationError, nearest
from agentlab.lab.graph import Graph, Node, graph_of_agents, graph_of_lab, graph_text


def graph(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Only these, and what they are wired to.", show_default=False, autocompletion=complete_name
        ),
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into this file.", show_default=False)] = None,
    lab: Annotated[
        Path | None,
        typer.Option("--lab", metavar="FILE", help="As this lab file says it; nothing has to run.", show_default=False),
    ] = None,
    no_import: Annotated[bool, typer.Option("--no-import", help="With --lab: do not look at the classes.")] = False,
    nsaddr: NsAddr = None,
    file: File = None,
    as_text_for_programs: Json = False,
) -> None:
    """Show who is wired to whom: of the agents that run, or of a lab file.

    Lines lead from where messages, or questions, come from to where they go. A line that waits is not connected: one of
    its ends is not there.
    """
    if lab is None and no_import:
        raise ConfigurationError("--no-import is about a lab file; name it with --lab FILE")
    if lab is not None and (nsaddr is not None or file is not None):
        raise ConfigurationError("--lab shows a lab file, --nsaddr and --file what runs; give one of them")
    whole = _of_agents(nameserver(nsaddr, file)) if lab is None else _of_lab(lab, inspect=not no_import)
    if names:
        known = [node.name for node in whole.nodes]
        for name in names:
            if name not in known:
                raise mistake(f"nobody is called {name!r}{nearest(name, known)}")
        whole = whole.only(names)
    if svg is not None:
        from agentlab.lab.drawing import graph_svg

        svg.write_text(graph_svg(whole), "utf-8")
    if as_text_for_programs:
        print(as_json({"nodes": [asdict(node) for node in whole.nodes], "edges": [asdict(edge) for edge in whole.edges]}))
    elif svg is not None:
        print(f"{svg}: {len(whole.nodes)} nodes, {len(whole.edges)} wires")
    else:
        print(graph_text(whole))


def _of_lab(path: Path, *, inspect: bool) -> Graph:
    from agentlab.lab.file import read_lab  # pydantic takes its time

    return graph_of_lab(read_lab(path, inspect=inspect))


def _of_agents(address: str) -> Graph:
    known = registrations(address)
    with Look() as look:
        answers = dict(zip(known, look.ask(known.values(), "_wiring"), strict=True))
    nodes = [
        Node(
            name,
            str(known[name].metadata.get("class", "")).rpartition(".")[2],
            {"ok": "running", "-": ""}.get(state, state),
        )
        for name, (state, _) in answers.items()
    ]
    return graph_of_agents(nodes, {name: rows for name, (_, rows) in answers.items() if rows}, address)
