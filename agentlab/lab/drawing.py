"""A graph as an SVG picture: layers from left to right, in the direction in which messages flow. Pure: gives the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from agentlab.lab.graph import Edge, Graph, Node, ranks_of
from agentlab.lab.layout import Box, join, place

FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
NAME_SIZE, TEXT_SIZE = 14.0, 11.0
CHARACTER = 0.62
"""Width of a character of such a font, per size, rounded up."""
LINE = 1.35
PAD, MARGIN, GAP_X, GAP_Y = 10.0, 20.0, 34.0, 16.0
STATES = {"running": "#2e7d32", "": "#546e7a"}
OTHER_STATE = "#c62828"

_STYLE = f"""
text {{ font-family: {FONT}; font-size: {TEXT_SIZE:g}px; fill: #37474f; }}
.name {{ font-size: {NAME_SIZE:g}px; font-weight: bold; fill: #102027; }}
.node {{ fill: #eceff1; stroke-width: 1.5; }}
.line {{ fill: none; stroke: #607d8b; stroke-width: 1.5; }}
.waits {{ stroke-dasharray: 5 4; }}
.label {{ fill: #ffffff; }}
.kind {{ fill: #00695c; }}
"""

_ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="#607d8b"/></marker></defs>'
)


@dataclass
class _Line:
    """An edge with the boxes that it leads through, from left to right; backward, when it leads from right to left."""

    edge: Edge
    boxes: list[Box]
    label: Box
    backward: bool


def graph_svg(graph: Graph) -> str:
    """Give the graph as an SVG picture. Nothing in it covers anything else; it needs no font, script or file besides itself."""
    ranks = ranks_of(graph)
    wired = {name for edge in graph.edges for name in (edge.source, edge.target)}
    boxes = {node.name: Box(*_node_size(node), 2 * ranks[node.name]) for node in graph.nodes if node.name in wired}
    lines = [_line(edge, boxes, ranks) for edge in graph.edges]
    everything = [*boxes.values(), *(box for line in lines for box in line.boxes[1:-1])]
    width, height = place(everything, gap_x=GAP_X, gap_y=GAP_Y)
    alone = [node for node in graph.nodes if node.name not in wired]
    more_width, height = _place_alone(alone, boxes, width, height)
    parts = [part for line in lines for part in _line_svg(line)]
    parts += [part for node in graph.nodes for part in _node_svg(node, boxes[node.name])]
    parts += [part for line in lines for part in _label_svg(line)]
    return _page(graph, parts, max(width, more_width), height)


def _page(graph: Graph, parts: list[str], width: float, height: float) -> str:
    whole_width, whole_height = width + 2 * MARGIN, height + 2 * MARGIN
    said = "; ".join(f"{edge.source} to {edge.target}: {edge.ports} {edge.sort}".strip() for edge in graph.edges)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole_width:.0f}" height="{whole_height:.0f}" '
        f'viewBox="0 0 {whole_width:.1f} {whole_height:.1f}" role="img">'
    )
    about = [f"<title>{_text(graph.title)}</title>", f"<desc>{_text(said or 'nothing is wired')}</desc>"]
    ground = f'<rect width="{whole_width:.1f}" height="{whole_height:.1f}" fill="#ffffff"/>'
    group = f'<g transform="translate({MARGIN:g} {MARGIN:g})">'
    return "\n".join([head, *about, f"<style>{_STYLE}</style>", _ARROW, ground, group, *parts, "</g>", "</svg>", ""])


def _text(text: str) -> str:
    """Give a text as XML has it; characters that XML has not are replaced."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _width(text: str, size: float) -> float:
    return len(text) * size * CHARACTER


# --- nodes --------------------------------------------------------------------------------------------------------


def _node_lines(node: Node) -> list[str]:
    state = node.state if node.state not in ("", "running") else ""
    note = node.note if node.note != node.name else ""
    return [text for text in (note, state, *(f"↻ {loop}" for loop in node.loops)) if text]


def _node_size(node: Node) -> tuple[float, float]:
    lines = _node_lines(node)
    width = max([_width(node.name, NAME_SIZE), *(_width(line, TEXT_SIZE) for line in lines)])
    return width + 2 * PAD, NAME_SIZE * LINE + len(lines) * TEXT_SIZE * LINE + 2 * PAD - 4


def _node_svg(node: Node, box: Box) -> Iterator[str]:
    top, middle = box.y - box.height / 2, box.x + box.width / 2
    colour = STATES.get(node.state, OTHER_STATE)
    yield (
        f'<rect class="node" x="{box.x:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6" '
        f'stroke="{colour}"/>'
    )
    y = top + PAD + NAME_SIZE * 0.8
    yield f'<text class="name" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{_text(node.name)}</text>'
    for line in _node_lines(node):
        y += TEXT_SIZE * LINE
        yield f'<text x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{_text(line)}</text>'


def _place_alone(alone: list[Node], boxes: dict[str, Box], width: float, height: float) -> tuple[float, float]:
    """Put those that are not wired below the rest, in rows; give the width that they take, and the height of it all."""
    x, top, row, widest = 0.0, height + (2 * GAP_Y if height else 0.0), 0.0, 0.0
    for node in alone:
        box = boxes[node.name] = Box(*_node_size(node), 0)
        if x and x + box.width > max(width, 600.0):
            x, top, row = 0.0, top + row + GAP_Y, 0.0
        box.x, box.y = x, top + box.height / 2
        row = max(row, box.height)
        widest = max(widest, x + box.width)
        x += box.width + GAP_Y
    return widest, top + row if alone else height


# --- edges --------------------------------------------------------------------------------------------------------


def _line(edge: Edge, boxes: dict[str, Box], ranks: dict[str, int]) -> _Line:
    backward = ranks[edge.source] > ranks[edge.target]
    left, right = (edge.target, edge.source) if backward else (edge.source, edge.target)
    first, last = boxes[left], boxes[right]
    lines = _label_lines(edge)
    size = max((_width(line, TEXT_SIZE) for line in lines), default=0.0) + 8, len(lines) * TEXT_SIZE * LINE + 4
    where = last.layer - 1 if backward else first.layer + 1  # beside where it comes from
    stations = [Box(*(size if layer == where else (0.0, 0.0)), layer) for layer in range(first.layer + 1, last.layer)]
    label = stations[where - first.layer - 1]
    line = _Line(edge, [first, *stations, last], label, backward)
    join(line.boxes)
    return line


def _label_lines(edge: Edge) -> list[str]:
    return [text for text in (edge.ports, edge.sort) if text]


def _line_svg(line: _Line) -> Iterator[str]:
    """Give the path: a curve in each gap between layers, a straight line through each layer."""
    first, last = line.boxes[0], line.boxes[-1]
    x, y = first.x + first.width, first.y + _offset(first.height, first.after, line.boxes[1])
    path = f"M{x:.1f},{y:.1f} H{first.span[1]:.1f}"
    x = first.span[1]
    for box in line.boxes[1:]:
        height = box.y if box is not last else last.y + _offset(last.height, last.before, line.boxes[-2])
        bend = (box.span[0] - x) / 2
        path += f" C{x + bend:.1f},{y:.1f} {x + bend:.1f},{height:.1f} {box.span[0]:.1f},{height:.1f}"
        x, y = box.span[1], height
        path += f" H{last.x if box is last else x:.1f}"
    marker = "marker-start" if line.backward else "marker-end"
    waits = "" if line.edge.made else " waits"
    yield f'<path class="line{waits}" d="{path}" {marker}="url(#arrow)"/>'


def _offset(height: float, neighbours: list[Box], one: Box) -> float:
    """Give how far from a box's middle a line begins or ends: beside each other, in the order in which they leave it."""
    order = sorted(neighbours, key=lambda box: box.y)
    place = next(index for index, box in enumerate(order) if box is one)
    return ((place + 1) / (len(order) + 1) - 0.5) * (height - 8)


def _label_svg(line: _Line) -> Iterator[str]:
    box, lines = line.label, _label_lines(line.edge)
    if not lines:
        return
    yield (
        f'<rect class="label" x="{box.x:.1f}" y="{box.y - box.height / 2:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}"/>'
    )
    y = box.y - box.height / 2 + TEXT_SIZE
    for text in lines:
        kind = ' class="kind"' if text == line.edge.sort else ""
        yield f'<text{kind} x="{box.x + box.width / 2:.1f}" y="{y:.1f}" text-anchor="middle">{_text(text)}</text>'
        y += TEXT_SIZE * LINE
