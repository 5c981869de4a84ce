"""Who is wired to whom: parts and the lines between them, from a lab file or from what agents say; as text. Pure.

The same graph as a picture: :mod:`agentlab.lab.drawing`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentlab.lab.file import LabFile

TWINS = {
    "PUB": "SUB",
    "SUB": "PUB",
    "PUSH": "PULL",
    "PULL": "PUSH",
    "REQ": "REP",
    "REP": "REQ",
    "SYNC_PUB": "SYNC_SUB",
    "SYNC_SUB": "SYNC_PUB",
    "ASYNC_REQ": "ASYNC_REP",
    "ASYNC_REP": "ASYNC_REQ",
}
FIRST = frozenset({"PUB", "PUSH", "REQ", "SYNC_PUB", "ASYNC_REQ"})
"""The ends that messages come from, or that ask."""
OUTSIDE = "(outside)"


@dataclass(frozen=True)
class Node:
    """A part of the graph.

    Attributes:
        name: Unique.
        note: What it is, such as the name of its class.
        state: ``running``, ``silent`` and so on; empty where nothing is known, as of a lab file.
        loops: What it is wired to itself by, as text.
    """

    name: str
    note: str = ""
    state: str = ""
    loops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """A line from where messages, or questions, come from to where they go.

    Attributes:
        source: Name of a node.
        source_port: Its socket there; empty: it has no name.
        target: Name of a node.
        target_port: Socket or method there; empty: it has no name.
        kind: Of the end at the source, such as ``PUB``; empty: not known.
        topics: What the target has subscribed to; empty: everything, or there are no topics.
        made: Whether it is connected; false: it waits for one of its ends.
    """

    source: str
    source_port: str
    target: str
    target_port: str
    kind: str = ""
    topics: tuple[str, ...] = ()
    made: bool = True

    @property
    def ports(self) -> str:
        """The names at its ends, as text."""
        return " → ".join(port for port in (self.source_port, self.target_port) if port)

    @property
    def sort(self) -> str:
        """Kinds of both ends and the topics, as text."""
        kinds = f"{self.kind}/{TWINS[self.kind]}" if self.kind in TWINS else self.kind
        return " ".join([kinds, *(repr(topic) for topic in self.topics)] if kinds else map(repr, self.topics))


@dataclass(frozen=True)
class Graph:
    """Nodes and edges; every edge's ends are nodes."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    title: str = field(default="wires", compare=False)

    def only(self, names: Iterable[str]) -> Graph:
        """Give the part that concerns some nodes: themselves, their edges, and what these lead to."""
        wanted = set(names)
        edges = tuple(edge for edge in self.edges if wanted & {edge.source, edge.target})
        kept = wanted | {name for edge in edges for name in (edge.source, edge.target)}
        return replace(self, nodes=tuple(node for node in self.nodes if node.name in kept), edges=edges)


def graph_of_lab(lab: LabFile) -> Graph:
    """Give the graph of a lab file, as it would be when all of it runs."""
    edges = []
    for wire in lab.wires:
        kind = wire.kind if wire.server == "source" else TWINS.get(wire.kind, "")
        target_port = wire.target_name if wire.alias is None else f"{wire.target_name} ({wire.alias})"
        edges.append(Edge(wire.source, wire.source_alias, wire.target, target_port, kind, tuple(wire.topics)))
    nodes = [Node(name, str(model.class_).rpartition(":")[2]) for name, model in lab.agents.items()]
    nodes += [Node(name, str(model.driver).rpartition(":")[2]) for name, model in lab.instruments.items()]
    nodes += [Node(name, "service") for name in lab.services]
    return _tidy(nodes, edges, lab.name)


def graph_of_agents(nodes: Sequence[Node], wiring: Mapping[str, Sequence[Mapping[str, Any]]], title: str = "wires") -> Graph:
    """Give the graph of what agents say of their sockets.

    Args:
        nodes: All that there are.
        wiring: Name -> the rows that it answers to ``_wiring``.
        title: Of the graph.
    """
    bound = {
        row["address"]: (name, row) for name, rows in wiring.items() for row in rows if row["role"] == "server" and row["address"]
    }
    known = {node.name for node in nodes}
    more: dict[str, Node] = {}
    edges = []
    for name, rows in wiring.items():
        for row in rows:
            if row["role"] == "server":
                continue
            other, port = _other_end(row, bound)
            if other not in known:
                more[other] = Node(other, "" if other == OUTSIDE else "not there")
            edges.append(_edge(name, row, other, port))
    return _tidy([*nodes, *more.values()], edges, title)


def _other_end(row: Mapping[str, Any], bound: Mapping[str, tuple[str, Mapping[str, Any]]]) -> tuple[str, str]:
    """Give agent and alias of the server that a client's socket leads to."""
    found = bound.get(row["address"])
    if found is not None:
        return found[0], found[1]["alias"] or ""
    if row["remote"]:
        return row["remote"][0], row["remote"][1]
    return OUTSIDE, str(row["address"] or "").rpartition("/")[2]


def _edge(name: str, row: Mapping[str, Any], other: str, port: str) -> Edge:
    own, kind = row["alias"] or "", row["kind"] or ""
    topics = tuple(topic for topic in row["topics"] if topic) if "" not in row["topics"] else ()
    made = row["state"] == "made"
    if kind in FIRST or (not kind and row.get("sends")):
        return Edge(name, own, other, port, kind, topics, made)
    return Edge(other, port, name, own, TWINS.get(kind, ""), topics, made)


def _tidy(nodes: Sequence[Node], edges: Sequence[Edge], title: str) -> Graph:
    """Put edges of the same ends together, and those from a node to itself into the node."""
    merged: dict[tuple[str, str, str, str, str, bool], list[str] | None] = {}
    for edge in edges:
        key = (edge.source, edge.source_port, edge.target, edge.target_port, edge.kind, edge.made)
        topics = merged.setdefault(key, [])
        merged[key] = None if topics is None or not edge.topics else [*topics, *edge.topics]
    plain = [Edge(*key[:5], topics=tuple(dict.fromkeys(topics or ())), made=key[5]) for key, topics in merged.items()]
    loops: dict[str, tuple[str, ...]] = {}
    for edge in plain:
        if edge.source == edge.target:
            loops[edge.source] = (*loops.get(edge.source, ()), f"{edge.ports} {edge.sort}".strip())
    made = tuple(replace(node, loops=loops.get(node.name, ())) for node in nodes)
    return Graph(made, tuple(edge for edge in plain if edge.source != edge.target), title)


# --- as text ------------------------------------------------------------------------------------------------------


def graph_text(graph: Graph) -> str:
    """Give the graph as lines of text: each node with what goes out of it, sources first; then who is not wired."""
    if not graph.nodes:
        return "nobody is there"
    wired = {name for edge in graph.edges for name in (edge.source, edge.target)} | {n.name for n in graph.nodes if n.loops}
    lines: list[str] = []
    for node in _sources_first(graph):
        out = [edge for edge in graph.edges if edge.source == node.name]
        if not out and not node.loops:
            continue
        lines.append(_heading(node))
        rows = [(edge.source_port or "-", edge.sort, _target(edge)) for edge in out]
        rows += [("itself", "", loop) for loop in node.loops]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for index, (port, sort, target) in enumerate(rows):
            branch = "└─" if index == len(rows) - 1 else "├─"
            lines.append(f"{branch} {port.ljust(widths[0])}  {sort.ljust(widths[1])}  → {target}")
    senders = {edge.source for edge in graph.edges}
    ends = [node for node in graph.nodes if node.name in wired - senders and not node.loops]
    if ends:
        lines.append(f"receiving only: {', '.join(_heading(node) for node in ends)}")
    alone = [node for node in graph.nodes if node.name not in wired]
    if alone:
        lines.append(f"not wired: {', '.join(_heading(node) for node in alone)}")
    return "\n".join(lines)


def _heading(node: Node) -> str:
    note = node.note if node.note != node.name else ""
    about = ", ".join(part for part in (note, node.state if node.state != "running" else "") if part)
    return f"{node.name} ({about})" if about else node.name


def _target(edge: Edge) -> str:
    end = f"{edge.target}.{edge.target_port}" if edge.target_port else edge.target
    return end if edge.made else f"{end} (waiting)"


def _sources_first(graph: Graph) -> list[Node]:
    ranks = ranks_of(graph)
    return sorted(graph.nodes, key=lambda node: ranks[node.name])


def ranks_of(graph: Graph) -> dict[str, int]:
    """Give each node a number such that edges lead from lower to higher ones, those that close a circle aside."""
    ahead: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for edge in graph.edges:
        ahead[edge.source].append(edge.target)
    forward = _without_circles(ahead)
    ranks = dict.fromkeys(ahead, 0)
    for name in _in_order(forward):
        for target in forward[name]:
            ranks[target] = max(ranks[target], ranks[name] + 1)
    return ranks


def _without_circles(ahead: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Leave out the edges that lead back to where a walk came from."""
    incoming = {target for targets in ahead.values() for target in targets}
    starts = sorted(ahead, key=lambda name: name in incoming)  # who only sends is first, whatever the order of the file
    forward: dict[str, list[str]] = {name: [] for name in ahead}
    done: set[str] = set()
    for start in starts:
        stack, path = [(start, iter(ahead[start]))], {start}
        if start in done:
            continue
        done.add(start)
        while stack:
            name, targets = stack[-1]
            target = next(targets, None)
            if target is None:
                path.discard(name)
                stack.pop()
            elif target not in path:
                forward[name].append(target)
                if target not in done:
                    done.add(target)
                    path.add(target)
                    stack.append((target, iter(ahead[target])))
    return forward


def _in_order(forward: Mapping[str, Sequence[str]]) -> list[str]:
    """Give the names so that each comes before those that it leads to."""
    left = dict.fromkeys(forward, 0)
    for targets in forward.values():
        for target in targets:
            left[target] += 1
    ready = [name for name, count in left.items() if not count]
    order: list[str] = []
    while ready:
        name = ready.pop(0)
        order.append(name)
        for target in forward[name]:
            left[target] -= 1
            if not left[target]:
                ready.append(target)
    return order
