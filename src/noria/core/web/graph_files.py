"""A graph as an SVG file that needs nothing else: for reports, tickets and documents. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from noria.core.web.graphs import NODE_HEIGHT, NODE_WIDTH, GraphDrawing, Placed

_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1f2933}.kind{font-size:11px;fill:#52606d}
rect{fill:#fff;stroke:#9aa5b1}.is-current rect{stroke:#0b69a3;stroke-width:2}
path{fill:none;stroke:#7b8794}.head{fill:#7b8794;stroke:none}
@media (prefers-color-scheme:dark){text{fill:#f5f7fa}.kind{fill:#cbd2d9}rect{fill:#1f2933}}
"""


def graph_svg(drawing: GraphDrawing, title: str) -> str:
    """Write a drawing as a file."""
    size = f'viewBox="0 0 {drawing.width:g} {drawing.height:g}" width="{drawing.width:g}" height="{drawing.height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)}>',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        *(f'<path d="{path}"/>' for path in drawing.paths),
        *(line for box in drawing.boxes for line in _box(box)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _box(box: Placed) -> Iterator[str]:
    yield '<g class="is-current">' if box.node.is_current else "<g>"
    left = f'x="{box.x + 12:g}"'
    yield f'<rect x="{box.x:g}" y="{box.y:g}" width="{NODE_WIDTH:g}" height="{NODE_HEIGHT:g}" rx="6"/>'
    if box.x > NODE_WIDTH:
        yield f'<path class="head" d="M{box.x - 7:g} {box.y + 18:g} l7 5 l-7 5 z"/>'
    yield f'<text class="kind" {left} y="{box.y + 18:g}">{escape(box.node.kind)}</text>'
    yield f'<text {left} y="{box.y + 35:g}">{escape(box.short_name)}<title>{escape(box.node.name)}</title></text>'
    yield "</g>"
