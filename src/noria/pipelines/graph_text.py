"""A pipeline's graph as lines of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from noria.pipelines.drawing import told_of
from noria.pipelines.graph import GraphNode, PipelineGraph


def graph_text(graph: PipelineGraph) -> str:
    """Write a graph: the pipeline with its parameters, then a line for each step, in the order of their calls."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: PipelineGraph) -> Iterator[str]:
    names = {node.id: _label(node, graph) for node in graph.nodes}
    rows = [
        (node.group, names[node.id], _takes(node, graph, names), _gives(node), told_of(node))
        for node in graph.nodes
    ]
    indents = [2 * (group.count("/") + 1 if group else 0) for group, *_ in rows]
    widths = (
        max((len(row[1]) + indent for row, indent in zip(rows, indents, strict=True)), default=0),
        max((len(row[2]) for row in rows), default=0),
        max((len(row[3]) for row in rows), default=0),
    )
    yield f"{graph.pipeline}({graph.takes})" if graph.parameters else graph.pipeline
    around = ""
    for (group, name, takes, gives, told), indent in zip(rows, indents, strict=True):
        if group != around and group:
            yield f"{' ' * (indent - 2)}{group.rpartition('/')[2]}/"
        around = group
        named = f"{' ' * indent}{name}"
        yield f"{named:<{widths[0]}}  {takes:<{widths[1]}}  {gives:<{widths[2]}}  {told}".rstrip()
    for result in graph.results:
        yield f"returns {result.name} = {_source(names[result.source], result.output)}"
    if graph.stopped:
        yield f"stopped: {graph.stopped}"


def _label(node: GraphNode, graph: PipelineGraph) -> str:
    """Name a node, with a number where another of its name came before it."""
    before = sum(other.name == node.name and other.id < node.id for other in graph.nodes)
    return node.name if before == 0 else f"{node.name} {before + 1}"


def _takes(node: GraphNode, graph: PipelineGraph, names: dict[int, str]) -> str:
    found: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.target == node.id:
            found.setdefault(edge.argument, []).append(_source(names[edge.source], edge.output))
    return ", ".join(f"{argument} ← {_joined(sources)}" for argument, sources in sorted(found.items()))


def _joined(sources: list[str]) -> str:
    return sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"


def _gives(node: GraphNode) -> str:
    return "→ " + ", ".join(
        kind if name == "output" else f"{name}: {kind}" for name, kind in node.declared.items()
    )


def _source(name: str, output: str) -> str:
    return name if output == "output" else f"{name}.{output}"
