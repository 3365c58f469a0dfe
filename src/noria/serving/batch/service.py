"""Operations on batch runs and named batches."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from noria.access.projects import project_pk
from noria.core.errors import Conflict, Invalid
from noria.core.ids import new_id
from noria.core.names import check_name
from noria.core.operations import Service, operation
from noria.serving.batch.entities import (
    Batch,
    BatchEnd,
    BatchPage,
    BatchProgress,
    BatchRun,
    BatchRunPage,
    BatchStatus,
    NewBatchRun,
    Pointed,
    Recorded,
    SwitchBatch,
)
from noria.serving.batch.events import (
    BATCH_COMPARED,
    BATCH_RULE_SET,
    BATCH_RUN_FAILED,
    BATCH_RUN_STARTED,
    BATCH_RUN_SUCCEEDED,
)
from noria.serving.batch.ledger import (
    change_batch,
    change_run,
    load_batch,
    load_run,
    select_batches,
    select_runs,
    tell,
    to_batch,
    to_run,
)
from noria.serving.batch.permissions import READ_BATCHES, RUN_BATCHES, SWITCH_BATCHES
from noria.serving.batch.slot_entities import NewComparison, SetRule, payload_of
from noria.serving.batch.slots import ensure_batch, fill, goes_live, switch
from noria.serving.batch.tables import batch_runs, batches
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.predictions import CaptureBatch, CaptureReport

MAX_PAGE = 1000


class Batches(Service):
    """Batch runs, and the stable names under which their rows are read."""

    @operation("POST", "/projects/{project}/batch-runs", needs=RUN_BATCHES)
    def begin(self, project: str, new: NewBatchRun) -> BatchRun:
        """Put a batch run on record: a new one, the unfinished one of the same, or the one with the same word."""
        _check_new(new)
        if new.options.endpoint is not None:
            self._captured_at(project, new.options.endpoint, new.model)
        with self.context.database.write() as connection:
            owner = project_pk(connection, project)
            found = self._known(connection, owner, new)
            if found is not None:
                return found
            key = ensure_batch(connection, self.context, project, new)
            values = self._values(owner, key, new)
            insert = self.context.database.insert(batch_runs).values(**values)
            connection.execute(insert.on_conflict_do_nothing())
            run = self._known(connection, owner, new)
        if run is None:
            raise Conflict(f"Another run began with the word `{new.once}` meanwhile", hint="Try again")
        return run

    @operation("POST", "/projects/{project}/batch-runs/{run_id}/attempt", needs=RUN_BATCHES, status=200)
    def attempt(self, project: str, run_id: str) -> BatchRun:
        """Begin the next attempt at a run; an earlier one that is still at it is not heard any more."""
        with self.context.database.write() as connection:
            run = load_run(connection, project, run_id)
            if run.status is BatchStatus.SUCCEEDED:
                raise Conflict(f"The batch run `{run_id}` has ended well already")
            now = self.context.clock.now()
            values = {"status": str(BatchStatus.RUNNING), "attempt": run.attempt + 1, "updated_at": now}
            if not change_run(connection, run_id, run.attempt, error=None, ended_at=None, **values):
                raise Conflict(f"Another process began the batch run `{run_id}` meanwhile", hint="Try again")
            told = {"model": run.ref, "input": run.input, "output": run.output, "attempt": run.attempt + 1}
            tell(connection, self.context, BATCH_RUN_STARTED, project, f"batch_run:{run_id}", told)
            return load_run(connection, project, run_id)

    @operation("POST", "/projects/{project}/batch-runs/{run_id}/note", needs=RUN_BATCHES, status=200)
    def note(self, project: str, run_id: str, progress: BatchProgress) -> BatchRun:
        """Take note of how far an attempt has come.

        Raises
        ------
        Conflict
            If a later attempt took over.
        """
        values = {
            name: getattr(progress, name)
            for name in ("n_rows", "n_done", "n_duplicates", "chunk_rows", "n_workers", "engine")
        }
        with self.context.database.write() as connection:
            load_run(connection, project, run_id)
            now = self.context.clock.now()
            if not change_run(connection, run_id, progress.attempt, updated_at=now, **values):
                raise Conflict(f"A later attempt took the batch run `{run_id}` over")
            return load_run(connection, project, run_id)

    @operation("POST", "/projects/{project}/batch-runs/{run_id}/finish", needs=RUN_BATCHES, status=200)
    def finish(self, project: str, run_id: str, end: BatchEnd) -> BatchRun:
        """End an attempt: with its rows written, which fills the slot of a batch, or with what went wrong."""
        with self.context.database.write(durable=True) as connection:
            run = load_run(connection, project, run_id)
            if run.status is BatchStatus.SUCCEEDED:
                return run
            status = BatchStatus.SUCCEEDED if end.error is None else BatchStatus.FAILED
            if end.error is None and end.written is None:
                raise Invalid("A run that ended well has written its rows somewhere")
            now = self.context.clock.now()
            values: dict[str, Any] = {
                "status": str(status),
                "error": end.error,
                "ended_at": now,
                "updated_at": now,
            }
            if end.error is None:
                values |= {"n_rows": end.n_rows, "n_done": end.n_rows, "n_unfit": end.n_unfit}
                values |= {"predict_s": end.predict_s, "written": end.written}
            if not change_run(connection, run_id, end.attempt, **values):
                return run
            run = load_run(connection, project, run_id)
            told = {"rows": run.n_rows, "written": run.written, "error": end.error and end.error.message}
            kind = BATCH_RUN_SUCCEEDED if end.error is None else BATCH_RUN_FAILED
            tell(connection, self.context, kind, project, f"batch_run:{run_id}", told)
            if end.error is None and run.batch is not None:
                fill(connection, self, project, run)
        return run

    @operation("POST", "/projects/{project}/batch-runs/{run_id}/captures", needs=RUN_BATCHES, status=200)
    def capture(self, project: str, run_id: str, batch: CaptureBatch) -> CaptureReport:
        """Capture rows of a run at the endpoint that it names; one that is captured already is left as it is.

        Raises
        ------
        Invalid
            If the run names no endpoint, or a row is of another run or version.
        """
        run = self.run(project, run_id)
        if run.options.endpoint is None:
            raise Invalid(
                f"The batch run `{run_id}` names no endpoint", hint="Give `--endpoint` to `noria predict`"
            )
        revision = self._captured_at(project, run.options.endpoint, run.model)
        for row in batch.predictions:
            if row.version != run.version or row.id.rpartition("-")[0] != run_id:
                raise Invalid(f"`{row.id}` is no row of the batch run `{run_id}` of `{run.ref}`")
        rows = [msgspec.structs.replace(row, revision=revision) for row in batch.predictions]
        captures = self.sibling(Captures)
        return captures.append(project, run.options.endpoint, CaptureBatch(predictions=rows))

    @operation("GET", "/projects/{project}/batch-runs/{run_id}", needs=READ_BATCHES)
    def run(self, project: str, run_id: str) -> BatchRun:
        """Get one batch run."""
        with self.context.database.read() as connection:
            return load_run(connection, project, run_id)

    @operation("GET", "/projects/{project}/batch-runs", needs=READ_BATCHES)
    def runs(
        self,
        project: str,
        batch: str | None = None,
        model: str | None = None,
        status: BatchStatus | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> BatchRunPage:
        """List batch runs, newest first, from the one that follows the run `before`."""
        bound = max(1, min(limit, MAX_PAGE))
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            query = select_runs().where(batch_runs.c.project_pk == owner).order_by(batch_runs.c.pk.desc())
            if batch is not None:
                query = query.where(batch_runs.c.batch_pk == load_batch(connection, project, batch)[0])
            if model is not None:
                query = query.where(batch_runs.c.model == model)
            if status is not None:
                query = query.where(batch_runs.c.status == str(status))
            if before is not None:
                load_run(connection, project, before)
                last = sa.select(batch_runs.c.pk).where(batch_runs.c.id == before).scalar_subquery()
                query = query.where(batch_runs.c.pk < last)
            rows = connection.execute(query.limit(bound + 1)).mappings().all()
        items = [to_run(row) for row in rows[:bound]]
        return BatchRunPage(items=items, next=items[-1].id if len(rows) > bound else None)

    @operation("GET", "/projects/{project}/batches", needs=READ_BATCHES)
    def list(self, project: str) -> BatchPage:
        """List named batches, by name."""
        with self.context.database.read() as connection:
            owner = project_pk(connection, project)
            query = select_batches().where(batches.c.project_pk == owner).order_by(batches.c.name)
            return BatchPage(items=[to_batch(row) for row in connection.execute(query).mappings()])

    @operation("GET", "/projects/{project}/batches/{name}", needs=READ_BATCHES)
    def get(self, project: str, name: str) -> Batch:
        """Get one named batch."""
        with self.context.database.read() as connection:
            return load_batch(connection, project, name)[1]

    @operation("POST", "/projects/{project}/batches/{name}/switch", needs=SWITCH_BATCHES, status=200)
    def switch(self, project: str, name: str, wish: SwitchBatch) -> Batch:
        """Have the stable name stand for the other slot; asked again, it changes nothing.

        Raises
        ------
        Conflict
            If nothing was written to that slot yet.
        """
        with self.context.database.write(durable=True) as connection:
            key, batch = load_batch(connection, project, name, lock=True)
            to = wish.to or batch.live.other
            if to is not batch.live:
                switch(connection, self, key, batch, to, wish.reason or None)
            return load_batch(connection, project, name)[1]

    @operation("POST", "/projects/{project}/batches/{name}/pointed", needs=RUN_BATCHES, status=200)
    def pointed(self, project: str, name: str, where: Pointed) -> Batch:
        """Take note that a stable name outside the workspace leads to a slot now."""
        with self.context.database.write() as connection:
            key, batch = load_batch(connection, project, name, lock=True)
            change_batch(connection, key, batch, pointed=str(where.slot))
            return load_batch(connection, project, name)[1]

    @operation("PUT", "/projects/{project}/batches/{name}/rule", needs=SWITCH_BATCHES)
    def set_rule(self, project: str, name: str, wish: SetRule) -> Batch:
        """Let comparisons switch a batch by a rule, or leave it to people."""
        with self.context.database.write(durable=True) as connection:
            key, batch = load_batch(connection, project, name, lock=True)
            change_batch(connection, key, batch, rule=wish.rule)
            told = {
                "min_gain": wish.rule and wish.rule.min_gain,
                "min_pairs": wish.rule and wish.rule.min_pairs,
            }
            tell(connection, self.context, BATCH_RULE_SET, project, f"batch:{name}", told)
            return load_batch(connection, project, name)[1]

    @operation("POST", "/projects/{project}/batches/{name}/comparison", needs=RUN_BATCHES, status=200)
    def compared(self, project: str, name: str, new: NewComparison) -> Recorded:
        """Record a comparison of both slots, and switch if the batch's rule says so.

        Raises
        ------
        Conflict
            If a slot holds other rows by now, or the other slot is live.
        """
        with self.context.database.write(durable=True) as connection:
            key, batch = load_batch(connection, project, name, lock=True)
            found = new.comparison
            held = {slot: filled.run_id for slot, filled in batch.slots.items()}
            if held != {found.live: found.live_run, found.live.other: found.candidate_run} or (
                found.live is not batch.live
            ):
                raise Conflict(
                    f"`{name}` was run or switched since these rows were compared", hint="Compare again"
                )
            change_batch(connection, key, batch, comparison=found)
            tell(connection, self.context, BATCH_COMPARED, project, f"batch:{name}", payload_of(found))
            switched = goes_live(batch.rule, found)
            if switched:
                _, batch = load_batch(connection, project, name)
                switch(connection, self, key, batch, batch.live.other, "by the rule of the batch")
            return Recorded(batch=load_batch(connection, project, name)[1], switched=switched)

    def _captured_at(self, project: str, endpoint: str, model: str) -> int:
        """Give the revision of an endpoint at which rows of a model may be captured."""
        found = self.sibling(Endpoints).get(project, endpoint)
        if found.model != model:
            raise Conflict(
                f"The endpoint `{endpoint}` is one of the model `{found.model}`, not `{model}`",
                hint="Capture the rows at an endpoint of the same model",
            )
        return found.revision

    def _known(self, connection: sa.Connection, owner: int, new: NewBatchRun) -> BatchRun | None:
        unfinished = batch_runs.c.status != str(BatchStatus.SUCCEEDED)
        same: sa.ColumnElement[bool] = (batch_runs.c.identity == new.identity) & unfinished
        if new.once is not None:
            same = batch_runs.c.once == new.once
        row = (
            connection.execute(select_runs().where(batch_runs.c.project_pk == owner, same)).mappings().first()
        )
        if row is None:
            return None
        found = to_run(row)
        if (found.model, found.output, found.options) != (new.model, new.output, new.options):
            raise Conflict(
                f"The word `{new.once}` is that of another batch run, `{found.id}`",
                hint="Give another `--once`",
            )
        return found

    def _values(self, owner: int, batch_pk: int | None, new: NewBatchRun) -> dict[str, Any]:
        now = self.context.clock.now()
        return {
            "id": new_id(),
            "project_pk": owner,
            "batch_pk": batch_pk,
            "slot": None if new.slot is None else str(new.slot),
            "model": new.model,
            "version": new.version,
            "identity": new.identity,
            "once": new.once,
            "status": str(BatchStatus.RUNNING),
            "input": new.input,
            "input_digest": new.input_digest,
            "output": new.output,
            "options": new.options,
            "attempt": 0,
            "n_done": 0,
            "n_unfit": 0,
            "n_workers": 1,
            "started_by": self.context.principal.name,
            "created_at": now,
            "updated_at": now,
        }


def _check_new(new: NewBatchRun) -> None:
    check_name("model", new.model)
    if (new.batch is None) is not (new.slot is None):
        raise Invalid("A batch and a slot of it go together", hint="Give both or neither")
    if new.batch is not None:
        check_name("batch", new.batch)
