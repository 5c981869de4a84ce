"""Who is wired to whom: from a lab file or from what agents say; as text and as a picture in which nothing overlaps."""

from __future__ import annotations

import re
from itertools import combinations
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentlab.lab.drawing import graph_svg
from agentlab.lab.graph import Edge, Graph, Node, graph_of_agents, graph_of_lab, graph_text, ranks_of
from agentlab.lab.layout import Box, join, place
from agentlab.lab.wires import Wire

SVG = "{http://www.w3.org/2000/svg}"


def row(alias, kind, role, address, *, remote=None, topics=(), state="made", **more):
    return {"alias": alias, "kind": kind, "role": role, "address": address, "remote": remote, "topics": list(topics),
            "state": state, **more}  # fmt: skip


def agents(**wiring):
    return graph_of_agents([Node(name, "", "running") for name in wiring], wiring)


@pytest.mark.parametrize(
    ("server", "client", "source"),
    [
        ("PUB", "SUB", "server"),
        ("PUSH", "PULL", "server"),
        ("SYNC_PUB", "SYNC_SUB", "server"),
        ("REQ", "REP", "server"),
        ("SUB", "PUB", "client"),
        ("PULL", "PUSH", "client"),
        ("REP", "REQ", "client"),
        ("ASYNC_REP", "ASYNC_REQ", "client"),
    ],
)
def test_lines_lead_from_where_messages_or_questions_come_from(server, client, source):
    graph = agents(server=[row("s", server, "server", "ipc:///x")], client=[row("c", client, "client", "ipc:///x")])
    ends = {"server": "s", "client": "c"}
    target = "client" if source == "server" else "server"
    first = server if source == "server" else client
    assert graph.edges == (Edge(source, ends[source], target, ends[target], first),)
    assert f"{first}/" in graph.edges[0].sort


def test_ends_are_matched_by_address_also_when_they_were_connected_without_names():
    graph = agents(
        Meter=[row("power", "PUB", "server", "tcp://127.0.0.1:80"), row("more", "PUB", "server", "tcp://127.0.0.1:8")],
        Scan=[row(None, "SUB", "client", "tcp://127.0.0.1:80", topics=["a", "b"])],
    )
    assert graph.edges == (Edge("Meter", "power", "Scan", "", "PUB", ("a", "b")),)


def test_what_waits_and_what_leads_outside():
    graph = agents(
        Scan=[
            row("in", "SUB", "client", "ipc:///gone", remote=["Meter", "power"], state="waiting", topics=["a"]),
            row("out", None, "client", None, remote=["Meter", "jobs"], state="waiting", sends=True),
            row("also", None, "client", None, remote=["Meter", "raw"], state="waiting", sends=False),
            row("log", "PUSH", "client", "tcp://10.0.0.1:5"),
        ]
    )
    assert [node.name for node in graph.nodes] == ["Scan", "Meter", "(outside)"]
    assert graph.nodes[1].note == "not there"
    assert set(graph.edges) == {
        Edge("Meter", "power", "Scan", "in", "PUB", ("a",), made=False),
        Edge("Scan", "out", "Meter", "jobs", "", (), made=False),
        Edge("Meter", "raw", "Scan", "also", "", (), made=False),
        Edge("Scan", "log", "(outside)", "10.0.0.1:5", "PUSH"),
    }
    assert "Scan.in (waiting)" in graph_text(graph)


def test_several_subscriptions_are_one_line_and_everything_is_no_topic():
    rows = [row("x", "SUB", "client", "ipc:///p", topics=["a"]), row("x", "SUB", "client", "ipc:///p", topics=["b", "a"])]
    assert agents(Meter=[row("p", "PUB", "server", "ipc:///p")], Scan=rows).edges[0].topics == ("a", "b")
    rows.append(row("x", "SUB", "client", "ipc:///p", topics=["", "b"]))
    assert agents(Meter=[row("p", "PUB", "server", "ipc:///p")], Scan=rows).edges[0].topics == ()


def test_a_lab_file():
    lab = SimpleNamespace(
        name="demo",
        agents={name: SimpleNamespace(class_=f"mylab:{name}") for name in ("Scan", "Meter", "Alone")},
        instruments={},
        services={"catalogue": SimpleNamespace()},
        wires=[
            Wire("Meter", "power", "Scan", "on_power", "PUB", topics=("a",)),
            Wire("Meter", "power", "Scan", "on_power", "PUB", topics=("b",)),
            Wire("Scan", "jobs", "Meter", "work", "PULL", server="target"),
            Wire("Scan", "x", "Scan", "on_x", "PUSH", alias="mine"),
        ],
    )
    graph = graph_of_lab(lab)
    assert graph.edges == (
        Edge("Meter", "power", "Scan", "on_power", "PUB", ("a", "b")),
        Edge("Scan", "jobs", "Meter", "work", "PUSH"),
    )
    text = graph_text(graph)
    assert text.splitlines() == [
        "Scan",
        "├─ jobs    PUSH/PULL  → Meter.work",
        "└─ itself             → x → on_x (mine) PUSH/PULL",
        "Meter",
        "└─ power  PUB/SUB 'a' 'b'  → Scan.on_power",
        "not wired: Alone, catalogue (service)",
    ]
    assert graph_text(graph.only(["Alone"])) == "not wired: Alone"
    assert {node.name for node in graph.only(["Meter"]).nodes} == {"Meter", "Scan"}


def test_no_graph_at_all():
    assert graph_text(Graph()) == "nobody is there"
    assert ET.fromstring(graph_svg(Graph())).find(f"{SVG}desc").text == "nothing is wired"


def test_ranks_follow_the_lines_and_circles_do_no_harm():
    def ranks(*pairs):
        names = dict.fromkeys(name for pair in pairs for name in pair)
        return ranks_of(Graph(tuple(map(Node, names)), tuple(Edge(a, "", b, "") for a, b in pairs)))

    assert ranks("ab", "bc", "ac", "dc") == {"a": 0, "b": 1, "c": 2, "d": 0}
    circle = ranks("ab", "bc", "ca", "xa")
    assert circle == {"x": 0, "a": 1, "b": 2, "c": 3}
    long = [(str(n), str(n + 1)) for n in range(3000)]
    assert ranks(*long)["3000"] == 3000  # no recursion


# --- the picture --------------------------------------------------------------------------------------------------

graphs = st.integers(1, 9).flatmap(
    lambda count: st.builds(
        lambda names, pairs: Graph(
            tuple(Node(name, f"Class{i}", "running" if i % 3 else "silent") for i, name in enumerate(names)),
            tuple(
                Edge(names[a], f"out{a}", names[b], "x" * b, "PUB", ("t",) * (a % 3), made=bool(a % 2))
                for a, b in pairs
                if a != b
            ),
        ),
        st.just([f"Agent{i}" * (1 + i % 2) for i in range(count)]),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=14, unique=True),
    )
)


def rectangles(svg, *kinds):
    for rect in svg.iter(f"{SVG}rect"):
        if rect.get("class") in kinds:
            x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
            yield x, y, x + width, y + height


def points_of(path):
    """Give points along a path of M, C and H, close to each other."""
    x = y = 0.0
    for command, numbers in re.findall(r"([MCH])([^MCH]*)", path):
        values = [float(n) for n in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            x, y = values
        elif command == "H":
            yield from ((x + (values[0] - x) * t / 8, y) for t in range(9))
            x = values[0]
        else:
            x1, y1, x2, y2, x3, y3 = values
            for step in range(17):
                t = step / 16
                yield (
                    x * (1 - t) ** 3 + 3 * x1 * t * (1 - t) ** 2 + 3 * x2 * t**2 * (1 - t) + x3 * t**3,
                    y * (1 - t) ** 3 + 3 * y1 * t * (1 - t) ** 2 + 3 * y2 * t**2 * (1 - t) + y3 * t**3,
                )
            x, y = x3, y3


@given(graphs)
@settings(max_examples=60, deadline=None)
def test_nothing_in_the_picture_covers_anything_else(graph):
    svg = ET.fromstring(graph_svg(graph))
    boxes = list(rectangles(svg, "node", "label"))
    assert len(list(rectangles(svg, "node"))) == len(graph.nodes)
    for (a, b, c, d), (e, f, g, h) in combinations(boxes, 2):
        assert c <= e + 0.2 or g <= a + 0.2 or d <= f + 0.2 or h <= b + 0.2
    width, height = float(svg.get("width")), float(svg.get("height"))
    assert all(min(x, y) > -0.1 and right + 39.9 <= width + 1 and low + 39.9 <= height + 1 for x, y, right, low in boxes)
    nodes = list(rectangles(svg, "node"))
    for path in svg.iter(f"{SVG}path"):
        if "line" in (path.get("class") or ""):
            for x, y in points_of(path.get("d")):
                assert not any(a + 0.2 < x < c - 0.2 and b + 0.2 < y < d - 0.2 for a, b, c, d in nodes)


def test_the_text_fits_into_its_box_and_is_escaped():
    name = 'A<b> & "c"'
    graph = Graph((Node(name, "x\x00y", "running", ("in → out",)), Node("B")), (Edge(name, "<p>", "B", "&"),), "a & b")
    svg = ET.fromstring(graph_svg(graph))
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert name in texts and "<p> → &" in texts and "x\N{REPLACEMENT CHARACTER}y" in texts and "↻ in → out" in texts
    assert svg.find(f"{SVG}title").text == "a & b"
    (box, _) = rectangles(svg, "node")
    assert box[2] - box[0] >= len(name) * 14 * 0.6


def test_a_line_that_waits_is_broken_and_one_that_leads_back_has_its_arrow_there():
    nodes = (Node("a"), Node("b"), Node("x"))
    edges = (Edge("x", "", "a", ""), Edge("a", "", "b", "", made=False), Edge("b", "", "a", ""))
    svg = ET.fromstring(graph_svg(Graph(nodes, edges)))
    lines = [path for path in svg.iter(f"{SVG}path") if "line" in (path.get("class") or "")]
    assert ["waits" in line.get("class") for line in lines] == [False, True, False]
    assert [line.get("marker-end") is None for line in lines] == [False, False, True]
    assert lines[2].get("marker-start")


def test_boxes_are_brought_near_to_their_neighbours_and_lines_do_not_cross_without_need():
    left, right = [Box(10, 10, 0) for _ in range(3)], [Box(10, 10, 1) for _ in range(3)]
    for a, b in zip(left, reversed(right), strict=True):
        join([a, b])
    width, height = place([*left, *right], gap_x=20, gap_y=5)
    assert (width, height) == (40, 40)
    assert [a.after[0].y for a in left] == [a.y for a in left]
