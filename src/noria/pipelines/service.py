"""Operations on the step cache, on runs of pipelines, and on jobs."""

from __future__ import annotations

from typing import Any

from noria.access.authentication import drop_narrow_tokens, issue_narrow_token
from noria.access.projects import project_pk
from noria.core.database.alchemy import sa
from noria.core.errors import Invalid
from noria.core.objects.references import add_reference
from noria.core.operations import Service, operation
from noria.core.permissions import Role
from noria.pipelines.cache import find_entry, keep_entry, refer_to
from noria.pipelines.cache_entities import CacheAnswer
from noria.pipelines.entities import (
    ExportedCode,
    NewPipelineRun,
    NewStep,
    PipelineEnd,
    PipelineList,
    PipelineRun,
    PipelineRunPage,
    PipelineSummary,
    StartedRun,
    StepPage,
    StepToken,
)
from noria.pipelines.events import PIPELINE_FINISHED, PIPELINE_STARTED, STEP_FINISHED
from noria.pipelines.jobs import Jobs
from noria.pipelines.permissions import PERMISSIONS_OF_JOBS, READ_PIPELINES, WRITE_PIPELINES
from noria.pipelines.run_records import (
    append_event,
    end_pipeline_run,
    insert_pipeline_run,
    lease_from,
    load_run,
    mark_killed,
    renew_lease,
    require_resumable,
    run_key,
    select_runs,
    take_up,
    to_run,
    token_of_steps,
)
from noria.pipelines.step_rows import earlier_steps, insert_step, keep_parts, to_report
from noria.pipelines.tables import pipeline_runs, step_runs
from noria.tracking.entities import NewRun, RunStatus
from noria.tracking.service import Runs

__all__ = ["Jobs", "PipelineRuns", "StepCache"]

MAX_PAGE = 1000
TOKEN_TTL_S = 7 * 86_400.0

Steps = list[NewStep]


class StepCache(Service):
    """Results of steps, by what they depend on."""

    @operation("GET", "/projects/{project}/step-cache/{key}", needs=READ_PIPELINES)
    def lookup(self, project: str, key: str) -> CacheAnswer:
        """Find a result to reuse: it exists, its outputs verify, and what it followed leads where it led."""
        return find_entry(self.context, project, key)


class PipelineRuns(Service):
    """Runs of pipelines and their steps."""

    @operation("POST", "/projects/{project}/pipeline-runs", needs=WRITE_PIPELINES)
    def start(self, project: str, new: NewPipelineRun) -> StartedRun:
        """Start a run, tracked in the experiment of the pipeline's name."""
        mark_killed(self.context)
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            self._insert(connection, project, owner, new)
            earlier = earlier_steps(connection, owner, new.pipeline)
        run = NewRun(
            id=new.run_id,
            experiment=new.name,
            parent=new.parent,
            params=new.params,
            tags={"noria.pipeline": new.pipeline, **new.tags},
            source=new.source,
            author=new.author,
        )
        return StartedRun(run=self.sibling(Runs).create(project, run), earlier=earlier)

    @operation("POST", "/projects/{project}/pipeline-runs/{run_id}/resume", needs=WRITE_PIPELINES, status=200)
    def resume(self, project: str, run_id: str, gone: bool = False) -> StartedRun:
        """Let a run go on that was killed or failed; its finished steps stay.

        `gone` says that the caller saw the end of its process, whose lease may not be over.
        """
        mark_killed(self.context)
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            found = load_run(connection, owner, project, run_id)
            require_resumable(found, gone=gone)
            take_up(connection, run_id, lease_from(self.context.clock.now()), gone=gone)
            earlier = earlier_steps(connection, owner, found.pipeline)
            payload = {"pipeline": found.pipeline, "resumed": True}
            append_event(
                connection, self.context, PIPELINE_STARTED, project=project, run_id=run_id, payload=payload
            )
        return StartedRun(run=self.sibling(Runs).resume(project, run_id), earlier=earlier)

    @operation("POST", "/projects/{project}/pipeline-runs/{run_id}/beat", needs=WRITE_PIPELINES, status=204)
    def beat(self, project: str, run_id: str) -> None:
        """Renew the lease of a run; one that was taken for dead meanwhile goes on."""
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            found = load_run(connection, owner, project, run_id)
            if found.status not in (RunStatus.RUNNING, RunStatus.KILLED):
                return
            renew_lease(connection, run_id, lease_from(self.context.clock.now()))
        if found.status is RunStatus.KILLED:
            self.sibling(Runs).resume(project, run_id)

    @operation("POST", "/projects/{project}/pipeline-runs/{run_id}/rest", needs=WRITE_PIPELINES, status=204)
    def rest(self, project: str, run_id: str) -> None:
        """Give the lease of a run back: it goes on when an orchestrator says so, and nobody takes it for dead."""
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            key, _ = run_key(connection, owner, project, run_id)
            connection.execute(
                sa.update(pipeline_runs).where(pipeline_runs.c.pk == key).values(lease_until=None)
            )

    @operation("POST", "/projects/{project}/pipeline-runs/{run_id}/token", needs=WRITE_PIPELINES)
    def issue_token(self, project: str, run_id: str) -> StepToken:
        """Make a token for the steps of a run on other machines: it ends with the run, or after a week.

        It may do what jobs may, in this project alone, and nothing that the caller may not.
        """
        caller = self.context.principal
        only = PERMISSIONS_OF_JOBS if caller.only is None else PERMISSIONS_OF_JOBS & caller.only
        role = min(caller.role_in(project) or Role.VIEWER, Role.ENGINEER, key=lambda each: each.rank)
        with self.context.database.write(durable=True) as connection:
            run_key(connection, project_pk(connection, project), project, run_id)
            secret = issue_narrow_token(
                connection,
                self.context.clock,
                name=token_of_steps(run_id),
                project=project,
                permissions=only,
                role=role,
                ttl_s=TOKEN_TTL_S,
            )
        return StepToken(token=secret)

    @operation("POST", "/projects/{project}/pipeline-runs/{run_id}/steps", needs=WRITE_PIPELINES, status=204)
    def step(self, project: str, run_id: str, new: NewStep) -> None:
        """Record a step that ended, and keep its result to be reused."""
        self.record_steps(project, run_id, [new])

    @operation(
        "POST", "/projects/{project}/pipeline-runs/{run_id}/steps/ended", needs=WRITE_PIPELINES, status=204
    )
    def record_steps(self, project: str, run_id: str, ended: Steps) -> None:
        """Record steps that ended, in their order, and keep their results to be reused; all of them or none."""
        for new in ended:
            if new.entry is not None and new.entry.key != new.report.key:
                raise Invalid(f"The entry has the key `{new.entry.key}`, the step `{new.report.key}`")
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            key, pipeline = run_key(connection, owner, project, run_id)
            for new in ended:
                if insert_step(connection, key, new.report):
                    self._keep(connection, project, owner, pipeline, run_id, new)

    def _keep(
        self, connection: sa.Connection, project: str, owner: int, pipeline: str, run_id: str, new: NewStep
    ) -> None:
        """Keep what a step leaves to the next runs, and tell of its end."""
        report = new.report
        if new.parts is not None:
            keep_parts(
                connection, owner=owner, pipeline=pipeline, run_id=run_id, report=report, parts=new.parts
            )
        if new.entry is not None:
            keep_entry(connection, self.context, project=project, owner=owner, run_id=run_id, new=new.entry)
        payload = {
            "step": report.step,
            "position": report.position,
            "status": str(report.status),
            "key": report.key,
        }
        append_event(connection, self.context, STEP_FINISHED, project=project, run_id=run_id, payload=payload)

    @operation("POST", "/projects/{project}/pipeline-runs/{run_id}/finish", needs=WRITE_PIPELINES, status=200)
    def finish(self, project: str, run_id: str, end: PipelineEnd) -> PipelineRun:
        """Record what a run returned or raised. The tracked run has ended before."""
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            key, pipeline = run_key(connection, owner, project, run_id)
            end_pipeline_run(connection, key, end)
            drop_narrow_tokens(connection, token_of_steps(run_id))
            for stored in end.outputs.values():
                refer_to(connection, self.context, project, stored, f"run:{run_id}")
            found = load_run(connection, owner, project, run_id)
            payload = {
                "pipeline": pipeline,
                "status": str(end.status),
                "n_steps": found.n_steps,
                "n_reused": found.n_reused,
            }
            append_event(
                connection, self.context, PIPELINE_FINISHED, project=project, run_id=run_id, payload=payload
            )
        return found

    @operation("POST", "/projects/{project}/pipeline-exports", needs=WRITE_PIPELINES, status=204)
    def keep_export(self, project: str, kept: ExportedCode) -> None:
        """Keep the code that an exported pipeline runs, for as long as files that name it may be about."""
        owner = f"export:{project}:{kept.orchestrator}:{kept.target}:{kept.snapshot}"
        with self.context.database.write() as connection:
            project_pk(connection, project)
            add_reference(connection, self.context.clock, project=project, digest=kept.snapshot, owner=owner)

    @operation("GET", "/projects/{project}/pipeline-runs", needs=READ_PIPELINES)
    def list(
        self, project: str, pipeline: str | None = None, limit: int = 50, before: str | None = None
    ) -> PipelineRunPage:
        """List runs, newest first, from the one that follows the run `before`."""
        mark_killed(self.context)
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            query = select_runs(owner).order_by(pipeline_runs.c.pk.desc()).limit(bound + 1)
            if pipeline is not None:
                query = query.where(pipeline_runs.c.pipeline == pipeline)
            if before is not None:
                query = query.where(pipeline_runs.c.pk < run_key(connection, owner, project, before)[0])
            rows = connection.execute(query).mappings().all()
        items = [to_run(row) for row in rows[:bound]]
        return PipelineRunPage(items=items, next=items[-1].run_id if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/pipelines", needs=READ_PIPELINES)
    def pipelines(self, project: str) -> PipelineList:
        """List the pipelines that have run, at most 1000, with their last runs, newest first."""
        mark_killed(self.context)
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            last = sa.func.max(pipeline_runs.c.pk).label("last")
            counted = connection.execute(
                sa.select(last, sa.func.count().label("n_runs"))
                .where(pipeline_runs.c.project_pk == owner)
                .group_by(pipeline_runs.c.pipeline)
                .order_by(last.desc())
                .limit(MAX_PAGE)
            ).all()
            newest = select_runs(owner).where(pipeline_runs.c.pk.in_([row[0] for row in counted]))
            rows = connection.execute(newest.order_by(pipeline_runs.c.pk.desc())).mappings().all()
        runs = [to_run(row) for row in rows]
        return PipelineList(
            items=[
                PipelineSummary(pipeline=run.pipeline, n_runs=n_runs, last=run)
                for run, (_, n_runs) in zip(runs, counted, strict=True)
            ]
        )

    @operation("GET", "/projects/{project}/pipeline-runs/{run_id}", needs=READ_PIPELINES)
    def get(self, project: str, run_id: str) -> PipelineRun:
        """Get one run."""
        mark_killed(self.context)
        with self.context.database.read() as connection:
            return load_run(connection, project_pk(connection, project), project, run_id)

    @operation("GET", "/projects/{project}/pipeline-runs/{run_id}/steps", needs=READ_PIPELINES)
    def steps(self, project: str, run_id: str, limit: int = 100, after: int = -1) -> StepPage:
        """List the steps of a run in their order, from the one that follows position `after`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            key, _ = run_key(connection, project_pk(connection, project), project, run_id)
            query = (
                _select_steps()
                .where(step_runs.c.run_pk == key)
                .where(step_runs.c.position > after)
                .order_by(step_runs.c.position)
                .limit(bound + 1)
            )
            rows = connection.execute(query).mappings().all()
        items = [to_report(row) for row in rows[:bound]]
        return StepPage(items=items, next=items[-1].position if len(rows) > bound else None)

    def _insert(self, connection: sa.Connection, project: str, owner: int, new: NewPipelineRun) -> None:
        if not insert_pipeline_run(connection, owner, new, self.context.clock.now()):
            return  # a repeated request
        for digest in (new.snapshot, new.environment):
            if digest is not None:
                add_reference(
                    connection,
                    self.context.clock,
                    project=project,
                    digest=digest,
                    owner=f"run:{new.run_id}",
                )
        append_event(
            connection,
            self.context,
            PIPELINE_STARTED,
            project=project,
            run_id=new.run_id,
            payload={"pipeline": new.pipeline},
        )


def _select_steps() -> sa.Select[Any]:
    return sa.select(
        step_runs.c.position,
        step_runs.c.step,
        step_runs.c.name,
        step_runs.c.occurrence,
        step_runs.c.status,
        step_runs.c.reason,
        step_runs.c.key,
        step_runs.c.attempts,
        step_runs.c.started_at,
        step_runs.c.duration_us,
        step_runs.c.outputs,
        step_runs.c.error,
        step_runs.c.sources,
        step_runs.c.declared,
        step_runs.c.within,
        step_runs.c.item,
    )
