"""`noria lineage`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import print_json, say

if TYPE_CHECKING:
    from noria.core.web.graphs import GraphDrawing
    from noria.registry.provenance_entities import Provenance

lineage = typer.Typer(add_completion=False, help="What a thing came from, and what came of it")

MOST_DRAWN = 150
"""Things in a drawing, the nearest; more of them nobody could read."""


@lineage.command()
def lineage_command(
    ref: Annotated[
        str,
        typer.Argument(
            help="`model:digits@3`, `model:digits@champion`, `dataset:sales`, `run:ID`, `step:RUN/POSITION`,"
            " `object:DIGEST` or `endpoint:NAME`; the id of a run and a digest also alone."
        ),
    ],
    depth: Annotated[int, typer.Option("--depth", min=1, max=100, help="Walk at most this many edges.")] = 20,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into this file.", show_default=False)
    ] = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show what a thing came from, and what came of it."""
    from noria.registry.lineage_text import lineage_lines
    from noria.registry.provenance import Provenances

    with opened(workspace, project) as ws:
        found = ws.service(Provenances).of(ws.project, ref, depth=depth)
    if svg is not None:
        _write_svg(found, svg)
    if json:
        print_json(found)
    elif svg is None:
        sys.stdout.write("\n".join(lineage_lines(found)) + "\n")


def _write_svg(found: Provenance, path: Path) -> None:
    from noria.core.errors import Invalid
    from noria.core.web.graph_files import graph_svg

    drawing, left_out = _drawn(found)
    try:
        path.write_text(graph_svg(drawing, f"Lineage of {found.root}"), encoding="utf-8")
    except OSError as error:
        raise Invalid(
            f"`{path}` cannot be written: {error.strerror}", hint="Name a file in a folder that exists"
        ) from error
    say(
        f"Drew {len(drawing.boxes)} things into `{path}`"
        + (f"; {left_out} more are farther off" if left_out else "")
    )


def _drawn(found: Provenance) -> tuple[GraphDrawing, int]:
    from noria.core.web.graphs import Node, draw_graph
    from noria.core.web.references import kind_words

    graphs = (found.upstream, found.downstream)
    nodes = {node.ref: node for graph in graphs for node in graph.nodes}
    near = sorted(nodes.values(), key=lambda node: node.distance)[:MOST_DRAWN]
    boxes = [
        Node(
            id=node.ref,
            name=node.label if node.label != node.ref else node.ref.partition(":")[2],
            kind=kind_words(node.ref),
            is_current=node.ref == found.root,
        )
        for node in near
    ]
    edges = [(edge.source, edge.target) for graph in graphs for edge in graph.edges]
    return draw_graph(boxes, edges), len(nodes) - len(near)
