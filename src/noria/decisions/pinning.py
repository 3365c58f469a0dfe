"""Have a schedule run an earlier revision, repeat its runs, measure what came of it, and take back what harms."""

from __future__ import annotations

from typing import Any

from noria.catalog.entities import RecordChange
from noria.core.errors import Conflict, Invalid, NotFound
from noria.decisions.ending import close_alerts, finish
from noria.decisions.entities import DecisionStatus
from noria.decisions.events import DECISION_ACTED, DECISION_PROMOTED
from noria.decisions.ledger import move, note
from noria.decisions.pipeline_entities import PipelinePin
from noria.decisions.steering import Helm
from noria.pipelines.schedules.entities import NewBackfill, RunState
from noria.pipelines.schedules.revision_entities import PinSchedule
from noria.pipelines.schedules.service import Schedules
from noria.serving.captures import Captures

_POLL_S = 5.0
_RUNS_PATIENCE_S = 86_400.0


class Pinning:
    """The pin of one decision from its choice on."""

    def __init__(self, helm: Helm) -> None:
        self._helm = helm
        self._settings = helm.settings

    def run(self, begun: dict[str, Any]) -> None:
        """Pin the schedule, repeat its runs since the onset, and measure the outcome.

        Parameters
        ----------
        begun
            What `Action` began with: `arguments` of the jobs.
        """
        helm = self._helm
        pinned: Any = helm.step("pin", self._pin)
        if pinned["gone"]:
            helm.step("overtaken", lambda: self._overtaken(pinned["gone"]))
            return
        again: Any = helm.step("run again", self._run_again)
        helm.poll(
            "runs",
            lambda: self._have_ended(again),
            until=bool,
            patience_s=_RUNS_PATIENCE_S,
            longest_s=_POLL_S,
        )
        stands: Any = helm.step("pinned", self._pinned)
        self._measure(begun["arguments"], stands)

    def _measure(self, arguments: dict[str, Any], stands: dict[str, Any]) -> None:
        helm = self._helm

        def count() -> dict[str, Any]:
            found = helm.still()
            return {"n_labelled": helm.n_labelled(found.version)}

        helm.poll(
            "outcome labels",
            count,
            until=lambda found: found["n_labelled"] - stands["n_labelled"] >= self._settings.outcome_labels,
            patience_s=self._settings.outcome_patience_s,
            longest_s=_POLL_S,
        )
        given = {**arguments, "repaired_position": stands["position"], "result": "pinned"}
        del given["until_label"]
        outcome = helm.job("measure_repair", given, key="outcome")
        helm.step("finish", lambda: self._finished(outcome))

    # What follows runs inside steps.

    @property
    def _schedules(self) -> Schedules:
        return self._helm.context.service(Schedules)

    def _chosen(self) -> PipelinePin:
        found = self._helm.still().pin
        assert found is not None  # noqa: S101 - this remedy is chosen with it alone
        return found

    def _pin(self) -> dict[str, Any]:
        """Pin the schedule, unless somebody changed meanwhile what it runs."""
        helm, chosen, found = self._helm, self._chosen(), self._helm.still()
        try:
            now = self._schedules.get(found.project, chosen.schedule)
        except NotFound as error:
            return {"gone": error.message}
        is_ours = now.pin is not None and now.revision == chosen.revision
        if now.revision != chosen.instead_of and not is_ours:
            return {
                "gone": f"The schedule {chosen.schedule} runs revision {now.revision} by now, "
                f"not {chosen.instead_of}"
            }
        reason = f"Decision {found.id}: {found.cause or 'an unknown cause'}"
        if found.subject:
            reason += f" ({found.subject})"
        wish = PinSchedule(to=str(chosen.revision), reason=reason)
        self._schedules.pin(found.project, chosen.schedule, wish)
        action = {"remedy": found.remedy and found.remedy.value, "words": chosen.words}
        told = {"schedule": chosen.schedule, "revision": chosen.revision}
        helm.record(RecordChange(action={**action, **told}))
        note(
            helm.context,
            helm.project,
            helm.decision_id,
            text=f"The schedule {chosen.schedule} is pinned to revision {chosen.revision}",
            event=DECISION_ACTED,
            payload={"remedy": action["remedy"], **told},
        )
        return {"gone": ""}

    def _run_again(self) -> dict[str, Any]:
        """Repeat the intervals since the onset, or what the schedule does where it has none."""
        chosen, project = self._chosen(), self._helm.project
        now = self._helm.context.clock.now()
        try:
            if chosen.since is not None:
                new = NewBackfill(start=chosen.since, end=now, again=True)
                return {"backfill": self._schedules.backfill(project, chosen.schedule, new).id}
            return {"run": self._schedules.run(project, chosen.schedule).id}
        except (Conflict, Invalid) as error:
            # Too many intervals, or the run is under way: the next one is right.
            return {"why_not": error.message}

    def _have_ended(self, again: dict[str, Any]) -> bool:
        project, name = self._helm.project, self._chosen().schedule
        self._helm.still()
        if "backfill" in again:
            counts = self._schedules.get_backfill(project, name, again["backfill"]).counts
            return not any(counts.get(state.value) for state in (RunState.WAITING, RunState.RUNNING))
        if "run" in again:
            return self._schedules.find_run(project, again["run"]).state.ended
        return True

    def _pinned(self) -> dict[str, Any]:
        helm, chosen = self._helm, self._chosen()
        found = helm.still()
        head = helm.context.service(Captures).head(found.project, found.endpoint)
        moved = move(
            helm.context,
            helm.project,
            helm.decision_id,
            DecisionStatus.MEASURING,
            text=f"The schedule {chosen.schedule} runs revision {chosen.revision}; the outcome is being measured",
            event=DECISION_PROMOTED,
            payload={"version": found.version, "schedule": chosen.schedule, "revision": chosen.revision},
        )
        close_alerts(helm.context, moved, f"Decision {moved.id}: {chosen.words}")
        return {"position": head.position, "n_labelled": helm.n_labelled(found.version)}

    def _overtaken(self, reason: str) -> None:
        finish(self._helm.context, self._helm.still(), outcome={"result": "overtaken"}, reason=reason)

    def _finished(self, outcome: dict[str, Any]) -> None:
        found, chosen = self._helm.still(), self._chosen()
        told = {name: value for name, value in outcome.items() if name != "worse"}
        if outcome["worse"] and self._stands(chosen):
            self._schedules.unpin(found.project, chosen.schedule)
            told["result"] = "rolled_back"
        finish(self._helm.context, found, outcome=told, reason=_told(chosen, told))

    def _stands(self, chosen: PipelinePin) -> bool:
        try:
            now = self._schedules.get(self._helm.project, chosen.schedule)
        except NotFound:
            return False
        return now.pin is not None and now.revision == chosen.revision


def _told(chosen: PipelinePin, outcome: dict[str, Any]) -> str:
    stands = f"The schedule {chosen.schedule} runs revision {chosen.revision}"
    if "score_after" not in outcome:
        return f"{stands}; no labels have come since"
    after = f"answers score {outcome['score_after']:.3f} on {outcome['n_after']} labelled rows since"
    before = (
        f", after {outcome['score_before']:.3f} on the {outcome['n_before']} since the onset before it"
        if "score_before" in outcome
        else ""
    )
    if outcome["result"] == "rolled_back":
        return f"The schedule {chosen.schedule} runs what was applied last again: {after}{before}"
    return f"{stands}; {after}{before}"
