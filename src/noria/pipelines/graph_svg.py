"""A pipeline's graph as an SVG file that stands alone: in light and dark, without scripts. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from noria.pipelines.drawing import CHAR, PAD, ROW, Box, Drawing, Line, clipped, draw
from noria.pipelines.graph import PipelineGraph

_STYLE = """
svg{--paper:#fff;--box:#f6f8fa;--ink:#1f2328;--dim:#59636e;--edge:#8c959f;--frame:#afb8c1;--finished:#1a7f37;
--reused:#0969da;--failed:#cf222e;--result:#8250df;font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
@media(prefers-color-scheme:dark){svg{--paper:#0d1117;--box:#161b22;--ink:#e6edf3;--dim:#9198a1;--edge:#6e7681;
--frame:#484f58;--finished:#3fb950;--reused:#4493f8;--failed:#f85149;--result:#ab7df8}}
.paper{fill:var(--paper)}text{fill:var(--ink)}.dim{fill:var(--dim)}.name{font-weight:600}.end{text-anchor:end}
.box{fill:var(--box);stroke:var(--edge)}.frame{fill:none;stroke:var(--frame);stroke-dasharray:5 4}
.line{fill:none;stroke:var(--edge);stroke-width:1.4}.tip{fill:var(--edge)}.dot{fill:var(--edge)}
.finished{fill:var(--finished)}.reused{fill:var(--reused)}.failed{fill:var(--failed)}.result{fill:var(--result)}
"""
_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
)
_TITLE, _LINE = 30.0, 18.0
_NARROWEST = 520.0
_MARGIN = 8.0
_WORST_FIRST = ("failed", "finished", "reused")


def graph_svg(graph: PipelineGraph) -> str:
    """Write a graph as a file."""
    drawing = draw(graph)
    title = graph.pipeline if graph.run_id is None else f"{graph.pipeline}   run {graph.run_id}"
    width = (
        max(drawing.width, CHAR * max(len(title), len(graph.stopped or "")) + 28, _NARROWEST) + 2 * _MARGIN
    )
    head = textwrap.wrap(graph.takes, int((width - 44) / CHAR))
    foot = [graph.stopped] if graph.stopped else []
    top = _TITLE + _LINE * len(head)
    height = top + drawing.height + _LINE * len(foot) + _MARGIN
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)}>',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        _TIP,
        f'<rect class="paper" width="{width:g}" height="{height:g}"/>',
        f'<text class="name" x="{14 + _MARGIN:g}" y="22">{escape(title)}</text>',
        *(
            f'<text class="dim" x="{14 + _MARGIN:g}" y="{22 + _LINE * row:g}">{escape(text)}</text>'
            for row, text in enumerate(head, 1)
        ),
        f'<g transform="translate({_MARGIN:g} {top:g})">',
        shapes(drawing),
        "</g>",
        *(f'<text class="dim" x="22" y="{height - 10:g}">{escape(text)}</text>' for text in foot),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def shapes(drawing: Drawing) -> str:
    """Write what is in a drawing: elements of SVG with classes, without colours, and every text escaped."""
    return "\n".join(_drawn(drawing))


def _drawn(drawing: Drawing) -> Iterator[str]:
    for frame in drawing.frames:
        yield f'<rect class="frame" {_corner(frame)} rx="8"/>'
        yield f'<text class="dim" x="{frame.x + 12:g}" y="{frame.y + 17:g}">{escape(clipped(frame.title))}</text>'
    yield from map(_line, drawing.lines)
    for box in drawing.boxes:
        yield from _step(box) if box.node is not None else _result(box)


def _line(line: Line) -> str:
    (x, y), *others = line.points
    path = f"M{x:g} {y:g}"
    for index, (to_x, to_y) in enumerate(others):
        # From one side of a free place to the other the line is straight.
        if index % 2 == 1:
            path += f" L{to_x:g} {to_y:g}"
        else:
            bend = max(24.0, abs(to_x - x) / 2)
            path += f" C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
        x, y = to_x, to_y
    return f'<path class="line" marker-end="url(#tip)" d="{path}"><title>{escape(line.text)}</title></path>'


def _step(box: Box) -> Iterator[str]:
    node = box.node
    if node is None:
        return
    yield f"<g><title>{escape(node.step)}</title>"
    if node.mapped or node.n_calls > 1:
        for shift in (6, 3):
            yield (
                f'<rect class="box" x="{box.x + shift:g}" y="{box.y + shift:g}" width="{box.width:g}" '
                f'height="{box.height:g}" rx="6"/>'
            )
    yield f'<rect class="box" {_corner(box)} rx="6"/>'
    worst = next((status for status in _WORST_FIRST if status in node.statuses), None)
    if worst is not None:
        yield f'<rect class="{worst}" x="{box.x:g}" y="{box.y + 6:g}" width="3" height="{box.height - 12:g}"/>'
    left, right = box.x + PAD, box.x + box.width - PAD
    yield f'<text class="name" x="{left:g}" y="{box.y + 17:g}">{escape(clipped(node.name))}</text>'
    if box.told:
        yield f'<text class="dim" x="{left:g}" y="{box.y + 33:g}">{escape(box.told)}</text>'
    for row, name in enumerate(box.takes):
        y = box.y + box.head + (row + 0.5) * ROW + 4
        yield f'<text class="dim" x="{left:g}" y="{y:g}">{escape(name)}</text>'
    for row, (_, kind) in enumerate(box.gives):
        y = box.y + box.head + (row + 0.5) * ROW + 4
        yield f'<text class="end" x="{right:g}" y="{y:g}">{escape(kind)}</text>'
    yield "</g>"


def _result(box: Box) -> Iterator[str]:
    y = box.y + ROW / 2
    yield f'<rect class="result" x="{box.x:g}" y="{y - 11:g}" width="3" height="22"/>'
    yield f'<text class="name" x="{box.x + PAD:g}" y="{y + 4:g}">{escape(clipped(box.title))}</text>'


def _corner(box: Box) -> str:
    return f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
