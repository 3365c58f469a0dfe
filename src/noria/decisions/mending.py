"""Put inputs right in the live path, measure what came of it, and take it back where it does harm."""

from __future__ import annotations

from typing import Any

from noria.catalog.entities import RecordChange
from noria.decisions.choice import plain
from noria.decisions.ending import close_alerts, finish
from noria.decisions.entities import DecisionStatus
from noria.decisions.events import DECISION_ACTED, DECISION_PROMOTED
from noria.decisions.ledger import move, note
from noria.decisions.steering import Helm
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.repairs.entities import EndRepair, NewRepair
from noria.serving.repairs.service import InputRepairs
from noria.serving.rollouts.deployment import RolloutUnderWay

_PAUSE_S = 2.0
_LABELS_POLL_S = 10.0
_PATIENCE_S = 86_400.0
_SERVERS_PATIENCE_S = 60.0


class Mending:
    """The repair of one decision from its choice on."""

    def __init__(self, helm: Helm) -> None:
        self._helm = helm
        self._settings = helm.settings

    def run(self, begun: dict[str, Any]) -> None:
        """Apply the repair once no rollout is under way, and measure its outcome.

        Parameters
        ----------
        begun
            What `Action` began with: `arguments` of the jobs.
        """
        helm = self._helm
        applied: Any = helm.poll(
            "repair",
            self._apply,
            until=lambda found: found is not None,
            patience_s=_PATIENCE_S,
            longest_s=_PAUSE_S,
        )
        if applied is None:
            helm.step("blocked", self._blocked)
            return
        if applied["gone"]:
            helm.step("overtaken", lambda: self._overtaken(applied["gone"]))
            return
        helm.poll(
            "repair followed",
            lambda: self._is_followed(applied["revision"]),
            until=bool,
            patience_s=_SERVERS_PATIENCE_S,
            longest_s=_PAUSE_S,
        )
        stands: Any = helm.step("repaired", lambda: self._repaired(applied["words"]))
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
            longest_s=_LABELS_POLL_S,
        )
        given = {**arguments, "repaired_position": stands["position"]}
        del given["until_label"]
        outcome = helm.job("measure_repair", given, key="outcome")
        helm.step("finish", lambda: self._finished(outcome))

    # What follows runs inside steps.

    def _apply(self) -> dict[str, Any] | None:
        """Begin the repair, unless the version in trouble was replaced meanwhile; None while a rollout runs."""
        helm, found = self._helm, self._helm.still()
        place = helm.context.service(Endpoints).get(found.project, found.endpoint)
        if found.version not in {share.version for share in place.shares}:
            return {
                "gone": f"Version {found.version} is not served any more; its inputs are left as they are"
            }
        reason = f"Decision {found.id}: {plain(found.cause or 'an unknown cause')}"
        wish = NewRepair(columns=found.repair, reason=reason, decision_id=found.id)
        try:
            repair = helm.context.service(InputRepairs).set(found.project, found.endpoint, wish)
        except RolloutUnderWay:
            return None
        action = {"remedy": found.remedy and found.remedy.value, "repair": repair.id, "words": repair.words}
        helm.record(RecordChange(action=action))
        note(
            helm.context,
            helm.project,
            helm.decision_id,
            text=f"Repair {repair.number} of the inputs of {found.endpoint}: {repair.words}",
            event=DECISION_ACTED,
            payload={"remedy": action["remedy"], "repair": repair.id, "words": repair.words},
            repair_id=repair.id,
        )
        return {"gone": "", "revision": repair.revision, "words": repair.words}

    def _is_followed(self, revision: int) -> bool:
        """Tell whether every model server that answers for the endpoint puts inputs right."""
        found = self._helm.still()
        servers = self._helm.context.service(Endpoints).servers().items
        plans = [
            plan
            for server in servers
            for plan in server.endpoints
            if (plan.project, plan.endpoint) == (found.project, found.endpoint)
        ]
        return all(plan.revision >= revision for plan in plans)

    def _repaired(self, words: str) -> dict[str, Any]:
        helm = self._helm
        found = helm.still()
        head = helm.context.service(Captures).head(found.project, found.endpoint)
        moved = move(
            helm.context,
            helm.project,
            helm.decision_id,
            DecisionStatus.MEASURING,
            text=f"Inputs are put right before the model sees them: {words}; the outcome is being measured",
            event=DECISION_PROMOTED,
            payload={"version": found.version, "repair": found.repair_id},
        )
        close_alerts(helm.context, moved, f"Decision {moved.id}: {words}")
        return {"position": head.position, "n_labelled": helm.n_labelled(found.version)}

    def _blocked(self) -> None:
        reason = "A rollout of the endpoint did not end"
        finish(
            self._helm.context, self._helm.still(), outcome={"result": "failed"}, reason=reason, failed=True
        )

    def _overtaken(self, reason: str) -> None:
        finish(self._helm.context, self._helm.still(), outcome={"result": "overtaken"}, reason=reason)

    def _finished(self, outcome: dict[str, Any]) -> None:
        found = self._helm.still()
        told = {name: value for name, value in outcome.items() if name != "worse"}
        if outcome["worse"] and found.repair_id is not None:
            wish = EndRepair(reason="Answers were surely worse with it", id=found.repair_id)
            self._helm.context.service(InputRepairs).end(found.project, found.endpoint, wish)
            told["result"] = "rolled_back"
        finish(self._helm.context, found, outcome=told, reason=_told(told))


def _told(outcome: dict[str, Any]) -> str:
    if "score_after" not in outcome:
        return "Inputs are put right; no labels have come since"
    after = f"answers score {outcome['score_after']:.3f} on {outcome['n_after']} labelled rows since"
    before = (
        f", after {outcome['score_before']:.3f} on the {outcome['n_before']} since the onset before it"
        if "score_before" in outcome
        else ""
    )
    if outcome["result"] == "rolled_back":
        return f"Inputs were put right, and are taken as they are sent again: {after}{before}"
    return f"Inputs are put right; {after}{before}"
