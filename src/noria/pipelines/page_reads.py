"""What the pages of pipelines read beyond the operations: a list that stays quick with 100,000 runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.admission import admit
from noria.core.operations import Service
from noria.pipelines.entities import PipelineRun
from noria.pipelines.permissions import READ_PIPELINES
from noria.pipelines.run_records import mark_killed, select_runs, to_run
from noria.pipelines.tables import pipeline_runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPipeline:
    """A pipeline with its newest run."""

    n_runs: int
    last: PipelineRun


class PipelinePages(Service):
    """Reads for pages; no operations: programs have `PipelineRuns`."""

    def list(
        self, project: str, *, limit: int, after: str = ""
    ) -> tuple[tuple[ListedPipeline, ...], str | None]:
        """List pipelines in the order of their names; the name after which the next page begins, or None."""
        admit(self.context.principal, READ_PIPELINES, project)
        mark_killed(self.context)
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            names: Sequence[str] = connection.scalars(_names(owner, after).limit(limit + 1)).all()
            shown = names[:limit]
            counted = connection.execute(
                sa.select(sa.func.max(pipeline_runs.c.pk), sa.func.count())
                .where(pipeline_runs.c.project_pk == owner, pipeline_runs.c.pipeline.in_(shown))
                .group_by(pipeline_runs.c.pipeline)
                .order_by(pipeline_runs.c.pipeline)
            ).all()
            newest = select_runs(owner).where(pipeline_runs.c.pk.in_([last for last, _ in counted]))
            rows = connection.execute(newest.order_by(pipeline_runs.c.pipeline)).mappings().all()
        listed = tuple(
            ListedPipeline(n_runs=n_runs, last=to_run(row))
            for row, (_, n_runs) in zip(rows, counted, strict=True)
        )
        return listed, shown[-1] if len(names) > limit else None

    def n_runs(self, project: str, pipeline: str) -> int:
        """Count the runs of a pipeline."""
        admit(self.context.principal, READ_PIPELINES, project)
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            query = sa.select(sa.func.count()).where(
                pipeline_runs.c.project_pk == owner, pipeline_runs.c.pipeline == pipeline
            )
            return int(connection.scalar(query) or 0)


def _names(owner: int, after: str) -> sa.Select[Any]:
    """Select different names in their order: one look at the index for each, and none at its runs."""
    least = sa.func.min(pipeline_runs.c.pipeline)
    of_project = pipeline_runs.c.project_pk == owner
    names = (
        sa.select(least.label("name")).where(of_project, pipeline_runs.c.pipeline > after).cte(recursive=True)
    )
    following = sa.select(least).where(of_project, pipeline_runs.c.pipeline > names.c.name).scalar_subquery()
    names = names.union_all(sa.select(following).where(names.c.name.is_not(None)))
    return sa.select(names.c.name).where(names.c.name.is_not(None))
