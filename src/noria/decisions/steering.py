"""What the parts of a decision's workflow share: steps that may be repeated, jobs that are waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from noria.catalog.entities import RecordChange
from noria.catalog.service import Catalog, RecordClosed
from noria.core.context import Context
from noria.core.control.workflows import JSON, Steps
from noria.core.errors import NoriaError
from noria.core.serialisation import to_builtins
from noria.decisions.entities import Decision, DecisionSection
from noria.decisions.ledger import DecisionMoved, find_decision
from noria.pipelines.job_entities import DEFAULT_TIMEOUT_S, Job, JobStatus, NewJob
from noria.pipelines.jobs import Jobs
from noria.serving.captures import Captures

T = TypeVar("T", bound=JSON)

JOBS = "noria.decisions.jobs"
PERMISSIONS_OF_JOBS = [
    "endpoints.read",
    "endpoints.replay",
    "captures.read",
    "monitors.read",
    "decisions.read",
]
"""What the jobs of a decision need beyond what every job may do."""

PIPELINE_JOB = "noria.pipelines.jobs_entry:run_pipeline_job"

_ATTEMPTS = 5
_RETRY_AFTER_S = 2.0
_SHORTEST_POLL_S = 0.2
_LONGEST_POLL_S = 5.0
_POLL_GROWTH = 1.1  # what is waited for is seen within about a tenth of the time that it took


class Helm:
    """Steers one decision through the control loop's steps.

    Attributes
    ----------
    spent_s
        Seconds that workers took for this decision's jobs; a workflow that goes on after a kill counts them again from
        what its steps kept.
    """

    def __init__(self, steps: Steps, context: Context, project: str, decision_id: str) -> None:
        self.steps = steps
        self.context = context
        self.project = project
        self.decision_id = decision_id
        self.spent_s = 0.0

    @property
    def settings(self) -> DecisionSection:
        """`[decisions]` of the server's project file."""
        return self.context.settings.section("decisions", DecisionSection)

    def decision(self) -> Decision:
        """Read the decision; only inside a step."""
        with self.context.database.read() as connection:
            return find_decision(connection, self.project, self.decision_id)

    def still(self) -> Decision:
        """Read the decision, and stop if it has ended meanwhile; only inside a step."""
        found = self.decision()
        if found.status.is_finished():
            raise DecisionMoved(found, found.status)
        return found

    def step(self, name: str, fn: Callable[[], T]) -> T:
        """Run a step; again after a while when what it needs did not answer."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self.steps.run(name, fn)
            except NoriaError as error:
                if not error.retryable:
                    raise
            self.steps.sleep(_RETRY_AFTER_S)
        return self.steps.run(name, fn)

    def poll(
        self,
        name: str,
        fn: Callable[[], T],
        *,
        until: Callable[[T], bool],
        patience_s: float,
        longest_s: float,
    ) -> T:
        """Run a step again and again, ever more rarely, until it answers what is waited for or time is up."""
        begun = self.steps.now()
        pause_s = _SHORTEST_POLL_S
        while True:
            found = self.step(name, fn)
            if until(found) or (self.steps.now() - begun).total_seconds() >= patience_s:
                return found
            self.steps.sleep(pause_s)
            pause_s = min(pause_s * _POLL_GROWTH, longest_s)

    def job(self, function: str, arguments: dict[str, Any], *, key: str) -> dict[str, Any]:
        """Have a worker run one of our functions, and give its answer.

        Raises
        ------
        NoriaError
            What the job failed with.
        """
        new = NewJob(
            entry=f"{JOBS}:{function}",
            args=arguments,
            key=f"decision:{self.decision_id}:{key}",
            permissions=PERMISSIONS_OF_JOBS,
        )
        found = self._ended(function, new)
        if found["status"] != JobStatus.SUCCEEDED.value:
            raise JobFailed(function, found["error"] or found["status"])
        answer: dict[str, Any] = found["result"]
        return answer

    def pipeline(
        self, run: dict[str, Any], *, key: str, within_s: float | None = None
    ) -> tuple[str | None, str]:
        """Have a worker run a pipeline of the project; give its run, or why there is none.

        Parameters
        ----------
        within_s
            After so many seconds it is ended.
        """
        new = NewJob(
            entry=PIPELINE_JOB,
            args={"target": run["pipeline"], "params": run["params"], "snapshot": run["snapshot"]},
            snapshot=run["snapshot"],
            key=f"decision:{self.decision_id}:{key}",
            timeout_s=timeout_of(within_s),
        )
        found = self._ended("pipeline", new)
        if found["status"] != JobStatus.SUCCEEDED.value:
            return (
                None,
                f"the pipeline `{run['pipeline']}` {found['status']}: {found['error'] or 'no error was told'}",
            )
        return str(found["result"]["run_id"]), ""

    def aside(self, new: NewJob) -> tuple[dict[str, Any] | None, str]:
        """Have a worker run a pipeline aside; give its answer, or None and why there is none."""
        found = self._ended("aside", new)
        if found["status"] != JobStatus.SUCCEEDED.value:
            return None, found["error"] or found["status"]
        return found["result"], ""

    def n_labelled(self, version: int) -> int:
        """Count the labelled rows of a version; only inside a step."""
        endpoint = self.decision().endpoint
        table = self.context.service(Captures).stats(self.project, endpoint, version=version)
        return table.of(version).n_labelled

    def record(self, change: RecordChange) -> None:
        """Add to the catalogue's record; one that was closed by hand stays as it is."""
        try:
            self.context.service(Catalog).update(self.project, self.decision().record_id, change)
        except RecordClosed:
            return

    def settings_json(self) -> dict[str, Any]:
        """Give the settings as a job takes them."""
        return to_builtins(self.settings)

    def _ended(self, name: str, new: NewJob) -> dict[str, Any]:
        jobs = self.context.service(Jobs)
        job_id: str = self.step(f"submit {name}", lambda: jobs.submit(self.project, new).id)

        def look() -> dict[str, Any]:
            found = jobs.get(self.project, job_id)
            return {
                "status": found.status.value,
                "ended": found.status.ended,
                "result": found.result if found.status.ended else None,
                "error": found.error.message if found.error else None,
                "took_s": took_s(found),
            }

        found: Any = self.poll(
            f"await {name}",
            look,
            until=lambda seen: bool(seen["ended"]),
            patience_s=float("inf"),
            longest_s=_LONGEST_POLL_S,
        )
        ended: dict[str, Any] = found
        # A step that an earlier version kept says nothing of it.
        self.spent_s += ended.get("took_s", 0.0)
        return ended


def took_s(job: Job) -> float:
    """Give the seconds of the last attempt at a job that ended; 0 for one that never began."""
    if job.started_at is None or job.ended_at is None:
        return 0.0
    return max(0.0, (job.ended_at - job.started_at).total_seconds())


def timeout_of(within_s: float | None) -> float:
    """Give a job's time limit where at most so many seconds are left for it."""
    return DEFAULT_TIMEOUT_S if within_s is None else max(1.0, min(within_s, DEFAULT_TIMEOUT_S))


class JobFailed(NoriaError):
    """A worker could not do its part of a decision."""

    code = "decision_job_failed"

    def __init__(self, function: str, why: str) -> None:
        super().__init__(f"The job `{function}` failed: {why}", hint="See `noria jobs list`")
