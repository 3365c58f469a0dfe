"""From an endpoint's rows back to the scheduled pipeline that made them, and to what changed in it near the onset.

Rows of a batch run are named after it; the batch run read a version of a data set; a run of a pipeline made that
version; and a schedule had it run. All of it is on record, so this asks and computes nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from noria.core.errors import NotFound
from noria.core.operations import Service
from noria.decisions.pipeline_entities import PipelineChange, Rerun
from noria.pipelines.jobs import Jobs
from noria.pipelines.schedules.entities import ScheduleRun
from noria.pipelines.schedules.planning import filled_params
from noria.pipelines.schedules.revision_entities import ScheduleRevision
from noria.pipelines.schedules.service import Schedules
from noria.pipelines.service import PipelineRuns
from noria.serving.batch.entities import BatchRun, BatchStatus
from noria.serving.batch.service import Batches
from noria.serving.captures import Captures
from noria.serving.entities import Endpoint
from noria.tracking.lineage import RUN_PREFIX, Lineage
from noria.tracking.service import Runs

MOST_RUNS = 40
"""Batch runs that are looked back at."""

MOST_RERUNS = 3
"""Runs since the change that are repeated with the code before it: the newest."""

NEAR = 2
"""Batch runs before the onset, and one fewer after it, among which a change is looked for: onsets are estimates."""

_VERSION = re.compile(r"[^@]+@[0-9]+")

S = TypeVar("S", bound=Service)


class Reads(Protocol):
    """Gives services: a context or a workspace."""

    def service(self, cls: type[S]) -> S:
        """Give a service."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """A batch run, and the run of the schedule that made its input."""

    batch: BatchRun
    run: ScheduleRun


def change_upstream(
    reads: Reads, project: str, endpoint: Endpoint, onset_position: int
) -> PipelineChange | None:
    """Find what changed in the scheduled pipeline near the onset.

    Returns
    -------
    PipelineChange or None
        None when the rows are of no batch run, its input of no schedule, or nothing changed near the onset.
    """
    at = batch_run_at(reads, project, endpoint.name, onset_position)
    if at is None:
        return None
    fed = feeding(reads, project, endpoint)
    place = next((index for index, each in enumerate(fed) if each.batch.id == at), None)
    if place is None:
        return None
    near = range(max(1, place - NEAR), min(len(fed), place + NEAR))
    for index in sorted(near, key=lambda each: (abs(each - place), each)):
        try:
            found = _change(reads, project, fed, index)
        except NotFound:  # the schedule, or the record of a run, is gone
            continue
        if found is not None:
            return found
    return None


def batch_run_at(reads: Reads, project: str, endpoint: str, position: int) -> str | None:
    """Give the batch run that the captured row at a position, or the first behind it, is of."""
    rows = reads.service(Captures).read(project, endpoint, after=max(0, position - 1), limit=1).items
    name, _, row = rows[0].prediction.id.rpartition("-") if rows else ("", "", "")
    if not name or not row.isdigit():
        return None
    try:
        return reads.service(Batches).run(project, name).id
    except NotFound:
        return None


def feeding(reads: Reads, project: str, endpoint: Endpoint) -> list[Fed]:
    """List the newest batch runs captured at an endpoint whose input a schedule made, oldest first."""
    page = reads.service(Batches).runs(
        project, model=endpoint.model, status=BatchStatus.SUCCEEDED, limit=MOST_RUNS
    )
    found = []
    for batch in reversed(page.items):
        if batch.options.endpoint == endpoint.name and _VERSION.fullmatch(batch.input):
            run = _maker(reads, project, batch)
            if run is not None:
                found.append(Fed(batch=batch, run=run))
    return found


def _maker(reads: Reads, project: str, batch: BatchRun) -> ScheduleRun | None:
    """Give the newest run of a schedule that made the input before the batch run began."""
    graph = reads.service(Lineage).upstream(project, ref=f"dataset:{batch.input}", depth=1)
    known = []
    for node in graph.nodes:
        if node.ref.startswith(RUN_PREFIX):
            try:
                known.append(reads.service(Schedules).find_run(project, node.ref.removeprefix(RUN_PREFIX)))
            except NotFound:
                continue
    before = [run for run in known if run.started_at is None or run.started_at <= batch.created_at]
    return max(before, key=lambda run: run.created_at, default=None)


def _change(reads: Reads, project: str, fed: list[Fed], index: int) -> PipelineChange | None:
    one, other = fed[index - 1].run, fed[index].run
    if one.schedule != other.schedule or one.run_id is None or other.run_id is None:
        return None
    kept = reads.service(Schedules).revisions(project, one.schedule).items
    known = {each.number: each for each in kept}
    before, after = known.get(one.revision or 0), known.get(other.revision or 0)
    if before is None or after is None:
        return None
    what = [*_differences(before, after), *_of_environments(reads, project, one.run_id, other.run_id)]
    if not what:
        return None
    now = _present(kept, after) if what != ["environment"] else after
    since = [each for each in fed[index:] if after.number <= (each.run.revision or 0) and each.run.run_id]
    newest = list({each.run.run_id: each for each in since}.values())[-MOST_RERUNS:]
    newest = [fed[index - 1]] if what == ["environment"] else newest
    return PipelineChange(
        schedule=one.schedule,
        before=before.number,
        after=now.number,
        target_before=before.spec.run,
        target_after=now.spec.run,
        snapshot_before=before.snapshot,
        snapshot_after=now.snapshot,
        run_before=one.run_id,
        run_after=other.run_id,
        what=what,
        since=other.interval_start,
        reruns=[_rerun(reads, project, each, before, now) for each in newest],
        aside=kept[0].spec.aside,
    )


def _present(kept: list[ScheduleRevision], after: ScheduleRevision) -> ScheduleRevision:
    """Give what the schedule runs now, where that is later than a change: it is what would be gone back from."""
    return next((each for each in kept if each.is_running and each.number > after.number), after)


def _differences(before: ScheduleRevision, after: ScheduleRevision) -> list[str]:
    found = ["code"] if (before.snapshot, before.spec.run) != (after.snapshot, after.spec.run) else []
    return [*found, "parameters"] if before.spec.params != after.spec.params else found


def _of_environments(reads: Reads, project: str, one: str, other: str) -> list[str]:
    runs = reads.service(PipelineRuns)
    found = [runs.get(project, run_id).environment for run_id in (one, other)]
    return ["environment"] if None not in found and found[0] != found[1] else []


def _rerun(reads: Reads, project: str, fed: Fed, before: ScheduleRevision, now: ScheduleRevision) -> Rerun:
    run = fed.run
    job = reads.service(Jobs).get(project, run.job_id or "")
    links = reads.service(Runs).get(project, run.run_id or "").inputs
    return Rerun(
        batch_run=fed.batch.id,
        made=fed.batch.input,
        copied=[*fed.batch.options.copied],
        run_id=run.run_id or "",
        reads=[link.ref.removeprefix("dataset:") for link in links if link.ref.startswith("dataset:")],
        params=job.args["params"] if run.revision == now.number else _params(now, run),
        params_before=_params(before, run),
    )


def _params(revision: ScheduleRevision, run: ScheduleRun) -> dict[str, Any]:
    """Give the parameters that a revision would have a run of an interval take."""
    return filled_params(revision.spec, start=run.interval_start, end=run.interval_end, details=run.details)
