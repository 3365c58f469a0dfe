"""Change many runs at once, as pages do with those that are ticked: all of them or none, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from noria.core.admission import admit
from noria.core.operations import Service
from noria.tracking.changes import append_run_event, log_batch
from noria.tracking.entities import LogBatch
from noria.tracking.events import RUN_DELETED, RUN_RESTORED
from noria.tracking.lifecycle import mark_deleted, mark_restored
from noria.tracking.limits import check_batch
from noria.tracking.permissions import WRITE_RUNS
from noria.tracking.run_keys import run_key


class ManyRuns(Service):
    """Changes for pages; no operations: programs have `Runs`.

    Each method raises what the operation on a single run does, and then none of the runs is changed. They are taken in
    the order of their ids, so that two writers of the same runs wait for one another instead of blocking each other.
    """

    def set_tag(self, project: str, key: str, values: Mapping[str, str | None]) -> None:
        """Give runs, by their ids, values of a tag; None removes it."""
        admit(self.context.principal, WRITE_RUNS, project)
        batches = {run_id: LogBatch(tags={key: value}) for run_id, value in sorted(values.items())}
        for batch in batches.values():
            check_batch(batch)
        with self.context.database.write() as connection:
            for run_id, batch in batches.items():
                log_batch(connection, self.context, project, run_id, batch)

    def delete(self, project: str, run_ids: Collection[str]) -> None:
        """Mark runs as deleted; those that are already stay as they are."""
        admit(self.context.principal, WRITE_RUNS, project)
        now = self.context.clock.now()
        with self.context.database.write() as connection:
            for run_id in sorted(run_ids):
                if mark_deleted(connection, run_key(connection, project, run_id), now):
                    append_run_event(connection, self.context, RUN_DELETED, project, run_id, {})

    def restore(self, project: str, run_ids: Collection[str]) -> None:
        """Make deleted runs active again; those that are already stay as they are."""
        admit(self.context.principal, WRITE_RUNS, project)
        with self.context.database.write() as connection:
            for run_id in sorted(run_ids):
                if mark_restored(connection, run_key(connection, project, run_id)):
                    append_run_event(connection, self.context, RUN_RESTORED, project, run_id, {})
