"""Lineage as a tree of text, and as a drawing in a file."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

from noria.core.web.graph_files import graph_svg
from noria.core.web.graphs import Node, draw_graph
from noria.registry.lineage_text import lineage_lines
from noria.registry.provenance_entities import Provenance, RunFacts
from noria.tracking.entities import RunSource, RunStatus
from noria.tracking.lineage_entities import LineageEdge, LineageGraph, LineageNode

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def graph(root: str, *edges: tuple[str, str, str], truncated: bool = False) -> LineageGraph:
    """Make a graph of its edges."""
    refs = dict.fromkeys([root, *(ref for edge in edges for ref in (edge[0], edge[2]))])
    return LineageGraph(
        root=root,
        nodes=[LineageNode(ref=ref, label=ref, distance=1) for ref in refs],
        edges=[LineageEdge(source=cause, kind=kind, target=effect) for cause, kind, effect in edges],
        truncated=truncated,
    )


def test_a_tree_tells_how_each_run_was_made_and_ends_where_a_circle_closes() -> None:
    """Data, params, code and environment stand below a run; a thing is told once, and what was left out is said."""
    run = RunFacts(
        id="r",
        name="train",
        status=RunStatus.FINISHED,
        started_at=AT,
        author="ana",
        pipeline="flow:train",
        params={f"p{i}": str(i) for i in range(22)},
        snapshot="blake3:cc",
        environment="blake3:ee",
        source=RunSource(git_commit="abc", git_dirty=True, python="3.12.1"),
    )
    up = graph(
        "model:m@1",
        ("run:r", "made", "model:m@1"),
        ("dataset:d@1", "read", "run:r"),
        ("dataset:e@1", "read", "run:r"),
        ("model:m@1", "read", "run:r"),
    )
    down = graph("model:m@1", ("model:m@1", "served", "endpoint:live"), truncated=True)
    lines = list(
        lineage_lines(Provenance(root="model:m@1", upstream=up, downstream=down, runs={"run:r": run}))
    )

    assert lines[:4] == ["model:m@1", "", "from", "└─ made by run:r"]
    assert "   │  pipeline: flow:train" in lines
    assert "   │  code: snapshot blake3:cc, commit abc with changes" in lines
    assert "   │  environment: Python 3.12.1, blake3:ee" in lines
    assert next(line for line in lines if "params" in line).endswith("p19=19 … and 2 more")
    assert lines[-7:] == [
        "   ├─ read dataset:d@1",
        "   ├─ read dataset:e@1",
        "   └─ read model:m@1 (above)",
        "",
        "used by",
        "└─ served by endpoint:live",
        "  … and more: the walk ended after 2 things",
    ]


def test_a_drawing_is_a_file_of_its_own_in_which_names_are_only_text() -> None:
    """The SVG is well-formed whatever things are called, and holds each box and edge."""
    nodes = [
        Node(id="a", name='<script>"&', kind="data set"),
        Node(id="b", name="b", kind="run", is_current=True),
    ]
    root = ElementTree.fromstring(graph_svg(draw_graph(nodes, [("a", "b")]), 'Of <"a">'))  # noqa: S314 - our own

    space = "{http://www.w3.org/2000/svg}"
    assert root.attrib["aria-label"] == 'Of <"a">'
    assert len(root.findall(f".//{space}rect")) == 2
    assert '<script>"&' in {text.text for text in root.iter(f"{space}title")}
    assert not root.findall(f".//{space}script")
