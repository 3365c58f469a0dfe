"""A graph of few nodes in layers, from left to right: lineage. Pure; `templates/_graph.html` writes the SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from noria.core.web.formats import clipped

NODE_WIDTH = 190.0
NODE_HEIGHT = 46.0

_ACROSS = 48.0
_BETWEEN = 16.0
_MARGIN = 12.0
_NAME = 24
_SWEEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A thing in the graph.

    Attributes
    ----------
    id
        By which edges name it.
    name
        A user's name.
    kind
        What it is: words of ours, to be translated.
    url
        Its page; None where there is none.
    is_current
        Whether the page is about it.
    """

    id: str
    name: str
    kind: str
    url: str | None = None
    is_current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A node with the upper left corner of its box, and its name cut to fit."""

    node: Node
    x: float
    y: float
    short_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDrawing:
    """A graph that is laid out: boxes, and a path for each edge.

    Attributes
    ----------
    links
        The edges in words: the name where each begins, and the name where it ends.
    """

    width: float
    height: float
    boxes: tuple[Placed, ...]
    paths: tuple[str, ...]
    links: tuple[tuple[Node, Node], ...]


def draw_graph(nodes: Sequence[Node], edges: Sequence[tuple[str, str]]) -> GraphDrawing:
    """Lay a graph out, each node to the right of all that lead to it.

    Parameters
    ----------
    edges
        From and to, by id; those that name no node, or would close a circle, are left out.
    """
    by_id = {node.id: node for node in nodes}
    kept = _without_circles(by_id, edges)
    layers = _ordered(_layers(by_id, kept), kept)
    tallest = max((len(layer) for layer in layers), default=0)
    height = 2 * _MARGIN + tallest * (NODE_HEIGHT + _BETWEEN) - _BETWEEN
    corners = _corners(layers, height)
    return GraphDrawing(
        width=2 * _MARGIN + len(layers) * (NODE_WIDTH + _ACROSS) - _ACROSS,
        height=height,
        boxes=tuple(
            Placed(node=by_id[name], x=x, y=y, short_name=clipped(by_id[name].name, _NAME))
            for name, (x, y) in corners.items()
        ),
        paths=tuple(_path(corners[start], corners[end]) for start, end in kept),
        links=tuple((by_id[start], by_id[end]) for start, end in kept),
    )


def _without_circles(known: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    after: dict[str, set[str]] = {name: set() for name in known}
    kept = []
    for start, end in dict.fromkeys(edges):
        if start in known and end in known and start != end and not _reaches(after, end, start):
            after[start].add(end)
            kept.append((start, end))
    return kept


def _reaches(after: Mapping[str, set[str]], start: str, end: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        at = waiting.pop()
        if at == end:
            return True
        fresh = after[at] - seen
        seen |= fresh
        waiting += fresh
    return False


def _layers(known: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Put each node into the layer of the longest way that leads to it."""
    depth = dict.fromkeys(known, 0)
    for _ in known:
        moved = [(end, depth[start] + 1) for start, end in edges if depth[end] <= depth[start]]
        if not moved:
            break
        for end, wanted in moved:
            depth[end] = max(depth[end], wanted)
    return [
        [name for name in known if depth[name] == layer]
        for layer in range(max(depth.values(), default=-1) + 1)
    ]


def _ordered(layers: list[list[str]], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Order each layer by the mean place of its neighbours in the layer before and after, so that few edges cross."""
    for sweep in range(_SWEEPS):
        place = {name: index / max(len(layer), 1) for layer in layers for index, name in enumerate(layer)}
        forwards = sweep % 2 == 0
        near: dict[str, list[float]] = {}
        for start, end in edges:
            one, other = (start, end) if forwards else (end, start)
            near.setdefault(other, []).append(place[one])
        mean = {name: sum(found) / len(found) for name, found in near.items()}
        layers = [sorted(layer, key=lambda name: mean.get(name, place[name])) for layer in layers]
    return layers


def _corners(layers: Sequence[Sequence[str]], height: float) -> dict[str, tuple[float, float]]:
    found = {}
    for across, layer in enumerate(layers):
        taken = len(layer) * (NODE_HEIGHT + _BETWEEN) - _BETWEEN
        for down, name in enumerate(layer):
            y = (height - taken) / 2 + down * (NODE_HEIGHT + _BETWEEN)
            found[name] = (_MARGIN + across * (NODE_WIDTH + _ACROSS), round(y, 1))
    return found


def _path(start: tuple[float, float], end: tuple[float, float]) -> str:
    x, y = start[0] + NODE_WIDTH, start[1] + NODE_HEIGHT / 2
    to_x, to_y = end[0] - 7, end[1] + NODE_HEIGHT / 2
    middle = (x + to_x) / 2
    return f"M{x:g} {y:g} C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}"
