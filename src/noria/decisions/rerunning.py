"""Have workers run both revisions of a scheduled pipeline on the same inputs."""

from __future__ import annotations

from typing import Any, Protocol

from noria.core.serialisation import convert
from noria.decisions.pipeline_entities import Compared, PipelineChange, RanAside, Rerun
from noria.pipelines.job_entities import NewJob
from noria.pipelines.schedules.entities import Aside

ASIDE_JOB = "noria.decisions.aside:run_aside"


class Asides(Protocol):
    """Runs pipelines where users' code may run."""

    def aside(self, new: NewJob) -> tuple[dict[str, Any] | None, str]:
        """Run a job of `ASIDE_JOB`; give its answer, or None and why there is none."""
        ...


def rerun(asides: Asides, change: PipelineChange, *, key: str) -> Compared:
    """Run the revision before and the later one on the inputs of the newest run, the former on earlier ones too.

    Parameters
    ----------
    key
        Of the decision: what it had run once is not run again.
    """
    if change.aside is Aside.NEVER:
        return Compared(change=change, why_not='the schedule says `aside = "never"`')
    newest = change.reruns[-1]
    ran: list[RanAside] = []
    for is_before in (True, False):
        found, why_not = asides.aside(_job(change, newest, key, is_before=is_before))
        if found is None:
            revision = change.before if is_before else change.after
            return Compared(change=change, why_not=f"revision {revision}: {why_not}")
        ran.append(convert(found, RanAside))
    old, new = ran
    others: list[RanAside | None] = []
    for each in change.reruns[:-1] if old.rows != new.rows else []:
        found, _ = asides.aside(_job(change, each, key, is_before=True))
        others.append(None if found is None else convert(found, RanAside))
    return Compared(change=change, old=old, new=new, others=others)


def _job(change: PipelineChange, run: Rerun, key: str, *, is_before: bool) -> NewJob:
    snapshot = change.snapshot_before if is_before else change.snapshot_after
    side = "before" if is_before else "after"
    return NewJob(
        entry=ASIDE_JOB,
        args={
            "target": change.target_before if is_before else change.target_after,
            "params": run.params_before if is_before else run.params,
            "reads": run.reads,
            "made": change.made,
            "free": change.aside is Aside.FREE,
        },
        snapshot=snapshot,
        key=f"{key}:aside:{run.run_id}:{side}",
    )
