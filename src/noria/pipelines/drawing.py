"""Where the boxes and lines of a pipeline's graph lie: layers from left to right, nested pipelines in frames. Pure.

Each nested pipeline is laid out by itself and then is one box of the pipeline around it. Within one level a box lies
to the right of all that lead to it; lines over more than one layer keep a place free in those between.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from noria.pipelines.graph import GraphNode, PipelineGraph

CHAR = 7.25
"""Width of a character of the monospaced 12 px letters that boxes are written in."""

ROW, PAD = 17.0, 10.0
_NAME, _TOLD = 25.0, 17.0
_ACROSS, _BETWEEN = 60.0, 18.0
_FRAME, _FRAME_HEAD = 14.0, 26.0
_FREE = 10.0
_MOST_CHARS = 34
_NARROWEST = 96.0
_SWEEPS = 6
_BORDER = "border"


@dataclass(slots=True, eq=False)
class Box:
    """A step, a result, a nested pipeline (with `boxes` in it), or a place kept free for a line.

    Attributes
    ----------
    first
        Position of its first call: what came first stands before what came later.
    told
        How often a step ran, and how that ended.
    head
        Height of what stands above the rows of arguments and outputs.
    x, y
        Upper left corner, first within the box around it, at the end in the drawing.
    """

    title: str
    first: float
    node: GraphNode | None = None
    takes: list[str] = field(default_factory=list)
    gives: list[tuple[str, str]] = field(default_factory=list)
    boxes: dict[str, Box] = field(default_factory=dict)
    told: str = ""
    head: float = 0.0
    is_free: bool = False
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    def port(self, name: str, *, taken: bool) -> tuple[float, float]:
        """Give the point where a line ends (`taken`) or begins."""
        rows = self.takes if taken else [output for output, _ in self.gives]
        row = rows.index(name) if name in rows else 0
        return self.x + (0.0 if taken else self.width), self.y + self.head + (row + 0.5) * ROW


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; what it says is told where a pointer rests on it."""

    points: tuple[tuple[float, float], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph that is laid out."""

    width: float
    height: float
    frames: list[Box]
    boxes: list[Box]
    lines: list[Line]


@dataclass(slots=True)
class _End:
    path: tuple[str, ...]
    box: Box


@dataclass(frozen=True, slots=True)
class Wording:
    """How a drawing says things in a reader's language.

    Attributes
    ----------
    words
        Translates words of ours.
    seconds
        Writes how long something took.
    returned
        Says of an output under which name it is returned.
    """

    words: Callable[[str], str] = str
    seconds: Callable[[float], str] = "{:.3g} s".format
    returned: Callable[[str], str] = "returned as {}".format


ENGLISH = Wording()


def draw(graph: PipelineGraph, wording: Wording = ENGLISH) -> Drawing:
    """Lay a graph out."""
    root = Box("", 0)
    takes = _taken(graph)
    ends = {
        node.id: _place(
            root, _box_of(node, takes.get(node.id, []), told_of(node, wording)), node.group, f"{node.id}"
        )
        for node in graph.nodes
    }
    spans = []
    for edge in graph.edges:
        text = f"{ends[edge.source].box.title}.{edge.output} → {ends[edge.target].box.title}({edge.argument})"
        spans.append((ends[edge.source], edge.output, ends[edge.target], edge.argument, text))
    for result in graph.results:
        box = Box(result.name, float("inf"), takes=[""])
        box.width, box.height = max(_NARROWEST, len(result.name) * CHAR + 2 * PAD), 2 * PAD
        end = _place(root, box, "", f"result:{result.name}")
        spans.append((ends[result.source], result.output, end, "", wording.returned(result.name)))
    inner: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for source, _, target, _, _ in spans:
        for level, pair in _legs(source.path, target.path):
            inner.setdefault(level, []).append(pair)
    free: dict[tuple[tuple[str, ...], str, str], list[Box]] = {}
    _lay_out(root, (), inner, free)
    _settle(root, 0.0, 0.0)
    lines = [
        Line(_points(source, output, target, argument, free), text)
        for source, output, target, argument, text in spans
    ]
    boxes = list(_all(root))
    return Drawing(
        root.width,
        root.height,
        [box for box in boxes if box.boxes and box is not root],
        [box for box in boxes if not box.boxes and not box.is_free and box is not root],
        lines,
    )


def clipped(text: str) -> str:
    """Cut a text to what a box has room for."""
    return text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 1]}…"


def told_of(node: GraphNode, wording: Wording = ENGLISH) -> str:
    """Say in a few words how often a step ran, how that ended and how long it took."""
    calls = f"× {node.n_calls or '?'}" if node.mapped or node.n_calls > 1 else ""
    if not node.statuses:
        return calls
    if len(node.statuses) == 1:
        ended = wording.words(next(iter(node.statuses)))
    else:
        ended = ", ".join(
            f"{count} {wording.words(status)}" for status, count in sorted(node.statuses.items())
        )
    return "  ".join(part for part in (calls, ended, wording.seconds(node.duration_s)) if part)


def _box_of(node: GraphNode, takes: list[str], told: str) -> Box:
    single = list(node.declared) == ["output"]
    gives = [(name, clipped(kind if single else f"{name}: {kind}")) for name, kind in node.declared.items()]
    box = Box(node.name, node.id, node, takes, gives, told=told)
    rows = max(len(takes), len(gives), 1)
    wide = max(len(clipped(node.name)), len(told), _widest(takes) + _widest([k for _, k in gives]) + 3)
    box.head = _NAME + (_TOLD if told else 0.0)
    box.width, box.height = max(_NARROWEST, wide * CHAR + 2 * PAD), box.head + rows * ROW + 6
    return box


def _taken(graph: PipelineGraph) -> dict[int, list[str]]:
    """Give the arguments of each node, those of the nearest source first, so that few lines cross."""
    row = {(node.id, name): row for node in graph.nodes for row, name in enumerate(node.declared)}
    found: dict[int, list[str]] = {}
    for edge in sorted(graph.edges, key=lambda edge: (-edge.source, row.get((edge.source, edge.output), 0))):
        taken = found.setdefault(edge.target, [])
        if edge.argument not in taken:
            taken.append(edge.argument)
    return found


def _widest(texts: Sequence[str]) -> int:
    return max(map(len, texts), default=0)


def _place(root: Box, box: Box, group: str, key: str) -> _End:
    """Put a box into the frames of the nested pipelines around it."""
    around, path = root, []
    for label in group.split("/") if group else []:
        path.append(f"group:{label}")
        around = around.boxes.setdefault(path[-1], Box(label, box.first))
    around.boxes[key] = box
    return _End((*path, key), box)


def _legs(source: tuple[str, ...], target: tuple[str, ...]) -> list[tuple[tuple[str, ...], tuple[str, str]]]:
    """Cut a line into its way out of frames, over the innermost frame around both ends, and into frames."""
    depth = 0
    while depth < min(len(source), len(target)) - 1 and source[depth] == target[depth]:
        depth += 1
    out = [(source[:level], (source[level], _BORDER)) for level in range(len(source) - 1, depth, -1)]
    into = [(target[:level], (_BORDER, target[level])) for level in range(depth + 1, len(target))]
    return [*out, (source[:depth], (source[depth], target[depth])), *into]


def _lay_out(
    box: Box,
    path: tuple[str, ...],
    inner: dict[tuple[str, ...], list[tuple[str, str]]],
    free: dict[tuple[tuple[str, ...], str, str], list[Box]],
) -> None:
    """Lay out what is in a frame, and give the frame its size."""
    for key, part in box.boxes.items():
        if part.boxes:
            _lay_out(part, (*path, key), inner, free)
    pairs = list(dict.fromkeys(pair for pair in inner.get(path, []) if pair[0] != pair[1]))
    layers = _layers(box, pairs)
    links = _with_free_places(box, path, layers, pairs, free)
    _order(layers, links)
    margin = _FRAME
    x, tallest = margin, max((_tall(layer) for layer in layers), default=0.0)
    for layer in layers:
        width = max((part.width for part in layer), default=0.0)
        y = _FRAME_HEAD + (tallest - _tall(layer)) / 2
        for part in layer:
            part.x, part.y = x, y
            part.width = width if part.is_free else part.width
            y += part.height + _BETWEEN
        x += width + _ACROSS
    box.width, box.height = max(x - _ACROSS, _NARROWEST) + margin, tallest + _FRAME_HEAD + _FRAME


def _tall(layer: Sequence[Box]) -> float:
    return sum(part.height for part in layer) + _BETWEEN * max(0, len(layer) - 1)


def _layers(box: Box, pairs: Sequence[tuple[str, str]]) -> list[list[Box]]:
    """Put each box into the layer after the last of those that lead to it and came before it."""
    depth = dict.fromkeys(box.boxes, 0)
    for key, part in sorted(box.boxes.items(), key=lambda item: item[1].first):
        before = [
            depth[start] + 1
            for start, end in pairs
            if end == key and start != _BORDER and box.boxes[start].first < part.first
        ]
        depth[key] = max(before, default=0)
    layers: list[list[Box]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for key, part in sorted(box.boxes.items(), key=lambda item: item[1].first):
        layers[depth[key]].append(part)
    return layers


def _with_free_places(
    box: Box,
    path: tuple[str, ...],
    layers: list[list[Box]],
    pairs: Sequence[tuple[str, str]],
    free: dict[tuple[tuple[str, ...], str, str], list[Box]],
) -> list[tuple[Box, Box]]:
    """Keep a place for each line in the layers that it crosses; give the links from layer to layer."""
    at = {id(part): index for index, layer in enumerate(layers) for part in layer}
    links: list[tuple[Box, Box]] = []
    for start, end in pairs:
        source, target = box.boxes.get(start), box.boxes.get(end)
        begin = at[id(source)] + 1 if source is not None else 0
        stop = at[id(target)] if target is not None else len(layers)
        first = next(part.first for part in (source, target) if part is not None)
        places = [Box("", first, is_free=True, height=_FREE) for _ in range(begin, stop)]
        for index, place in enumerate(places, begin):
            layers[index].append(place)
            box.boxes[f"free:{start}:{end}:{index}"] = place
        free[path, start, end] = places
        chain = [part for part in (source, *places, target) if part is not None]
        links += itertools.pairwise(chain)
    return links


def _order(layers: list[list[Box]], links: Sequence[tuple[Box, Box]]) -> None:
    """Order each layer by the mean place of its neighbours in the layer before, then after, so that few lines cross."""
    for sweep in range(_SWEEPS):
        place = {id(part): index / len(layer) for layer in layers for index, part in enumerate(layer)}
        near: dict[int, list[float]] = {}
        for start, end in links:
            one, other = (start, end) if sweep % 2 == 0 else (end, start)
            near.setdefault(id(other), []).append(place[id(one)])
        for layer in layers:
            layer.sort(key=lambda part: _mean(near.get(id(part), [place[id(part)]])))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _settle(box: Box, x: float, y: float) -> None:
    """Turn places within frames into places in the drawing."""
    box.x += x
    box.y += y
    for part in box.boxes.values():
        _settle(part, box.x, box.y)


def _points(
    source: _End,
    output: str,
    target: _End,
    argument: str,
    free: dict[tuple[tuple[str, ...], str, str], list[Box]],
) -> tuple[tuple[float, float], ...]:
    between = [
        point
        for level, (start, end) in _legs(source.path, target.path)
        for place in free.get((level, start, end), [])
        for point in (
            (place.x, place.y + place.height / 2),
            (place.x + place.width, place.y + place.height / 2),
        )
    ]
    return (source.box.port(output, taken=False), *between, target.box.port(argument, taken=True))


def _all(box: Box) -> list[Box]:
    return [box, *(inner for part in box.boxes.values() for inner in _all(part))]
