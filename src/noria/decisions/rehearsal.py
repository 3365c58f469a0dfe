"""A decision rehearsed: it diagnoses, tries and chooses as a real one would, and neither acts nor opens anything.

What a trial makes (a run of the pipeline, the version that it registers, the rows that it learned from) stays, as of
any other run; nothing of it goes live.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from noria.catalog.entities import Candidate, Evidence, RecordKind
from noria.catalog.service import Catalog
from noria.core.errors import NoriaError
from noria.core.ids import new_id
from noria.core.serialisation import convert, to_builtins
from noria.core.workspace import OverHttp, Workspace
from noria.decisions.choice import Choice, choose, within_allowance
from noria.decisions.diagnosis import Diagnosis
from noria.decisions.entities import (
    Basis,
    Cause,
    Outlook,
    Policy,
    Remedy,
    StartDecision,
    admissible,
)
from noria.decisions.means import means_of
from noria.decisions.memory import believed, credibilities
from noria.decisions.pipeline_entities import PipelinePin
from noria.decisions.reproduction import Weight, weights
from noria.decisions.rerunning import rerun
from noria.decisions.service import Decisions
from noria.decisions.steering import JOBS, PERMISSIONS_OF_JOBS, PIPELINE_JOB, JobFailed, timeout_of, took_s
from noria.decisions.trying import Bench, Trying
from noria.decisions.upstream import change_upstream
from noria.pipelines.job_entities import JobStatus, NewJob
from noria.pipelines.jobs import Jobs
from noria.serving.endpoints import Endpoints
from noria.serving.repairs.entities import ColumnRepair

_REMEMBERED = 200
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_GROWTH = 1.2
_TOLD_AFTER_S = 10.0


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision about an endpoint would be.

    Attributes
    ----------
    weights
        What each stage weighed, after the prior.
    candidates
        Every remedy, with what spoke against those that are not admissible; empty when nothing could be tried yet.
    remedy, policy, reason
        What would be chosen, and whether Noria would do it by itself.
    version
        That the remedy would put live.
    repair
        How inputs would be put right.
    pin
        Which revision of its schedule the pipeline would go back to.
    n_labels
        Labelled rows that are missing before it can be decided; 0 when they suffice.
    basis
        What the choice rests on besides evidence and candidates.
    """

    endpoint: str
    model: str
    version_now: int
    onset_position: int
    causes: dict[Cause, float]
    cause: Cause
    subject: str | None
    contract_broken: bool
    n_labelled: int
    evidence: list[Evidence]
    weights: list[Weight]
    candidates: list[Candidate]
    remedy: Remedy
    policy: Policy
    reason: str
    version: int | None
    repair: list[ColumnRepair] = []
    pin: PipelinePin | None = None
    n_labels: int
    basis: Basis


def rehearse(workspace: Workspace, wish: StartDecision, *, tell: Callable[[str], None]) -> Rehearsal:
    """Diagnose an endpoint, try what may mend it, and choose; do nothing.

    Where a server answers, its workers do it, with the pipeline's code as it was when the version was made, as they
    would for a decision.

    Raises
    ------
    NotFound
        If there is no such endpoint.
    """
    project = workspace.project
    outlook = workspace.service(Decisions).outlook(project, wish.endpoint, onset_position=wish.onset_position)
    arguments = _arguments(project, outlook)
    bench = _bench(workspace, tell)
    tell("Looking for the cause")
    compared = _compared(workspace, bench, outlook)
    found = bench.job("diagnose", {**arguments, "compared": compared}, key="diagnose")
    diagnosis = convert(
        {name: found[name] for name in Diagnosis.__struct_fields__}, Diagnosis, what="diagnosis"
    )
    if diagnosis.lacks_labels:
        short = max(1, outlook.settings.min_labels - found["n_labelled"])
        return _rehearsal(outlook, found, diagnosis, _for_labels(short), {}, {})
    allowed = admissible(diagnosis.causes, contract_broken=diagnosis.contract_broken)
    tell(f"Trying {', '.join(sorted(remedy.value for remedy in allowed))}")
    trying = Trying(bench, outlook.settings)
    tried = trying.run(1, arguments, allowed, diagnosis.causes, compared=compared)
    if tried["lacks"]:
        return _rehearsal(outlook, found, diagnosis, _for_labels(tried["lacks"]), {}, {})
    records = workspace.service(Catalog).list(project, kind=RecordKind.REMEDY.value, limit=_REMEMBERED).items
    known = credibilities(records, diagnosis.cause)
    candidates = [convert(candidate, Candidate) for candidate in tried["candidates"]]
    choice = choose(
        diagnosis.causes,
        believed(candidates, known, outlook.settings),
        outlook.settings,
        contract_broken=diagnosis.contract_broken,
    )
    choice = within_allowance(choice, outlook.acted_alone, outlook.settings)
    return _rehearsal(outlook, found, diagnosis, choice, tried, known)


def _rehearsal(
    outlook: Outlook,
    found: dict[str, Any],
    diagnosis: Diagnosis,
    choice: Choice,
    tried: dict[str, Any],
    known: dict[str, float],
) -> Rehearsal:
    means = means_of(tried, choice)
    return Rehearsal(
        endpoint=outlook.endpoint,
        model=outlook.model,
        version_now=outlook.version,
        onset_position=outlook.onset_position,
        causes=diagnosis.causes,
        cause=diagnosis.cause,
        subject=diagnosis.subject,
        contract_broken=diagnosis.contract_broken,
        n_labelled=found["n_labelled"],
        evidence=diagnosis.evidence,
        weights=weights(diagnosis.evidence),
        candidates=[convert(candidate, Candidate) for candidate in tried.get("candidates", [])],
        remedy=choice.remedy,
        policy=choice.policy,
        reason=choice.reason,
        version=means.version,
        repair=means.repair,
        pin=means.pin,
        n_labels=choice.n_labels,
        basis=Basis(
            settings=to_builtins(outlook.settings),
            stages=[evidence.stage for evidence in diagnosis.evidence],
            credibility=known,
            acted_alone=outlook.acted_alone,
        ),
    )


def _compared(workspace: Workspace, bench: Bench, outlook: Outlook) -> dict[str, Any] | None:
    """Run both revisions of the pipeline that the rows come from, where it changed; only workers have their code."""
    is_forbidden = outlook.settings.policy_of(Remedy.FIX_PIPELINE) is Policy.FORBID
    if is_forbidden or not isinstance(bench, _Workers):
        return None
    place = workspace.service(Endpoints).get(workspace.project, outlook.endpoint)
    change = change_upstream(workspace, workspace.project, place, outlook.onset_position)
    if change is None:
        return None
    found: dict[str, Any] = to_builtins(rerun(bench, change, key=bench.key))
    return found


def _for_labels(n_labels: int) -> Choice:
    reason = f"{n_labels} more labelled rows are needed before remedies can be judged"
    return Choice(remedy=Remedy.WAIT, policy=Policy.AUTOMATIC, reason=reason, n_labels=n_labels)


def _arguments(project: str, outlook: Outlook) -> dict[str, Any]:
    return {
        "project": project,
        "endpoint": outlook.endpoint,
        "version": outlook.version,
        "onset_position": outlook.onset_position,
        "until_label": outlook.until_label,
        "settings": to_builtins(outlook.settings),
    }


def _bench(workspace: Workspace, tell: Callable[[str], None]) -> Bench:
    if isinstance(workspace.backend, OverHttp):
        return _Workers(workspace, tell)
    return _Here(workspace)


class _Workers:
    """Has the server's workers do it."""

    def __init__(self, workspace: Workspace, tell: Callable[[str], None]) -> None:
        self._workspace = workspace
        self._tell = tell
        self.spent_s = 0.0
        self.key = f"rehearsal:{new_id()}"

    def aside(self, new: NewJob) -> tuple[dict[str, Any] | None, str]:
        return self._ended(new)

    def job(self, function: str, arguments: dict[str, Any], *, key: str) -> dict[str, Any]:
        new = NewJob(
            entry=f"{JOBS}:{function}",
            args=arguments,
            key=f"{self.key}:{key}",
            permissions=PERMISSIONS_OF_JOBS,
        )
        result, error = self._ended(new)
        if result is None:
            raise JobFailed(function, error)
        return result

    def pipeline(
        self, run: dict[str, Any], *, key: str, within_s: float | None = None
    ) -> tuple[str | None, str]:
        new = NewJob(
            entry=PIPELINE_JOB,
            args={"target": run["pipeline"], "params": run["params"], "snapshot": run["snapshot"]},
            snapshot=run["snapshot"],
            key=f"{self.key}:{key}",
            timeout_s=timeout_of(within_s),
        )
        result, error = self._ended(new)
        if result is None:
            return None, f"the pipeline `{run['pipeline']}` failed: {error}"
        return str(result["run_id"]), ""

    def _ended(self, new: NewJob) -> tuple[dict[str, Any] | None, str]:
        jobs, project = self._workspace.service(Jobs), self._workspace.project
        found = jobs.submit(project, new)
        pause_s = _FIRST_PAUSE_S
        told_at = time.monotonic() + _TOLD_AFTER_S
        while not found.status.ended:
            if found.status is JobStatus.QUEUED and time.monotonic() >= told_at:
                self._tell("No worker has taken the job yet (`noria worker` starts one); waiting")
                told_at = float("inf")
            time.sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
            found = jobs.get(project, found.id)
        self.spent_s += took_s(found)
        if found.status is JobStatus.SUCCEEDED:
            return found.result, ""
        return None, found.error.message if found.error else found.status.value


class _Here:
    """Does it in this process: the workspace is a folder without a server, and its code is the caller's own.

    Its time counts, but nothing ends what runs in it: who waits for it can interrupt it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._began = time.monotonic()

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self._began

    def job(self, function: str, arguments: dict[str, Any], *, key: str) -> dict[str, Any]:
        from noria.decisions import jobs

        del key  # nothing is repeated here
        answer: dict[str, Any] = getattr(jobs, function)(self._workspace, **arguments)
        return answer

    def pipeline(
        self, run: dict[str, Any], *, key: str, within_s: float | None = None
    ) -> tuple[str | None, str]:
        from noria.pipelines.loading import load_pipeline
        from noria.pipelines.runner import run_pipeline

        del key, within_s
        try:
            loaded = load_pipeline(run["pipeline"], root=self._workspace.settings.project_root)
            result = run_pipeline(self._workspace, loaded.pipeline, run["params"], source=loaded.source)
        except NoriaError as error:
            return None, error.message
        except Exception as error:  # noqa: BLE001 - the pipeline is the user's: it may raise anything
            return None, f"the pipeline `{run['pipeline']}` failed: {error}"
        return result.run_id, ""
