"""Lay lineage out as a tree of text. A thing that was shown stands once more by its name alone, so circles end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from noria.core.console.output import cell
from noria.registry.provenance_entities import Provenance, RunFacts
from noria.tracking.lineage_entities import LineageGraph, LineageNode

_PASSIVE = {
    ("made", True): "made by",
    ("read", True): "read",
    ("started", True): "started by",
    ("served", True): "serves",
    ("made", False): "made",
    ("read", False): "read by",
    ("started", False): "started",
    ("served", False): "served by",
}
"""Kind of an edge, and whether it is walked upstream → words between the thing above and the thing below."""

_SHOWN_PARAMS = 20


def lineage_lines(found: Provenance) -> Iterator[str]:
    """Give the lines of both trees."""
    yield found.root
    yield from _facts(found.runs.get(found.root), "  ")
    for title, graph, is_upstream in (
        ("from", found.upstream, True),
        ("used by", found.downstream, False),
    ):
        yield ""
        yield title
        tree = _Tree(graph, found.runs, is_upstream=is_upstream)
        lines = list(tree.lines())
        yield from lines or ["  nothing that the workspace knows of"]
        if graph.truncated:
            yield f"  … and more: the walk ended after {len(graph.nodes)} things"


class _Tree:
    """One direction of the walk."""

    def __init__(self, graph: LineageGraph, runs: Mapping[str, RunFacts], *, is_upstream: bool) -> None:
        self._nodes = {node.ref: node for node in graph.nodes}
        self._root = graph.root
        self._runs = runs
        self._is_upstream = is_upstream
        self._next: dict[str, list[tuple[str, str]]] = {}
        for edge in graph.edges:
            here, there = (edge.target, edge.source) if is_upstream else (edge.source, edge.target)
            self._next.setdefault(here, []).append((there, edge.kind))

    def lines(self) -> Iterator[str]:
        """Go depth first, without recursion: a chain may be as long as the walk."""
        shown = {self._root}
        waiting = self._below(self._root, "")
        while waiting:
            ref, kind, stem, is_last = waiting.pop()
            words = _PASSIVE[kind, self._is_upstream]
            again = ref in shown
            yield f"{stem}{'└─' if is_last else '├─'} {words} {_title(self._nodes[ref])}{' (above)' if again else ''}"
            if again:
                continue
            shown.add(ref)
            inner = f"{stem}{'   ' if is_last else '│  '}"
            below = self._below(ref, inner)
            yield from _facts(self._runs.get(ref), f"{inner}{'│' if below else ' '}  ")
            waiting += below

    def _below(self, ref: str, stem: str) -> list[tuple[str, str, str, bool]]:
        """Give what stands below a thing, the last first."""
        found = self._next.get(ref, [])
        return [(there, kind, stem, index == len(found) - 1) for index, (there, kind) in enumerate(found)][
            ::-1
        ]


def _title(node: LineageNode) -> str:
    return node.ref if node.label in ("", node.ref) else f"{node.ref} ({node.label})"


def _facts(run: RunFacts | None, stem: str) -> Iterator[str]:
    if run is None:
        return
    rows: list[tuple[str, object]] = [
        ("status", f"{run.status}, {cell(run.started_at)}{f', by {run.author}' if run.author else ''}"),
        ("pipeline", run.pipeline),
        ("params", _params(run.params)),
        ("code", _code(run)),
        ("environment", ", ".join(_environment(run))),
    ]
    for name, value in rows:
        if value:
            yield f"{stem}{name}: {value}"


def _params(params: Mapping[str, str]) -> str:
    shown: Sequence[str] = [f"{key}={value}" for key, value in params.items()]
    more = len(shown) - _SHOWN_PARAMS
    return " ".join(shown[:_SHOWN_PARAMS]) + (f" … and {more} more" if more > 0 else "")


def _code(run: RunFacts) -> str:
    source = run.source
    commit = f"commit {source.git_commit}" if source is not None and source.git_commit else ""
    if commit and source is not None and source.git_dirty:
        commit += " with changes"
    return ", ".join(part for part in (f"snapshot {run.snapshot}" if run.snapshot else "", commit) if part)


def _environment(run: RunFacts) -> Iterator[str]:
    if run.source is not None and run.source.python:
        yield f"Python {run.source.python}"
    if run.environment:
        yield run.environment
