"""From the choice to its outcome: fit on all labels, put live by a rollout, measure, write down."""

from __future__ import annotations

from typing import Any

from noria.catalog.entities import RecordChange
from noria.decisions.choice import plain
from noria.decisions.ending import close_alerts, finish
from noria.decisions.entities import Decision, DecisionStatus, Remedy, Scheme
from noria.decisions.events import DECISION_ACTED, DECISION_PROMOTED
from noria.decisions.ledger import move, note
from noria.decisions.mending import Mending
from noria.decisions.pinning import Pinning
from noria.decisions.steering import Helm, JobFailed
from noria.registry.service import Models
from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Deployment, RolloutStatus
from noria.serving.rollouts.deployment import RolloutUnderWay
from noria.serving.rollouts.service import Rollouts

_PAUSE_S = 2.0
_ROLLOUT_POLL_S = 2.0
_LABELS_POLL_S = 10.0
_DEPLOY_PATIENCE_S = 86_400.0


class Action:
    """One decision from its choice on."""

    def __init__(self, helm: Helm) -> None:
        self._helm = helm
        self._settings = helm.settings

    def run(self) -> None:
        """Carry the chosen remedy out."""
        begun: Any = self._helm.step("carry out", self._begin)
        if begun["remedy"] == Remedy.REPAIR_INPUTS.value:
            Mending(self._helm).run(begun)
            return
        if begun["remedy"] == Remedy.FIX_PIPELINE.value:
            Pinning(self._helm).run(begun)
            return
        target, fit = begun["target"], ""
        if begun["remedy"] == Remedy.RETRAIN.value and self._settings.refit_on_all and not begun["is_out"]:
            target, fit = self._refit(begun)
        deployed: Any = self._helm.poll(
            "deploy",
            lambda: self._deploy(target, fit),
            until=lambda found: found is not None,
            patience_s=_DEPLOY_PATIENCE_S,
            longest_s=_PAUSE_S,
        )
        if deployed is None:
            self._helm.step("blocked", self._blocked)
            return
        if deployed["gone"]:
            self._helm.step("overtaken", lambda: self._overtaken(deployed["gone"]))
            return
        ended: Any = self._helm.poll(
            "rollout",
            lambda: self._rollout(deployed["rollout"]),
            until=lambda found: bool(found["finished"]),
            patience_s=float("inf"),
            longest_s=_ROLLOUT_POLL_S,
        )
        if ended["status"] != RolloutStatus.PROMOTED.value:
            self._helm.step("undone", lambda: self._undone(ended))
            return
        self._helm.step("promoted", lambda: self._promoted(target))
        self._measure(begun, target)

    def _refit(self, begun: dict[str, Any]) -> tuple[int, str]:
        """Fit once more on all labelled rows, and tell how; what goes wrong leaves the version that was tried."""
        try:
            return self._refitted(begun)
        except JobFailed as error:
            return begun["target"], f"It was not fitted on all labelled rows: {error.message}"

    def _refitted(self, begun: dict[str, Any]) -> tuple[int, str]:
        tried: int = begun["target"]
        if begun["way"] == Scheme.WARM.value:
            return self._trained_on(begun, tried)
        given = {**begun["arguments"], "everything": True, "scheme": begun["way"] or Scheme.ALL.value}
        taught = self._helm.job("teach", given, key="teach:all")
        if taught["why_not"]:
            return tried, f"It was not fitted on all labelled rows: {taught['why_not']}"
        run_id, why_not = self._helm.pipeline(taught["run"], key="retrain:all")
        if run_id is None:
            return tried, f"It was not fitted on all labelled rows: {why_not}"
        return self._checked(begun, tried, {"run_id": run_id})

    def _trained_on(self, begun: dict[str, Any], tried: int) -> tuple[int, str]:
        """Train the present version on by every labelled row since the onset."""
        made = self._helm.job("train_on", {**begun["arguments"], "everything": True}, key="train_on:all")
        if made["version"] is None:
            return tried, f"On all labelled rows {made['why_not']}"
        return self._checked(begun, tried, {"version": made["version"]})

    def _checked(self, begun: dict[str, Any], tried: int, refit: dict[str, Any]) -> tuple[int, str]:
        place = {name: begun["arguments"][name] for name in ("project", "endpoint")}
        checked = self._helm.job("check_refit", {**place, "tried": tried, **refit}, key="check")
        return checked["version"], checked["sentence"]

    def _measure(self, begun: dict[str, Any], target: int) -> None:
        # A version that goes back has labels from before, which say nothing about now.
        known: int = begun["n_labelled"] if target == begun["target"] else 0

        def count() -> dict[str, Any]:
            self._helm.still()
            return {"n_labelled": self._helm.n_labelled(target)}

        self._helm.poll(
            "outcome labels",
            count,
            until=lambda found: found["n_labelled"] - known >= self._settings.outcome_labels,
            patience_s=self._settings.outcome_patience_s,
            longest_s=_LABELS_POLL_S,
        )
        arguments = {**begun["arguments"], "target_version": target}
        del arguments["until_label"]
        outcome = self._helm.job("measure_outcome", arguments, key="outcome")
        self._helm.step("finish", lambda: self._finished(outcome))

    # What follows runs inside steps.

    def _begin(self) -> dict[str, Any]:
        found = self._helm.still()
        return {
            "remedy": found.remedy and found.remedy.value,
            "target": found.target_version,
            "way": found.way,
            "is_out": found.rollout_id is not None,
            "n_labelled": self._helm.n_labelled(found.target_version) if found.target_version else 0,
            "arguments": {
                "project": found.project,
                "endpoint": found.endpoint,
                "version": found.version,
                "onset_position": found.onset_position,
                "until_label": self._helm.context.service(Captures)
                .head(found.project, found.endpoint)
                .label_position,
                "settings": self._helm.settings_json(),
            },
        }

    def _deploy(self, target: int, fit: str) -> dict[str, str] | None:
        """Start the rollout, unless the version in trouble was replaced meanwhile; None while another one runs."""
        found = self._helm.still()
        if found.rollout_id is not None:
            return {"gone": "", "rollout": found.rollout_id}
        endpoint = self._helm.context.service(Endpoints).get(found.project, found.endpoint)
        serving = {share.version for share in endpoint.shares}
        if found.version not in serving and not self._is_out(found, target):
            return {"gone": f"Version {found.version} is not served any more; version {target} stays back"}
        aliases = self._helm.context.service(Models).get(found.project, found.model).aliases
        moves = aliases.get(self._settings.alias) == found.version
        plan = Deployment(
            model=found.model,
            version=target,
            strategy=self._settings.strategy,
            decision_id=found.id,
            alias=self._settings.alias if moves else None,
            reason=(
                f"Decision {found.id}: {plain(found.remedy or 'remedy')} against "
                f"{plain(found.cause or 'an unknown cause')}"
            ),
        )
        try:
            rollout = self._helm.context.service(Endpoints).deploy(found.project, found.endpoint, plan)
        except RolloutUnderWay:
            return None
        action = {
            "remedy": found.remedy and found.remedy.value,
            "model": f"{found.model}@{target}",
            "rollout": rollout.id,
            "strategy": rollout.strategy.value,
            **({"fit": fit} if fit else {}),
        }
        self._helm.record(RecordChange(action=action))
        note(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            text=f"{found.model}@{target} goes out as a {rollout.strategy.value}",
            event=DECISION_ACTED,
            payload={"remedy": action["remedy"], "version": target, "rollout_id": rollout.id},
            target_version=target,
            rollout_id=rollout.id,
        )
        return {"gone": "", "rollout": rollout.id}

    def _is_out(self, found: Decision, target: int) -> bool:
        """Tell whether a step that was killed before it was recorded began the rollout."""
        begun = self._helm.context.service(Rollouts).list(found.project, found.endpoint).items
        return any((r.decision_id, r.to_version) == (found.id, target) for r in begun)

    def _rollout(self, rollout_id: str) -> dict[str, Any]:
        rollout = self._helm.context.service(Rollouts).get(self._helm.project, rollout_id)
        return {
            "finished": rollout.status.is_finished(),
            "status": rollout.status.value,
            "reason": rollout.reason or "",
        }

    def _blocked(self) -> None:
        reason = "Another rollout of the endpoint did not end"
        finish(
            self._helm.context, self._helm.still(), outcome={"result": "failed"}, reason=reason, failed=True
        )

    def _overtaken(self, reason: str) -> None:
        finish(self._helm.context, self._helm.still(), outcome={"result": "overtaken"}, reason=reason)

    def _undone(self, ended: dict[str, Any]) -> None:
        reason = f"The rollout ended as {ended['status']}: {ended['reason'] or 'no reason was told'}"
        outcome = {"result": ended["status"], "reason": ended["reason"]}
        finish(self._helm.context, self._helm.still(), outcome=outcome, reason=reason)

    def _promoted(self, target: int) -> None:
        moved = move(
            self._helm.context,
            self._helm.project,
            self._helm.decision_id,
            DecisionStatus.MEASURING,
            text=f"Version {target} answers every request; its outcome is being measured",
            event=DECISION_PROMOTED,
            payload={"version": target},
        )
        close_alerts(self._helm.context, moved, f"Decision {moved.id}: version {target} was promoted")

    def _finished(self, outcome: dict[str, Any]) -> None:
        found = self._helm.still()
        finish(self._helm.context, found, outcome=outcome, reason=_told(outcome))


def _told(outcome: dict[str, Any]) -> str:
    if "score_after" not in outcome:
        return f"Version {outcome['version']} was promoted; no labels have come for it yet"
    after = f"it scores {outcome['score_after']:.3f} on its first {outcome['n_after']} labelled rows"
    if "score_before" not in outcome:
        return f"Version {outcome['version']} was promoted; {after}"
    return (
        f"Version {outcome['version']} was promoted; {after}, after {outcome['score_before']:.3f} on the "
        f"{outcome['n_before']} since the onset before it"
    )
