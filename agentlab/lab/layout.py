"""Where the boxes of a graph stand, in layers from left to right, so that nothing lies upon anything else. Pure.

After Sugiyama, Tagawa and Toda (1981): layers by longest path, long edges cut by invisible stations, few crossings by
looking at neighbours' middles, then each box as near to its neighbours as the boxes above and below allow. An edge's
label is a box as well, in a layer of its own between those of its ends: so neither box nor line can cover a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 12


@dataclass
class Box:
    """A rectangle to be placed; of no size, it is a station of a long edge.

    Attributes:
        width: Of its content.
        height: The same.
        layer: Counted from the left.
        x: Its left edge, once it is placed.
        y: Its middle, once it is placed.
        span: Where its layer begins and ends; a line that keeps its height in there meets no other box.
    """

    width: float
    height: float
    layer: int
    x: float = 0.0
    y: float = 0.0
    span: tuple[float, float] = (0.0, 0.0)
    before: list[Box] = field(default_factory=list, repr=False)
    after: list[Box] = field(default_factory=list, repr=False)


def join(boxes: Sequence[Box]) -> None:
    """Note that an edge leads from each box to the next; they stand in layers that follow each other."""
    for left, right in pairwise(boxes):
        left.after.append(right)
        right.before.append(left)


def place(boxes: Sequence[Box], *, gap_x: float, gap_y: float) -> tuple[float, float]:
    """Give every box its place; the first of each layer as given is first tried on top.

    Args:
        boxes: All of them, with their layers.
        gap_x: Between two layers.
        gap_y: Between two boxes of a layer.

    Returns:
        Width and height of it all.
    """
    layers: list[list[Box]] = [[] for _ in range(max((box.layer for box in boxes), default=-1) + 1)]
    for box in boxes:
        layers[box.layer].append(box)
    _uncross(layers)
    x = 0.0
    for layer in layers:
        width = max((box.width for box in layer), default=0.0)
        for box in layer:
            box.x, box.span = x + (width - box.width) / 2, (x, x + width)
        x += width + gap_x
    _align(layers, gap_y)
    top = min((box.y - box.height / 2 for box in boxes), default=0.0)
    for box in boxes:
        box.y -= top
    return max(0.0, x - gap_x), max((box.y + box.height / 2 for box in boxes), default=0.0)


def _uncross(layers: list[list[Box]]) -> None:
    """Order each layer by the middles of its neighbours, to and fro, and keep the order with the fewest crossings."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        to_right = sweep % 2 == 0
        for layer in layers if to_right else reversed(layers):
            places = _places(layers)
            layer.sort(key=lambda box: _middle(box.before if to_right else box.after, places, places[id(box)]))
        found = _crossings(layers)
        if found < fewest:
            best, fewest = [list(layer) for layer in layers], found
    for layer, order in zip(layers, best, strict=True):
        layer[:] = order


def _places(layers: Sequence[Sequence[Box]]) -> dict[int, float]:
    return {id(box): float(index) for layer in layers for index, box in enumerate(layer)}


def _middle(neighbours: Sequence[Box], places: Mapping[int, float], own: float) -> float:
    return sum(places[id(box)] for box in neighbours) / len(neighbours) if neighbours else own


def _crossings(layers: Sequence[Sequence[Box]]) -> int:
    places, found = _places(layers), 0
    for layer in layers:
        lines = sorted((places[id(box)], places[id(other)]) for box in layer for other in box.after)
        ends: list[float] = []
        for _, end in lines:
            found += sum(1 for earlier in ends if earlier > end)
            ends.append(end)
    return found


def _align(layers: Sequence[Sequence[Box]], gap: float) -> None:
    """Bring each box to the height of its neighbours, without changing orders or overlapping."""
    for layer in layers:
        _stack(layer, [0.0] * len(layer), gap)
    for sweep in range(SWEEPS):
        to_right = sweep % 2 == 0
        for layer in layers if to_right else reversed(layers):
            wanted = []
            for box in layer:
                near = (box.before if to_right else box.after) or box.after or box.before
                wanted.append(sum(other.y for other in near) / len(near) if near else box.y)
            _stack(layer, wanted, gap)


def _stack(layer: Sequence[Box], wanted: Sequence[float], gap: float) -> None:
    """Put the boxes of a layer as near to their wanted middles as their order and the gap allow (least squares).

    Pool adjacent violators: with the room that the boxes above need taken off, heights must not decrease.
    """
    room, offsets = 0.0, []
    for index, box in enumerate(layer):
        if index:
            above = layer[index - 1]
            room += (above.height + box.height) / 2 + gap
        offsets.append(room)
    pools: list[tuple[float, int]] = []  # mean and count
    for want, offset in zip(wanted, offsets, strict=True):
        mean, count = want - offset, 1
        while pools and pools[-1][0] > mean:
            before, number = pools.pop()
            mean, count = (before * number + mean * count) / (number + count), number + count
        pools.append((mean, count))
    heights = [mean for mean, count in pools for _ in range(count)]
    for box, height, offset in zip(layer, heights, offsets, strict=True):
        box.y = height + offset
