"""Tell where a thing came from and what came of it, from the records that runs, steps and endpoints leave anyway.

`tracking.lineage` walks what runs read and made. This adds what stands above runs: steps of pipelines and their
outputs, what a version was declared to be made from, and endpoints that serve it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import NotFound
from noria.core.operations import Service, operation
from noria.data.service import Datasets
from noria.pipelines.tables import pipeline_runs
from noria.registry.permissions import READ_MODELS
from noria.registry.provenance_entities import Provenance, RunFacts
from noria.registry.provenance_models import add_declared_data, declared_causes, model_users, served_versions
from noria.registry.provenance_steps import STEP_PREFIX, StepWalk
from noria.registry.service import Models
from noria.tracking.limits import check_ref
from noria.tracking.lineage import MAX_DEPTH, RUN_PREFIX, Walk
from noria.tracking.lineage_entities import LineageGraph
from noria.tracking.permissions import READ_RUNS
from noria.tracking.run_rows import load_runs
from noria.tracking.tables import runs

MOST_FACTS = 100
"""Runs whose params and code are told; the graph itself may hold ten times as many."""

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"blake3:[0-9a-f]{64}")


class Provenances(Service):
    """Where things came from and what came of them."""

    @operation("GET", "/projects/{project}/lineage", needs=READ_RUNS)
    def of(self, project: str, ref: str = "", depth: int = 20) -> Provenance:
        """Walk both ways from `dataset:…`, `model:…`, `run:…`, `step:…`, `object:…` or `endpoint:…`."""
        root = self._resolved(project, ref)
        up, down = self.graphs(project, root, depth=depth)
        with self.context.database.read() as connection:
            facts = _facts(connection, project_pk(connection, project), (up, down))
        return Provenance(root=root, upstream=up, downstream=down, runs=facts)

    def graphs(
        self, project: str, root: str, *, depth: int = 20, depth_down: int | None = None
    ) -> tuple[LineageGraph, LineageGraph]:
        """Walk back and on from a full reference; for pages too, which ask for less than `of` tells."""
        bounds = [
            max(0, min(each, MAX_DEPTH)) for each in (depth, depth if depth_down is None else depth_down)
        ]
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            up = self._walk(connection, project, owner, root, bounds[0], downstream=False)
            down = self._walk(connection, project, owner, root, bounds[1], downstream=True)
        return up, down

    def _resolved(self, project: str, ref: str) -> str:
        """Give the full reference of what a person may name shortly.

        Raises
        ------
        NotFound
            If there is no such thing; a reference that only runs know is taken as it is.
        """
        if _RUN_ID.fullmatch(ref):
            ref = RUN_PREFIX + ref
        elif _DIGEST.fullmatch(ref):
            ref = f"object:{ref}"
        kind, _, name = check_ref(ref).partition(":")
        if kind == "model":
            version = self.sibling(Models).resolve(project, name)
            return f"model:{version.ref}"
        if kind == "dataset":
            return f"dataset:{self.sibling(Datasets).resolve(project, name).ref}"
        if kind == "run":
            self._require_run(project, name)
        return ref

    def _require_run(self, project: str, run_id: str) -> None:
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            query = sa.select(runs.c.pk).where(runs.c.id == run_id).where(runs.c.project_pk == owner)
            if connection.execute(query).first() is None:
                raise NotFound(f"The project `{project}` has no run `{run_id}`", hint="See `noria runs list`")

    def _walk(
        self, connection: sa.Connection, project: str, owner: int, root: str, depth: int, *, downstream: bool
    ) -> LineageGraph:
        state = Walk(connection, owner, downstream)
        steps = StepWalk(state, project, self.context)
        label = steps.name_of(root) if root.startswith(STEP_PREFIX) else root
        state.visit(root, label, 0)
        frontier = [root]
        for distance in range(1, depth + 1):
            frontier = [
                *state.stride(frontier, distance),
                *steps.stride(frontier, distance),
                *self._around_models(state, project, frontier, distance),
            ]
            if not frontier:
                break
        if depth and not downstream and self.context.principal.may(READ_MODELS, project):
            add_declared_data(state, root)
        return state.graph(root)

    def _around_models(self, state: Walk, project: str, frontier: Sequence[str], distance: int) -> list[str]:
        if not self.context.principal.may(READ_MODELS, project):
            return []
        if state.downstream:
            return model_users(state, project, frontier, distance)
        return [
            *declared_causes(state, frontier, distance),
            *served_versions(state, project, frontier, distance),
        ]


def _facts(connection: sa.Connection, owner: int, graphs: Sequence[LineageGraph]) -> dict[str, RunFacts]:
    nodes = sorted((node for graph in graphs for node in graph.nodes), key=lambda node: node.distance)
    refs = dict.fromkeys(node.ref for node in nodes if node.ref.startswith(RUN_PREFIX))
    ids = [ref.removeprefix(RUN_PREFIX) for ref in refs][:MOST_FACTS]
    keys = sa.select(runs.c.pk).where(runs.c.id.in_(ids)).where(runs.c.project_pk == owner)
    found = load_runs(connection, list(connection.execute(keys).scalars()))
    columns = (
        pipeline_runs.c.run_id,
        pipeline_runs.c.pipeline,
        pipeline_runs.c.snapshot,
        pipeline_runs.c.environment,
    )
    rows = connection.execute(sa.select(*columns).where(pipeline_runs.c.run_id.in_(ids)))
    made_by = {row.run_id: row for row in rows}
    facts = {}
    for run in found:
        of_pipeline = made_by.get(run.id)
        facts[RUN_PREFIX + run.id] = RunFacts(
            id=run.id,
            name=run.name,
            status=run.status,
            started_at=run.started_at,
            ended_at=run.ended_at,
            author=run.author,
            params=run.params,
            source=run.source,
            pipeline=of_pipeline.pipeline if of_pipeline else None,
            snapshot=of_pipeline.snapshot if of_pipeline else run.tags.get("noria.snapshot"),
            environment=of_pipeline.environment if of_pipeline else None,
        )
    return {ref: facts[ref] for ref in refs if ref in facts}
