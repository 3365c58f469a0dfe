"""Walk lineage: from a thing to what it was made from, or to what was made from it.

The graph is never stored as such. A run that read `dataset:digits@2` and made `model:digits@3` is two rows of
`run_links`; a walk joins them, one query per kind of step and distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from noria.access.projects import project_pk
from noria.core.database.alchemy import sa
from noria.core.operations import Service, operation
from noria.tracking.limits import check_ref
from noria.tracking.lineage_entities import LineageEdge, LineageGraph, LineageNode
from noria.tracking.permissions import READ_RUNS
from noria.tracking.tables import run_links, runs

MAX_NODES = 1_000
MAX_DEPTH = 100
RUN_PREFIX = "run:"
_IN_CHUNK = 500


class Lineage(Service):
    """What things came from, and what came of them, by what runs read and made."""

    @operation("GET", "/projects/{project}/lineage/upstream", needs=READ_RUNS)
    def upstream(self, project: str, ref: str = "", depth: int = 20) -> LineageGraph:
        """Walk from `ref` (or `run:<id>`) to what it was made from."""
        with self.context.database.read() as connection:
            found = project_pk(connection, project)
            return walk(connection, found, check_ref(ref), depth=depth, downstream=False)

    @operation("GET", "/projects/{project}/lineage/downstream", needs=READ_RUNS)
    def downstream(self, project: str, ref: str = "", depth: int = 20) -> LineageGraph:
        """Walk from `ref` (or `run:<id>`) to what was made from it."""
        with self.context.database.read() as connection:
            found = project_pk(connection, project)
            return walk(connection, found, check_ref(ref), depth=depth, downstream=True)


class Walk(msgspec.Struct):
    """What a walk has gathered so far. Who knows more than runs do adds nodes and edges between its strides.

    Attributes
    ----------
    project
        Integer key of the project; runs of other projects are not seen.
    """

    connection: sa.Connection
    project: int
    downstream: bool
    nodes: dict[str, LineageNode] = msgspec.field(default_factory=dict)
    edges: dict[tuple[str, str], LineageEdge] = msgspec.field(default_factory=dict)
    truncated: bool = False

    def visit(self, ref: str, label: str, distance: int, digest: str = "") -> str | None:
        """Add a node unless it is known; give its reference when the walk shall go on from it."""
        if ref in self.nodes:
            return None
        if len(self.nodes) >= MAX_NODES:
            self.truncated = True
            return None
        self.nodes[ref] = LineageNode(ref=ref, label=label, distance=distance, digest=digest)
        return ref

    def join(self, cause: str, effect: str, kind: str) -> None:
        """Add an edge between nodes that are both known."""
        if cause in self.nodes and effect in self.nodes:
            self.edges[cause, effect] = LineageEdge(source=cause, target=effect, kind=kind)

    def rows(self, query: sa.Select[Any]) -> list[Any]:
        """Read no more rows than there may be nodes; note when that leaves some out."""
        found = self.connection.execute(query.limit(MAX_NODES + 1)).all()
        self.truncated = self.truncated or len(found) > MAX_NODES
        return list(found)

    def stride(self, frontier: Sequence[str], distance: int) -> list[str]:
        """Go one edge on from references that are known, and give those that are new."""
        run_ids = [ref.removeprefix(RUN_PREFIX) for ref in frontier if ref.startswith(RUN_PREFIX)]
        things = [ref for ref in frontier if not ref.startswith(RUN_PREFIX)]
        return [
            *_from_things(self, things, distance),
            *_from_runs(self, run_ids, distance),
            *_between_runs(self, run_ids, distance),
        ]

    def graph(self, root: str) -> LineageGraph:
        """Give what was gathered."""
        return LineageGraph(
            root=root,
            nodes=list(self.nodes.values()),
            edges=list(self.edges.values()),
            truncated=self.truncated,
        )


def walk(connection: sa.Connection, project: int, root: str, *, depth: int, downstream: bool) -> LineageGraph:
    """Walk breadth first from `root`, at most `depth` edges and 1,000 nodes.

    Parameters
    ----------
    project
        Integer key of the project; runs of other projects are not seen.
    root
        A reference, or `run:<id>`. One that no run knows gives a graph of one node.
    """
    state = Walk(connection, project, downstream)
    state.visit(root, root, 0)
    frontier = [root]
    bound = max(0, min(depth, MAX_DEPTH))
    for distance in range(1, bound + 1):
        frontier = state.stride(frontier, distance)
        if not frontier:
            break
    return state.graph(root)


def _from_things(state: Walk, refs: list[str], distance: int) -> list[str]:
    """Go from things to the runs that read them (downstream) or made them (upstream)."""
    found = []
    for chunk in _chunks(refs):
        query = (
            sa.select(run_links.c.ref, runs.c.id, runs.c.name)
            .join(runs, runs.c.pk == run_links.c.run_pk)
            .where(run_links.c.ref.in_(chunk))
            .where(run_links.c.direction == ("input" if state.downstream else "output"))
            .where(runs.c.project_pk == state.project)
            # The order of the index, so that of what a hundred thousand runs read no more is read than is asked for.
            .order_by(run_links.c.ref, run_links.c.run_pk)
        )
        for ref, run_id, name in state.rows(query):
            run = RUN_PREFIX + run_id
            found.append(state.visit(run, name, distance))
            state.join(*((ref, run, "read") if state.downstream else (run, ref, "made")))
    return _present(found)


def _from_runs(state: Walk, run_ids: list[str], distance: int) -> list[str]:
    """Go from runs to the things that they made (downstream) or read (upstream)."""
    found = []
    for chunk in _chunks(run_ids):
        query = (
            sa.select(run_links.c.ref, run_links.c.digest, runs.c.id)
            .join(runs, runs.c.pk == run_links.c.run_pk)
            .where(runs.c.id.in_(chunk))
            .where(runs.c.project_pk == state.project)
            .where(run_links.c.direction == ("output" if state.downstream else "input"))
            .order_by(run_links.c.run_pk, run_links.c.ref)
        )
        for ref, digest, run_id in state.rows(query):
            run = RUN_PREFIX + run_id
            found.append(state.visit(ref, ref, distance, digest))
            state.join(*((run, ref, "made") if state.downstream else (ref, run, "read")))
    return _present(found)


def _between_runs(state: Walk, run_ids: list[str], distance: int) -> list[str]:
    """Go from runs to those that they started (downstream), or that started them (upstream)."""
    parents = runs.alias("parents")
    here, there = (parents, runs) if state.downstream else (runs, parents)
    found = []
    for chunk in _chunks(run_ids):
        query = (
            sa.select(here.c.id, there.c.id.label("other"), there.c.name)
            .select_from(runs.join(parents, runs.c.parent_pk == parents.c.pk))
            .where(here.c.id.in_(chunk))
            .where(runs.c.project_pk == state.project)
            .order_by(there.c.pk)
        )
        for run_id, other_id, name in state.rows(query):
            run, other = RUN_PREFIX + run_id, RUN_PREFIX + other_id
            found.append(state.visit(other, name, distance))
            state.join(*((run, other, "started") if state.downstream else (other, run, "started")))
    return _present(found)


def _present(refs: Iterable[str | None]) -> list[str]:
    return [ref for ref in refs if ref is not None]


def _chunks(items: list[str]) -> Iterable[list[str]]:
    return (items[start : start + _IN_CHUNK] for start in range(0, len(items), _IN_CHUNK))
